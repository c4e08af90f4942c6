//! Namespaces: the finalizer `kubernetes` in their spec, and their phase.

use serde_json::{Value, json};

use super::Through;

/// Stands in `spec.finalizers` until the namespace has been emptied.
const FINALIZER: &str = "kubernetes";

/// Namespaces that are never deleted.
pub fn is_kept(name: &str) -> bool {
    ["default", "kube-system", "kube-public"].contains(&name)
}

/// What a new one begins with.
pub fn begin(object: &mut Value) {
    let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
    let mut finalizers: Vec<Value> = finalizers.cloned().unwrap_or_default();
    if !finalizers.iter().any(|f| f == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    object["spec"] = json!({"finalizers": finalizers});
    object["status"] = json!({"phase": "Active"});
}

/// The main resource changes metadata alone; `status` changes the status too, `finalize` the spec.
pub fn carry(object: &mut Value, live: &Value, through: Through) {
    if through != Through::Finalize {
        object["spec"] = live["spec"].clone();
    }
    if through != Through::Status {
        object["status"] = live["status"].clone();
    }
}

/// The spec that a body says: unlike anywhere else, finalizers that are left out are to be gone.
pub fn asked_spec(body: &Value) -> Value {
    match body.pointer("/spec/finalizers") {
        Some(Value::Array(finalizers)) if !finalizers.is_empty() => {
            json!({"finalizers": finalizers})
        }
        Some(_) | None => json!({}),
    }
}

/// Marks it for deletion.
pub fn terminate(object: &mut Value) {
    object["status"]["phase"] = "Terminating".into();
}

/// Has been emptied: nothing stands in `spec.finalizers`.
pub fn is_empty(object: &Value) -> bool {
    let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
    finalizers.is_none_or(Vec::is_empty)
}

//! A run object that cannot be read (a newer operator's field, a hand that edited it). It never stops the others
//! (rule 13), it is reported by name, and what production is owed is met all the same: obligations decode from their own
//! small struct.

use crate::api::{CloneEnvironmentSpec, CloneRun, FIELD_MANAGER, FINALIZER};
use crate::controllers::context::{Caller, Context};
use crate::controllers::events::{Transition, publish};
use crate::controllers::run::store::call;
use crate::controllers::text::cut;
use crate::engine::ports::StoreError;
use crate::recipe::Pins;
use crate::site::AspName;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

/// The least that tells whether production may be suspended, and how to resume it.
#[derive(Debug, Default, Deserialize)]
struct Owed {
    #[serde(default)]
    obligations: Vec<Value>,
    #[serde(default)]
    journal: Value,
    #[serde(default)]
    resolved: Value,
}

impl Owed {
    fn resume(&self) -> bool {
        self.obligations
            .iter()
            .any(|o| o["kind"] == "ResumeSource" && o["met"].is_null())
    }
    fn asps(&self) -> Vec<AspName> {
        let listed = self.journal["window"]["asps"].as_array();
        let names = listed.into_iter().flatten().filter_map(Value::as_str);
        names.map(AspName::new).collect()
    }
    fn pins(&self) -> Pins {
        let pins = serde_json::from_value(self.resolved["pins"].clone());
        Pins::from_facts(&pins.unwrap_or_default())
    }
    fn spec(&self) -> Option<CloneEnvironmentSpec> {
        serde_json::from_value(self.resolved["spec"].clone()).ok()
    }
}

/// Reports an unreadable run and resumes its source if that is owed.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn report(context: &Context, invalid: &InvalidObject) -> Result<Action, StoreError> {
    let name = invalid.metadata.name.clone().unwrap_or_default();
    let namespace = invalid.metadata.namespace.clone().unwrap_or_default();
    let resource = ApiResource::erase::<CloneRun>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &namespace, &resource);
    let Some(object) = call(api.get_opt(&name)).await? else {
        return Ok(Action::await_change());
    };
    let why = cut(&invalid.error, 300);
    tracing::error!(
        run = name,
        namespace,
        error = why,
        "this run cannot be read"
    );
    let owed: Owed = serde_json::from_value(object.data["status"].clone()).unwrap_or_default();
    let told = |reason, note: String| Transition::new(true, reason, "Read", note);
    let mut list = vec![told(
        "CannotBeRead",
        format!("{FIELD_MANAGER} cannot read this run: {why}; correct or delete it"),
    )];
    // A hand that corrects the status changes no generation: looked at again by time.
    let mut next = Action::requeue(context.pace().seconds(60));
    let wish = |field: &str| object.data["spec"][field] == true;
    let resume_owed = owed.resume() && !wish("resumedByHand");
    if object.metadata.deletion_timestamp.is_some() && wish("forceDelete") && !resume_owed {
        let note = "deleted by force without being read: look on source and array whether anything is left";
        tracing::error!(run = name, namespace, "run let go by force");
        publish(
            &context.recorder,
            &shell(&object),
            &[told("ForceDeleted", note.to_owned())],
        )
        .await;
        release(&api, &object).await?;
        return Ok(Action::await_change());
    }
    if resume_owed {
        let outcome = resume(context, &namespace, &owed).await;
        let done = outcome.is_ok();
        let note = outcome.unwrap_or_else(|text| {
            format!("production may be suspended and could not be resumed: {text}; `ibmi-clone source-status` says what to type there")
        });
        list.push(told(
            if done {
                "SourceResumed"
            } else {
                "ObligationUnmet"
            },
            note,
        ));
        // It cannot be recorded here, and resuming twice is harmless: tried again until the object can be read.
        let pause = if done { 300 } else { 10 };
        next = Action::requeue(context.pace().seconds(pause));
    }
    let shell = shell(&object);
    publish(&context.recorder, &shell, &list).await;
    Ok(next)
}

/// Takes our finalizer off.
async fn release(api: &Api<DynamicObject>, object: &DynamicObject) -> Result<(), StoreError> {
    let kept: Vec<&String> = object
        .finalizers()
        .iter()
        .filter(|f| *f != FINALIZER)
        .collect();
    let patch = Patch::Merge(json!({"metadata": {
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
        "finalizers": kept,
    }}));
    let parameters = PatchParams::default();
    match call(api.patch(&object.name_any(), &parameters, &patch)).await {
        Ok(_) | Err(StoreError::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn resume(context: &Context, namespace: &str, owed: &Owed) -> Result<String, String> {
    let spec = owed.spec().ok_or("status.resolved cannot be read either")?;
    let site = context
        .sites
        .open(&context.client, namespace, &spec, &owed.pins(), Caller::Run)
        .await
        .map_err(|e| e.to_string())?;
    let mut asps = owed.asps();
    if asps.is_empty() {
        asps = site.freeze.asps().await.map_err(|e| e.to_string())?;
    }
    site.freeze
        .resume_anyway(&asps)
        .await
        .map_err(|e| e.to_string())?;
    Ok("every RESUME ended with status 0".to_owned())
}

/// A typed object with the metadata only, for events.
fn shell(object: &DynamicObject) -> CloneRun {
    let mut run = CloneRun::new(&object.name_any(), Default::default());
    run.metadata = object.metadata.clone();
    run
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn obligations_are_found_in_a_status_nothing_else_can_read() {
        let status = json!({
            "phase": "PhaseOfTheFuture", "steps": 7,
            "obligations": [
                {"kind": "KindOfTheFuture"},
                {"kind": "ResumeSource", "since": "whenever"},
            ],
            "journal": {"window": {"asps": ["IASP1", "*SYSBAS"]}},
        });
        let owed: Owed = serde_json::from_value(status).unwrap();
        assert!(owed.resume());
        let asps: Vec<String> = owed.asps().iter().map(ToString::to_string).collect();
        assert_eq!(asps, ["IASP1", "*SYSBAS"], "in the order of suspending");
        let met = json!({"obligations": [{"kind": "ResumeSource", "met": "2026-11-23T00:00:00Z"}]});
        let met: Owed = serde_json::from_value(met).unwrap();
        assert!(!met.resume());
    }
}

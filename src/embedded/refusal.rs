//! Every answer that is not success, as the `Status` object of the real server: kubectl and kube-rs decide by its code and
//! reason and print its message (`kubernetes-api.md` § 4 row 16).

use serde_json::{Value, json};

/// One cause of an `Invalid` or `Conflict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Like `spec.schedule.cron`.
    pub field: String,
    /// Like `FieldValueInvalid`, `FieldValueRequired`, `FieldManagerConflict`.
    pub reason: &'static str,
    /// As the real server words it, without the field.
    pub message: String,
}

/// An answer that is not success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({reason} {code})")]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// Like `NotFound`; may be empty.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `details` of the Status without its causes: name, group, kind, uid, retryAfterSeconds.
    pub details: Value,
    /// `details.causes`.
    pub causes: Vec<Cause>,
    /// One `Warning` header each: what was odd about the body beside what it is refused for.
    pub warnings: Box<[String]>,
}

impl Refusal {
    /// Without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            causes: Vec::new(),
            warnings: Box::default(),
        }
    }

    /// With more warnings, before those that are there.
    pub fn warned(mut self, mut warnings: Vec<String>) -> Self {
        warnings.extend(self.warnings);
        self.warnings = warnings.into();
        self
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        // What the real server's storage layer refuses has no reason, and some causes are about no field.
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        let mut details = self.details.clone();
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(|c| {
                let mut cause = json!({"reason": c.reason, "message": c.message});
                if !c.field.is_empty() {
                    cause["field"] = c.field.clone().into();
                }
                cause
            });
            if details.is_null() {
                details = json!({});
            }
            details["causes"] = causes.collect();
        }
        if !details.is_null() {
            status["details"] = details;
        }
        status
    }
}

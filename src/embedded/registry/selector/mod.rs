//! Which objects of a kind: by their labels and by their fields (`kubernetes-api.md` § 4 row 11).

mod fields;
mod labels;

use serde_json::Value;

use super::served::Served;
use crate::embedded::refusal::Refusal;

/// A label selector and a field selector, both of which must match.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<labels::Requirement>,
    fields: Vec<fields::Term>,
}

impl Selector {
    /// Of a request.
    ///
    /// # Errors
    /// 400 in the real server's words.
    pub fn parse(served: &Served, labels: &str, fields: &str) -> Result<Self, Refusal> {
        Ok(Self {
            labels: labels::parse(labels)?,
            fields: fields::parse(served, fields)?,
        })
    }

    /// Matches everything.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Of an object in its stored form.
    pub fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|r| r.matches(object))
            && self.fields.iter().all(|t| t.matches(object))
    }
}

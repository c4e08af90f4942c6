//! Which objects of a kind: by their labels and by their fields (`kubernetes-api.md` § 4 row 11).

mod fields;
mod labels;

use serde_json::Value;

use super::served::Served;
use crate::embedded::refusal::Refusal;
use crate::embedded::sparse::Fields;

/// A label selector and a field selector, both of which must match.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<labels::Requirement>,
    fields: Vec<fields::Term>,
    /// What of an object it looks at.
    looks: Fields,
}

impl Selector {
    /// Of a request.
    ///
    /// # Errors
    /// 400 in the real server's words.
    pub fn parse(served: &Served, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let (labels, fields) = (labels::parse(labels)?, fields::parse(served, fields)?);
        let mut looks = Fields::default();
        looks.want(["metadata", "labels"]);
        for path in fields.iter().flat_map(fields::Term::paths) {
            looks.want(path);
        }
        Ok(Self {
            labels,
            fields,
            looks,
        })
    }

    /// Matches everything.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Of the text of an object in its stored form.
    ///
    /// # Errors
    /// It is not JSON; only looked at where something is required.
    pub fn matches_text(&self, text: &[u8]) -> serde_json::Result<bool> {
        Ok(self.is_empty() || self.matches(&self.looks.read(text)?))
    }

    /// Of an object in its stored form.
    pub fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|r| r.matches(object))
            && self.fields.iter().all(|t| t.matches(object))
    }
}

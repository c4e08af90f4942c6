//! What an object of a kind may be: fields, types, values, rules. The judge is the real kube-apiserver 1.36; the words are its
//! words (`kubernetes-api.md` § 4 row 15).
//!
//! A definition is compiled once into a [`Structural`]. What a definition asks for and is not done here (`Structural::new` refuses
//! it): some formats, rules inside of `allOf` and its sisters. What the real server has and is not here at all: the cost of rules,
//! and the type check of rules when a definition is written; the definitions served are our own, and their tests run every rule.
//! Of ratcheting, a list of type map that was only reordered counts as changed itself (its items do not).

mod cause;
mod cel;
mod check;
mod convert;
mod decode;
mod defaults;
mod formats;
mod go_time;
mod lists;
mod meta;
pub mod names;
mod node;
mod numbers;
mod path;
mod prune;
#[cfg(test)]
mod tests;

pub use cause::refusal as invalid;
pub(in crate::embedded) use cause::{
    forbidden, invalid as invalid_value, invalid_shown, invalid_text, required, shown, too_long,
};

use self::cel::Before;
use self::meta::Names;
use self::node::Node;
use self::path::Path;
use super::kind::Kind;
use super::kinds;
use super::refusal::{Cause, Refusal};
use serde_json::Value;

/// The compiled schema of a kind.
#[derive(Debug)]
pub struct Structural {
    kind: Kind,
    root: Node,
    meta: Node,
}

impl Structural {
    /// Compiles the schema of a kind, its patterns and rules.
    ///
    /// # Errors
    /// What the schema asks for and cannot be done, with its place.
    pub fn new(kind: &Kind) -> Result<Self, String> {
        let name = kind.resource();
        let mut root = Node::new(&kind.schema, &name)?;
        root.embedded = true;
        root.status_apart = kind.status;
        root.sum_up();
        Ok(Self {
            kind: kind.clone(),
            root,
            meta: meta::node()?,
        })
    }

    /// What a strict client wants to hear: `unknown field "spec.bogus"`, the metadata's first.
    pub fn unknown_fields(&self, object: &Value) -> Vec<String> {
        let mut found = Vec::new();
        prune::unknown(
            object,
            Some(&self.root),
            &self.meta,
            &Path::ROOT,
            &mut found,
        );
        told(found)
    }

    /// The same of an object of which nothing but the metadata is known.
    pub fn unknown_beside_metadata(&self, object: &Value) -> Vec<String> {
        let (mut found, root) = (Vec::new(), Path::ROOT);
        for (name, value) in object.as_object().into_iter().flatten() {
            let at = root.field(name);
            match name.as_str() {
                "apiVersion" | "kind" => {}
                "metadata" => {
                    prune::unknown(value, Some(&self.meta), &self.meta, &at, &mut found);
                }
                _ => found.push(at.body()),
            }
        }
        told(found)
    }

    /// Removes what the schema does not declare, and what is empty in the metadata; writes whole numbers without a point.
    pub fn prune(&self, object: &mut Value) {
        prune::whole_numbers(object);
        prune::prune(object, Some(&self.root), &self.meta);
        if !self.kind.custom {
            defaults::empty_texts(object, &self.root);
            go_time::settle(object, &self.root, "");
        }
        if let Some(metadata) = object.get_mut("metadata") {
            defaults::empty_texts(metadata, &self.meta);
            defaults::drop_nulls(metadata, Some(&self.meta));
            let managers = metadata.get("managedFields").cloned();
            prune::tidy_metadata(metadata);
            // Nothing instead of managers: they are to be forgotten, which the real server understands of its own kinds alone.
            if let Some(Value::Array(none)) = managers
                && none.is_empty()
                && !self.kind.custom
            {
                metadata["managedFields"] = Value::Array(none);
            }
        }
    }

    /// Removes nulls that are no value, then fills in the defaults.
    pub fn default(&self, object: &mut Value) {
        defaults::drop_nulls(object, Some(&self.root));
        defaults::fill(object, &self.root);
    }

    /// Whether the real server could read the object at all: metadata of any kind, and everything of a kind that Kubernetes has
    /// built in, must have the right JSON types.
    ///
    /// # Errors
    /// 400, in the words of the real server.
    pub fn readable(&self, object: &Value) -> Result<(), Refusal> {
        self.parsable(object).map_err(|words| {
            let Kind { kind, version, .. } = &self.kind;
            let message =
                format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {words}");
            Refusal::new(400, "BadRequest", message)
        })
    }

    /// The same, where what is around the words is another's.
    ///
    /// # Errors
    /// What it says of the first field that does not fit.
    pub fn parsable(&self, object: &Value) -> Result<(), String> {
        decode::check(&self.kind, &self.root, &self.meta, object)
    }

    /// The same of an object that a strategic merge patch has made, which the real server does not read as JSON but converts.
    ///
    /// # Errors
    /// What it says of the first field that cannot be converted.
    pub fn convertible(&self, object: &Value) -> Result<(), String> {
        convert::check(&self.kind, &self.root, &self.meta, object)
    }

    /// What is wrong with an object, nothing = good. `old` = what it replaces; of a status change too, with everything but the
    /// status and the managed fields carried over from it.
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let mut causes = self.wrong_kind(object);
        if !causes.is_empty() {
            return causes;
        }
        let metadata = object.get("metadata");
        let at = Path::ROOT;
        let path = at.field("metadata");
        match old {
            None => meta::check_new(
                metadata,
                self.names(),
                self.kind.namespaced,
                &path,
                &mut causes,
            ),
            Some(old) => meta::check_changed(metadata, old.get("metadata"), &path, &mut causes),
        }
        if !self.kind.custom {
            causes.extend(kinds::check(&self.kind, object, old));
            return causes;
        }
        causes.extend(check::check(&self.root, object, old, &at).causes);
        meta::check_embedded(&self.root, object, &at, &mut causes);
        self.lists(object, old, &mut causes);
        if self.root.has_rules {
            if causes.iter().any(cause::blocks_rules) {
                causes.push(cause::rules_not_checked());
            } else {
                let before = Before::of(object, old);
                cel::check(&self.root, object, before, &at, &mut causes);
            }
        }
        causes
    }

    /// Duplicates count only when the old object had none.
    fn lists(&self, object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
        let mut found = Vec::new();
        lists::check(&self.root, object, &Path::ROOT, &mut found);
        if let (Some(old), false) = (old, found.is_empty()) {
            let mut before = Vec::new();
            lists::check(&self.root, old, &Path::ROOT, &mut before);
            if !before.is_empty() {
                return;
            }
        }
        causes.extend(found);
    }

    fn wrong_kind(&self, object: &Value) -> Vec<Cause> {
        let wanted = [
            ("kind", self.kind.kind.clone()),
            ("apiVersion", self.kind.api_version()),
        ];
        let wrong = |(name, wanted): &(&str, String)| {
            let found = object.get(name).and_then(Value::as_str).unwrap_or_default();
            let detail = format!("must be {wanted}");
            (found != wanted).then(|| cause::invalid_text((*name).to_owned(), found, &detail))
        };
        wanted.iter().filter_map(wrong).collect()
    }

    fn names(&self) -> Names {
        match (self.kind.group.as_str(), self.kind.kind.as_str()) {
            ("", "Namespace") => Names::Label,
            _ => Names::Subdomain,
        }
    }
}

/// The real server reads the metadata before the rest.
fn told(mut unknown: Vec<String>) -> Vec<String> {
    unknown.sort_by_key(|place| (!place.starts_with("metadata."), place.clone()));
    let words = |place: String| format!("unknown field {}", cause::quoted(&place));
    unknown.into_iter().map(words).collect()
}

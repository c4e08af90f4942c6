//! Writes, and what becomes of keys that a body has twice. The registry sees a body in which the last one has won; what
//! `fieldValidation` makes of that is joined here with what the registry says about fields that it does not know.

use serde_json::Value;

use super::decode::Duplicate;
use super::route::{Part, Place};
use super::texts;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::{Cause, Refusal};
use crate::embedded::registry::{PatchBody, Registry, Validation, WriteOptions, Written};

/// Before what is wrong with fields.
const STRICT: &str = "strict decoding error: ";

/// A write.
pub enum Action {
    /// Something new.
    Create(Value),
    /// All of an object.
    Replace(String, Value),
    /// Some of an object.
    Patch(String, PatchBody),
}

/// Something odd about a body that is not refused in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    text: String,
    /// Where a field stands twice, in JSON.
    path: Option<String>,
    /// YAML's own way of telling.
    yaml: bool,
}

impl Problem {
    /// One with this text.
    pub fn new(text: String) -> Self {
        Self {
            text,
            path: None,
            yaml: false,
        }
    }

    /// As a warning.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What duplicates are told as.
pub fn problems(duplicates: &[Duplicate]) -> Vec<Problem> {
    let one = |duplicate: &Duplicate| match duplicate {
        Duplicate::Json { path } => Problem {
            text: format!("duplicate field \"{path}\""),
            path: Some(path.clone()),
            yaml: false,
        },
        Duplicate::Yaml { line, key } => Problem {
            text: format!(
                "line {line}: key {} already set in map",
                Value::from(key.as_str())
            ),
            path: None,
            yaml: true,
        },
    };
    duplicates.iter().map(one).collect()
}

/// Writes. Problems are refused, told or ignored as the options say.
///
/// # Errors
/// Whatever the registry refuses; 400 or 422 for problems with `Strict`.
pub async fn write(
    registry: &Registry,
    place: &Place,
    action: Action,
    problems: &[Problem],
    options: &WriteOptions,
) -> Result<Written, Refusal> {
    if problems.is_empty() {
        return perform(registry, place, action, options).await;
    }
    match options.validation {
        Validation::Ignore => perform(registry, place, action, options).await,
        Validation::Warn => {
            let options = WriteOptions {
                noticed: problems.iter().map(|p| p.text.clone()).collect(),
                ..options.clone()
            };
            perform(registry, place, action, &options).await
        }
        Validation::Strict => {
            let is_patch = matches!(action, Action::Patch(..));
            // Nothing may be stored: the request is refused in any case, only the words depend on the object.
            let probe = WriteOptions {
                dry_run: true,
                ..options.clone()
            };
            let outcome = perform(registry, place, action, &probe).await;
            Err(refused(&place.kind, is_patch, problems, outcome))
        }
    }
}

async fn perform(
    registry: &Registry,
    place: &Place,
    action: Action,
    options: &WriteOptions,
) -> Result<Written, Refusal> {
    let target = place.target();
    match action {
        Action::Create(object) => registry.create(&target, object, options).await,
        Action::Replace(name, object) if place.part == Part::Finalize => {
            registry.finalize(&target, &name, object, options).await
        }
        Action::Replace(name, object) => registry.replace(&target, &name, object, options).await,
        Action::Patch(name, patch) => registry.patch(&target, &name, patch, options).await,
    }
}

/// Of a kind that is built in, a field that is not known at all is not told as written twice too.
fn told<'a>(kind: &Kind, problems: &'a [Problem], unknown: &str) -> Vec<&'a Problem> {
    let known = |p: &&Problem| match &p.path {
        Some(path) if !kind.custom => !unknown.contains(&format!("unknown field \"{path}\"")),
        Some(_) | None => true,
    };
    problems.iter().filter(known).collect()
}

/// The refusal of a body with problems, in one breath with what else the registry found.
fn refused(
    kind: &Kind,
    is_patch: bool,
    problems: &[Problem],
    outcome: Result<Written, Refusal>,
) -> Refusal {
    let unknown = match &outcome {
        Err(refusal) => refusal
            .message
            .split_once(STRICT)
            .map(|(_, why)| why.to_owned()),
        Ok(_) => None,
    };
    let problems = joined(&told(
        kind,
        problems,
        unknown.as_deref().unwrap_or_default(),
    ));
    match outcome {
        Err(mut refusal) if unknown.is_some() => {
            if !problems.is_empty() {
                let both = format!("{STRICT}{problems}, ");
                refusal.message = refusal.message.replacen(STRICT, &both, 1);
                for cause in &mut refusal.causes {
                    cause.message = cause.message.replacen(STRICT, &both, 1);
                }
            }
            refusal
        }
        // A patch is applied before its outcome is looked at, so what stopped it comes first; so does a body of another kind.
        Err(refusal) if is_patch || refusal.code == 400 => refusal,
        Ok(written) if is_patch => {
            let shown = Value::from(written.object.to_string());
            let message = format!("Invalid value: {shown}: {STRICT}{problems}");
            let mut refusal = Refusal::new(
                422,
                "Invalid",
                format!(" \"\" is invalid: patch: {message}"),
            );
            refusal.causes = vec![Cause {
                field: "patch".to_owned(),
                reason: "FieldValueInvalid",
                message,
            }];
            refusal
        }
        Ok(_) | Err(_) => texts::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {STRICT}{problems}",
            kind.kind, kind.version, kind.kind
        )),
    }
}

/// YAML tells its own in one piece, line by line.
fn joined(problems: &[&Problem]) -> String {
    let (yaml, json): (Vec<&Problem>, Vec<&Problem>) = problems.iter().partition(|p| p.yaml);
    let lines: String = yaml.iter().map(|p| format!("\n  {}", p.text)).collect();
    let mut texts: Vec<String> = json.iter().map(|p| p.text.clone()).collect();
    if !lines.is_empty() {
        texts.insert(0, format!("yaml: unmarshal errors:{lines}"));
    }
    texts.join(", ")
}

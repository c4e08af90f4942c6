//! The words of a registry's calls.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::refusals;
use super::shown::Shown;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::{Cause, Refusal};

/// What a request is about, beside a name.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Of which kind.
    pub kind: &'a Kind,
    /// None: of all namespaces, or of a kind that belongs to none.
    pub namespace: Option<&'a str>,
    /// Through the status subresource.
    pub status: bool,
}

/// What becomes of fields that the schema does not know: parameter `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// The request is refused.
    Strict,
    /// They are dropped, with a warning each.
    #[default]
    Warn,
    /// They are dropped.
    Ignore,
}

/// How to write.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Everything but the store: parameter `dryRun=All`.
    pub dry_run: bool,
    /// Whom the fields belong to afterwards: parameter `fieldManager`, or the client's name.
    pub manager: String,
    /// See there.
    pub validation: Validation,
    /// For server-side apply: take over the fields of others.
    pub force: bool,
    /// What was odd about the form of the body, like `duplicate field "data.a"`: told as warnings once it could be read as an
    /// object.
    pub noticed: Vec<String>,
}

/// What a write left.
#[derive(Clone, PartialEq)]
pub struct Written {
    /// The object; with a dry run as it would be.
    pub object: Value,
    /// It was not there before: answer 201.
    pub created: bool,
    /// One `Warning` header each.
    pub warnings: Vec<String>,
}

impl Written {
    /// With more warnings, before those that are there.
    pub(super) fn warned(mut self, mut warnings: Vec<String>) -> Self {
        warnings.append(&mut self.warnings);
        self.warnings = warnings;
        self
    }
}

/// What is odd about a body is told also when it is refused later.
pub(super) fn told(
    outcome: Result<Written, Refusal>,
    warnings: Vec<String>,
) -> Result<Written, Refusal> {
    match outcome {
        Ok(written) => Ok(written.warned(warnings)),
        Err(refusal) => Err(refusal.warned(warnings)),
    }
}

/// A patch and what it is written in.
#[derive(Clone, PartialEq)]
pub enum PatchBody {
    /// `application/json-patch+json`.
    Json(Value),
    /// `application/merge-patch+json`.
    Merge(Value),
    /// `application/strategic-merge-patch+json`; for built-in kinds alone.
    Strategic(Value),
    /// `application/apply-patch+yaml`.
    Apply(Value),
}

/// What becomes of an object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

impl Propagation {
    /// From `propagationPolicy`.
    ///
    /// # Errors
    /// 422 for any other word.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "Background" => Ok(Self::Background),
            "Foreground" => Ok(Self::Foreground),
            "Orphan" => Ok(Self::Orphan),
            other => Err(refusals::options(
                "DeleteOptions",
                vec![Cause {
                    field: "propagationPolicy".to_owned(),
                    reason: "FieldValueNotSupported",
                    message: format!(
                        "Unsupported value: \"{other}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                    ),
                }],
            )),
        }
    }
}

/// How to delete.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// None: as its finalizers say, else [`Propagation::Background`].
    pub propagation: Option<Propagation>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub resource_version: Option<String>,
    /// Everything but the store.
    pub dry_run: bool,
    /// `gracePeriodSeconds`; none of these kinds ends gracefully, so it changes nothing.
    pub grace: Option<i64>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// `labelSelector`.
    pub labels: String,
    /// `fieldSelector`.
    pub fields: String,
    /// 0 and below: none.
    pub limit: Option<i64>,
    /// From the page before.
    pub continue_: Option<String>,
    /// Empty when not given.
    pub resource_version: String,
    /// `Exact`, `NotOlderThan` or empty.
    pub resource_version_match: String,
    /// `sendInitialEvents`, which a list does not take; None: not given.
    pub send_initial_events: Option<bool>,
}

/// A page of a list.
#[derive(Clone, PartialEq)]
pub struct Listed {
    /// The objects, with apiVersion and kind.
    pub items: Vec<Value>,
    /// As of which revision.
    pub resource_version: String,
    /// For the next page; none on the last one.
    pub continue_: Option<String>,
    /// How many more there are; none with a selector.
    pub remaining: Option<u64>,
}

/// What to watch.
#[derive(Debug, Clone, Default)]
pub struct WatchOptions {
    /// `labelSelector`.
    pub labels: String,
    /// `fieldSelector`.
    pub fields: String,
    /// Empty and `0`: with what is there as [`WatchItem::Added`] first.
    pub resource_version: String,
    /// `NotOlderThan`, only together with `send_initial_events`.
    pub resource_version_match: String,
    /// `allowWatchBookmarks`.
    pub bookmarks: bool,
    /// `sendInitialEvents`; None: not given.
    pub send_initial_events: Option<bool>,
    /// `continue`, which says nothing to a watch; None: not given.
    pub continue_: Option<String>,
    /// `timeoutSeconds`; None: the registry's own.
    pub timeout: Option<Duration>,
}

/// One item of a watch.
#[derive(Clone, PartialEq)]
pub enum WatchItem {
    /// An object is there, or came into the selector.
    Added(Shown),
    /// It changed.
    Modified(Shown),
    /// It is gone, or left the selector; the last state that matched.
    Deleted(Shown),
    /// Everything up to there has been told.
    Bookmark {
        /// Up to there.
        resource_version: String,
        /// What was there at the start has been told: annotation `k8s.io/initial-events-end`.
        initial_end: bool,
    },
    /// The watch ends; as a `Status` object.
    Error(Refusal),
}

// None of these is derived: an object may be a Secret.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Written({}, created: {})",
            label(&self.object),
            self.created
        )
    }
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.items.iter().map(label).collect();
        write!(f, "Listed({names:?} @ {})", self.resource_version)
    }
}

impl fmt::Debug for PatchBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json(_) => "Json",
            Self::Merge(_) => "Merge",
            Self::Strategic(_) => "Strategic",
            Self::Apply(_) => "Apply",
        })
    }
}

impl fmt::Debug for WatchItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(object) => write!(f, "Added({})", label(object)),
            Self::Modified(object) => write!(f, "Modified({})", label(object)),
            Self::Deleted(object) => write!(f, "Deleted({})", label(object)),
            Self::Bookmark {
                resource_version,
                initial_end,
            } => write!(f, "Bookmark({resource_version}, end: {initial_end})"),
            Self::Error(refusal) => write!(f, "Error({refusal})"),
        }
    }
}

fn label(object: &Value) -> String {
    let text = |field| super::meta::text(object, field);
    format!(
        "{}/{}@{}",
        text("namespace"),
        text("name"),
        text("resourceVersion")
    )
}

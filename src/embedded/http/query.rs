//! Query parameters: what they mean and what is refused of them, as the real server does.

use std::time::Duration;

use axum::extract::Query as Parameters;
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, Uri};
use serde_json::Value;

use super::texts;
use crate::embedded::refusal::{Cause, Refusal};
use crate::embedded::registry::{ListOptions, Validation, WatchOptions, WriteOptions};

/// Longest name of a field manager, in bytes.
const LONGEST_MANAGER: usize = 128;

/// The parameters of a request.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

/// Which options a write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH, apart from the next.
    Patch,
    /// PATCH as server-side apply.
    Apply,
}

impl Write {
    fn options(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch | Self::Apply => "PatchOptions",
        }
    }
}

impl Query {
    /// Of a request. What cannot be decoded is as if it were not there, as with Go's parser.
    pub fn of(uri: &Uri) -> Self {
        let parsed = Parameters::<Vec<(String, String)>>::try_from_uri(uri);
        Self(parsed.map(|p| p.0).unwrap_or_default())
    }

    /// The first value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// Everything but `false` and `0` is true once it is there.
    fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        Some(!value.eq_ignore_ascii_case("false") && value != "0")
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name).filter(|t| !t.is_empty()) else {
            return Ok(None);
        };
        let number = text.parse().map(Some);
        number.map_err(|error: std::num::ParseIntError| {
            let why = match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    "value out of range"
                }
                _ => "invalid syntax",
            };
            texts::bad_request(format!(
                "strconv.ParseInt: parsing {}: {why}",
                Value::from(text)
            ))
        })
    }

    fn token(&self) -> Option<String> {
        let token = self.get("continue").filter(|t| !t.is_empty());
        token.map(str::to_owned)
    }

    /// A list that goes on.
    pub fn is_watch(&self) -> bool {
        self.flag("watch") == Some(true)
    }

    /// What to list.
    ///
    /// # Errors
    /// 400 for a number that is none.
    pub fn list(&self) -> Result<ListOptions, Refusal> {
        // Only a watch uses it, but it is parsed for all.
        self.number("timeoutSeconds")?;
        Ok(ListOptions {
            labels: self.text("labelSelector"),
            fields: self.text("fieldSelector"),
            limit: self.number("limit")?,
            continue_: self.token(),
            send_initial_events: self.flag("sendInitialEvents"),
            resource_version: self.text("resourceVersion"),
            resource_version_match: self.text("resourceVersionMatch"),
        })
    }

    /// What to watch.
    ///
    /// # Errors
    /// 400 for a number that is none.
    pub fn watch(&self) -> Result<WatchOptions, Refusal> {
        self.number("limit")?;
        let timeout = self
            .number("timeoutSeconds")?
            .and_then(|s| u64::try_from(s).ok());
        Ok(WatchOptions {
            labels: self.text("labelSelector"),
            fields: self.text("fieldSelector"),
            resource_version: self.text("resourceVersion"),
            resource_version_match: self.text("resourceVersionMatch"),
            bookmarks: self.flag("allowWatchBookmarks") == Some(true),
            send_initial_events: self.flag("sendInitialEvents"),
            continue_: self.token(),
            // 0 means "as you like", as on the real server.
            timeout: timeout.filter(|s| *s > 0).map(Duration::from_secs),
        })
    }

    /// How to write.
    ///
    /// # Errors
    /// 422 with all that is wrong.
    pub fn write(&self, write: Write, headers: &HeaderMap) -> Result<WriteOptions, Refusal> {
        let manager = self.get("fieldManager").unwrap_or_default();
        let mut causes = Vec::new();
        match write {
            Write::Apply if manager.is_empty() => {
                let message = "Required value: is required for apply patch".to_owned();
                causes.push(cause("fieldManager", "FieldValueRequired", message));
            }
            Write::Patch if self.get("force").is_some() => {
                let message = "Forbidden: may not be specified for non-apply patch".to_owned();
                causes.push(cause("force", "FieldValueForbidden", message));
            }
            Write::Create | Write::Update | Write::Patch | Write::Apply => {}
        }
        causes.extend(check_manager(manager));
        let dry_run = self.all("dryRun");
        causes.extend(check_dry_run(&dry_run));
        let validation = match self.get("fieldValidation").unwrap_or_default() {
            "Strict" => Validation::Strict,
            "Ignore" => Validation::Ignore,
            "" | "Warn" => Validation::Warn,
            other => {
                let supported = "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
                let message = format!("Unsupported value: {}: {supported}", Value::from(other));
                causes.push(cause("fieldValidation", "FieldValueNotSupported", message));
                Validation::Warn
            }
        };
        if !causes.is_empty() {
            return Err(texts::invalid_options(write.options(), causes));
        }
        Ok(WriteOptions {
            dry_run: !dry_run.is_empty(),
            manager: if manager.is_empty() {
                agent(headers)
            } else {
                manager.to_owned()
            },
            validation,
            force: self.flag("force") == Some(true),
            noticed: Vec::new(),
        })
    }

    /// The options of a deletion that has no body, as such a body.
    ///
    /// # Errors
    /// 400 for a number that is none.
    pub fn delete(&self) -> Result<Value, Refusal> {
        let mut options = serde_json::Map::new();
        if let Some(grace) = self.number("gracePeriodSeconds")? {
            options.insert("gracePeriodSeconds".to_owned(), grace.into());
        }
        if let Some(policy) = self.get("propagationPolicy") {
            options.insert("propagationPolicy".to_owned(), policy.into());
        }
        if let Some(orphan) = self.flag("orphanDependents") {
            options.insert("orphanDependents".to_owned(), orphan.into());
        }
        let dry_run = self.all("dryRun");
        if !dry_run.is_empty() {
            options.insert("dryRun".to_owned(), dry_run.into());
        }
        Ok(Value::Object(options))
    }
}

/// The only dry run there is.
pub fn check_dry_run(values: &[&str]) -> Option<Cause> {
    if values.iter().all(|v| *v == "All") {
        return None;
    }
    let message = format!(
        "Unsupported value: {}: supported values: \"All\"",
        Value::from(values.to_vec())
    );
    Some(cause("dryRun", "FieldValueNotSupported", message))
}

fn check_manager(manager: &str) -> Option<Cause> {
    if manager.len() > LONGEST_MANAGER {
        let message = format!("Too long: may not be more than {LONGEST_MANAGER} bytes");
        return Some(cause("fieldManager", "FieldValueTooLong", message));
    }
    let (position, odd) = manager.char_indices().find(|(_, c)| !is_print(*c))?;
    let message = format!(
        "Invalid value: {}: invalid character U+{:04X} (at position {position})",
        go_quoted(manager),
        u32::from(odd)
    );
    Some(cause("fieldManager", "FieldValueInvalid", message))
}

/// Go's `unicode.IsPrint`, near enough: its only space is the ordinary one.
fn is_print(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace())
}

/// As Go's `%q` prints it.
fn go_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if u32::from(c) < 0x80 && c.is_control() => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(c)))
            }
            c if is_print(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// Whom fields belong to when nobody is named: the program that asks.
fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok());
    let program = agent
        .unwrap_or_default()
        .split('/')
        .next()
        .unwrap_or_default();
    let mut name: String = program.chars().filter(|c| is_print(*c)).collect();
    name.truncate(LONGEST_MANAGER);
    if name.is_empty() {
        name.push_str("unknown");
    }
    name
}

/// A cause.
pub fn cause(field: &str, reason: &'static str, message: String) -> Cause {
    Cause {
        field: field.to_owned(),
        reason,
        message,
    }
}

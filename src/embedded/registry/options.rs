//! Which options of a list and of a watch go together. Everything that does not is told at once, as by the real server.

use super::refusals;
use super::request::{ListOptions, WatchOptions};
use crate::embedded::refusal::{Cause, Refusal};

const WHERE: &str = "resourceVersionMatch";

/// Of a list.
///
/// # Errors
/// 422 with all that does not go together.
pub fn check_list(options: &ListOptions) -> Result<(), Refusal> {
    let wanted = options.resource_version_match.as_str();
    let mut causes = Vec::new();
    if !wanted.is_empty() {
        if options.resource_version.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(forbidden(WHERE, why));
        }
        if goes_on(options.continue_.as_deref()) {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(forbidden(WHERE, why));
        }
        if !["Exact", "NotOlderThan"].contains(&wanted) {
            causes.push(unsupported(wanted, "\"Exact\", \"NotOlderThan\", \"\""));
        } else if wanted == "Exact" && options.resource_version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(forbidden(WHERE, why));
        }
    }
    if options.send_initial_events.is_some() {
        let why = "sendInitialEvents is forbidden for list";
        causes.push(forbidden("sendInitialEvents", why));
    }
    refused(causes)
}

/// Of a watch.
///
/// # Errors
/// 422 with all that does not go together.
pub fn check_watch(options: &WatchOptions) -> Result<(), Refusal> {
    let wanted = options.resource_version_match.as_str();
    let mut causes = Vec::new();
    if options.send_initial_events.is_some() && wanted != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        causes.push(forbidden(WHERE, why));
    }
    if !wanted.is_empty() {
        if options.send_initial_events.is_none() {
            let why =
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            causes.push(forbidden(WHERE, why));
        }
        if wanted != "NotOlderThan" {
            causes.push(unsupported(wanted, "\"NotOlderThan\""));
        }
        if goes_on(options.continue_.as_deref()) {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(forbidden(WHERE, why));
        }
    }
    refused(causes)
}

fn goes_on(token: Option<&str>) -> bool {
    token.is_some_and(|token| !token.is_empty())
}

fn forbidden(field: &str, why: &str) -> Cause {
    Cause {
        field: field.to_owned(),
        reason: "FieldValueForbidden",
        message: format!("Forbidden: {why}"),
    }
}

fn unsupported(found: &str, supported: &str) -> Cause {
    Cause {
        field: WHERE.to_owned(),
        reason: "FieldValueNotSupported",
        message: format!("Unsupported value: {found:?}: supported values: {supported}"),
    }
}

fn refused(causes: Vec<Cause>) -> Result<(), Refusal> {
    match causes.is_empty() {
        true => Ok(()),
        false => Err(refusals::options("ListOptions", causes)),
    }
}

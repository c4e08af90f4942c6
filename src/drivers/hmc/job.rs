//! Jobs of the console: requests, answers, and when one has ended well (`hmc.md` §§ 1.10, 1.11).

use super::{errors, xml};
use std::fmt::Write as _;

/// Body of a job request.
pub(super) fn request(group: &str, operation: &str, parameters: &[(&str, &str)]) -> String {
    let mut body = format!(
        "<JobRequest xmlns=\"http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/\" schemaVersion=\"V1_1_0\"><RequestedOperation schemaVersion=\"V1_1_0\"><OperationName>{operation}</OperationName><GroupName>{group}</GroupName></RequestedOperation><JobParameters schemaVersion=\"V1_1_0\">"
    );
    for (name, value) in parameters {
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "<JobParameter schemaVersion=\"V1_1_0\"><ParameterName>{name}</ParameterName><ParameterValue>{}</ParameterValue></JobParameter>",
            xml::escape(value)
        );
    }
    body.push_str("</JobParameters></JobRequest>");
    body
}

/// A JobResponse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// The number under which the console knows it; never the UUID of the entry.
    pub(super) id: String,
    /// Object it works on.
    pub(super) target: Option<String>,
    /// Status word.
    pub(super) status: String,
    /// `returnCode`, when told.
    pub(super) return_code: Option<i64>,
    /// `ErrorData`, else `result`, else the exception's message. Not trimmed inside: it is a command's output.
    pub(super) text: String,
}

impl Job {
    /// Reads the entry; `None` when it is no JobResponse.
    pub(super) fn parse(body: &str) -> Option<Self> {
        let document = xml::parse(body)?;
        let response = xml::objects(&document, "JobResponse").into_iter().next()?;
        let results: Vec<(String, String)> = xml::child(response, "Results")
            .map(|results| {
                results
                    .children()
                    .filter(|n| n.tag_name().name() == "JobParameter")
                    .filter_map(|n| {
                        Some((
                            xml::child_text(n, "ParameterName")?,
                            xml::child_text(n, "ParameterValue").unwrap_or_default(),
                        ))
                    })
                    .collect()
            })
            .unwrap_or_default();
        let told = |name: &str| {
            results
                .iter()
                .find(|(n, value)| n.eq_ignore_ascii_case(name) && !value.is_empty())
                .map(|(_, value)| value.clone())
        };
        let exception = xml::at(response, &["ResponseException", "Message"]).and_then(xml::text);
        Some(Self {
            id: xml::child_text(response, "JobID")?,
            target: xml::child_text(response, "TargetUuid"),
            status: xml::child_text(response, "Status")?,
            return_code: told("returnCode").and_then(|code| code.parse().ok()),
            text: told("ErrorData")
                .or_else(|| told("result"))
                .or(exception)
                .unwrap_or_default(),
        })
    }

    /// Whether it will not change any more. Unknown words are waited for, not believed.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_success_word()
            || matches!(
                self.status.as_str(),
                "COMPLETED_WITH_ERROR"
                    | "FAILED_TO_START"
                    | "FAILED_BEFORE_COMPLETION"
                    | "FAILED_BEFORE_COMPLETION_RETRY"
                    | "CANCELED_BEFORE_START"
                    | "CANCELED_WHILE_RUNNING"
                    | "EXCEPTION"
                    | "FAILED"
            )
    }

    fn is_success_word(&self) -> bool {
        matches!(
            self.status.as_str(),
            "COMPLETED_OK" | "COMPLETED" | "COMPLETED_WITH_WARNINGS"
        )
    }

    /// Ended well: the word **and** the return code.
    pub(super) fn succeeded(&self) -> bool {
        self.is_success_word() && self.return_code.unwrap_or(0) == 0
    }

    /// Code of a failed job: the console's, else its status word.
    pub(super) fn code(&self) -> String {
        errors::code_in(&self.text).map_or_else(
            || match self.return_code {
                Some(code) if code != 0 && self.is_success_word() => format!("rc={code}"),
                _ => self.status.clone(),
            },
            str::to_owned,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: &str, results: &str) -> String {
        format!(
            "<entry xmlns='http://www.w3.org/2005/Atom'><id>uuid-of-entry</id><content><JobResponse:JobResponse xmlns:JobResponse='urn:x' xmlns='urn:x'><JobID kb='ROR'>1667807035365</JobID><TargetUuid>ABC</TargetUuid><Status>{status}</Status><Results>{results}</Results></JobResponse:JobResponse></content></entry>"
        )
    }

    fn parameter(name: &str, value: &str) -> String {
        format!(
            "<JobParameter><ParameterName>{name}</ParameterName><ParameterValue>{value}</ParameterValue></JobParameter>"
        )
    }

    #[test]
    fn completed_ok_with_a_return_code_is_a_failure() {
        let body = answer(
            "COMPLETED_OK",
            &(parameter("returnCode", "1") + &parameter("result", "\"hdisk7\" is in use")),
        );
        let job = Job::parse(&body).unwrap();
        assert!(job.is_terminal() && !job.succeeded());
        assert_eq!(job.code(), "rc=1");
        assert_eq!(job.id, "1667807035365");
    }

    #[test]
    fn an_unknown_status_word_is_not_an_end() {
        let job = Job::parse(&answer("HALF_DONE", "")).unwrap();
        assert!(!job.is_terminal() && !job.succeeded());
    }

    #[test]
    fn every_failed_status_is_an_end_and_no_success() {
        for status in [
            "COMPLETED_WITH_ERROR",
            "FAILED_TO_START",
            "FAILED_BEFORE_COMPLETION",
            "CANCELED_WHILE_RUNNING",
            "EXCEPTION",
        ] {
            let job = Job::parse(&answer(status, &parameter("result", "HSCL3680 x"))).unwrap();
            assert!(job.is_terminal() && !job.succeeded(), "{status}");
            assert_eq!(job.code(), "HSCL3680");
        }
    }

    #[test]
    fn a_request_escapes_its_values() {
        let body = request("ManagementConsole", "CLIRunner", &[("cmd", "-m \"a&b\"")]);
        assert!(body.contains("-m &quot;a&amp;b&quot;"), "{body}");
        assert!(xml::parse(&body).is_some());
    }
}

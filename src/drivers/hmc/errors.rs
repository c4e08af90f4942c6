//! From an answer of the console to one of the four device errors (`hmc.md` § 1.5).

use super::xml;
use crate::drivers::transport::http::Intent;
use crate::site::DeviceError;

/// What an error answer says, whatever its body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// `HSCL…`, `REST…`, `VIOS…`, `PVME…`, an AIX number, else `None`.
    pub(super) code: Option<String>,
    /// The console's own words.
    pub(super) text: String,
}

/// Reads an HttpErrorResponse; HTML and blank bodies give what text there is.
pub(super) fn complaint(body: &str) -> Complaint {
    let told = xml::parse(body).and_then(|document| {
        let response = xml::find(document.root_element(), "HttpErrorResponse")?;
        let reason = xml::child_text(response, "ReasonCode");
        xml::child_text(response, "Message").or(reason)
    });
    let text = told.unwrap_or_else(|| plain(body));
    Complaint {
        code: code_in(&text).map(str::to_owned),
        text,
    }
}

/// Words of a body that is not the console's XML, tags removed, cut.
fn plain(body: &str) -> String {
    let mut inside = false;
    let mut words = String::new();
    for c in body.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                words.push(' ');
            }
            other if !inside => words.push(other),
            _ => {}
        }
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

/// First code in a text: `HSCL05DF`, `REST000B`, `VIOS0014`, `PVME01042026`, `0514-548`.
pub(super) fn code_in(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .map(|word| word.trim_matches('-'))
        .find(|word| is_code(word))
}

fn is_code(word: &str) -> bool {
    for prefix in ["HSCL", "HSCF", "PVME", "REST"] {
        if let Some(rest) = word.strip_prefix(prefix) {
            return rest.len() >= 3 && rest.bytes().all(|b| b.is_ascii_hexdigit());
        }
    }
    // Digits only: partitions are often called VIOS1.
    if let Some(rest) = word.strip_prefix("VIOS") {
        return rest.len() >= 4 && rest.bytes().all(|b| b.is_ascii_digit());
    }
    word.len() == 8
        && word.split_once('-').is_some_and(|(left, right)| {
            left.len() == 4
                && right.len() == 3
                && word.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        })
}

/// The VIOS or console cannot take the request now; it had no effect.
pub(super) fn is_busy(text: &str) -> bool {
    ["HSCL3205", "VIOS0014", "0514-062"]
        .iter()
        .any(|code| text.contains(code))
        || text.contains("is busy processing some other request")
        || text.contains("system is currently too busy")
}

/// The VIOS has no management connection to the console. The exact words are not known (`hmc.md` § 8.1), so both words
/// must be there.
pub(super) fn is_without_rmc(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let connection = text.contains("rmc") || text.contains("resource monitoring and control");
    let down = [
        "no rmc",
        "not active",
        "inactive",
        "not established",
        "not connected",
        "cannot be",
        "is down",
        "no connection",
    ];
    connection && down.iter().any(|word| text.contains(word))
}

/// Advice for a VIOS without RMC.
pub(super) const RMC_ADVICE: &str = "its RMC connection to the console is down: check that the VIOS runs and reaches the console (lspartition -dlpar at the console, rmcdomainstatus on the VIOS)";

/// Classifies an answer that is not 2xx.
pub(super) fn failed(device: &str, status: u16, body: &str, intent: Intent) -> DeviceError {
    let Complaint { code, text } = complaint(body);
    let shown = format!("HTTP {status} {text}");
    if status == 503 || is_busy(&text) {
        return DeviceError::busy(device, shown);
    }
    if is_without_rmc(&text) {
        return DeviceError::unreachable(device, format!("{shown}; {RMC_ADVICE}"));
    }
    match (code, intent) {
        (Some(code), _) => DeviceError::refused(device, code, text),
        // "Unknown internal error." and gateway errors of a console under load or starting: a read is simply repeated,
        // but nobody knows what became of an effect.
        (None, Intent::Read) if status >= 500 => DeviceError::busy(device, shown),
        (None, Intent::Effect) if status >= 500 => DeviceError::indeterminate(device, shown),
        (None, Intent::Read | Intent::Effect) => {
            DeviceError::refused(device, format!("HTTP{status}"), text)
        }
    }
}

/// A 2xx answer that is not what the console sends: a proxy's page, or a cut body.
pub(super) fn unreadable(device: &str, what: &str, body: &str, intent: Intent) -> DeviceError {
    let text = format!(
        "the answer to {what} is not the console's ({}); is there a proxy in between, or another service on this port?",
        plain(body).chars().take(120).collect::<String>()
    );
    match intent {
        Intent::Read => DeviceError::unreachable(device, text),
        Intent::Effect => DeviceError::indeterminate(device, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_found_anywhere_and_names_are_no_codes() {
        assert_eq!(code_in("error HSCL05DF The partition"), Some("HSCL05DF"));
        assert_eq!(
            code_in("HSCL2970 failed: VIOS0014 busy"),
            Some("HSCL2970"),
            "first one"
        );
        assert_eq!(code_in("(PVME01042026)"), Some("PVME01042026"));
        assert_eq!(code_in("mkdev: 0514-548 no space"), Some("0514-548"));
        assert_eq!(code_in("VIOS1 and VIOSPROD on 9009-42A*1234567"), None);
    }

    #[test]
    fn a_503_and_the_busy_words_are_busy_even_for_an_effect() {
        let busy = "Unable to send command. VIOS 1 is busy processing some other request.";
        for (status, body) in [(503, "<html>x</html>"), (500, busy), (500, "HSCL3205 no")] {
            let error = failed("HMC h", status, body, Intent::Effect);
            assert_eq!(error.reason(), "Busy", "{body}");
        }
    }

    #[test]
    fn an_unknown_500_is_repeated_for_a_read_and_unknown_for_an_effect() {
        let body = "Unknown internal error.";
        assert_eq!(failed("h", 500, body, Intent::Read).reason(), "Busy");
        assert_eq!(
            failed("h", 500, body, Intent::Effect).reason(),
            "Indeterminate"
        );
    }

    #[test]
    fn html_gives_its_words() {
        let error = failed("HMC h", 404, "<html><b>Not</b> found</html>", Intent::Read);
        assert_eq!(error, DeviceError::refused("HMC h", "HTTP404", "Not found"));
    }

    #[test]
    fn a_vios_without_rmc_is_not_a_refusal() {
        let error = failed(
            "h",
            500,
            "HSCL294C There is no RMC connection to VIOS1",
            Intent::Effect,
        );
        assert_eq!(error.reason(), "Unreachable");
        assert!(error.to_string().contains("rmcdomainstatus"), "{error}");
    }

    proptest! {
        #[test]
        fn no_body_crashes(status in 400u16..600, body in ".{0,200}") {
            let _ = failed("h", status, &body, Intent::Read);
        }
    }
}

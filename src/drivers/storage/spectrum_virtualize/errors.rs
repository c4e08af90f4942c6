//! What an answer that is not 200 means: the CMMVC code decides, never the status alone and never the text (§ 1.6, § 3.9).

use crate::drivers::transport::http::Intent;
use crate::site::DeviceError;

/// The first `CMMVCnnnnX` anywhere in a body, and the text after it.
pub(super) fn code_of(body: &str) -> Option<(String, String)> {
    body.match_indices("CMMVC").find_map(|(at, _)| {
        let code: String = body[at..].chars().take(10).collect();
        let digits = code.chars().skip(5).take(4).all(|c| c.is_ascii_digit());
        let kind = code.chars().nth(9).is_some_and(|c| "EWI".contains(c));
        let after = body[at..].strip_prefix(&code)?;
        let text = after.trim_matches(|c: char| c.is_whitespace() || "\"}:".contains(c));
        (digits && kind).then(|| (code, text.to_owned()))
    })
}

/// Classifies an answer with another status than 200.
pub(super) fn classify(
    device: &str,
    label: &str,
    status: u16,
    body: &str,
    intent: Intent,
) -> DeviceError {
    if let Some((code, text)) = code_of(body) {
        let advice = match code.as_str() {
            "CMMVC6253E" if label.contains("diskhostmap") => {
                "; the user's role may not change host mappings: give it RestrictedAdmin or Administrator, or set virtualIo.npiv.swapHostMappings: false"
            }
            "CMMVC6253E" => "; the user's role may not do this: give it CopyOperator or more",
            "CMMVC8855E" => "; volume protection: the volume had I/O within the protection time",
            _ => "",
        };
        return DeviceError::refused(device, code, format!("({label}) {text}{advice}"));
    }
    let shown: String = body.chars().take(200).collect();
    match status {
        429 => DeviceError::busy(device, format!("too many requests ({label})")),
        502..=504 => match intent {
            Intent::Read => DeviceError::busy(device, format!("HTTP {status} ({label})")),
            Intent::Effect => {
                DeviceError::indeterminate(device, format!("HTTP {status} ({label})"))
            }
        },
        // 500 without a code: the service fell over; whether the command ran is unknown.
        500 => match intent {
            Intent::Read => DeviceError::busy(
                device,
                format!("HTTP 500 without a code ({label}): {shown}"),
            ),
            Intent::Effect => DeviceError::indeterminate(
                device,
                format!("HTTP 500 without a code ({label}): {shown}"),
            ),
        },
        _ => DeviceError::refused(
            device,
            format!("HTTP{status}"),
            format!("({label}) {shown}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_in_every_shape_of_an_error_body() {
        for body in [
            "CMMVC5754E The specified object does not exist.",
            "\"CMMVC5754E The specified object does not exist.\"",
            r#"{"message": "CMMVC5754E The specified object does not exist."}"#,
            "Error: CMMVC5754E The specified object does not exist.",
            "CMMVC error: CMMVC5754E The specified object does not exist.",
        ] {
            let (code, text) = code_of(body).unwrap();
            assert_eq!(code, "CMMVC5754E");
            assert_eq!(text, "The specified object does not exist.", "{body}");
        }
    }

    #[test]
    fn a_body_without_a_code_has_none() {
        for body in ["", "CMMVC", "CMMVC12E", "<html>502</html>", "CMMVCABCDE x"] {
            assert_eq!(code_of(body), None, "{body}");
        }
    }

    #[test]
    fn an_unknown_outcome_of_an_effect_is_never_called_a_refusal() {
        for status in [500, 502, 503, 504] {
            let error = classify("svc", "start", status, "", Intent::Effect);
            assert!(
                matches!(error, DeviceError::Indeterminate { .. }),
                "{status}"
            );
        }
    }

    #[test]
    fn recorded_errors_classify_by_their_code_or_status() {
        let Some(captures) = crate::drivers::captures("storage-virtualize") else {
            return;
        };
        let text = std::fs::read_to_string(captures.join("errors_constructed.jsonl")).unwrap();
        let mut checked = 0;
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let (Some(status), Some(body)) = (case["status"].as_u64(), case["body"].as_str())
            else {
                continue;
            };
            if status == 200 {
                continue;
            }
            let status = u16::try_from(status).unwrap();
            let error = classify("svc", "start", status, body, Intent::Effect);
            match (case["code"].as_str(), status) {
                (Some(code), _) => assert_eq!(error.code(), Some(code), "{line}"),
                (None, 429) => assert!(matches!(error, DeviceError::Busy { .. }), "{line}"),
                (None, _) => assert_eq!(error.code(), Some("HTTP403"), "{line}"),
            }
            checked += 1;
        }
        assert!(checked >= 6, "only {checked} errors were checked");
    }

    proptest::proptest! {
        #[test]
        fn finding_a_code_never_panics(body in ".*CMMVC.*") {
            let _ = code_of(&body);
        }
        #[test]
        fn a_code_is_found_behind_anything(before in "[^C]{0,20}", digits in "[0-9]{4}", after in ".{0,20}") {
            let code = format!("CMMVC{digits}E");
            let found = code_of(&format!("{before}{code} {after}")).map(|(c, _)| c);
            proptest::prop_assert_eq!(found, Some(code));
        }
    }
}

//! Answers of the resident helper: pure text to types (`ibmi/CONTRACT.md` §§ 3.2, 3.4).

use crate::site::{Canary, DeviceError, DeviceTime, Watchdog};
use std::collections::BTreeMap;

/// First word after the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    Pending,
}

/// One answer that is no refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: Status,
    fields: BTreeMap<String, String>,
}

impl Answer {
    /// Reads `<seq> STATUS at=… ms=… key=value …`. ERR is `Refused` with the message id as code; what cannot be read is
    /// `Indeterminate`, because the command it answers may have worked.
    pub fn read(device: &str, request: &str, line: &str) -> Result<Self, DeviceError> {
        let unclear = || {
            let text = format!("{request}: the answer {line:?} is not understood");
            DeviceError::indeterminate(device, text)
        };
        let mut words = line.splitn(3, ' ');
        let _sequence = words.next();
        let status = words.next().ok_or_else(unclear)?;
        let fields = fields(words.next().unwrap_or_default());
        match status {
            "OK" => Ok(Self {
                status: Status::Ok,
                fields,
            }),
            "PENDING" => Ok(Self {
                status: Status::Pending,
                fields,
            }),
            "ERR" => {
                let id = fields.get("id").filter(|id| !id.is_empty());
                let id = id.ok_or_else(unclear)?;
                let text = fields.get("text").map(String::as_str).unwrap_or_default();
                Err(DeviceError::refused(
                    device,
                    id,
                    format!("{request}: {text}"),
                ))
            }
            _ => Err(unclear()),
        }
    }

    /// A field; `-` and a missing one are `None`.
    pub fn field(&self, name: &str) -> Option<&str> {
        let value = self.fields.get(name)?.as_str();
        (value != "-" && !value.is_empty()).then_some(value)
    }

    /// A field that is a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.field(name)?.parse().ok()
    }

    /// What the command took by the device's own clock.
    pub fn time(&self) -> DeviceTime {
        DeviceTime {
            milliseconds: self.number("ms").unwrap_or_default(),
        }
    }

    /// `state=` of the watchdog; `None` = a word this version does not know.
    pub fn watchdog(&self) -> Option<Watchdog> {
        Some(match self.field("state")? {
            "ACTIVE" => Watchdog::Armed,
            "FIRING" | "FIRED" | "FAILED" => Watchdog::Fired,
            // A submitted one that is not active protects nothing.
            "NONE" | "SUBMITTED" | "ENDED" => Watchdog::Ended,
            _ => return None,
        })
    }

    /// `state=` of the canary. Pending proves a suspension only once the commit has begun and is older than a commit
    /// takes (`ibmi/CONTRACT.md` § 5): until then `Err` with the milliseconds to wait before asking again.
    pub fn canary(&self, commit_milliseconds: i64) -> Result<Canary, u64> {
        match self.field("state") {
            Some("DONE") => Ok(Canary::Completed),
            Some("PENDING") => {
                let enough = 3 * commit_milliseconds.max(1) + 1;
                let Some(age) = self.number("began").and(self.number("age")) else {
                    return Err(1);
                };
                match u64::try_from(enough - age) {
                    Ok(missing @ 1..) => Err(missing),
                    Ok(0) | Err(_) => Ok(Canary::Pending),
                }
            }
            // Idle, failed or unknown prove nothing.
            Some(_) | None => Ok(Canary::Off),
        }
    }
}

fn fields(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(text) = rest.strip_prefix("text=") {
            found.insert("text".to_owned(), text.to_owned());
            break;
        }
        let (word, more) = rest.split_once(' ').unwrap_or((rest, ""));
        if let Some((key, value)) = word.split_once('=') {
            found.insert(key.to_owned(), value.to_owned());
        }
        rest = more;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(line: &str) -> Answer {
        Answer::read("d", "X", line).expect("an answer")
    }

    #[test]
    fn text_reaches_to_the_end_of_the_line() {
        let error = Answer::read(
            "d",
            "RESUME X",
            "A1 ERR at=5 ms=0 id=CPFB717 text=not = now",
        )
        .expect_err("refused");
        assert_eq!(error.code(), Some("CPFB717"));
        assert!(error.to_string().ends_with("RESUME X: not = now"));
    }

    #[test]
    fn an_answer_without_a_known_status_proves_nothing() {
        for line in ["A1", "A1 MAYBE at=1", "A1 ERR at=1 ms=1 text=x", ""] {
            let error = Answer::read("d", "X", line).expect_err("unclear");
            assert_eq!(error.reason(), "Indeterminate", "{line}");
        }
    }

    #[test]
    fn a_canary_that_did_not_begin_proves_nothing() {
        let early = answer("A1 PENDING at=9 ms=0 state=PENDING began=- ended=- age=-");
        assert_eq!(early.canary(3), Err(1));
        let young = answer("A1 PENDING at=9 ms=0 state=PENDING began=7 ended=- age=2");
        assert_eq!(young.canary(3), Err(8));
        let old = answer("A1 PENDING at=19 ms=0 state=PENDING began=7 ended=- age=10");
        assert_eq!(old.canary(3), Ok(Canary::Pending));
        let done = answer("A1 OK at=19 ms=0 state=DONE began=7 ended=9 age=12");
        assert_eq!(done.canary(3), Ok(Canary::Completed));
        for state in ["IDLE", "FAILED", "ELSE"] {
            let other = answer(&format!("A1 OK at=1 ms=0 state={state} began=1 age=100"));
            assert_eq!(other.canary(3), Ok(Canary::Off), "{state}");
        }
    }

    #[test]
    fn only_an_active_watchdog_is_armed() {
        for (state, wanted) in [
            ("NONE", Some(Watchdog::Ended)),
            ("SUBMITTED", Some(Watchdog::Ended)),
            ("ACTIVE", Some(Watchdog::Armed)),
            ("FIRING", Some(Watchdog::Fired)),
            ("FIRED", Some(Watchdog::Fired)),
            ("FAILED", Some(Watchdog::Fired)),
            ("ENDED", Some(Watchdog::Ended)),
            ("OTHER", None),
        ] {
            let line = format!("A1 OK at=1 ms=0 state={state} beats=1 remaining=9");
            assert_eq!(answer(&line).watchdog(), wanted, "{state}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_an_answer_a_refusal_or_unclear(line in "\\PC{0,120}") {
            let _ = Answer::read("d", "X", &line);
        }
    }
}

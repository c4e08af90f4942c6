//! Messages of a log on their way into a run's log: which are kept, which count as errors, and what is told of them
//! (`ibmi.md` § 8.3).

use crate::api::options::Logs;
use crate::recipe::log_sink::{LogLine, LogWriter};
use crate::site::Message;
use std::collections::VecDeque;

const TAIL_LINES: usize = 5;
const TAIL_CHARACTERS: usize = 200;

/// What was counted of one log while it passed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) messages: i64,
    pub(super) errors: i64,
    /// The last errors.
    pub(super) tail: VecDeque<String>,
}

impl Seen {
    /// Counts a message and writes it, unless `logs.minSeverity` leaves it out. `part` = `clone` or `source`.
    pub(super) fn take(
        &mut self,
        logs: &Logs,
        (message, part): (&Message, &str),
        judged: Judged,
        writer: &mut dyn LogWriter,
    ) {
        if i32::from(message.severity) < logs.min_severity {
            return;
        }
        self.messages += 1;
        let error = match judged {
            Judged::From(limit) => is_error(logs, message, limit),
            Judged::Error => true,
            Judged::Fine => false,
        };
        if error {
            self.errors += 1;
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail
                .push_back(cut(&format!("{} {}", message.id, message.text)));
        }
        writer.line(&line(message, part));
    }
}

/// Whether a message is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// From this severity on, unless it is ignored or its program handled it.
    From(i32),
    /// It is one, whoever judged that.
    Error,
    /// It is none.
    Fine,
}

/// Severity at or above the limit, not ignored, not an exception that the program handled.
fn is_error(logs: &Logs, message: &Message, limit: i32) -> bool {
    i32::from(message.severity) >= limit
        && !logs.ignore.contains(&message.id)
        && !message.subtype.eq_ignore_ascii_case("EXCEPTION HANDLED")
}

fn line(message: &Message, part: &str) -> LogLine {
    LogLine {
        ts: message.timestamp.clone(),
        part: part.into(),
        job: message.job.clone(),
        id: message.id.clone(),
        sev: message.severity,
        kind: message.kind.clone(),
        text: message.text.clone(),
        second: message.second_level.clone(),
    }
}

/// A message's text in a tail or a verdict.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(TAIL_CHARACTERS).collect()
}

//! What a run does, line by line as it does it, and lines on standard output.

use crate::engine::journal::{EntryState, Journal};
use crate::recipe::LogLine;
use chrono::{DateTime, SecondsFormat, Utc};

/// What changed from one journal to the next, as lines.
pub fn changes(previous: &Journal, next: &Journal, now: DateTime<Utc>) -> Vec<LogLine> {
    let ts = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let line = |job: &str, id: &str, sev: u8, text: String| LogLine {
        ts: ts.clone(),
        part: "operator".to_owned(),
        job: job.to_owned(),
        id: id.to_owned(),
        sev,
        text,
        ..LogLine::default()
    };
    let mut lines = Vec::new();
    for entry in &next.steps {
        let before = previous.entry(&entry.name);
        let state = before.map_or(EntryState::Pending, |e| e.state);
        let said = before.and_then(|e| e.message.as_deref());
        let message = entry.message.as_deref().filter(|m| !m.is_empty());
        let (sev, word) = match entry.state {
            EntryState::Pending => (0, "waits"),
            EntryState::Intended => (0, "begun"),
            EntryState::Done => (0, "done"),
            EntryState::Skipped => (0, "not needed"),
            EntryState::Failed => (40, "failed"),
        };
        let text = match (entry.state == state, message) {
            (true, Some(message)) if said != Some(message) => message.to_owned(),
            (true, Some(_) | None) => continue,
            (false, Some(message)) => format!("{word}: {message}"),
            (false, None) => word.to_owned(),
        };
        lines.push(line(&entry.name, "STEP", sev, text));
    }
    for (kind, sev, before, after) in [
        ("WARNING", 20, &previous.warnings, &next.warnings),
        ("NOTE", 0, &previous.notes, &next.notes),
    ] {
        let new = after.iter().skip(before.len());
        lines.extend(new.map(|text| line("", kind, sev, text.clone())));
    }
    if previous.phase != next.phase {
        let why = next.verdict.as_ref();
        let why = why.map_or(String::new(), |v| format!(": {} {}", v.reason, v.message));
        lines.push(line("", "RUN", 0, format!("{:?}{why}", next.phase)));
    }
    lines
}

/// The same lines on standard output, as JSON with the run's fields (`product.md` § 9): the fields of [`LogLine`], and
/// which log they are of, `live` or a kind.
pub fn tell(log: &str, line: &LogLine) {
    let some = |text: &'_ str| Some(text.to_owned()).filter(|text| !text.is_empty());
    tracing::info!(
        target: "ibmi_clone::run_log",
        log,
        ts = line.ts,
        part = line.part,
        job = some(&line.job),
        id = some(&line.id),
        sev = line.sev,
        "type" = some(&line.kind),
        text = line.text,
        second = some(&line.second),
        "run log"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::Entry;

    #[test]
    fn a_change_is_told_once() {
        let mut journal = Journal {
            steps: vec![Entry {
                name: "await-clone".to_owned(),
                ..Entry::default()
            }],
            ..Journal::default()
        };
        let before = journal.clone();
        journal.steps[0].state = EntryState::Intended;
        journal.steps[0].message = Some("C6004050".to_owned());
        let lines = changes(&before, &journal, Utc::now());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].text, "begun: C6004050");
        assert_eq!(changes(&journal, &journal, Utc::now()), Vec::new());
        let mut next = journal.clone();
        next.steps[0].message = Some("00000000".to_owned());
        let lines = changes(&journal, &next, Utc::now());
        assert_eq!(
            (lines[0].text.as_str(), lines[0].job.as_str()),
            ("00000000", "await-clone")
        );
    }
}

//! What the operator itself knows of a run, as lines of a log: its record, and what was said to the devices.

use crate::engine::journal::{Entry, Journal};
use crate::engine::time::Timestamp;
use crate::recipe::LogLine;
use crate::site::transcript::Exchange;

/// One exchange with a device.
pub fn exchange(exchange: &Exchange) -> LogLine {
    let milliseconds = exchange.microseconds / 1000;
    LogLine {
        ts: exchange
            .at
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        part: exchange.device.clone(),
        kind: "EXCHANGE".to_owned(),
        text: format!(
            "{} -> {} ({milliseconds} ms)",
            exchange.request, exchange.answer
        ),
        ..LogLine::default()
    }
}

/// The whole record of a run, one line per fact: what the slim final row does not keep. It begins and ends with the instants
/// that the row shows.
pub fn record(journal: &Journal) -> Vec<LogLine> {
    let run = |at: Option<Timestamp>, text: String| {
        at.map(|at| line("run", Some(at.to_string()), 0, text))
    };
    let mut lines: Vec<LogLine> = run(journal.started_at, "started".to_owned())
        .into_iter()
        .collect();
    lines.extend(journal.steps.iter().filter_map(step));
    if let Some(window) = &journal.window {
        let text = serde_json::to_string(window).unwrap_or_default();
        lines.push(line(
            "window",
            window.opened.map(|t| t.to_string()),
            0,
            text,
        ));
    }
    for owed in &journal.obligations {
        let met = match owed.met {
            Some(at) => format!("met {at}"),
            None => "open".to_owned(),
        };
        let how = owed.message.as_deref().unwrap_or_default();
        let text = format!("{:?} of {}: {met}; {how}", owed.kind, owed.step);
        lines.push(line("obligation", Some(owed.since.to_string()), 0, text));
    }
    for reply in &journal.replies {
        let words = reply.message.as_deref().unwrap_or_default();
        let text = format!("{:?} to {}: {words}", reply.state, reply.key);
        lines.push(line("reply", Some(reply.at.to_string()), 0, text));
    }
    for (name, severity, texts) in [
        ("warning", 20, &journal.warnings),
        ("note", 0, &journal.notes),
    ] {
        lines.extend(texts.iter().map(|t| line(name, None, severity, t.clone())));
    }
    if let Some(verdict) = &journal.verdict {
        let text = format!(
            "{:?} {}: {}",
            verdict.phase, verdict.reason, verdict.message
        );
        lines.push(line("verdict", Some(verdict.at.to_string()), 0, text));
    }
    lines.extend(run(journal.finished_at, format!("{:?}", journal.phase)));
    lines
}

fn step(entry: &Entry) -> Option<LogLine> {
    let start = entry.start.or(entry.end)?;
    let facts = |name: &str, map: &crate::engine::journal::Facts| {
        let list: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
        match list.as_slice() {
            [] => String::new(),
            list => format!("; {name}: {}", list.join(", ")),
        }
    };
    let end = entry.end.map(|t| format!(" {t}")).unwrap_or_default();
    let message = entry.message.as_deref().map(|m| format!("; {m}"));
    let text = format!(
        "{:?}{end} after {} attempts{}{}{}",
        entry.state,
        entry.attempts,
        message.unwrap_or_default(),
        facts("before", &entry.baseline),
        facts("after", &entry.output),
    );
    let severity = match entry.state {
        crate::engine::journal::EntryState::Failed => 40,
        crate::engine::journal::EntryState::Pending
        | crate::engine::journal::EntryState::Intended
        | crate::engine::journal::EntryState::Done
        | crate::engine::journal::EntryState::Skipped => 0,
    };
    Some(line(&entry.name, Some(start.to_string()), severity, text))
}

fn line(job: &str, ts: Option<String>, sev: u8, text: String) -> LogLine {
    LogLine {
        ts: ts.unwrap_or_default(),
        part: "operator".to_owned(),
        job: job.to_owned(),
        sev,
        text,
        ..LogLine::default()
    }
}

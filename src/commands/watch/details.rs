//! Option 5: everything that is known of a run.

use super::pager::{Shown, Tone};
use crate::api::CloneRun;
use crate::api::run::CloneRunStatus;
use crate::commands::history::Row;
use crate::commands::history::heading::labelled;
use crate::commands::table::{Column, Side, lines as table};
use crate::commands::text::{clock, freeze, one_line, seconds_between};
use crate::engine::journal::{Entry, EntryState, Obligation};
use crate::engine::time::Timestamp;
use chrono::{DateTime, Utc};

/// The lines for a width. Without the object (archive) the row is all there is.
pub fn lines(row: &Row, run: Option<&CloneRun>, now: DateTime<Utc>, width: usize) -> Vec<Shown> {
    let mut lines = fields(row, run, width);
    let Some(status) = run.and_then(|run| run.status.as_ref()) else {
        if row.archived {
            let text = "The object is gone; the archive keeps this row. Steps, conditions and logs went with it.";
            lines.push(Shown::default());
            lines.push(Shown::toned(text, Tone::Dim));
        }
        return lines;
    };
    lines.extend(steps(status, now));
    lines.extend(section(
        "Obligations",
        status.obligations.iter().map(obligation),
    ));
    lines.extend(section(
        "Conditions",
        status.conditions.iter().map(|c| {
            let text = format!(
                "{} {} {} {}",
                c.type_,
                c.status,
                c.reason,
                one_line(&c.message)
            );
            Shown::plain(text.trim_end())
        }),
    ));
    let journal = status.journal.as_ref();
    let notes = journal.iter().flat_map(|j| {
        let warnings = j
            .warnings
            .iter()
            .map(|t| Shown::toned(one_line(t), Tone::Warning));
        warnings.chain(j.notes.iter().map(|t| Shown::plain(one_line(t))))
    });
    lines.extend(section("Warnings and notes", notes));
    let tail = status.failure_tail.iter();
    let tail = tail.map(|t| Shown::toned(one_line(t), Tone::Bad));
    lines.extend(section("Last errors of the job", tail));
    lines.extend(section(
        "Logs",
        status
            .logs
            .iter()
            .map(|log| Shown::plain(format!("{}: {} lines", log.kind, log.lines))),
    ));
    lines
}

/// Where the history of a BRMS run's saves is, and which volumes production does not know.
fn backups(status: &CloneRunStatus) -> Option<String> {
    let history = status.backup_history.as_ref()?;
    let file = history.save_file.as_deref();
    let file = file.map(|file| format!(", save file {file}"));
    let protect = history.protect.as_deref();
    let protect = protect.map(|names| format!("; protect {names}"));
    Some(format!(
        "history {}{}{}",
        history.state,
        file.unwrap_or_default(),
        protect.unwrap_or_default()
    ))
}

/// A title and its lines; nothing when there are none.
fn section(title: &str, lines: impl Iterator<Item = Shown>) -> Vec<Shown> {
    let lines: Vec<Shown> = lines
        .map(|line| Shown::toned(format!("  {}", line.text), line.tone))
        .collect();
    if lines.is_empty() {
        return lines;
    }
    let title = [Shown::default(), Shown::toned(title, Tone::Title)];
    title.into_iter().chain(lines).collect()
}

fn fields(row: &Row, run: Option<&CloneRun>, width: usize) -> Vec<Shown> {
    let status = run.and_then(|run| run.status.as_ref());
    let number = row
        .number
        .map_or("not opened yet".to_owned(), |n| format!("number {n}"));
    let progress = row.progress.as_deref().map(|p| format!(" ({p})"));
    let step = row.step.as_deref().map(|step| {
        let progress = progress.unwrap_or_default();
        format!(", at {step}{progress}")
    });
    let phase = format!(
        "{} ({:?}){}",
        row.state,
        row.phase,
        step.unwrap_or_default()
    );
    let function = row.function.as_deref().map(|f| format!("*{f}, "));
    let mode = format!("{}mode {:?}", function.unwrap_or_default(), row.mode);
    let messages = row
        .messages
        .zip(row.errors)
        .map(|(messages, errors)| format!("{messages}, {errors} of them errors"));
    let disk = row
        .disk_used_percent
        .map(|p| format!("{p} % of the targets"));
    let all = [
        ("Run", Some(row.name.clone())),
        (
            "Environment",
            Some(format!("{}, {number}", row.environment)),
        ),
        ("Function", Some(mode)),
        ("Asked by", Some(asked_by(row, run))),
        ("Status", Some(phase)),
        ("Reason", row.reason.clone()),
        ("Message", row.message.as_deref().map(one_line)),
        ("Start", row.started.as_deref().map(day)),
        ("End", row.times.finished.as_deref().map(day)),
        ("Duration", row.duration.clone()),
        ("Freeze", freeze_of(row, status)),
        (
            "Prepa prod",
            span(&row.prepare_on_source, &row.started, &row.times.resumed),
        ),
        (
            "Prepa clone",
            span(
                &row.prepare_on_clone,
                &row.times.clone_started,
                &row.times.clone_ready,
            ),
        ),
        (
            "Save",
            span(&row.save, &row.times.save_started, &row.times.save_ended),
        ),
        (
            "Partition",
            span(&row.partition_active, &None, &row.times.partition_ended),
        ),
        (
            "FlashCopy",
            span(
                &row.flash_copy_active,
                &row.times.image_taken,
                &row.times.image_ended,
            ),
        ),
        ("Messages", messages),
        ("Backups", status.and_then(backups)),
        ("Disk used", disk),
    ];
    let said = all.into_iter().filter_map(|(label, text)| {
        let text = text.filter(|t| !t.is_empty())?;
        Some(labelled(label, &text, width))
    });
    let tone = super::list::tone(row);
    said.flat_map(|block| {
        let tone = if block.starts_with("Status") {
            tone
        } else {
            Tone::Plain
        };
        let lines: Vec<Shown> = block.lines().map(|l| Shown::toned(l, tone)).collect();
        lines
    })
    .collect()
}

fn asked_by(row: &Row, run: Option<&CloneRun>) -> String {
    let mut text = format!("{:?}", row.trigger);
    let Some(run) = run else { return text };
    if let Some(time) = &run.spec.scheduled_time {
        text = format!("{text}, for {}", time.0);
    }
    if !run.spec.requested_by.is_empty() {
        let who = one_line(&run.spec.requested_by);
        text = format!("{text}, {who} (not verified)");
    }
    text
}

fn freeze_of(row: &Row, status: Option<&CloneRunStatus>) -> Option<String> {
    let Some(frozen) = status.and_then(|s| s.frozen.as_ref()) else {
        return row.freeze.clone();
    };
    let mut parts: Vec<String> = frozen.milliseconds.map(freeze).into_iter().collect();
    let at = |t: Timestamp| t.utc().format("%H:%M:%S%.3fZ").to_string();
    match (frozen.started_at, frozen.ended_at) {
        (Some(start), Some(end)) => parts.push(format!("{} to {}", at(start), at(end))),
        (Some(start), None) => parts.push(format!("since {}: production is suspended", at(start))),
        (None, _) => {}
    }
    let proof = frozen.suspension_proof.as_deref();
    parts.extend(proof.map(|proof| format!("proof {proof}")));
    Some(parts.join(", "))
}

/// `2026-11-24 00:00:02Z`.
fn day(text: &str) -> String {
    text.replace('T', " ")
}

/// `7:52:35, from 00:30:00 to 08:22:35`.
fn span(length: &Option<String>, from: &Option<String>, to: &Option<String>) -> Option<String> {
    let length = length.clone()?;
    let from = from.as_ref().map(|t| format!(", from {}", day(t)));
    let to = to.as_ref().map(|t| format!(", to {}", day(t)));
    Some(format!(
        "{length}{}{}",
        from.unwrap_or_default(),
        to.unwrap_or_default()
    ))
}

/// The steps as a table, a message below its step.
fn steps(status: &CloneRunStatus, now: DateTime<Utc>) -> Vec<Shown> {
    let column = |value: &dyn Fn(&Entry) -> String| status.steps.iter().map(value).collect();
    let time = |at: Option<Timestamp>| {
        at.map_or("-".to_owned(), |at| {
            at.utc().format("%m-%d %H:%M:%S").to_string()
        })
    };
    let numbers = (1..=status.steps.len()).map(|n| n.to_string()).collect();
    let columns = [
        Column::new("NBR", Side::Right, numbers),
        Column::new("STEP", Side::Left, column(&|e| e.name.clone())),
        Column::new("STATE", Side::Left, column(&|e| state(e).0.to_owned())),
        Column::new("START", Side::Left, column(&|e| time(e.start))),
        Column::new("END", Side::Left, column(&|e| time(e.end))),
        Column::new("LENGTH", Side::Right, column(&|e| length(e, now))),
        Column::new("TRIES", Side::Right, column(&|e| e.attempts.to_string())),
    ];
    let (headings, rows) = table(&columns);
    let mut lines = vec![Shown::default()];
    lines.extend(headings.into_iter().map(|l| Shown::toned(l, Tone::Title)));
    for (entry, row) in status.steps.iter().zip(rows) {
        let tone = state(entry).1;
        lines.push(Shown::toned(row, tone));
        let message = entry.message.as_deref().map(one_line);
        let message = message.filter(|text| !text.is_empty());
        lines.extend(message.map(|text| Shown::toned(format!("    {text}"), tone)));
    }
    if status.steps.is_empty() {
        lines.truncate(0);
    }
    lines
}

fn state(entry: &Entry) -> (&'static str, Tone) {
    match entry.state {
        EntryState::Pending => ("pending", Tone::Dim),
        EntryState::Intended => ("under way", Tone::Good),
        EntryState::Done => ("done", Tone::Plain),
        EntryState::Skipped => ("not needed", Tone::Dim),
        EntryState::Failed => ("FAILED", Tone::Bad),
    }
}

fn length(entry: &Entry, now: DateTime<Utc>) -> String {
    let open = match entry.state {
        EntryState::Pending | EntryState::Intended => true,
        EntryState::Done | EntryState::Skipped | EntryState::Failed => false,
    };
    let end = entry.end.map(Timestamp::utc).or(open.then_some(now));
    match entry.start.zip(end) {
        Some((start, end)) => clock(seconds_between(start.utc(), end)),
        None => "-".to_owned(),
    }
}

fn obligation(owed: &Obligation) -> Shown {
    let how = owed.message.as_deref().map(one_line).unwrap_or_default();
    let (word, tone) = match owed.met {
        Some(at) => (format!("met {}", at.to_seconds_text()), Tone::Plain),
        None if owed.attempts > 0 => (format!("OPEN after {} tries", owed.attempts), Tone::Bad),
        None => ("open".to_owned(), Tone::Warning),
    };
    let text = format!("{:?} of {}: {word} {how}", owed.kind, owed.step);
    Shown::toned(text.trim_end(), tone)
}

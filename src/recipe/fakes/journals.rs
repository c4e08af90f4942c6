//! Journals and observations of tests.

use super::*;

/// A journal in which verify-site has found the two volumes, and a clean window has been closed.
pub(crate) fn journal() -> Journal {
    let names = [
        "verify-site",
        "write-parameters",
        "stop-clone",
        "unmap-volumes",
        "end-image",
        "prepare-copy",
        "suspend-source",
        "start-copy",
        "resume-source",
        "map-volumes",
        "start-clone",
        "await-clone",
        "run-function",
        "collect-logs",
        "settle",
    ];
    let mut journal = Journal::open("user-overwrite-vscsi-v1", TOKEN, &names);
    done(
        &mut journal,
        "verify-site",
        &[("targets", "UID-CLONE0,UID-CLONE1")],
    );
    let at = Timestamp::new(start());
    journal.window = Some(WindowRecord {
        opened: Some(at),
        closed: Some(at),
        asps: vec!["IASP1".into(), "*SYSBAS".into()],
        ..WindowRecord::default()
    });
    journal
}

pub(crate) fn done(journal: &mut Journal, step: &str, output: &[(&str, &str)]) {
    let entry = entry(journal, step);
    entry.state = EntryState::Done;
    entry.output = pairs(output);
}

/// Marks a step as sent `attempts` times, beginning at [`start`].
pub(crate) fn intended(journal: &mut Journal, step: &str, attempts: i32) {
    let entry = entry(journal, step);
    entry.state = EntryState::Intended;
    entry.attempts = attempts;
    entry.start = Some(Timestamp::new(start()));
}

pub(crate) fn entry<'a>(journal: &'a mut Journal, step: &str) -> &'a mut Entry {
    journal
        .entry_mut(step)
        .expect("a step of the sample journal")
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Facts {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// Reason and message of a failing observation.
pub(crate) fn broken(seen: Observation) -> (&'static str, String) {
    match seen {
        Observation::Broken(f) | Observation::Unknown(f) => (f.reason, f.message),
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// Message of a waiting observation.
pub(crate) fn waiting(seen: Observation) -> String {
    match seen {
        Observation::Underway { message, .. } | Observation::Asking { message, .. } => message,
        other => panic!("expected a wait, got {other:?}"),
    }
}

/// Facts of a done observation.
pub(crate) fn facts_of(seen: Observation) -> Facts {
    match seen {
        Observation::Done(facts) => facts,
        other => panic!("expected done, got {other:?}"),
    }
}

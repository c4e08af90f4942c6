//! Events: one for every transition a person would want to hear of, none for polling; sent after the write was accepted.

use super::text::cut;
use crate::engine::journal::{EntryState, Journal, ObligationKind, Phase};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Resource, ResourceExt};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Whether a person should be worried.
    pub warning: bool,
    /// One word of a fixed list.
    pub reason: &'static str,
    /// What was done: the step, or the run.
    pub action: String,
    /// What happened and what a person can do.
    pub note: String,
}

impl Transition {
    /// Shorthand.
    pub fn new(warning: bool, reason: &'static str, action: &str, note: impl Into<String>) -> Self {
        Self {
            warning,
            reason,
            action: action.to_owned(),
            note: note.into(),
        }
    }
}

/// What changed from one journal to the next.
pub fn transitions(previous: &Journal, next: &Journal) -> Vec<Transition> {
    let mut list = Vec::new();
    if previous.phase != next.phase {
        list.extend(phase_change(next));
    }
    let failed = next
        .steps
        .iter()
        .filter(|e| e.state == EntryState::Failed)
        .filter(|e| previous.entry(&e.name).map(|p| p.state) != Some(EntryState::Failed));
    for entry in failed {
        let text = entry.message.clone().unwrap_or_default();
        list.push(Transition::new(true, "StepFailed", &entry.name, text));
    }
    list.extend(source_changes(previous, next));
    list.extend(backup_changes(previous, next));
    list.extend(asked(previous, next));
    for warning in next.warnings.iter().skip(previous.warnings.len()) {
        list.push(Transition::new(true, "RunWarning", "Run", warning.clone()));
    }
    list
}

fn phase_change(next: &Journal) -> Option<Transition> {
    let verdict = next.verdict.as_ref();
    let said = verdict
        .map(|v| format!("{}: {}", v.reason, v.message))
        .unwrap_or_default();
    let (warning, reason) = match next.phase {
        Phase::Pending => return None,
        Phase::Queued => (false, "Queued"),
        Phase::Running => (false, "Started"),
        Phase::Cancelling => (false, "Cancelling"),
        Phase::Succeeded => (false, "Succeeded"),
        Phase::Warning => (true, "SucceededWithWarning"),
        Phase::Failed => (true, "Failed"),
        Phase::Cancelled => (false, "Cancelled"),
        Phase::Skipped => (false, "Skipped"),
    };
    let note = match (next.phase, next.current().and_then(|at| next.steps.get(at))) {
        (Phase::Queued, Some(_)) => "waits for a device that another run holds".to_owned(),
        (Phase::Running, Some(entry)) => format!("at {}", entry.name),
        (Phase::Cancelling, Some(entry)) if verdict.is_none() => {
            format!("a person ends the run; it is at {}", entry.name)
        }
        (_, _) => said,
    };
    Some(Transition::new(warning, reason, "Run", note))
}

/// Production was suspended and resumed: the two moments everybody asks about.
fn source_changes(previous: &Journal, next: &Journal) -> Vec<Transition> {
    let kind = ObligationKind::ResumeSource;
    let mut list = Vec::new();
    let window = next.window.as_ref();
    let closed = window.filter(|w| w.closed.is_some());
    let newly = previous.window.as_ref().is_none_or(|w| w.closed.is_none());
    if let (Some(window), true) = (closed, newly) {
        let held = window.milliseconds.unwrap_or_default();
        list.push(match &window.failure {
            None => Transition::new(
                false,
                "PointInTimeTaken",
                "start-copy",
                format!("production was held for {held} ms"),
            ),
            Some(why) => Transition::new(true, "WindowFailed", "suspend-source", why.clone()),
        });
    }
    if previous.owes(kind) && !next.owes(kind) {
        let how = next.obligations.iter().rev().find(|o| o.kind == kind);
        let how = how.and_then(|o| o.message.clone()).unwrap_or_default();
        list.push(Transition::new(
            false,
            "SourceResumed",
            "resume-source",
            how,
        ));
    }
    let tries = |j: &Journal| j.open_obligations().map(|o| o.attempts).sum::<i32>();
    if tries(previous) == 0
        && tries(next) > 0
        && let Some(owed) = next.open_obligations().find(|o| o.attempts > 0)
    {
        let text = owed.message.clone().unwrap_or_default();
        let note = format!("{:?} is not met and tried again: {text}", owed.kind);
        list.push(Transition::new(true, "ObligationUnmet", &owed.step, note));
    }
    list
}

/// Production's BRMS was frozen and released.
fn backup_changes(previous: &Journal, next: &Journal) -> Vec<Transition> {
    let kind = ObligationKind::ReleaseBackups;
    let done = |j: &Journal| {
        let frozen = j.entry("freeze-backups");
        frozen.is_some_and(|e| e.state == EntryState::Done)
    };
    let mut list = Vec::new();
    if done(next) && !done(previous) {
        let note = "production's BRMS is in its FlashCopy process: nothing is saved with BRMS there until it is released";
        list.push(Transition::new(
            false,
            "BackupsFrozen",
            "freeze-backups",
            note,
        ));
    }
    if previous.owes(kind) && !next.owes(kind) {
        let how = next.obligations.iter().rev().find(|o| o.kind == kind);
        let how = how.and_then(|o| o.message.clone()).unwrap_or_default();
        list.push(Transition::new(
            false,
            "BackupsReleased",
            "return-history",
            how,
        ));
    }
    list
}

/// A job has begun to wait for an answer.
fn asked(previous: &Journal, next: &Journal) -> Option<Transition> {
    let question = next.question.as_ref()?;
    let known = previous
        .question
        .as_ref()
        .is_some_and(|q| q.key == question.key);
    let note = format!(
        "job {} on {} waits for an answer to: {}; `ibmi-clone reply` gives it (key {})",
        question.job, question.system, question.message, question.key
    );
    (!known).then(|| Transition::new(true, "NeedsReply", "Run", note))
}

/// Publishes; a failure is only logged: an event is news, not memory.
pub async fn publish<K>(recorder: &Recorder, object: &K, list: &[Transition])
where
    K: Resource<DynamicType = ()>,
{
    for transition in list {
        let event = Event {
            type_: if transition.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: transition.reason.to_owned(),
            // The API takes 1024 bytes.
            note: Some(cut(&transition.note, 1000)),
            action: transition.action.clone(),
            secondary: None,
        };
        tracing::info!(
            object = object.name_any(),
            namespace = object.namespace().unwrap_or_default(),
            reason = transition.reason,
            action = transition.action,
            note = transition.note,
            "transition"
        );
        if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
            tracing::warn!(reason = transition.reason, %error, "event not published");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::{Entry, Question, Verdict, WindowRecord};
    use crate::engine::time::Timestamp;
    use chrono::Utc;

    fn reasons(previous: &Journal, next: &Journal) -> Vec<&'static str> {
        transitions(previous, next)
            .iter()
            .map(|t| t.reason)
            .collect()
    }

    #[test]
    fn polling_makes_no_event_and_transitions_make_one() {
        let now = Timestamp::new(Utc::now());
        let mut before = Journal::open("r", "T", &["suspend-source", "settle"]);
        before.phase = Phase::Running;
        let mut polled = before.clone();
        polled.revision += 1;
        polled.steps[0].message = Some("still waiting".to_owned());
        polled.steps[0].state = EntryState::Intended;
        assert!(reasons(&before, &polled).is_empty());

        polled.incur(ObligationKind::ResumeSource, "suspend-source", now);
        let mut closed = polled.clone();
        closed.window = Some(WindowRecord {
            opened: Some(now),
            closed: Some(now),
            ..WindowRecord::default()
        });
        closed.meet(ObligationKind::ResumeSource, now, "RESUME returned 0");
        assert_eq!(
            reasons(&polled, &closed),
            ["PointInTimeTaken", "SourceResumed"]
        );

        let mut failing = polled.clone();
        failing.obligations[0].attempts = 1;
        assert_eq!(reasons(&polled, &failing), ["ObligationUnmet"]);
        let mut again = failing.clone();
        again.obligations[0].attempts = 2;
        assert!(
            reasons(&failing, &again).is_empty(),
            "loud once, not at every try"
        );

        let mut asking = closed.clone();
        asking.question = Some(Question::default());
        assert_eq!(reasons(&closed, &asking), ["NeedsReply"]);
        assert!(reasons(&asking, &asking).is_empty());

        let mut done = closed.clone();
        done.phase = Phase::Failed;
        done.verdict = Some(Verdict {
            phase: Phase::Failed,
            reason: "StepFailed".into(),
            message: "the group is empty".into(),
            at: now,
        });
        let mut frozen = closed.clone();
        frozen.steps.push(Entry {
            name: "freeze-backups".into(),
            state: EntryState::Done,
            ..Entry::default()
        });
        frozen.incur(ObligationKind::ReleaseBackups, "freeze-backups", now);
        let mut released = frozen.clone();
        released.meet(ObligationKind::ReleaseBackups, now, "its history is back");
        assert_eq!(reasons(&closed, &frozen), ["BackupsFrozen"]);
        assert_eq!(reasons(&frozen, &released), ["BackupsReleased"]);

        let last = transitions(&closed, &done);
        assert_eq!((last[0].reason, last[0].warning), ("Failed", true));
        assert_eq!(last[0].note, "StepFailed: the group is empty");
    }
}

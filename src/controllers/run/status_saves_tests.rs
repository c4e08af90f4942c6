use super::*;
use crate::recipe::steps::ATTENTION;

/// The hours of the save are the SAVE column's, not the preparation's, and a final row keeps what it showed.
#[test]
fn a_full_save_between_start_and_ready_is_no_preparation() {
    let names: Vec<&str> = USER
        .iter()
        .map(|name| match *name {
            "await-clone" => "run-function",
            "run-function" => "await-clone",
            other => other,
        })
        .collect();
    let mut journal = Journal::open("save21-overwrite-vscsi-v1", "RUN1", &names);
    journal.phase = Phase::Running;
    journal.started_at = Some(at(0));
    let mut done = |step: &str, from: i64, to: i64| {
        let entry = journal.entry_mut(step).unwrap();
        entry.state = EntryState::Done;
        (entry.start, entry.end) = (Some(at(from)), Some(at(to)));
        if step == "run-function" {
            entry.output.insert("result".into(), "ok".into());
            entry
                .output
                .insert("saveMilliseconds".into(), "9000000".into());
        }
    };
    done("start-clone", 600, 660);
    done("run-function", 660, 10_200);
    done("await-clone", 10_200, 10_260);
    let status = build(&opened(), &journal, &facts(10_300));
    assert_eq!(status.save.as_deref(), Some("2:30:00"));
    assert_eq!(status.prepare_on_clone.as_deref(), Some("11:00"));
    finish(&mut journal, Phase::Succeeded, 10_400);
    let last = build(&status, &journal, &facts(10_400));
    let again = build(&last, &journal_of(&last), &facts(10_500));
    assert_eq!(again.prepare_on_clone.as_deref(), Some("11:00"));
    assert_eq!(again.save.as_deref(), Some("2:30:00"));
}

/// Whatever the word a waiting step's message begins with: a tape that is not ready waits without end.
#[test]
fn a_step_that_waits_for_a_person_needs_attention() {
    let shown = |message: String| {
        let mut journal = journal(12);
        journal.steps[12].state = EntryState::Intended;
        journal.steps[12].message = Some(message);
        let row = build(&opened(), &journal, &facts(800));
        let shown = conditions::get(&row.conditions, "NeedsAttention").unwrap();
        (shown.status.clone(), shown.reason.clone())
    };
    for word in ATTENTION {
        let text = format!("{word}: clone CLONE1 waits for a person");
        assert_eq!(shown(text), ("True".to_owned(), word.to_owned()));
    }
    let healthy = "clone CLONE1 saves in restricted state".to_owned();
    assert_eq!(shown(healthy).0, "False");
}

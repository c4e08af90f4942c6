//! A person's answers to waiting messages: sent once, to the message that the very look of the pass has seen.

use super::*;
use crate::engine::journal::ReplyState;
use crate::engine::ports::{Answer, Wishes};

fn question(key: &str) -> Box<Question> {
    Box::new(Question {
        key: key.to_owned(),
        ..Question::default()
    })
}

fn asking(key: &str) -> Observation {
    Observation::Asking {
        again: AGAIN,
        message: format!("NeedsReply: {key}"),
        question: question(key),
    }
}

fn answers(list: &[(&str, &str)]) -> Wishes {
    let replies = list.iter().map(|(key, text)| Answer {
        key: (*key).to_owned(),
        text: (*text).to_owned(),
    });
    Wishes {
        replies: replies.collect(),
        ..Wishes::default()
    }
}

fn states(journal: &Journal) -> Vec<ReplyState> {
    journal.replies.iter().map(|r| r.state).collect()
}

#[test]
fn each_reply_is_sent_once_and_only_to_its_own_message() {
    let one = Toy::new("one", &[asking("K1"), asking("K1"), asking("K2"), done()]);
    let bench = Bench::new(std::slice::from_ref(&one));
    let given = [("K0", "A"), ("K1", "B"), ("K2", "C")];
    bench.store.wish(0, answers(&given));
    let journal = bench.to_end();
    // K2 is no answer to what the first look has seen: it is not kept for a message that nobody has shown yet.
    assert_eq!(*bench.answered.lock().unwrap(), ["B to K1"]);
    let expected = [
        ReplyState::NotWaiting,
        ReplyState::Sent,
        ReplyState::NotWaiting,
    ];
    assert_eq!(states(&journal), expected);
    assert_eq!(journal.question, None);
}

#[test]
fn a_look_that_may_not_have_reached_the_device_decides_nothing() {
    let silent = || Observation::underway(AGAIN, "it does not answer");
    let one = Toy::new("one", &[asking("K1"), silent(), asking("K1"), done()]);
    let bench = Bench::new(std::slice::from_ref(&one));
    assert!(matches!(bench.pass(Cancel::No), Some(Pass::Again(..))));
    bench.store.wish(0, answers(&[("K1", "G")]));
    assert!(matches!(bench.pass(Cancel::No), Some(Pass::Again(..))));
    assert_eq!(states(&bench.store.get()), []);
    let journal = bench.to_end();
    assert_eq!(*bench.answered.lock().unwrap(), ["G to K1"]);
    assert_eq!(states(&journal), [ReplyState::Sent]);
}

/// What is owed is on production, the question was the clone's.
#[test]
fn a_question_of_a_step_that_is_over_is_not_answered_by_what_is_owed() {
    let owing = Toy {
        owes: &[ObligationKind::RemoveParameters],
        ..Toy::new("owing", &[done()])
    };
    let one = Toy::new("one", &[asking("K1")]);
    let not_yet = || Ok(Met::NotYet("it does not answer".into()));
    let owed = vec![not_yet(), not_yet(), not_yet()];
    let mut bench = Bench::with(&[owing, one.clone()], &[], owed);
    bench.recipe.run_limit = Duration::from_secs(30);
    while bench.store.get().verdict.is_none() {
        match bench.pass(Cancel::No) {
            Some(Pass::Again(wait, _)) => bench.clock.clock.advance(wait),
            other => panic!("must wait: {other:?}"),
        }
    }
    bench.store.wish(0, answers(&[("K1", "G")]));
    let journal = bench.to_end();
    assert_eq!(journal.verdict.as_ref().unwrap().reason, "RunTimedOut");
    assert!(bench.answered.lock().unwrap().is_empty());
    assert_eq!(states(&journal), [ReplyState::NotWaiting]);
}

/// Two obligations, each with a job that asks: one message at a time, and each answer to its own.
#[test]
fn what_is_owed_is_asked_and_answered_one_after_another() {
    let owing = Toy {
        owes: &[
            ObligationKind::RunAfterResume,
            ObligationKind::ReleaseBackups,
        ],
        ..Toy::new("owing", &[done()])
    };
    let failing = Toy::new("failing", &[Observation::broken("Failed", "it failed")]);
    let asks = |key: &str| Ok(Met::Asking(format!("NeedsReply: {key}"), question(key)));
    let yes = || Ok(Met::Yes("met".into()));
    let both = || vec![asks("K1"), asks("K2")];
    let owed = [both(), both(), vec![yes(), asks("K2"), yes()]].concat();
    let bench = Bench::with(&[owing, failing], &[], owed);
    assert!(matches!(bench.pass(Cancel::No), Some(Pass::Again(..))));
    let shown = bench.store.get().question.map(|q| q.key);
    assert_eq!(shown.as_deref(), Some("K1"));
    bench.store.wish(0, answers(&[("K1", "G"), ("K2", "H")]));
    let journal = bench.to_end();
    assert_eq!(journal.phase, Phase::Failed);
    assert_eq!(*bench.answered.lock().unwrap(), ["G to K1", "H to K2"]);
    assert_eq!(states(&journal), [ReplyState::Sent, ReplyState::Sent]);
}

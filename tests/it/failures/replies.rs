//! Messages that jobs wait for, answered by a person through the run (`product.md` § 5.4; row 10 of the failure catalogue).

use super::stage::{Stage, USER, as_it_is, environments, says_all};
use super::surroundings::{programs, surrounded, worsen};
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::{EntryState, Phase, Question};
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ibmi::file::ProgramResult;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::{Value, json};

fn asking(result: ProgramResult) -> impl FnOnce(&mut WorldFile) {
    move |w| worsen(w, "CLNLIB/MYSAVE", result)
}

fn question(run: &CloneRun) -> Option<&Question> {
    run.status.as_ref()?.waiting.as_ref()
}

/// Waits until a message waits, of another key than this one.
pub async fn asked(stage: &Stage, run: &str, other_than: &str) -> Question {
    let found = stage
        .until(run, |r| question(r).is_some_and(|q| q.key != other_than))
        .await;
    question(&found).unwrap().clone()
}

pub fn reply(key: &str, text: &str) -> Value {
    json!({"key": key, "text": text})
}

/// Everything the steps log of an ended run says of replies.
async fn fates(stage: &Stage, run: &str) -> Vec<String> {
    let logs = ibmi_clone_operator::controllers::run::logs::read_logs(
        &stage.client,
        &stage.namespace,
        run,
        Some(ibmi_clone_operator::recipe::LogKind::Steps),
    );
    let logs = logs.await.unwrap();
    let lines = logs.iter().flat_map(|(_, text)| text.lines());
    lines
        .filter(|l| l.contains("\"job\":\"reply\""))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_10_a_persons_reply_is_sent_to_the_waiting_message_and_the_job_goes_on() {
    let Some(stage) = Stage::new(asking(ProgramResult::MsgwTwice), as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let first = asked(&stage, &run, "").await;
    says_all(&first.message, &["CPA4278", "Load next tape"]);
    assert!(first.system.starts_with("clone CLONE1"), "{first:?}");
    let shown = stage.runs().get(&run).await.unwrap().status.unwrap();
    let attention = shown
        .conditions
        .iter()
        .find(|c| c.type_ == "NeedsAttention");
    let attention = attention.unwrap();
    assert_eq!(attention.reason, "NeedsReply");
    says_all(&attention.message, &[&first.key, "ibmi-clone reply"]);

    let unknown = reply("C1_1-00000000-000000", "G");
    stage.set(&run, json!({"replies": [unknown]})).await;
    let refused = reply(&first.key, "MAYBE");
    let replies = json!({"replies": [unknown, refused]});
    stage.set(&run, replies).await;
    let handled = |n: usize| {
        move |r: &CloneRun| {
            let journal = r.status.as_ref().and_then(|s| s.journal.as_ref());
            journal.is_some_and(|j| j.replies.len() == n)
        }
    };
    let seen = stage.until(&run, handled(2)).await;
    assert_eq!(stage.effects("ibmi.CLONE1.reply.MAYBE"), 0);
    let notes = seen.status.unwrap().journal.unwrap().notes.join("; ");
    says_all(&notes, &["no message of this key waits"]);

    let right = reply(&first.key, "G");
    let replies = json!({"replies": [unknown, refused, right]});
    stage.set(&run, replies).await;
    let second = asked(&stage, &run, &first.key).await;
    assert_eq!(stage.effects("ibmi.CLONE1.reply.G"), 1);
    let seen = stage.runs().get(&run).await.unwrap();
    let status = seen.status.unwrap();
    assert_eq!(status.observed_generation, seen.metadata.generation);
    let notes = status.journal.unwrap().notes.join("; ");
    says_all(&notes, &["CPF2422", "reply 'G' to CPA4278"]);

    let last = reply(&second.key, "G");
    let replies = json!({"replies": [unknown, refused, right, last]});
    stage.set(&run, replies).await;
    // A job that had to ask is something to read: severity 99 is above the program's errorSeverity.
    let end = stage.ended(&run).await;
    end.is(Phase::Warning, "CompletedWithWarnings", &["errorSeverity"]);
    assert_eq!(stage.effects("ibmi.CLONE1.reply.G"), 2);
    assert_eq!(stage.effects("ibmi.CLONE1.SBMJOB"), 1);
    assert!(end.0.status.as_ref().unwrap().waiting.is_none());
    let fates = fates(&stage, &run).await;
    let states = ["NotWaiting", "Refused", "Sent", "Sent"];
    assert_eq!(fates.len(), states.len(), "{fates:#?}");
    for (fate, state) in fates.iter().zip(states) {
        assert!(fate.contains(state), "{fate}");
    }
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_whose_answer_is_lost_is_never_sent_twice() {
    for becomes in [false, true] {
        let devices = move |w: &mut WorldFile| {
            w.knobs.answered_inquiry_becomes_reply = becomes;
            asking(ProgramResult::Msgw)(w);
        };
        let Some(stage) = Stage::new(devices, as_it_is).await else {
            return;
        };
        stage.ready(USER).await;
        let run = stage.run(USER).await;
        let asked = asked(&stage, &run, "").await;
        let lost = FaultKind::AnswerLost;
        stage.fault(Device::IbmI, "CLONE1", "SNDRPY", lost, 1);
        let replies = json!({"replies": [reply(&asked.key, "G")]});
        stage.set(&run, replies).await;
        let end = stage.ended(&run).await;
        end.is(Phase::Warning, "CompletedWithWarnings", &[]);
        assert_eq!(stage.effects("ibmi.CLONE1.reply.G"), 1);
        let fates = fates(&stage, &run).await;
        assert!(fates[0].contains("not known"), "{fates:?}");
        stage.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_was_not_sent_is_sent_again_while_its_message_waits() {
    let Some(stage) = Stage::new(asking(ProgramResult::Msgw), as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let asked = asked(&stage, &run, "").await;
    let dropped = FaultKind::Refused;
    stage.fault(Device::IbmI, "CLONE1", "SNDRPY", dropped, 2);
    let replies = json!({"replies": [reply(&asked.key, "C")]});
    stage.set(&run, replies).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "FunctionFailed", &["CEE9901"]);
    assert_eq!(stage.effects("ibmi.CLONE1.reply.C"), 1);
    stage.unharmed().await;
}

/// BeforeFreeze on production asks; so does the AfterResume hook that a failed run still owes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_of_production_is_answered_there_also_when_it_is_only_owed() {
    let devices = |w: &mut WorldFile| {
        programs(w);
        worsen(w, "CLNLIB/QUIESCE", ProgramResult::Msgw);
        worsen(w, "CLNLIB/RESTART", ProgramResult::Msgw);
    };
    let Some(stage) = Stage::new(devices, environments(surrounded)).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let first = asked(&stage, &run, "").await;
    assert!(first.system.starts_with("source PROD"), "{first:?}");
    // C ends the program badly: the run fails before the freeze, and owes its AfterResume hook.
    let bad = reply(&first.key, "C");
    stage.set(&run, json!({"replies": [bad]})).await;
    let second = asked(&stage, &run, &first.key).await;
    assert!(second.system.starts_with("source PROD"), "{second:?}");
    let good = reply(&second.key, "G");
    stage.set(&run, json!({"replies": [bad, good]})).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "HookFailed", &["QUIESCE", "joblog-hook-1"]);
    assert_eq!(stage.effects("ibmi.PROD.reply.G"), 1);
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 0);
    let status = end.0.status.as_ref().unwrap();
    assert!(status.obligations.iter().all(|o| o.met.is_some()));
    let kinds: Vec<&str> = status.logs.iter().map(|l| l.kind.as_str()).collect();
    assert!(kinds.contains(&"joblog-hook-1"), "{kinds:?}");
    assert_eq!(end.step("always").state, EntryState::Done);
    stage.unharmed().await;
}

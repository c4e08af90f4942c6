//! `reply`: shows the message that a job of a run waits to be answered, and answers it by adding to `spec.replies`.

use super::{CommandError, Exit, KubeFlags, MANAGER};
use crate::api::CloneRun;
use crate::api::run::Reply;
use crate::engine::journal::{Question, ReplyRecord};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// Arguments of `reply`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the run, or ENV/NUMBER as the history shows it.
    #[arg(value_name = "RUN")]
    run: String,
    /// The reply, as it would be typed on the system (G, C, a text). Without it the waiting message is shown.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Answer only the message of this key. Without it the one that waits now.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// Shows or answers.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let run = cluster.run(&arguments.run).await?;
    let Some(text) = &arguments.text else {
        print!("{}", shown(&run));
        return Ok(Exit::Done);
    };
    let reply = answer(&run, arguments.key.as_deref(), text)?;
    let name = run.name_any();
    let mut replies = run.spec.replies.clone();
    replies.push(reply.clone());
    let patch = json!({"metadata": {"uid": run.uid()}, "spec": {"replies": replies}});
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let what = format!("reply to run {name} in namespace {}", cluster.namespace);
    let runs = cluster.runs();
    let patched = runs.patch(&name, &parameters, &Patch::Merge(&patch)).await;
    patched.map_err(|e| CommandError::kube(what, &e))?;
    println!(
        "{name}: '{}' is on its way to {}; `ibmi-clone reply {name}` shows what became of it",
        reply.text, reply.key
    );
    Ok(Exit::Done)
}

fn waiting(run: &CloneRun) -> Option<&Question> {
    run.status.as_ref()?.waiting.as_ref()
}

/// The element to add; refused unless that message waits as far as the operator knows.
fn answer(run: &CloneRun, key: Option<&str>, text: &str) -> Result<Reply, CommandError> {
    let refused = |why: String| CommandError::Refused {
        what: format!("reply to run {}", run.name_any()),
        why,
    };
    let Some(question) = waiting(run) else {
        return Err(refused("no job of it waits for an answer".to_owned()));
    };
    if let Some(key) = key.filter(|key| *key != question.key) {
        return Err(refused(format!(
            "no message {key} waits, but {}: {}",
            question.key, question.message
        )));
    }
    if text.trim().is_empty() {
        return Err(refused("the reply is empty".to_owned()));
    }
    Ok(Reply {
        key: question.key.clone(),
        text: text.to_owned(),
    })
}

/// What waits, and what became of the replies so far.
fn shown(run: &CloneRun) -> String {
    let name = run.name_any();
    let mut text = match waiting(run) {
        None => format!("{name}: no job of it waits for an answer\n"),
        Some(q) => format!(
            "{name}: job {} on {} waits for an answer\n  message  {}\n  queue    {}\n  key      {}\n  answer   ibmi-clone reply {name} TEXT\n",
            q.job, q.system, q.message, q.queue, q.key
        ),
    };
    let journal = run.status.as_ref().and_then(|s| s.journal.as_ref());
    let records: &[ReplyRecord] = journal.map_or(&[], |j| &j.replies);
    for (place, reply) in run.spec.replies.iter().enumerate() {
        let fate = match records.get(place) {
            None => "not looked at yet".to_owned(),
            Some(record) => record
                .message
                .clone()
                .unwrap_or_else(|| format!("{:?}", record.state)),
        };
        text.push_str(&format!("  '{}' to {}: {fate}\n", reply.text, reply.key));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::commands::samples;
    use crate::engine::journal::ReplyState;
    use crate::engine::time::Timestamp;

    fn asking() -> CloneRun {
        let mut run = samples::run("nightly-x7k2p");
        let mut status = run.status.take().unwrap_or_default();
        status.waiting = Some(Question {
            key: "C1_16-00000220-031502".into(),
            system: "clone CLONE1".into(),
            job: "123456/CLN/C1_16".into(),
            message: "CPA4278 Load next tape. (C G)".into(),
            queue: "QSYS/QSYSOPR".into(),
            ..Question::default()
        });
        run.status = Some(status);
        run
    }

    #[test]
    fn a_reply_goes_to_the_message_that_waits_and_to_no_other() {
        let run = asking();
        let reply = answer(&run, None, "G").unwrap();
        assert_eq!(
            (reply.key.as_str(), reply.text.as_str()),
            ("C1_16-00000220-031502", "G")
        );
        assert!(answer(&run, Some(&reply.key), "G").is_ok());
        let other = answer(&run, Some("C1_16-00000120-031502"), "G").unwrap_err();
        assert!(other.to_string().contains("CPA4278"), "{other}");
        assert!(answer(&run, None, " ").is_err());
        let nothing = answer(&samples::run("nightly-x7k2p"), None, "G").unwrap_err();
        assert!(nothing.to_string().contains("no job"), "{nothing}");
    }

    #[test]
    fn what_waits_and_what_became_of_earlier_replies_is_shown() {
        let mut run = asking();
        run.spec.replies = ["G", "C"]
            .map(|text| Reply {
                key: "K".into(),
                text: text.into(),
            })
            .to_vec();
        let sent = ReplyRecord {
            key: "K".into(),
            state: ReplyState::Sent,
            attempts: 1,
            at: Timestamp::new(chrono::Utc::now()),
            message: Some("it was sent".into()),
        };
        let journal = crate::api::run::JournalRest {
            replies: vec![sent],
            ..Default::default()
        };
        run.status.as_mut().unwrap().journal = Some(journal);
        let text = shown(&run);
        for words in [
            "CPA4278",
            "C1_16-00000220-031502",
            "'G' to K: it was sent",
            "'C' to K: not looked at yet",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

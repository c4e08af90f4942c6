//! Logs over the wire: as long as they are, whatever is in them, and never more of them in memory than passes.

use super::Bench;
use super::work::{bench, submit};
use ibmi_clone_operator::drivers::ibmi::IbmIDriver;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::simulators::ibmi::file::{ProgramMessage, ProgramResult};
use ibmi_clone_operator::simulators::ibmi::power_lost;
use ibmi_clone_operator::site::{DeviceError, IbmI, JobName, LogSource, Message, Session};
use std::sync::Arc;
use std::time::Duration;

/// A message of this severity, so many times.
fn said(severity: u8, text: &str, repeat: u32) -> ProgramMessage {
    ProgramMessage {
        id: "CPF3770".to_owned(),
        severity,
        kind: "DIAGNOSTIC".to_owned(),
        text: text.to_owned(),
        repeat,
    }
}

struct Job {
    bench: Bench,
    system: Arc<IbmIDriver>,
    session: Session,
    log: LogSource,
}

/// A job that has ended, or waits for a reply, after leaving these messages.
async fn after(result: ProgramResult, messages: Vec<ProgramMessage>) -> Job {
    let bench = bench(result, messages).await;
    let (system, session, name) = submit(&bench).await;
    bench.advance(Duration::from_secs(601));
    Job {
        bench,
        system,
        session,
        log: LogSource::JobLog(name),
    }
}

/// A job that has ended and left these messages.
async fn ended(messages: Vec<ProgramMessage>) -> Job {
    after(ProgramResult::Normal, messages).await
}

impl Job {
    async fn each(&self, mut each: impl FnMut(Message) + Send) -> Result<(), DeviceError> {
        self.system
            .messages(&self.session, &self.log, &mut each)
            .await
    }

    async fn all(&self) -> Vec<Message> {
        let mut all = Vec::new();
        self.each(|m| all.push(m)).await.unwrap();
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_arrives_whole_and_in_order_while_it_is_made() {
    const COUNT: u32 = 20_000;
    let job = ended(vec![
        said(0, "object {n} of 20000", COUNT),
        said(40, "the end", 1),
    ])
    .await;
    let (mut next, mut last) = (1, String::new());
    job.each(|m| {
        if m.text == format!("object {next} of 20000") {
            next += 1;
        }
        last = m.text;
    })
    .await
    .unwrap();
    assert_eq!(next, COUNT + 1);
    assert!(last.contains("RUN0042 ended"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_level_text_is_asked_for_from_severity_30_on() {
    // It waits for a reply, so that its log is a live one.
    let messages = vec![said(20, "a warning", 1), said(30, "an error", 1)];
    let job = after(ProgramResult::Msgw, messages).await;
    let all = job.all().await.into_iter();
    let seen: Vec<_> = all.map(|m| (m.text, !m.second_level.is_empty())).collect();
    assert!(seen.contains(&("a warning".to_owned(), false)), "{seen:?}");
    assert!(seen.contains(&("an error".to_owned(), true)), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_ten_megabytes_is_left_out_and_said_and_the_others_come() {
    let long = "x".repeat(10 << 20);
    let job = ended(vec![
        said(0, "before", 1),
        said(40, &long, 1),
        said(0, "behind", 1),
    ])
    .await;
    let texts: Vec<String> = job.all().await.into_iter().map(|m| m.text).collect();
    assert!(texts.iter().all(|t| t.len() < 1000));
    let place = |wanted: &str| texts.iter().position(|t| t.contains(wanted));
    let (before, behind) = (place("before"), place("behind"));
    let out = place("is left out here");
    assert!(
        before < out && out < behind && before.is_some(),
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_utf_8_are_replaced_and_the_log_is_read_on() {
    let job = ended(vec![said(0, "Größe £", 3)]).await;
    job.bench
        .fault("SQL", FaultKind::Special("non-utf8".to_owned()));
    let texts: Vec<String> = job.all().await.into_iter().map(|m| m.text).collect();
    assert_eq!(
        texts.iter().filter(|t| *t == "Größe £").count(),
        3,
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cut_on_its_way_is_no_log() {
    let job = ended(vec![said(0, "object {n}", 10_000)]).await;
    // The first statement asks the live log and is refused: the second one is cut.
    let mut count = 0_usize;
    let servers = job.bench.shared.clone();
    let answer = job
        .each(|_| {
            count += 1;
            if count == 5_000 {
                power_lost(&mut servers.now(), "PROD");
            }
        })
        .await;
    assert!(
        matches!(answer, Err(DeviceError::Indeterminate { .. })),
        "{answer:?} after {count}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_log_that_is_gone_is_a_refusal_that_hands_over_nothing() {
    let job = ended(Vec::new()).await;
    let gone = LogSource::JobLog(JobName::new("000001/NOBODY/NEVER"));
    let mut each = |m: Message| panic!("{m:?}");
    let answer = job.system.messages(&job.session, &gone, &mut each).await;
    assert!(
        matches!(answer, Err(DeviceError::Refused { .. })),
        "{answer:?}"
    );
}

//! What a job of this run does as long as its end is not known, and the message it may wait to be answered. One way for all
//! of them: programs, hooks, control groups, the errands of BRMS.

use super::gate::{self, Stop};
use super::seen::cut;
use crate::engine::journal::Question;
use crate::engine::ports::Met;
use crate::engine::step::{Observation, StepContext};
use crate::recipe::plan::Plan;
use crate::recipe::queries::local_time;
use crate::site::{Inquiry, InquiryPlace, JobState, JobStatus};
use std::time::Duration;

/// Longest text of a message that is kept as a question; a first-level text has 512 at most.
const TEXT_CHARACTERS: usize = 300;

/// What a job does whose end is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::recipe) struct Doing {
    /// In words.
    pub(in crate::recipe) what: String,
    /// The message that it waits to be answered, if a reply can be sent to it.
    pub(in crate::recipe) question: Option<Box<Question>>,
}

impl From<String> for Doing {
    fn from(what: String) -> Self {
        let question = None;
        Self { what, question }
    }
}

impl Doing {
    /// A job of the tables. `system` = [`Plan::clone_system`] or [`Plan::source_system`]; `what` = what it is for, where its
    /// name does not tell.
    pub(in crate::recipe) fn of(
        job: &JobStatus,
        what: Option<&str>,
        queue: &str,
        system: &str,
    ) -> Self {
        let name = match what {
            Some(what) => format!("{} ({what})", job.name),
            None => job.name.to_string(),
        };
        match &job.state {
            JobState::Queued => format!(
                "job {name} waits on its job queue {queue}: if it stays there, look whether the queue is held or its subsystem is not started"
            )
            .into(),
            JobState::Active => format!("job {name} runs").into(),
            JobState::Vanished => format!(
                "job {name} is in no job table any more; its end is looked for in the history log"
            )
            .into(),
            JobState::Ended { .. } => format!("job {name} has ended").into(),
            JobState::MessageWait(inquiry) => asks(job, &name, system, inquiry),
        }
    }

    /// The same in other words, which must hold the old ones: they name the message.
    pub(in crate::recipe) fn told(self, words: impl FnOnce(&str) -> String) -> Self {
        Self {
            what: words(&self.what),
            question: self.question,
        }
    }

    /// As a look.
    pub(in crate::recipe) fn observed(self, again: Duration) -> Observation {
        match self.question {
            None => Observation::underway(again, self.what),
            Some(question) => Observation::Asking {
                again,
                message: self.what,
                question,
            },
        }
    }

    /// As a try to meet an obligation.
    pub(in crate::recipe) fn owed(self) -> Met {
        match self.question {
            None => Met::NotYet(self.what),
            Some(question) => Met::Asking(self.what, question),
        }
    }
}

fn asks(job: &JobStatus, name: &str, system: &str, inquiry: &Inquiry) -> Doing {
    let asked = format!(
        "NeedsReply: job {name} waits for an answer to: {}",
        cut(&inquiry.text)
    );
    let Some(place) = &inquiry.place else {
        return format!("{asked}; answer it on the {system} (WRKJOB, or DSPMSG QSYSOPR)").into();
    };
    let key = question_key(job.name.as_str(), place);
    Doing {
        what: format!(
            "{asked}; answer it with `ibmi-clone reply` (key {key}), or on the {system} (WRKJOB, or DSPMSG {})",
            place.queue
        ),
        question: Some(Box::new(Question {
            key,
            system: system.to_owned(),
            job: job.name.to_string(),
            message: inquiry.text.chars().take(TEXT_CHARACTERS).collect(),
            queue: place.queue.clone(),
            message_key: place.key.clone(),
            sent_at: place.timestamp.clone(),
        })),
    }
}

/// A message reference key is only used once at a time; with the time of day it names one message of the job.
fn question_key(job: &str, place: &InquiryPlace) -> String {
    let name = job.rsplit('/').next().unwrap_or(job);
    let time = local_time(&place.timestamp).map(|t| t.format("%H%M%S").to_string());
    format!("{name}-{}-{}", place.key, time.unwrap_or_default())
}

/// Sends a person's answer to the system that asks, proved anew as before every effect. The clone's queue holds copies of
/// production's messages: what is not known to be the clone's question is not sent there.
pub(in crate::recipe) async fn answer(
    plan: &Plan,
    context: &StepContext<'_>,
    question: &Question,
    text: &str,
) -> Result<(), Stop> {
    let place = InquiryPlace {
        queue: question.queue.clone(),
        key: question.message_key.clone(),
        timestamp: question.sent_at.clone(),
    };
    let site = context.site;
    if question.system == plan.source_system() {
        let proof = gate::prove_source(site, plan).await?;
        return Ok(site.source.0.reply(proof.session(), &place, text).await?);
    }
    if question.system == plan.clone_system() {
        let status = site.clone_partition.status().await?;
        let proof = gate::prove_clone(site, plan, &status.identity).await?;
        return Ok(site.clone.0.reply(proof.session(), &place, text).await?);
    }
    let why = format!("{} is no system of this run", question.system);
    Err(Stop::Failure(crate::engine::step::Failure::new(
        "RecipeUnknown",
        why,
    )))
}

//! A job of the run that has to end well once: looked for by its name before it is submitted, submitted again only when
//! the one before it ended badly.

use super::plan::{BrmsJob, settings};
use crate::recipe::plan::Plan;
use crate::recipe::steps::doing::Doing;
use crate::recipe::steps::gate::Stop;
use crate::site::{
    ClCommand, CommandOutput, DeviceError, IbmI, JobName, JobStatus, LogSource, Message, Session,
    Submission,
};

/// Messages of a job log from this severity on are told of a job that failed.
const TOLD_FROM: u8 = 30;

/// A proved system.
#[derive(Clone, Copy)]
pub(in crate::recipe) struct There<'s> {
    pub(in crate::recipe) system: &'s dyn IbmI,
    pub(in crate::recipe) session: &'s Session,
}

impl There<'_> {
    /// Runs a short command that may be repeated; a refusal is the error.
    pub(in crate::recipe) async fn must(&self, command: &str) -> Result<(), DeviceError> {
        match self.may(command).await? {
            Ok(()) => Ok(()),
            Err((code, text)) => Err(DeviceError::refused(
                format!("IBM i {}", self.system.address()),
                code,
                format!("{command}: {text}"),
            )),
        }
    }

    /// Runs a short command; the inner error is the system's refusal.
    pub(in crate::recipe) async fn may(
        &self,
        command: &str,
    ) -> Result<Result<(), (String, String)>, DeviceError> {
        let done = self
            .system
            .run(self.session, &ClCommand::new(command))
            .await?;
        if done.succeeded {
            return Ok(Ok(()));
        }
        Ok(Err(refusal(&done)))
    }
}

impl There<'_> {
    /// Runs a command that submits a job and says its name (CPC1221, `ibmi.md` § 6). The inner error is the refusal.
    pub(in crate::recipe) async fn submitted(
        &self,
        command: &str,
    ) -> Result<Result<String, (String, String)>, DeviceError> {
        let command = ClCommand::new(command);
        let done = self.system.run(self.session, &command).await?;
        let words = done
            .messages
            .iter()
            .flat_map(|m| m.text.split([' ', ',', ';']));
        if done.succeeded {
            let mut named = words.map(|w| w.trim_end_matches('.')).filter(|w| is_job(w));
            return match named.next() {
                Some(job) => Ok(Ok(job.to_owned())),
                None => Err(DeviceError::indeterminate(
                    format!("IBM i {}", self.system.address()),
                    format!(
                        "{} ended well, but its messages name no job",
                        command.as_str()
                    ),
                )),
            };
        }
        Ok(Err(refusal(&done)))
    }
}

/// `nnnnnn/USER/NAME`, wherever a text of whatever language has it.
fn is_job(word: &str) -> bool {
    let parts: Vec<&str> = word.split('/').collect();
    matches!(parts.as_slice(), [number, user, name]
        if number.len() == 6
            && number.bytes().all(|b| b.is_ascii_digit())
            && [user, name].iter().all(|p| (1..=10).contains(&p.chars().count())))
}

/// Id of the last message, and all of them.
fn refusal(done: &CommandOutput) -> (String, String) {
    let code = done.messages.last().map(|m| m.id.clone());
    let texts: Vec<String> = done
        .messages
        .iter()
        .map(|m| format!("{} {}", m.id, m.text))
        .collect();
    (
        code.unwrap_or_else(|| "CommandFailed".to_owned()),
        texts.join("; "),
    )
}

/// Where an errand stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::recipe) enum Stands {
    /// No trace of a job of this name.
    NotSeen,
    /// It has not ended.
    There(Doing),
    /// It ended normally.
    Well,
    /// It ended abnormally; why, as its log tells.
    Badly(String),
}

/// A job, and what it is for.
pub(in crate::recipe) struct Errand {
    pub(in crate::recipe) name: String,
    what: String,
    command: String,
    queue: String,
    /// [`Plan::clone_system`] or [`Plan::source_system`].
    system: String,
}

impl Errand {
    /// One of BRMS's jobs. Jobs of production use the same job queue as those of the clone.
    ///
    /// # Errors
    /// As [`settings`].
    pub(in crate::recipe) fn of(plan: &Plan, job: BrmsJob) -> Result<Self, Stop> {
        Ok(Self {
            name: plan.brms_job(job),
            what: job.words().to_owned(),
            command: plan.brms_command(job),
            queue: settings(plan)?.job_queue.clone(),
            system: if job.on_source() {
                plan.source_system()
            } else {
                plan.clone_system()
            },
        })
    }

    /// The save of a control group in a job of its own.
    ///
    /// # Errors
    /// As [`settings`].
    pub(in crate::recipe) fn of_group(
        plan: &Plan,
        place: usize,
        group: &str,
    ) -> Result<Self, Stop> {
        Ok(Self {
            name: plan.program_job(place),
            what: format!("control group {group}"),
            command: super::commands::group(group),
            queue: settings(plan)?.job_queue.clone(),
            system: plan.clone_system(),
        })
    }

    /// What the job does, as long as its end is not known.
    pub(in crate::recipe) fn doing(&self, job: &JobStatus) -> Doing {
        Doing::of(job, Some(&self.what), &self.queue, &self.system)
    }

    /// Looks; changes nothing.
    pub(in crate::recipe) async fn look(&self, there: There<'_>) -> Result<Stands, DeviceError> {
        let Some(job) = there.system.job(there.session, &self.name).await? else {
            return Ok(Stands::NotSeen);
        };
        Ok(match job.state.ended() {
            None => Stands::There(self.doing(&job)),
            Some((true, _)) => Stands::Well,
            Some((false, severity)) => {
                let last = last_error(there, &job.name).await;
                Stands::Badly(format!(
                    "job {} ({}) ended abnormally with severity {severity}: {last}",
                    job.name, self.what
                ))
            }
        })
    }

    /// Submits it. SBMJOB is not idempotent: it is looked for once more on this very connection, and only one that ended
    /// badly is followed by another.
    pub(in crate::recipe) async fn send(&self, there: There<'_>) -> Result<JobName, DeviceError> {
        if let Some(job) = there.system.job(there.session, &self.name).await?
            && !matches!(job.state.ended(), Some((false, _)))
        {
            return Ok(job.name);
        }
        let job = Submission {
            name: self.name.clone(),
            command: ClCommand::new(self.command.clone()),
            job_queue: self.queue.clone(),
            user: None,
        };
        there.system.submit(there.session, &job).await
    }
}

/// Last message of the job's log that tells what went wrong; the log itself stays on the system.
async fn last_error(there: There<'_>, job: &JobName) -> String {
    let log = LogSource::JobLog(job.clone());
    let mut last = None;
    let mut each = |m: Message| {
        if m.severity >= TOLD_FROM {
            last = Some(format!("{} {}", m.id, m.text));
        }
    };
    // What cannot be read tells nothing, and the job has failed anyway.
    let read = there.system.messages(there.session, &log, &mut each).await;
    last.filter(|_| read.is_ok())
        .unwrap_or_else(|| "its job log shows no error".to_owned())
}

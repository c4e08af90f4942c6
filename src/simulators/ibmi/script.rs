//! Jobs that run a list of CL commands: a submitted command is a list of one; a save in restricted state, and what the
//! guest kit's programs do in a batch job, are longer ones. Every command takes its device time, may be refused, may ask,
//! and its messages go into the log of the job.
//!
//! Faults of `ibm-i` under a command's text: `Refuse` (the command ends so), `Delay`, `NoAnswer` or `tape-not-ready` (the
//! job waits for an answer that nobody gives), `job-ends` (somebody or something ends the job there).

use super::commands::{self, Caller, ClAnswer};
use super::disk::LogMessage;
use super::jobs::{self, Job, JobPhase};
use super::restricted;
use super::system::{Phase, own_clock, running, view};
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::world::World;
use chrono::{DateTime, Duration, Utc};
use std::collections::VecDeque;

/// What an outcome calls the wait for the restricted state.
pub const AWAIT: &str = "await-restricted";

/// What a step is told when it is its turn: the world, the partition, its job, what came before.
pub type Act = fn(&mut World, &str, &str, &[Outcome]);

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// A CL command.
    Command(String),
    /// Waits until the system is in restricted state, at most so long.
    AwaitRestricted {
        /// World milliseconds.
        milliseconds: u64,
    },
    /// What a program does beside commands: writes a record.
    Act(Act),
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The command, or [`AWAIT`].
    pub command: String,
    /// No escape message.
    pub ok: bool,
    /// Ids of its messages.
    pub ids: Vec<String>,
    /// Began, the system's own clock.
    pub began: DateTime<Utc>,
    /// Ended, the system's own clock.
    pub ended: DateTime<Utc>,
}

/// What a failed step means for the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The job ends abnormally.
    Stop,
    /// The next step; the job ends as its last step ends.
    GoOn,
}

/// A list of steps under way.
#[derive(Debug, Clone)]
pub struct Script {
    steps: VecDeque<Step>,
    on_failure: OnFailure,
    now: Option<Current>,
    outcomes: Vec<Outcome>,
    cursor: Option<DateTime<Utc>>,
    reply: Option<String>,
}

#[derive(Debug, Clone)]
struct Current {
    step: Step,
    began: DateTime<Utc>,
    until: DateTime<Utc>,
    refusal: Option<(String, String)>,
}

impl Script {
    /// Steps of which the first that fails ends the job abnormally.
    pub fn new(steps: Vec<Step>) -> Self {
        Self {
            steps: steps.into(),
            on_failure: OnFailure::Stop,
            now: None,
            outcomes: Vec::new(),
            cursor: None,
            reply: None,
        }
    }
    /// The same, where a failed step does not end the job.
    #[must_use]
    pub fn going_on(mut self) -> Self {
        self.on_failure = OnFailure::GoOn;
        self
    }
    /// What the steps that are over left.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }
}

/// Puts a job with these steps on a queue `LIB/QUEUE` and gives its qualified name. The caller has checked queue and user.
pub fn submit(
    world: &mut World,
    partition: &str,
    (user, name, queue): (&str, &str, &str),
    script: Script,
) -> String {
    let qualified = jobs::new_name(world, partition, user, name);
    let at = own_clock(world, partition);
    let first = script.steps.iter().find_map(|s| match s {
        Step::Command(text) => Some(text.clone()),
        Step::AwaitRestricted { .. } | Step::Act(_) => None,
    });
    if let Some(r) = running(world, partition) {
        r.system.scripts.insert(qualified.clone(), script);
    }
    let job = Job {
        name: qualified.clone(),
        queue: queue.to_owned(),
        phase: JobPhase::Queued { held: false },
        entered: at,
        active: None,
        command: first.unwrap_or_default(),
        log: Vec::new(),
        result: super::file::ProgramResult::Normal,
        messages: VecDeque::new(),
        default_reply: false,
        system_replies: false,
    };
    jobs::submit(world, partition, job)
}

/// The steps of a job.
fn of<'w>(world: &'w mut World, partition: &str, job: &str) -> Option<&'w mut Script> {
    running(world, partition)?.system.scripts.get_mut(job)
}

/// The answer a job has for an inquiry, when somebody has given one.
pub(super) fn reply_of(world: &World, partition: &str, job: &str) -> Option<String> {
    view(world, partition)?.0.scripts.get(job)?.reply.clone()
}

/// Whether the step before waited for the restricted state in vain.
pub(super) fn restricted_state_missed(world: &World, partition: &str, job: &str) -> bool {
    let script = view(world, partition).and_then(|(s, _)| s.scripts.get(job));
    let before = script.and_then(|s| s.outcomes.last());
    before.is_some_and(|o| o.command == AWAIT && !o.ok)
}

/// Somebody has answered the inquiry for which the job waits.
pub fn answered(world: &mut World, partition: &str, job: &str, reply: &str) {
    if let Some(script) = of(world, partition, job) {
        script.reply = Some(reply.to_owned());
    }
    if let Some(job) = running(world, partition).and_then(|r| r.system.jobs.get_mut(job)) {
        job.phase = JobPhase::Active { until: None };
    }
    advance(world, partition, job);
}

/// Leaves out all further steps of a job but its last one.
pub(super) fn leave_last(world: &mut World, partition: &str, job: &str) {
    if let Some(script) = of(world, partition, job) {
        let last = script.steps.pop_back();
        script.steps = last.into_iter().collect();
    }
}

/// Whether the job waits for an answer.
fn waits(world: &World, partition: &str, job: &str) -> bool {
    view(world, partition)
        .and_then(|(s, _)| s.jobs.get(job))
        .is_none_or(|j| j.phase == JobPhase::MessageWait)
}

/// Moves a job's steps to now: as many as fit.
pub(super) fn advance(world: &mut World, partition: &str, job: &str) {
    loop {
        restricted::advance(world, partition);
        if waits(world, partition, job) {
            return;
        }
        let at = own_clock(world, partition);
        let Some(script) = of(world, partition, job) else {
            return;
        };
        let Some(current) = script.now.clone() else {
            if !begin_next(world, partition, job) {
                return;
            }
            continue;
        };
        let over = match &current.step {
            Step::AwaitRestricted { .. } => {
                let there = world.systems.get(partition).map(|s| s.phase());
                there == Some(Phase::Restricted) || at >= current.until
            }
            Step::Command(_) | Step::Act(_) => at >= current.until,
        };
        if !over || !end_step(world, partition, job, current) {
            return;
        }
    }
}

/// Begins the next step; `false` = there is none, or the job has ended, or waits.
fn begin_next(world: &mut World, partition: &str, job: &str) -> bool {
    let at = own_clock(world, partition);
    let Some(script) = of(world, partition, job) else {
        return false;
    };
    let began = script.cursor.unwrap_or(at);
    let Some(step) = script.steps.pop_front() else {
        let failed = script.outcomes.last().is_some_and(|o| !o.ok);
        over(world, partition, job, if failed { 30 } else { 0 });
        return false;
    };
    let mut refusal = None;
    let milliseconds = match &step {
        Step::AwaitRestricted { milliseconds } => *milliseconds,
        Step::Act(_) => 0,
        Step::Command(text) => {
            let operation = commands::operation(text);
            let fault = world.faults.take(Device::IbmI, partition, &operation);
            let mut more = 0;
            match fault {
                Some(FaultKind::Special(word)) if word == "job-ends" => {
                    over(world, partition, job, 50);
                    return false;
                }
                Some(FaultKind::NoAnswer) => return wait_for_ever(world, partition, job, step),
                Some(FaultKind::Special(word)) if word == "tape-not-ready" => {
                    return wait_for_ever(world, partition, job, step);
                }
                Some(FaultKind::Refuse { code, text }) => refusal = Some((code, text)),
                Some(FaultKind::Busy | FaultKind::Refused) => {
                    refusal = Some(("CPF1002".to_owned(), "Cannot allocate object.".to_owned()));
                }
                Some(FaultKind::Delay { milliseconds }) => more = milliseconds,
                Some(FaultKind::AnswerLost | FaultKind::Special(_)) | None => {}
            }
            if refusal.is_some() {
                more
            } else {
                let takes = commands::duration(world, partition, text);
                commands::begin(world, partition, job, text);
                takes.saturating_add(more)
            }
        }
    };
    let wait = Duration::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX / 2));
    if let Some(script) = of(world, partition, job) {
        script.now = Some(Current {
            step,
            began,
            until: began + wait,
            refusal,
        });
    }
    true
}

/// Ends a step; `false` = the job has ended, or waits.
fn end_step(world: &mut World, partition: &str, job: &str, current: Current) -> bool {
    let at = own_clock(world, partition);
    let (command, answer) = match &current.step {
        Step::Act(act) => {
            let act = *act;
            let outcomes = of(world, partition, job).map(|s| s.outcomes.clone());
            act(world, partition, job, &outcomes.unwrap_or_default());
            if let Some(script) = of(world, partition, job) {
                script.now = None;
            }
            return true;
        }
        Step::AwaitRestricted { .. } => {
            let since = view(world, partition).and_then(|(s, _)| s.restricted_since);
            let answer = ClAnswer {
                ok: since.is_some_and(|s| s <= current.until),
                ..ClAnswer::default()
            };
            (AWAIT.to_owned(), answer)
        }
        Step::Command(text) => {
            let user = job.split('/').nth(1).unwrap_or_default().to_owned();
            let caller = Caller { user: &user, job };
            let answer = match &current.refusal {
                Some((id, text)) => ClAnswer::escape(id, text.clone()),
                None => commands::run_as(world, partition, &caller, text),
            };
            (text.clone(), answer)
        }
    };
    if let Some((id, text)) = &answer.inquiry {
        ask(world, partition, job, id, text);
        return false;
    }
    let until = current.until.min(at);
    tell(world, partition, job, &answer);
    // The command may have ended the job: PWRDWNSYS, ENDJOB, STRSBS.
    let Some(script) = of(world, partition, job) else {
        return false;
    };
    script.outcomes.push(Outcome {
        command,
        ok: answer.ok,
        ids: answer.messages.iter().map(|m| m.id.clone()).collect(),
        began: current.began,
        ended: until,
    });
    (script.now, script.reply) = (None, None);
    script.cursor = Some(until);
    if !answer.ok && script.on_failure == OnFailure::Stop {
        over(world, partition, job, 30);
        return false;
    }
    true
}

fn tell(world: &mut World, partition: &str, job: &str, answer: &ClAnswer) {
    let at = own_clock(world, partition);
    let Some(job) = running(world, partition).and_then(|r| r.system.jobs.get_mut(job)) else {
        return;
    };
    for m in &answer.messages {
        jobs::push_log(job, at, &m.id, m.severity, m.kind, &m.text);
    }
}

fn wait_for_ever(world: &mut World, partition: &str, job: &str, step: Step) -> bool {
    let at = own_clock(world, partition);
    if let Some(script) = of(world, partition, job) {
        script.now = Some(Current {
            step,
            began: at,
            until: at,
            refusal: None,
        });
    }
    ask(
        world,
        partition,
        job,
        "CPA4278",
        "Tape device is not ready. (C G)",
    );
    false
}

/// The job waits for an answer; in restricted state nobody can give one (`ibmi.md` § 4.4).
fn ask(world: &mut World, partition: &str, job: &str, id: &str, text: &str) {
    let at = own_clock(world, partition);
    let mut inquiry: LogMessage = super::system::message(id, 99, at, text);
    inquiry.kind = "INQUIRY".to_owned();
    inquiry.job = job.to_owned();
    let Some(r) = running(world, partition) else {
        return;
    };
    if let Some(job) = r.system.jobs.get_mut(job) {
        job.phase = JobPhase::MessageWait;
        jobs::push_log(job, at, id, 99, "INQUIRY", text);
    }
    r.disk.to_operator(inquiry);
}

/// The job ends; with it a batch restricted state that it has made (`ibmi.md` § 5.2).
fn over(world: &mut World, partition: &str, job: &str, code: u32) {
    jobs::end(world, partition, job, code);
}

//! Jobs: submitted, active, waiting for a reply, ended; job queues and subsystems decide when one starts.

use super::disk::{EndedJob, LogMessage};
use super::file::{ProgramMessage, ProgramResult};
use super::restricted;
use super::script::{self, Script, Step};
use super::system::{history, own_clock, running, view};
use crate::simulators::world::World;
use chrono::{DateTime, Duration, Utc};
use std::collections::VecDeque;

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobPhase {
    /// On its queue.
    Queued {
        /// HOLD(*YES).
        held: bool,
    },
    /// Running until then; `None` = until somebody ends it.
    Active {
        /// When its program ends.
        until: Option<DateTime<Utc>>,
    },
    /// Waits for a reply.
    MessageWait,
}

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// `nnnnnn/USER/NAME`.
    pub name: String,
    /// `LIB/QUEUE`, empty for a job that was not submitted.
    pub queue: String,
    /// Where it is.
    pub phase: JobPhase,
    /// Entered the system.
    pub entered: DateTime<Utc>,
    /// Became active.
    pub active: Option<DateTime<Utc>>,
    /// Command it runs.
    pub command: String,
    /// Its log so far.
    pub log: Vec<LogMessage>,
    /// How it ends.
    pub result: ProgramResult,
    /// Messages its program has yet to leave, each with its time.
    pub messages: VecDeque<(DateTime<Utc>, ProgramMessage)>,
    /// INQMSGRPY(*DFT).
    pub default_reply: bool,
    /// INQMSGRPY(*SYSRPYL).
    pub system_replies: bool,
}

impl Job {
    /// The last part of the name.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

/// A new job's qualified name.
pub(super) fn new_name(world: &mut World, partition: &str, user: &str, name: &str) -> String {
    let Some(r) = running(world, partition) else {
        return String::new();
    };
    r.disk.last_job += 1;
    format!("{:06}/{user}/{name}", r.disk.last_job)
}

/// A job that lives beside the queues: helper, canary, watchdog.
pub(super) fn start_service(
    world: &mut World,
    partition: &str,
    user: &str,
    name: &str,
    command: &str,
) -> String {
    let qualified = new_name(world, partition, user, name);
    let at = own_clock(world, partition);
    if let Some(r) = running(world, partition) {
        r.system.jobs.insert(
            qualified.clone(),
            Job {
                name: qualified.clone(),
                queue: String::new(),
                phase: JobPhase::Active { until: None },
                entered: at,
                active: Some(at),
                command: command.to_owned(),
                log: Vec::new(),
                result: ProgramResult::Normal,
                messages: VecDeque::new(),
                default_reply: false,
                system_replies: false,
            },
        );
    }
    qualified
}

/// Puts a job on its queue; the caller has checked queue and user.
pub(super) fn submit(world: &mut World, partition: &str, mut job: Job) -> String {
    let at = own_clock(world, partition);
    job.entered = at;
    let name = job.name.clone();
    if let Some(r) = running(world, partition) {
        r.system.jobs.insert(name.clone(), job);
    }
    let short = name.rsplit('/').next().unwrap_or_default();
    world.ledger.effect(format!("ibmi.{partition}.job.{short}"));
    advance(world, partition);
    name
}

/// Starts what may start, ends what is over.
pub(super) fn advance(world: &mut World, partition: &str) {
    let Some((system, disk)) = view(world, partition) else {
        return;
    };
    if system.jobs.is_empty() {
        return;
    }
    let at = own_clock(world, partition);
    let mut starting = Vec::new();
    let mut speaking = Vec::new();
    let mut due = Vec::new();
    let mut listed = Vec::new();
    for job in system.jobs.values() {
        match &job.phase {
            JobPhase::Queued { held } => {
                let ready = !held
                    && disk
                        .job_queues
                        .get(&job.queue)
                        .is_some_and(|q| !q.held && system.subsystems.contains(&q.subsystem));
                if ready {
                    starting.push(job.name.clone());
                }
            }
            JobPhase::Active { .. } if system.scripts.contains_key(&job.name) => {
                listed.push(job.name.clone());
            }
            JobPhase::Active { until: Some(until) } if at >= *until => due.push(job.name.clone()),
            JobPhase::Active { .. }
                if job.messages.front().is_some_and(|(when, _)| at >= *when) =>
            {
                speaking.push(job.name.clone());
            }
            JobPhase::Active { .. } | JobPhase::MessageWait => {}
        }
    }
    for name in starting {
        start(world, partition, &name);
    }
    for name in speaking {
        let speaking = running(world, partition).and_then(|r| r.system.jobs.get_mut(&name));
        if let Some(job) = speaking {
            leave_messages(job, at);
        }
    }
    for name in due {
        program_ended(world, partition, &name);
    }
    for name in listed {
        script::advance(world, partition, &name);
    }
}

fn start(world: &mut World, partition: &str, name: &str) {
    let at = own_clock(world, partition);
    let default = world.knobs.program_milliseconds;
    let Some(r) = running(world, partition) else {
        return;
    };
    let Some(job) = r.system.jobs.get_mut(name) else {
        return;
    };
    let program = called_program(&job.command);
    if program.is_none() && !r.system.scripts.contains_key(name) {
        // A command instead of a program: a list of one.
        let script = Script::new(vec![Step::Command(job.command.clone())]);
        r.system.scripts.insert(name.to_owned(), script);
    }
    let steps = r.system.scripts.contains_key(name);
    let known = program.as_ref().and_then(|p| r.disk.programs.get(p));
    let exists = match &program {
        None => true,
        Some(p) => r.disk.objects.contains(&format!("{p} *PGM")),
    };
    let milliseconds = match known {
        Some(p) => p.seconds.map_or(default, |s| s * 1000),
        None if program.is_none() => 0,
        None if exists => default,
        None => 0,
    };
    let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
    if let Some(p) = known {
        job.result = p.result;
        job.messages = spread(&p.messages, at, milliseconds);
    } else if !exists && !steps {
        job.result = ProgramResult::Abnormal;
        let message = ProgramMessage {
            id: "CPD0170".to_owned(),
            severity: 30,
            kind: "DIAGNOSTIC".to_owned(),
            text: format!("Program {} not found.", program.unwrap_or_default()),
            repeat: 1,
        };
        job.messages = spread(&[message], at, milliseconds);
    }
    job.phase = JobPhase::Active {
        until: (!steps).then(|| at + Duration::milliseconds(milliseconds)),
    };
    job.active = Some(at);
    let text = format!("Job {name} started.");
    push_log(job, at, "CPF1124", 0, "INFORMATIONAL", &text);
    history_of(world, partition, name, "CPF1124", &text);
    if steps {
        script::advance(world, partition, name);
    }
}

/// Messages come one after another, evenly over the time of the program.
fn spread(
    messages: &[ProgramMessage],
    from: DateTime<Utc>,
    milliseconds: i64,
) -> VecDeque<(DateTime<Utc>, ProgramMessage)> {
    let parts = i64::try_from(messages.len() + 1).unwrap_or(i64::MAX);
    let due = (1..).map(|place| from + Duration::milliseconds(milliseconds / parts * place));
    due.zip(messages.iter().cloned()).collect()
}

/// Writes the messages whose time has come into the log of the job.
fn leave_messages(job: &mut Job, at: DateTime<Utc>) {
    while job.messages.front().is_some_and(|(when, _)| at >= *when)
        && let Some((when, m)) = job.messages.pop_front()
    {
        push_log(job, when, &m.id, m.severity, &m.kind, &m.text);
        if let Some(last) = job.log.last_mut() {
            last.times = m.repeat;
        }
    }
}

fn program_ended(world: &mut World, partition: &str, name: &str) {
    let at = own_clock(world, partition);
    let Some(job) = running(world, partition).and_then(|r| r.system.jobs.get_mut(name)) else {
        return;
    };
    leave_messages(job, at);
    match job.result {
        ProgramResult::Msgw | ProgramResult::MsgwTwice if !job.default_reply => {
            ask(world, partition, name);
        }
        ProgramResult::Msgw
        | ProgramResult::MsgwTwice
        | ProgramResult::Abnormal
        | ProgramResult::VanishAbnormal => {
            fail(world, partition, name);
        }
        ProgramResult::Normal | ProgramResult::PendingLog | ProgramResult::Vanish => {
            end(world, partition, name, 0);
        }
        ProgramResult::Lost => {
            let Some(r) = running(world, partition) else {
                return;
            };
            r.system.jobs.remove(name);
        }
    }
}

fn fail(world: &mut World, partition: &str, name: &str) {
    let at = own_clock(world, partition);
    if let Some(job) = running(world, partition).and_then(|r| r.system.jobs.get_mut(name)) {
        let text = "Application error. The program ended by an escape message.";
        push_log(job, at, "CEE9901", 40, "ESCAPE", text);
    }
    end(world, partition, name, 30);
}

/// The job waits for an answer to a message in QSYSOPR: an inquiry of its program's messages, else one of its own.
fn ask(world: &mut World, partition: &str, name: &str) {
    let at = own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return;
    };
    let Some(job) = r.system.jobs.get_mut(name) else {
        return;
    };
    job.phase = JobPhase::MessageWait;
    let inquiry = |m: &&LogMessage| m.kind == "INQUIRY";
    if !job.log.iter().any(|m| inquiry(&m)) {
        let text = "Load next tape on TAP01. (C G)";
        push_log(job, at, "CPA4278", 99, "INQUIRY", text);
    }
    let Some(mut asked) = job.log.iter().rfind(inquiry).cloned() else {
        return;
    };
    asked.at = at;
    r.disk.to_operator(asked);
}

/// A job got the answer it waited for: C and D end its program by an escape message, any other lets it go on.
pub(super) fn answered(world: &mut World, partition: &str, name: &str, reply: &str) {
    let Some(job) = running(world, partition).and_then(|r| r.system.jobs.get_mut(name)) else {
        return;
    };
    if job.phase != JobPhase::MessageWait {
        return;
    }
    if view(world, partition).is_some_and(|(s, _)| s.scripts.contains_key(name)) {
        return script::answered(world, partition, name, reply);
    }
    let at = own_clock(world, partition);
    let Some(job) = running(world, partition).and_then(|r| r.system.jobs.get_mut(name)) else {
        return;
    };
    push_log(job, at, "", 0, "REPLY", reply);
    let again = job.result == ProgramResult::MsgwTwice;
    if matches!(reply, "C" | "D") {
        return fail(world, partition, name);
    }
    job.result = if again {
        ProgramResult::Msgw
    } else {
        ProgramResult::Normal
    };
    job.phase = JobPhase::Active { until: Some(at) };
    advance(world, partition);
}

/// The job's end: CPF1164 in the history log, its log on an output queue.
pub(super) fn end(world: &mut World, partition: &str, name: &str, code: u32) {
    let at = own_clock(world, partition);
    let text = format!(
        "Job {name} ended on {} at {}; 1 seconds used; end code {code} .",
        at.format("%m/%d/%y"),
        at.format("%H:%M:%S")
    );
    let Some(r) = running(world, partition) else {
        return;
    };
    let Some(mut job) = r.system.jobs.remove(name) else {
        return;
    };
    push_log(&mut job, at, "CPF1164", 0, "COMPLETION", &text);
    let severity = if code == 0 {
        0
    } else {
        job.log
            .iter()
            .filter(|m| m.severity < 99)
            .map(|m| m.severity)
            .max()
            .unwrap_or(0)
    };
    r.disk.ended.push(EndedJob {
        name: name.to_owned(),
        end_code: code,
        severity,
        entered: job.entered,
        active: job.active,
        ended: at,
        log: job.log,
        vanished: matches!(
            job.result,
            ProgramResult::Vanish | ProgramResult::VanishAbnormal
        ),
        pending: job.result == ProgramResult::PendingLog,
    });
    r.system.scripts.remove(name);
    history_of(world, partition, name, "CPF1164", &text);
    restricted::job_ended(world, partition, name);
}

/// Adds a message to a job's log.
pub(super) fn push_log(
    job: &mut Job,
    at: DateTime<Utc>,
    id: &str,
    severity: u8,
    kind: &str,
    text: &str,
) {
    let escape = kind == "ESCAPE";
    job.log.push(LogMessage {
        id: id.to_owned(),
        severity,
        kind: kind.to_owned(),
        subtype: if escape {
            "EXCEPTION NOT HANDLED".to_owned()
        } else {
            String::new()
        },
        at,
        text: text.to_owned(),
        second_level: if severity > 0 {
            format!("Cause . . . . . :   {text}")
        } else {
            String::new()
        },
        job: job.name.clone(),
        times: 1,
        key: 0,
        answers: 0,
    });
}

fn history_of(world: &mut World, partition: &str, job: &str, id: &str, text: &str) {
    history(world, partition, id, 0, text);
    if let Some(last) = running(world, partition).and_then(|r| r.disk.history.last_mut()) {
        last.job = job.to_owned();
    }
}

/// `LIB/PGM` of `CALL PGM(LIB/PGM)…`.
pub(super) fn called_program(command: &str) -> Option<String> {
    let parsed = super::cl::parse(command).ok()?;
    (parsed.name == "CALL").then(|| {
        let value = parsed.word("PGM").unwrap_or_default();
        if value.contains('/') {
            value
        } else {
            format!("*LIBL/{value}")
        }
    })
}

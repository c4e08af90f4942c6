//! The resident helper, its canary and the watchdog, as `ibmi/CONTRACT.md` §§ 3–5 says.

mod canary;
mod line;
mod obey;
mod watchdog;

pub(super) use canary::asp_changed;
pub(super) use line::cl_action;
pub use line::waiting;
pub(super) use watchdog::watchdog_advance;

use super::jobs;
use super::quiesce::{self, AspAction};
use super::system::{running, tell_operator, view};
use crate::simulators::faults::FaultKind;
use crate::simulators::world::World;
use chrono::{DateTime, Utc};
use obey::obey;

/// Milliseconds of one canary commit on a running system.
const CANARY_MILLISECONDS: i64 = 3;

/// Canary of a helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CanaryState {
    /// None since HELLO.
    #[default]
    Idle,
    /// Began, waits for its ASP.
    Pending {
        /// Began.
        began: DateTime<Utc>,
    },
    /// Went through.
    Done {
        /// Began.
        began: DateTime<Utc>,
        /// Ended.
        ended: DateTime<Utc>,
    },
}

/// One running helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    born: DateTime<Utc>,
    user: String,
    hello: bool,
    spare: bool,
    token: String,
    job_a: String,
    job_b: String,
    /// ASPs touched: name, and whether the suspend ended well.
    touched: Vec<(String, bool)>,
    canary: CanaryState,
}

/// The watchdog and the state it shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchdogJob {
    state: &'static str,
    token: String,
    job: String,
    armed: DateTime<Utc>,
    deadline: DateTime<Utc>,
    asps: Vec<String>,
    /// Its counter stands still (fault `dead-watchdog`).
    dead: bool,
}

impl WatchdogJob {
    /// Word of the contract's § 4.
    pub fn state(&self) -> &'static str {
        self.state
    }
}

/// What becomes of a request: wait this long, then ask [`request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// World milliseconds.
    pub milliseconds: u64,
    /// Fault that was taken for this request.
    pub fault: Option<FaultKind>,
}

/// What the channel sees of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// One line, without its line end.
    Line(String),
    /// No answer, ever; the helper goes on.
    Silence,
    /// The channel ends; touched ASPs were resumed.
    Gone,
}

/// Starts a helper for a user. `None` when the kit is not installed.
pub fn start(world: &mut World, partition: &str, user: &str) -> Option<u64> {
    let installed =
        view(world, partition).is_some_and(|(_, d)| d.objects.contains("IBMICLONE/HELPER *PGM"));
    if !installed {
        return None;
    }
    let job_a = jobs::start_service(
        world,
        partition,
        user,
        "QP0ZSPWP",
        "CALL PGM(IBMICLONE/HELPER)",
    );
    let r = running(world, partition)?;
    r.system.last_helper += 1;
    let id = r.system.last_helper;
    r.system.helpers.insert(
        id,
        Helper {
            born: r.now,
            user: user.to_owned(),
            hello: false,
            spare: false,
            token: String::new(),
            job_a,
            job_b: String::new(),
            touched: Vec::new(),
            canary: CanaryState::Idle,
        },
    );
    world.ledger.effect(format!("ibmi.{partition}.HELPER"));
    Some(id)
}

/// One request, after its time has passed. Special faults: `dies` = the job is cancelled instead (touched ASPs are
/// resumed, the channel ends), `silent` = done, but neither answer nor end of channel arrives, `dead-watchdog`.
pub fn request(world: &mut World, partition: &str, id: u64, line: &str, waited: &Waiting) -> Reply {
    let sequence = line.split(' ').next().unwrap_or("-").to_owned();
    let alive = view(world, partition).is_some_and(|(s, _)| s.helpers.contains_key(&id));
    if !alive {
        return Reply::Gone;
    }
    match &waited.fault {
        Some(FaultKind::NoAnswer) => return Reply::Silence,
        Some(FaultKind::Refused) => {
            end_of_channel(world, partition, id);
            return Reply::Gone;
        }
        Some(FaultKind::Special(name)) if name == "dies" => {
            end_of_channel(world, partition, id);
            return Reply::Gone;
        }
        _ => {}
    }
    let answer = match &waited.fault {
        Some(FaultKind::Refuse { code, text }) => Err((code.clone(), text.clone())),
        Some(FaultKind::Busy) => Err(("CPF1002".to_owned(), "Cannot allocate object.".to_owned())),
        _ => obey(world, partition, id, line, waited),
    };
    let begun = view(world, partition)
        .and_then(|(s, _)| s.helpers.get(&id))
        .map_or(0, |h| (world.now - h.born).num_milliseconds())
        - i64::try_from(waited.milliseconds).unwrap_or(0);
    let text = match answer {
        Ok((status, rest)) => {
            format!(
                "{sequence} {status} at={} ms={}{rest}",
                begun.max(0),
                waited.milliseconds
            )
        }
        Err((code, text)) => format!(
            "{sequence} ERR at={} ms={} id={code} text={}",
            begun.max(0),
            waited.milliseconds,
            text.chars().take(130).collect::<String>()
        ),
    };
    let quit = line.split(' ').nth(1) == Some("QUIT") && text.contains(" OK ");
    match &waited.fault {
        Some(FaultKind::AnswerLost) => {
            end_of_channel(world, partition, id);
            Reply::Gone
        }
        Some(FaultKind::Special(name)) if name == "silent" => Reply::Silence,
        _ => {
            if quit {
                remove(world, partition, id);
            }
            Reply::Line(text)
        }
    }
}

fn helper<'w>(world: &'w mut World, partition: &str, id: u64) -> Option<&'w mut Helper> {
    world.systems.get_mut(partition)?.helpers.get_mut(&id)
}

/// End of file on the channel, a signal, or the job's end: touched ASPs are resumed in reverse order.
pub fn end_of_channel(world: &mut World, partition: &str, id: u64) {
    let Some(me) = view(world, partition)
        .and_then(|(s, _)| s.helpers.get(&id))
        .cloned()
    else {
        return;
    };
    for (asp, _) in me.touched.iter().rev() {
        let _ = quiesce::apply(world, partition, asp, &AspAction::Resume);
        let still = world
            .systems
            .get(partition)
            .is_some_and(|s| s.suspended.contains_key(asp));
        if still {
            tell_operator(
                world,
                partition,
                "CLN0032",
                90,
                "a RESUME failed, type it by hand",
            );
        }
    }
    if !me.touched.is_empty() {
        super::system::history(
            world,
            partition,
            "CLN0031",
            30,
            "channel ended while suspended: resumed",
        );
    }
    remove(world, partition, id);
}

fn remove(world: &mut World, partition: &str, id: u64) {
    let Some(h) = world
        .systems
        .get_mut(partition)
        .and_then(|s| s.helpers.remove(&id))
    else {
        return;
    };
    jobs::end(world, partition, &h.job_a, 0);
    if !h.spare && h.hello {
        jobs::end(world, partition, &h.job_b, 0);
    }
}

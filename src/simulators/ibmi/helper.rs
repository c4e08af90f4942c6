//! The resident helper, its canary and the watchdog, as `ibmi/CONTRACT.md` §§ 3–5 says.

mod canary;

pub(super) use canary::asp_changed;
use canary::{canary_state, start_canary};

mod watchdog;

pub(super) use watchdog::watchdog_advance;
use watchdog::{arm, disarm, utc, watchdog_state};

use super::quiesce::{self, AspAction};
use super::record;
use super::system::{identity, own_clock, running, scpf, tell_operator, view};
use super::{cl, jobs};
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::world::World;
use chrono::{DateTime, Duration, SecondsFormat, Utc};

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

fn verb_of(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    match words.as_slice() {
        ["WATCHDOG", what, ..] => format!("WATCHDOG {what}"),
        ["SUSPEND", asp, ..] => format!("CHGASPACT SUSPEND {asp}"),
        ["RESUME", asp, ..] => format!("CHGASPACT RESUME {asp}"),
        ["FORCEWRITE", asp, ..] => format!("CHGASPACT FRCWRT {asp}"),
        [verb, ..] => (*verb).to_owned(),
        [] => String::new(),
    }
}

fn action_of(words: &[&str]) -> Option<(String, AspAction)> {
    match words {
        ["SUSPEND", asp, seconds, word] => Some((
            (*asp).to_owned(),
            AspAction::Suspend {
                timeout: seconds.parse().ok()?,
                keep: *word == "CONT",
            },
        )),
        ["RESUME", asp] => Some(((*asp).to_owned(), AspAction::Resume)),
        ["FORCEWRITE", asp] => Some(((*asp).to_owned(), AspAction::ForceWrite)),
        _ => None,
    }
}

/// How long a request takes, and the fault that waits for it.
pub fn waiting(world: &mut World, partition: &str, line: &str) -> Waiting {
    let fault = world.faults.take(Device::IbmI, partition, &verb_of(line));
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let mut milliseconds = match action_of(&words) {
        Some((_, action)) if fault_lets_through(fault.as_ref()) => {
            quiesce::duration(world, partition, &action)
        }
        Some(_) | None => 0,
    };
    if let Some(FaultKind::Delay { milliseconds: more }) = fault {
        milliseconds += more;
    }
    Waiting {
        milliseconds,
        fault,
    }
}

fn fault_lets_through(fault: Option<&FaultKind>) -> bool {
    match fault {
        None | Some(FaultKind::AnswerLost | FaultKind::Delay { .. }) => true,
        Some(FaultKind::Special(name)) => name == "silent" || name == "dead-watchdog",
        Some(
            FaultKind::Refused | FaultKind::NoAnswer | FaultKind::Busy | FaultKind::Refuse { .. },
        ) => false,
    }
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

type Answer = Result<(&'static str, String), (String, String)>;

fn err(id: &str, text: impl Into<String>) -> Answer {
    Err((id.to_owned(), text.into()))
}

fn obey(world: &mut World, partition: &str, id: u64, line: &str, waited: &Waiting) -> Answer {
    let printable = line.len() <= 256 && line.bytes().all(|b| (0x20..=0x7e).contains(&b));
    if !printable {
        return err("CLN0004", "line not valid");
    }
    let words: Vec<&str> = line.split(' ').filter(|w| !w.is_empty()).skip(1).collect();
    let Some(me) = view(world, partition)
        .and_then(|(s, _)| s.helpers.get(&id))
        .cloned()
    else {
        return err("CLN0029", "gone");
    };
    let any_suspended = me.touched.iter().any(|(_, done)| *done);
    match words.as_slice() {
        ["HELLO", protocol, token, rest @ ..] if rest.len() < 2 => {
            hello(world, partition, id, &me, (protocol, token, rest))
        }
        _ if !me.hello => err("CLN0002", "HELLO first"),
        ["PING"] => {
            let names: Vec<&str> = me
                .touched
                .iter()
                .filter(|(_, done)| *done)
                .map(|(n, _)| n.as_str())
                .collect();
            Ok(("OK", format!(" suspended={}", or_dash(&names.join(",")))))
        }
        ["SUSPEND", asp, seconds, word] => suspend(world, partition, id, &me, (asp, seconds, word)),
        ["RESUME" | "FORCEWRITE", asp] => {
            if !valid_asp(asp) {
                return err("CLN0005", *asp);
            }
            let Some((asp, action)) = action_of(&words) else {
                return err("CLN0001", words[0]);
            };
            quiesce::apply(world, partition, &asp, &action)?;
            if action == AspAction::Resume
                && let Some(h) = helper(world, partition, id)
            {
                h.touched.retain(|(name, _)| *name != asp);
            }
            Ok(("OK", format!(" asp={asp}")))
        }
        ["CANARY", _] if me.spare => err("CLN0010", "a spare has no canary"),
        ["CANARY", asp] => {
            if *asp != "*SYSBAS" {
                return err("CLN0028", *asp);
            }
            if matches!(me.canary, CanaryState::Pending { .. }) {
                return err("CLN0027", "canary not started");
            }
            start_canary(world, partition, id);
            Ok(("PENDING", " asp=*SYSBAS".to_owned()))
        }
        ["CANARYSTATE"] if me.spare => err("CLN0029", "job B is gone"),
        ["CANARYSTATE"] => Ok(canary_state(world.now, &me)),
        ["WATCHDOG", "ARM", _, _] if me.spare => err("CLN0010", "a spare has no watchdog"),
        ["WATCHDOG", "ARM" | "DISARM", ..] if any_suspended => err("CLN0026", "resume first"),
        ["WATCHDOG", "ARM", seconds, asps] => {
            let dead = waited.fault == Some(FaultKind::Special("dead-watchdog".to_owned()));
            arm(world, partition, &me, (seconds, asps), dead)
        }
        ["WATCHDOG", "STATE"] => Ok(("OK", watchdog_state(world, partition))),
        ["WATCHDOG", "DISARM"] => Ok(("OK", disarm(world, partition))),
        ["QUIT"] if any_suspended => err("CLN0026", "resume first"),
        ["QUIT"] => Ok(("OK", String::new())),
        other => err("CLN0001", other.first().copied().unwrap_or_default()),
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn valid_asp(name: &str) -> bool {
    name == "*SYSBAS"
        || (!name.is_empty()
            && name.len() <= 10
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "$#@_.".contains(c)))
}

fn helper<'w>(world: &'w mut World, partition: &str, id: u64) -> Option<&'w mut Helper> {
    world.systems.get_mut(partition)?.helpers.get_mut(&id)
}

fn hello(
    world: &mut World,
    partition: &str,
    id: u64,
    me: &Helper,
    (protocol, token, rest): (&str, &str, &[&str]),
) -> Answer {
    if me.hello || protocol != "1" {
        return err("CLN0003", "hello was said, or another protocol");
    }
    let valid = (8..=32).contains(&token.len())
        && token
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if !valid {
        return err("CLN0009", "run token not valid");
    }
    let spare = match rest {
        [] => false,
        ["SPARE"] => true,
        _ => return err("CLN0001", "SPARE or nothing"),
    };
    let Some(pair) = identity(world, partition) else {
        return err("CLN0008", "identity");
    };
    let job_b = if spare {
        "-".to_owned()
    } else {
        jobs::start_service(
            world,
            partition,
            &me.user,
            "CLNCANARY",
            "CALL PGM(IBMICLONE/CANARY)",
        )
    };
    let version = view(world, partition)
        .and_then(|(_, d)| d.data_areas.get("IBMICLONE/VERSION").cloned())
        .unwrap_or_default();
    let clock = utc(own_clock(world, partition));
    let canary = if spare {
        "-".to_owned()
    } else {
        CANARY_MILLISECONDS.to_string()
    };
    let answer = format!(
        " kit={} protocol=1 jobA={} jobB={job_b} serial={} partition={} scpf={} clock={clock} canaryMs={canary}",
        or_dash(version.trim()),
        me.job_a,
        pair.serial_number,
        pair.partition_id,
        scpf(world, partition),
    );
    if let Some(h) = helper(world, partition, id) {
        h.hello = true;
        h.spare = spare;
        h.token = token.to_owned();
        h.job_b = job_b;
    }
    Ok(("OK", answer))
}

fn suspend(
    world: &mut World,
    partition: &str,
    id: u64,
    me: &Helper,
    (asp, seconds, word): (&str, &str, &str),
) -> Answer {
    if !valid_asp(asp) {
        return err("CLN0005", asp);
    }
    let Some(timeout) = seconds
        .parse::<u64>()
        .ok()
        .filter(|s| (1..=3600).contains(s))
    else {
        return err("CLN0006", seconds);
    };
    if word != "END" && word != "CONT" {
        return err("CLN0001", "END or CONT");
    }
    if me.spare {
        return err("CLN0010", "a spare does not suspend");
    }
    if me.touched.iter().any(|(n, done)| n == asp && *done) {
        return err("CLN0025", asp);
    }
    // The command took its time already: the helper looked before it began.
    let action = AspAction::Suspend {
        timeout,
        keep: word == "CONT",
    };
    let took = i64::try_from(quiesce::duration(world, partition, &action)).unwrap_or(0);
    let began = world.now - Duration::milliseconds(took);
    let watchdog = view(world, partition).and_then(|(s, _)| s.watchdog.clone());
    let Some(w) = watchdog.filter(|w| w.state == "ACTIVE" && w.token == me.token && !w.dead) else {
        return err("CLN0020", "no live watchdog");
    };
    if i64::try_from(timeout).unwrap_or(i64::MAX) >= (w.deadline - began).num_seconds() {
        return err("CLN0021", "watchdog would fire first");
    }
    if let Some(h) = helper(world, partition, id) {
        h.touched.retain(|(n, _)| n != asp);
        h.touched.push((asp.to_owned(), false));
    }
    quiesce::apply(world, partition, asp, &action)?;
    if let Some(last) = helper(world, partition, id).and_then(|h| h.touched.last_mut()) {
        last.1 = true;
    }
    Ok(("OK", format!(" asp={asp}")))
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
    jobs::end(world, partition, &h.job_a, 0, false);
    if !h.spare && h.hello {
        jobs::end(world, partition, &h.job_b, 0, false);
    }
}

/// CHGASPACT as a CL command.
pub(super) fn cl_action(command: &cl::Command) -> Result<(String, AspAction), String> {
    let asp = command.word("ASPDEV").unwrap_or_default();
    match command.word("OPTION").as_deref() {
        Some("*FRCWRT") => Ok((asp, AspAction::ForceWrite)),
        Some("*RESUME") => Ok((asp, AspAction::Resume)),
        Some("*SUSPEND") => {
            let timeout = command
                .word("SSPTIMO")
                .and_then(|t| t.parse().ok())
                .ok_or("SSPTIMO required with OPTION(*SUSPEND)")?;
            let keep = command.word("SSPTIMOACN").as_deref() == Some("*CONT");
            Ok((asp, AspAction::Suspend { timeout, keep }))
        }
        other => Err(format!(
            "value {} for OPTION not valid",
            other.unwrap_or_default()
        )),
    }
}

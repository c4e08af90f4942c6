//! What a request does (`ibmi/CONTRACT.md` § 3): every verb, with the refusals of the contract.

use super::canary::{canary_state, start_canary};
use super::line::{action_of, valid_asp};
use super::watchdog::{arm, disarm, utc, watchdog_state};
use super::{CANARY_MILLISECONDS, CanaryState, Helper, Waiting, helper};
use crate::simulators::faults::FaultKind;
use crate::simulators::ibmi::jobs;
use crate::simulators::ibmi::quiesce::{self, AspAction};
use crate::simulators::ibmi::system::{identity, own_clock, scpf, view};
use crate::simulators::world::World;
use chrono::Duration;

pub(super) type Answer = Result<(&'static str, String), (String, String)>;

pub(super) fn err(id: &str, text: impl Into<String>) -> Answer {
    Err((id.to_owned(), text.into()))
}

pub(super) fn obey(
    world: &mut World,
    partition: &str,
    id: u64,
    line: &str,
    waited: &Waiting,
) -> Answer {
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

pub(super) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
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

//! The watchdog: armed, disarmed, fired (`ibmi/CONTRACT.md` § 4).

use super::line::valid_asp;
use super::obey::{Answer, err};
use super::{Helper, WatchdogJob};
use crate::simulators::ibmi::jobs;
use crate::simulators::ibmi::quiesce::{self, AspAction};
use crate::simulators::ibmi::record;
use crate::simulators::ibmi::system::{own_clock, running, tell_operator, view};
use crate::simulators::world::World;
use chrono::{DateTime, Duration, SecondsFormat, Utc};

pub(super) fn arm(
    world: &mut World,
    partition: &str,
    me: &Helper,
    (seconds, asps): (&str, &str),
    dead: bool,
) -> Answer {
    let asps: Vec<String> = asps.split(',').map(str::to_owned).collect();
    if !asps.iter().all(|a| valid_asp(a)) {
        return err("CLN0005", asps.join(","));
    }
    let Some(limit) = seconds
        .parse::<i64>()
        .ok()
        .filter(|s| (10..=720).contains(s))
    else {
        return err("CLN0006", "watchdog not armed");
    };
    let alive = view(world, partition)
        .and_then(|(s, _)| s.watchdog.as_ref())
        .is_some_and(|w| w.state == "ACTIVE");
    if alive {
        return err("CLN0023", "watchdog not armed");
    }
    let job = jobs::start_service(
        world,
        partition,
        &me.user,
        "CLNWDOG",
        "CALL PGM(IBMICLONE/WATCHDOG)",
    );
    let deadline = world.now + Duration::seconds(limit);
    let own_deadline = own_clock(world, partition) + Duration::seconds(limit);
    let Some(r) = running(world, partition) else {
        return err("CLN0022", "watchdog not armed");
    };
    let other = r
        .disk
        .files
        .get(FIRED)
        .is_some_and(|b| record::read(b).is_none_or(|m| m.get("runToken") != Some(&me.token)));
    if other {
        r.disk.files.remove(FIRED);
    }
    r.system.watchdog = Some(WatchdogJob {
        state: "ACTIVE",
        token: me.token.clone(),
        job: job.clone(),
        armed: r.now,
        deadline,
        asps,
        dead,
    });
    Ok((
        "OK",
        format!(" job={job} deadline={} beats=1", utc(own_deadline)),
    ))
}

const FIRED: &str = "/ibmiclone/watchdog.fired";

pub(super) fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) fn watchdog_state(world: &World, partition: &str) -> String {
    let now = world.now;
    match view(world, partition).and_then(|(s, _)| s.watchdog.as_ref()) {
        None => " state=NONE beats=0 remaining=0".to_owned(),
        Some(w) => {
            let beats = if w.dead {
                1
            } else {
                1 + (now - w.armed).num_seconds()
            };
            let remaining = (w.deadline - now).num_seconds().max(0);
            format!(" state={} beats={beats} remaining={remaining}", w.state)
        }
    }
}

pub(super) fn disarm(world: &mut World, partition: &str) -> String {
    let Some(w) = world
        .systems
        .get_mut(partition)
        .and_then(|s| s.watchdog.as_mut())
    else {
        return " state=ENDED job=-".to_owned();
    };
    if w.state != "FIRED" && w.state != "FAILED" {
        w.state = "ENDED";
    }
    let (state, job) = (w.state, w.job.clone());
    jobs::end(world, partition, &job, 0);
    format!(" state={state} job={job}")
}

/// The watchdog at its deadline: resumes every ASP of its list, then says so.
pub(in crate::simulators::ibmi) fn watchdog_advance(world: &mut World, partition: &str) {
    if !world.knobs.watchdog_works {
        return;
    }
    let due = world
        .systems
        .get(partition)
        .and_then(|s| s.watchdog.clone())
        .filter(|w| w.state == "ACTIVE" && !w.dead && world.now >= w.deadline);
    let Some(w) = due else {
        return;
    };
    let mut failed = false;
    for asp in &w.asps {
        // A RESUME of an ASP that runs may be an error; what counts is that it is not suspended afterwards.
        let _ = quiesce::apply(world, partition, asp, &AspAction::Resume);
        failed |= world
            .systems
            .get(partition)
            .is_some_and(|s| s.suspended.contains_key(asp));
    }
    let state = if failed { "FAILED" } else { "FIRED" };
    let at = own_clock(world, partition);
    if let Some(r) = running(world, partition) {
        if let Some(watchdog) = r.system.watchdog.as_mut() {
            watchdog.state = state;
        }
        let bytes = record::write(
            "watchdog",
            &[
                ("runToken", w.token.clone()),
                ("firedAt", utc(at)),
                ("state", state.to_owned()),
                ("asps", w.asps.join(",")),
            ],
        );
        r.disk.files.insert(FIRED.to_owned(), bytes);
    }
    jobs::end(world, partition, &w.job, 0);
    let (id, text) = if failed {
        ("CLN0042", "watchdog fired and a RESUME failed")
    } else {
        ("CLN0041", "watchdog fired and resumed")
    };
    tell_operator(world, partition, id, 80, text);
    world
        .ledger
        .effect(format!("ibmi.{partition}.WATCHDOG-FIRED"));
}

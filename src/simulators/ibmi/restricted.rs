//! The batch restricted state (`ibmi.md` §§ 4.4, 5.2, 5.3): every subsystem ends, the network with it, and one job of the
//! controlling subsystem goes on. It ends when that job ends or starts a subsystem; then the start-up program runs again.

use super::system::{Phase, System, history, own_clock, running, view};
use super::{jobs, kit};
use crate::simulators::world::World;
use chrono::Duration;

/// The controlling subsystem.
pub const CONTROLLING: &str = "QCTL";

/// QENDJOBLMT, world milliseconds.
pub(super) fn job_end_limit(world: &World, partition: &str) -> u64 {
    let value = view(world, partition).and_then(|(_, d)| d.values.get("QENDJOBLMT"));
    value
        .and_then(|v| v.trim().parse::<u64>().ok())
        .unwrap_or(120)
        * 1000
}

/// Whether a job is one of the controlling subsystem: only such a one may end it (`ibmi.md` § 1.8).
pub(super) fn may_end_all(world: &World, partition: &str, job: &str) -> bool {
    view(world, partition).is_some_and(|(system, disk)| {
        let queue = system
            .jobs
            .get(job)
            .and_then(|j| disk.job_queues.get(&j.queue));
        queue.is_some_and(|q| q.subsystem == CONTROLLING)
    })
}

/// ENDSBS SBS(*ALL) from a job of the controlling subsystem.
pub(super) fn begin(world: &mut World, partition: &str, job: &str) {
    let wait = i64::try_from(world.knobs.restricted_state_milliseconds).unwrap_or(i64::MAX / 2);
    let until = own_clock(world, partition) + Duration::milliseconds(wait);
    history(
        world,
        partition,
        "CPF0994",
        0,
        "ENDSBS SBS(*ALL) command being processed.",
    );
    if let Some(r) = running(world, partition) {
        r.system.ending_all = Some((until, job.to_owned()));
    }
    world.ledger.effect(format!("ibmi.{partition}.ENDSBS-ALL"));
}

/// Ends subsystems whose time is over, and all of them when ENDSBS SBS(*ALL) is done.
pub(super) fn advance(world: &mut World, partition: &str) {
    let at = own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return;
    };
    let over: Vec<String> = r
        .system
        .ending_subsystems
        .iter()
        .filter(|(_, until)| at >= **until)
        .map(|(name, _)| name.clone())
        .collect();
    for name in over {
        r.system.ending_subsystems.remove(&name);
        r.system.subsystems.remove(&name);
    }
    let due = r
        .system
        .ending_all
        .as_ref()
        .is_some_and(|(until, _)| at >= *until);
    if due {
        enter(world, partition);
    }
}

fn enter(world: &mut World, partition: &str) {
    let Some(r) = running(world, partition) else {
        return;
    };
    let Some((since, own)) = r.system.ending_all.take() else {
        return;
    };
    let system: &mut System = r.system;
    system.phase = Phase::Restricted;
    (system.restricted_by, system.restricted_since) = (Some(own.clone()), Some(since));
    system.subsystems.clear();
    system.ending_subsystems.clear();
    (system.tcp, system.sshd) = (false, false);
    system.active_interfaces.clear();
    system.helpers.clear();
    system.watchdog = None;
    let others: Vec<String> = system
        .jobs
        .values()
        .filter(|j| j.name != own && j.active.is_some())
        .map(|j| j.name.clone())
        .collect();
    for job in &others {
        system.scripts.remove(job);
    }
    for job in others {
        jobs::end(world, partition, &job, 50);
    }
    history(
        world,
        partition,
        "CPF0968",
        0,
        "System ended to restricted condition.",
    );
    world.ledger.effect(format!("ibmi.{partition}.restricted"));
}

/// A job has ended: if the restricted state was its own, that ends too.
pub(super) fn job_ended(world: &mut World, partition: &str, job: &str) {
    let Some(r) = running(world, partition) else {
        return;
    };
    let ending = r
        .system
        .ending_all
        .as_ref()
        .is_some_and(|(_, own)| own == job);
    if ending {
        // Whatever has ended meanwhile: the controlling subsystem comes back with nothing else.
        enter(world, partition);
        leave(world, partition);
    } else if r.system.restricted_by.as_deref() == Some(job) {
        leave(world, partition);
    }
}

/// The controlling subsystem starts, and its autostart job calls the start-up program again.
pub(super) fn leave(world: &mut World, partition: &str) {
    if !world.knobs.restricted_state_ends {
        return;
    }
    let returns = world.knobs.tcp_returns_after_restricted_state;
    let Some(r) = running(world, partition) else {
        return;
    };
    if r.system.phase != Phase::Restricted {
        return;
    }
    r.system.phase = Phase::Up;
    (r.system.restricted_by, r.system.restricted_since) = (None, None);
    r.system.network_lost = !returns;
    r.system.subsystems.insert(CONTROLLING.to_owned());
    history(world, partition, "CPF0921", 0, "Subsystem QCTL started.");
    world
        .ledger
        .effect(format!("ibmi.{partition}.unrestricted"));
    kit::start_up(world, partition);
}

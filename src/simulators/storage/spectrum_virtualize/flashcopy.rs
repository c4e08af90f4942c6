//! Prestart, start and stop of maps and groups (`storage-virtualize.md` § 3.4).

use super::commands::Answer;
use super::model::MapState;
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::World;
use crate::simulators::world::coupling;
use crate::site::Uid;
use chrono::TimeDelta;

/// What is asked of a set of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Prestart,
    Start,
    /// `-prep`: prestart, and start by itself when the flush has ended.
    StartPrepared,
    Stop {
        force: bool,
    },
}

fn millis(n: u64) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Ends flushes and cleanings whose time has come; completes background copies.
pub(super) fn advance(world: &mut World) {
    let now = world.now;
    let ids: Vec<u32> = world.array.maps.keys().copied().collect();
    for id in ids {
        let Some(map) = world.array.maps.get(&id) else {
            continue;
        };
        let due = map.until.is_some_and(|t| t <= now);
        let complete = map.state == MapState::Copying && world.array.progress(map, now) == 100;
        let Some(map) = world.array.maps.get_mut(&id) else {
            continue;
        };
        match map.state {
            MapState::Preparing if due => {
                map.state = MapState::Prepared;
                map.until = None;
            }
            MapState::Stopping if due => world.array.stopped(id, now),
            MapState::Copying if complete => {
                map.state = MapState::IdleOrCopied;
                if map.autodelete {
                    let target = map.target;
                    world.array.hold(target, now);
                    world.array.maps.remove(&id);
                }
            }
            MapState::IdleOrCopied
            | MapState::Preparing
            | MapState::Prepared
            | MapState::Copying
            | MapState::Stopping
            | MapState::Stopped
            | MapState::Suspended => {}
        }
    }
    let automatic: Vec<u32> = world
        .array
        .maps
        .values()
        .filter(|m| m.start_time == "auto" && m.state == MapState::Prepared)
        .map(|m| m.id)
        .collect();
    if !automatic.is_empty() {
        begin_copy(world, &automatic);
    }
}

/// Applies an act to all maps of a group, or to one stand-alone map: all or none.
pub(super) fn act(world: &mut World, maps: &[u32], act: Act, command: &str) -> Answer {
    if let Some(answer) = refusal(world, maps, act) {
        return answer;
    }
    let name = world.array.name.clone();
    let special = world.faults.take_if(
        Device::Array,
        &name,
        command,
        |k| matches!(k, FaultKind::Special(word) if word == "flush-failed" || word == "no-bitmap"),
    );
    let special = match special {
        Some(FaultKind::Special(word)) => word,
        _ => String::new(),
    };
    match act {
        Act::Prestart => prestart(world, maps, special == "flush-failed", false),
        Act::StartPrepared => prestart(world, maps, false, true),
        Act::Start => {
            if special == "no-bitmap" {
                for id in maps {
                    if let Some(map) = world.array.maps.get_mut(id) {
                        map.state = MapState::Suspended;
                    }
                }
                return Answer::refused(
                    "CMMVC5917E",
                    "The FlashCopy mapping was not created because there is no memory to create the bitmap.",
                );
            }
            begin_copy(world, maps);
        }
        Act::Stop { force } => stop(world, maps, force),
    }
    world.ledger.effect(format!("array.{command}"));
    Answer::Nothing
}

/// The first map whose state forbids the act. A group is stopped as long as any of its maps can be: one that is already
/// stopped does not protect the others from it.
fn refusal(world: &World, maps: &[u32], act: Act) -> Option<Answer> {
    let code_of = |state: MapState| match act {
        Act::Prestart => state.refusals()[0],
        Act::StartPrepared => state.prepared_start_refusal(),
        Act::Start => state.refusals()[1],
        Act::Stop { .. } => state.refusals()[2],
    };
    let known = maps.iter().filter_map(|id| world.array.maps.get(id));
    let refused: Vec<_> = known.filter(|m| !code_of(m.state).is_empty()).collect();
    let stoppable = matches!(act, Act::Stop { .. })
        && refused.len() < maps.len()
        && refused.iter().all(|m| m.state == MapState::Stopped);
    let map = refused.first().filter(|_| !stoppable)?;
    let text = format!(
        "The command failed because the FlashCopy mapping {} is in the {} state.",
        map.name,
        map.state.as_str()
    );
    Some(Answer::refused(code_of(map.state), &text))
}

fn prestart(world: &mut World, maps: &[u32], flush_fails: bool, then_start: bool) {
    let until = world.now + millis(world.knobs.prepare_milliseconds);
    let targets: Vec<Uid> = maps
        .iter()
        .filter_map(|id| world.array.maps.get(id))
        .filter_map(|m| world.array.vdisks.get(&m.target))
        .map(|v| v.uid.clone())
        .collect();
    // The target is corrupt from this moment, even if the start never comes.
    coupling::targets_discarded(world, &targets);
    let discarded = world.array.vdisks.values_mut();
    for vdisk in discarded.filter(|v| targets.contains(&v.uid)) {
        vdisk.held = 0;
    }
    for id in maps {
        if let Some(map) = world.array.maps.get_mut(id) {
            map.state = if flush_fails {
                MapState::Stopped
            } else {
                MapState::Preparing
            };
            map.until = (!flush_fails).then_some(until);
            map.start_time = if then_start {
                "auto".to_owned()
            } else {
                String::new()
            };
            map.started = None;
        }
    }
    if world.knobs.prepare_milliseconds == 0 {
        advance(world);
    }
}

/// One point in time over all maps.
fn begin_copy(world: &mut World, maps: &[u32]) {
    let now = world.now;
    let pairs: Vec<(Uid, Uid)> = maps
        .iter()
        .filter_map(|id| world.array.maps.get(id))
        .filter_map(|m| {
            let source = world.array.vdisks.get(&m.source)?;
            let target = world.array.vdisks.get(&m.target)?;
            Some((source.uid.clone(), target.uid.clone()))
        })
        .collect();
    let stamp = now.format("%y%m%d%H%M%S").to_string();
    for id in maps {
        if let Some(map) = world.array.maps.get_mut(id) {
            map.state = MapState::Copying;
            map.started = Some(now);
            map.until = None;
            map.start_time.clone_from(&stamp);
        }
    }
    coupling::copy_started(world, &pairs);
}

fn stop(world: &mut World, maps: &[u32], force: bool) {
    let now = world.now;
    for id in maps {
        let dependants = world.array.dependants(*id);
        if force && !dependants.is_empty() {
            let text = format!(
                "stop with -force: {} lost their content",
                dependants.join(", ")
            );
            world.violation(ViolationKind::ForcedStop, text);
        }
        let progress = world
            .array
            .maps
            .get(id)
            .map_or(0, |m| world.array.progress(m, now));
        let slow = !force && world.knobs.sibling_maps_stop_slowly && !dependants.is_empty();
        let until = now + millis(world.knobs.stopping_milliseconds);
        let Some(map) = world.array.maps.get_mut(id) else {
            continue;
        };
        match map.state {
            MapState::IdleOrCopied
            | MapState::Stopping
            | MapState::Preparing
            | MapState::Stopped => {}
            MapState::Copying if progress == 100 => map.state = MapState::IdleOrCopied,
            MapState::Copying if slow => {
                map.state = MapState::Stopping;
                map.until = Some(until);
            }
            MapState::Copying | MapState::Prepared | MapState::Suspended => {
                world.array.stopped(*id, now);
            }
        }
    }
}

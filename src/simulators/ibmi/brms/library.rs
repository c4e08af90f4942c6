//! QUSRBRM saved, restored, merged (`ibmi.md` § 4.2).

use super::super::cl::Command;
use super::super::commands::ClAnswer;
use super::super::system::own_clock;
use super::*;

/// Why QUSRBRM cannot be restored over itself now: its network, or a control group, has it locked.
pub(in crate::simulators::ibmi) fn locked(world: &World, partition: &str) -> Option<String> {
    let (system, disk) = view(world, partition)?;
    let brms = disk.brms.as_ref()?;
    if system.subsystems.contains(NETWORK) {
        return Some(format!("subsystem {NETWORK}"));
    }
    brms.running
        .keys()
        .find(|job| system.jobs.contains_key(*job))
        .map(|job| format!("job {job}"))
}

/// The restored content becomes BRMS's own, state and name included; the disk keeps what was not restored.
pub(in crate::simulators::ibmi) fn restored(
    disk: &mut DiskState,
    saved: Brms,
    objects: &[String],
    at: DateTime<Utc>,
) {
    let before = disk.brms.take();
    let mut changed = before.map(|b| b.changed).unwrap_or_default();
    for object in objects {
        changed.insert(object.clone(), at);
    }
    disk.brms = Some(Brms {
        changed,
        running: BTreeMap::new(),
        ..saved
    });
}

/// INZBRM OPTION(*MERGE) FROMLIB(TMP) TOLIB(QUSRBRM) MERGE(*ARC *BKU *MED).
pub(super) fn merge(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let word = |k: &str| command.word(k).unwrap_or_default();
    let at = own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let (from, to) = (word("FROMLIB"), word("TOLIB"));
    let Some(copy) = r.disk.brms_copies.get(&from).cloned() else {
        return ClAnswer::escape("CPF2110", format!("Library {from} not found."));
    };
    if to != LIBRARY {
        return ClAnswer::escape("CPF2110", format!("Library {to} holds no BRMS data."));
    }
    let Some(brms) = &mut r.disk.brms else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let kinds = command.values("MERGE");
    let has = |kind: &str| kinds.iter().any(|k| k == kind || k == "*ALL");
    if has("*BKU") {
        let new = copy.history.iter().filter(|h| !brms.history.contains(h));
        let new: Vec<HistoryEntry> = new.cloned().collect();
        brms.history.extend(new);
        brms.history.sort();
        brms.touch(HISTORY_FILE, at);
    }
    if has("*MED") {
        let newest = copy.volumes.values().map(|v| v.write).max().unwrap_or(0);
        let lost = brms.file.knobs.merge_loses_newest_volume.then_some(newest);
        for (id, v) in copy.volumes {
            let older = brms
                .volumes
                .get(&id)
                .is_none_or(|ours| ours.write < v.write);
            if older && Some(v.write) != lost {
                brms.volumes.insert(id, v);
            }
        }
        brms.touch(MEDIA_FILE, at);
    }
    world.ledger.effect(format!("brms.{partition}.merged"));
    ClAnswer::quiet()
}

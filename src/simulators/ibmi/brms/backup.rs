//! A control group: refused, begun (its volumes are written from then on), ended with history and log.

use super::super::cl::Command;
use super::super::commands::{Caller, ClAnswer};
use super::super::script::{self, Script, Step};
use super::super::system::{Phase, own_clock};
use super::*;
use crate::simulators::tape::{self, NewFile};

/// Noise that every save leaves (`ibmi.md` § 4.5).
pub const NOISE: [&str; 6] = [
    "BRM10A1", "BRM14A1", "BRM15A7", "CPC2402", "CPD37C3", "CPC3701",
];

/// How long the save takes, world milliseconds; a refused one takes none.
pub(super) fn duration(world: &World, partition: &str, group: &str) -> u64 {
    let Some((system, disk)) = view(world, partition) else {
        return 0;
    };
    let Some(brms) = disk.brms.as_ref().filter(|b| !b.frozen()) else {
        return 0;
    };
    let Some(group) = brms.group(group) else {
        return 0;
    };
    if media::pick(world, partition, &group.media_class, group.volumes).is_none() {
        return 0;
    }
    group.seconds.min(limit(system.phase, brms)) * 1000
}

/// Seconds after which BRMS ends a batch restricted state.
fn limit(phase: Phase, brms: &Brms) -> u64 {
    let minutes = u64::from(brms.file.restricted_minutes);
    if phase == Phase::Restricted && minutes > 0 {
        minutes * 60
    } else {
        u64::MAX / 1000
    }
}

/// STRBKUBRM: at once, as a job of the controlling subsystem, or as a batch job.
pub(super) fn start(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    command: &Command,
) -> ClAnswer {
    let group = command.word("CTLGRP").unwrap_or_default();
    let how = command.word("SBMJOB").unwrap_or_else(|| "*YES".to_owned());
    if how == "*NO" {
        let already = running(world, partition)
            .and_then(|r| r.disk.brms.as_ref())
            .is_some_and(|b| b.running.contains_key(caller.job));
        if !already && let Err(no) = begin(world, partition, caller, &group) {
            return no;
        }
        return finish(world, partition, caller, &group);
    }
    if let Some(no) = refusal(world, partition, caller, &group) {
        return no;
    }
    let Some(brms) = running(world, partition).and_then(|r| r.disk.brms.as_ref()) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let save = Step::Command(format!("STRBKUBRM CTLGRP({group}) SBMJOB(*NO)"));
    let (job, queue, steps) = match how.as_str() {
        "*CTLSBS" if !brms.file.allow_batch => {
            return ClAnswer::escape(
                "CPF9898",
                "Backups in batch restricted state are not allowed by the BRMS system policy.",
            );
        }
        "*CTLSBS" => (
            brms.file.knobs.controlling_job.clone(),
            "QSYS/QCTL",
            vec![
                Step::Command("ENDSBS SBS(*ALL) OPTION(*IMMED)".to_owned()),
                // QENDJOBLMT: after it BRMS goes on without the restricted state.
                Step::AwaitRestricted {
                    milliseconds: super::super::restricted::job_end_limit(world, partition),
                },
                save,
            ],
        ),
        "*YES" => (
            group.trim_start_matches('*').to_owned(),
            "QGPL/QBATCH",
            vec![save],
        ),
        other => {
            return ClAnswer::not_valid(format!(
                "Value {other} for parameter SBMJOB is not valid."
            ));
        }
    };
    let script = Script::new(steps).going_on();
    let qualified = script::submit(world, partition, (caller.user, &job, queue), script);
    let (library, queue) = queue.split_once('/').unwrap_or_default();
    ClAnswer::completed(
        "CPC1221",
        format!("Job {qualified} submitted to job queue {queue} in library {library}."),
    )
}

fn refusal(world: &mut World, partition: &str, caller: &Caller, group: &str) -> Option<ClAnswer> {
    if let Some(no) = process::frozen(world, partition, caller) {
        return Some(no);
    }
    let brms = running(world, partition)?.disk.brms.as_ref()?;
    if brms.group(group).is_none() {
        let text = format!("Control group {group} not found.");
        return Some(process::refused(world, partition, caller, "CPF9898", &text));
    }
    None
}

/// The save begins: from here its volumes are overwritten, whatever becomes of the rest.
pub(in crate::simulators::ibmi) fn begin(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    group: &str,
) -> Result<(), ClAnswer> {
    if let Some(no) = refusal(world, partition, caller, group) {
        return Err(no);
    }
    let failed = || ClAnswer::escape("CPF9999", "Function check.");
    let (_, disk) = view(world, partition).ok_or_else(failed)?;
    let (brms, name) = (disk.brms.as_ref().ok_or_else(failed)?, name_of(disk));
    let ended_id = brms.file.knobs.ended_with_errors_id.clone();
    let plan = brms.group(group).cloned().ok_or_else(failed)?;
    let text = format!("Begin processing for control group {group} type *BKU.");
    log(
        world,
        partition,
        caller.job,
        ("BACKUP", "BRM1380", 0, group, &text),
    );
    let Some(volumes) = media::pick(world, partition, &plan.media_class, plan.volumes) else {
        let text = format!("Media of class {} is not available.", plan.media_class);
        log(
            world,
            partition,
            caller.job,
            ("MEDIA", "BRM415A", 40, group, &text),
        );
        let mut answer = ended_with_errors(world, partition, caller, group, &ended_id);
        answer
            .messages
            .insert(0, ClAnswer::diagnosed("BRM415A", text));
        return Err(answer);
    };
    let in_time = !script::restricted_state_missed(world, partition, caller.job);
    let there = world.systems.get(partition).map(|s| s.phase()) == Some(Phase::Restricted);
    let bypassed = plan.restricted && !(there && in_time);
    let at = own_clock(world, partition);
    let expires = at + chrono::Duration::days(i64::from(plan.retain_days));
    let mut written = Vec::new();
    for volume in volumes {
        let file = NewFile {
            label: group.to_owned(),
            partition: partition.to_owned(),
            job: caller.job.to_owned(),
            brms: name.clone(),
            expires: Some(expires),
        };
        let write = tape::write(world, &volume, file, false);
        written.push((volume, write));
    }
    if let Some(brms) = running(world, partition).and_then(|r| r.disk.brms.as_mut()) {
        for (volume, write) in &written {
            if let Some(v) = brms.volumes.get_mut(volume) {
                (v.expires, v.written, v.write) = (Some(expires), Some(at), *write);
                v.system = name.clone().unwrap_or_default();
            }
        }
        brms.touch(MEDIA_FILE, at);
        let running = Running {
            group: group.to_owned(),
            volumes: written,
            bypassed,
        };
        brms.running.insert(caller.job.to_owned(), running);
    }
    Ok(())
}

fn finish(world: &mut World, partition: &str, caller: &Caller, group: &str) -> ClAnswer {
    let at = own_clock(world, partition);
    let phase = world.systems.get(partition).map(|s| s.phase());
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let system = name_of(r.disk).unwrap_or_default();
    let Some(brms) = &mut r.disk.brms else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let Some(done) = brms.running.remove(caller.job) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let Some(plan) = brms.group(group).cloned() else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let knobs = brms.file.knobs.clone();
    let cut = plan.seconds > limit(phase.unwrap_or_default(), brms);
    let bypassed = done.bypassed;
    let volumes: Vec<String> = done.volumes.iter().map(|(v, _)| v.clone()).collect();
    if plan.result != GroupResult::Failed && !cut {
        let flash_time = brms.flash_times.get("*QSYS").cloned();
        let items = plan.items.iter();
        // A bypassed system save leaves no history of the system.
        for item in items.filter(|i| !(bypassed && i.as_str() == "*SAVSYS")) {
            brms.history.push(HistoryEntry {
                at,
                group: group.to_owned(),
                item: item.clone(),
                volumes: volumes.clone(),
                system: system.clone(),
                flash_time: flash_time.clone(),
            });
        }
        brms.touch(HISTORY_FILE, at);
    }
    let mut tell = |area, id: &str, severity, text: &str| {
        log(
            world,
            partition,
            caller.job,
            (area, id, severity, group, text),
        );
    };
    for id in NOISE {
        tell(
            "BACKUP",
            id,
            knobs.noise_severity,
            "Noise that every save leaves.",
        );
    }
    for m in &plan.messages {
        tell("BACKUP", &m.id, m.severity, &m.text);
    }
    for volume in volumes.iter().filter(|_| !knobs.volume_id.is_empty()) {
        tell(
            "MEDIA",
            &knobs.volume_id,
            0,
            &format!("Volume {volume} was written."),
        );
    }
    if bypassed {
        tell(
            "BACKUP",
            "BRM1744",
            40,
            "*SAVSYS bypassed: the system is not in restricted state.",
        );
    }
    if cut {
        tell(
            "BACKUP",
            "",
            40,
            "The time limit of the restricted state was reached.",
        );
    }
    if bypassed || cut || plan.result != GroupResult::Normal {
        return ended_with_errors(world, partition, caller, group, &knobs.ended_with_errors_id);
    }
    let text = format!("Control group {group} type *BKU processing is complete.");
    log(
        world,
        partition,
        caller.job,
        ("BACKUP", "BRM1049", 0, group, &text),
    );
    world.ledger.effect(format!("brms.{partition}.saved"));
    ClAnswer::completed("BRM1049", text)
}

fn ended_with_errors(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    group: &str,
    id: &str,
) -> ClAnswer {
    let text = format!("Control group {group} type *BKU processing is complete with errors.");
    let brms = view(world, partition).and_then(|(_, disk)| disk.brms.as_ref());
    let severity = brms.map_or(40, |b| b.file.knobs.ended_with_errors_severity);
    log(
        world,
        partition,
        caller.job,
        ("BACKUP", id, severity, group, &text),
    );
    ClAnswer::escape(id, text)
}

//! Commands that operate the system: subsystems down to the restricted state, servers, delays, replies, spooled files.

use super::*;
use crate::simulators::ibmi::restricted;
use crate::simulators::ibmi::saves::tape;
use crate::simulators::ibmi::system::Phase;

/// How long such a command takes, world milliseconds; `None` for any other command.
pub(super) fn duration(command: &Command) -> Option<u64> {
    if command.name != "DLYJOB" {
        return None;
    }
    let seconds = command.word("DLY").and_then(|d| d.parse::<u64>().ok());
    Some(seconds.unwrap_or(0).saturating_mul(1000))
}

/// Runs such a command; `None` for any other.
pub(super) fn run(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    command: &Command,
) -> Option<ClAnswer> {
    let word = |k: &str| command.word(k).unwrap_or_default();
    Some(match command.name.as_str() {
        "ENDSBS" if word("SBS") == "*ALL" => end_all(world, partition, caller),
        "ENDSBS" => end_subsystem(world, partition, &word("SBS")),
        "STRSBS" => start_subsystem(world, partition, &word("SBSD")),
        "ENDHOSTSVR" => ClAnswer::done("CPC1A03", "Host servers ended."),
        "ENDTCPSVR" | "STRTCPSVR" if is_restricted(world, partition) => ClAnswer::escape(
            "CPF9898",
            format!("{} is not allowed in restricted state.", command.name),
        ),
        "ENDTCPSVR" => {
            if matches!(word("SERVER").as_str(), "*SSHD" | "*ALL" | "")
                && let Some(r) = running(world, partition)
            {
                r.system.sshd = false;
            }
            ClAnswer::done("TCP2A06", "Servers ended.")
        }
        "DLYJOB" => ClAnswer::quiet(),
        "CHGJOB" => change_job(world, partition, caller, command),
        "ADDRPYLE" => {
            let r = running(world, partition)?;
            let number = word("SEQNBR").parse().unwrap_or(0);
            if r.disk.reply_list.iter().any(|(n, _, _)| *n == number) {
                return Some(ClAnswer::escape(
                    "CPF2555",
                    format!("Sequence number {number} is in the reply list already."),
                ));
            }
            r.disk.reply_list.push((number, word("MSGID"), word("RPY")));
            r.disk.reply_list.sort();
            ClAnswer::quiet()
        }
        "RMVRPYLE" => {
            let r = running(world, partition)?;
            let number: u32 = word("SEQNBR").parse().unwrap_or(0);
            r.disk.reply_list.retain(|(n, _, _)| *n != number);
            ClAnswer::quiet()
        }
        "CPYSPLF" => copy_spooled(world, partition, command),
        "VRYCFG" => return vary(world, partition, command),
        _ => return None,
    })
}

fn is_restricted(world: &World, partition: &str) -> bool {
    view(world, partition).is_some_and(|(s, _)| s.phase() == Phase::Restricted)
}

fn end_all(world: &mut World, partition: &str, caller: &Caller) -> ClAnswer {
    if !restricted::may_end_all(world, partition, caller.job) {
        return ClAnswer::escape(
            "CPF9898",
            "ENDSBS SBS(*ALL) is allowed in a job of the controlling subsystem only.",
        );
    }
    restricted::begin(world, partition, caller.job);
    ClAnswer::done("CPF0994", "ENDSBS SBS(*ALL) command being processed.")
}

fn end_subsystem(world: &mut World, partition: &str, name: &str) -> ClAnswer {
    let short = name.rsplit('/').next().unwrap_or(name).to_owned();
    let takes = i64::try_from(world.knobs.subsystem_end_milliseconds).unwrap_or(i64::MAX / 2);
    let until = own_clock(world, partition) + chrono::Duration::milliseconds(takes);
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    if !r.system.subsystems.contains(&short) {
        return ClAnswer::escape("CPF1054", format!("No subsystem named {short} active."));
    }
    r.system
        .ending_subsystems
        .entry(short.clone())
        .or_insert(until);
    restricted::advance(world, partition);
    ClAnswer::done(
        "CPF0943",
        format!("Ending of subsystem {short} in progress."),
    )
}

fn start_subsystem(world: &mut World, partition: &str, name: &str) -> ClAnswer {
    let short = name.rsplit('/').next().unwrap_or(name).to_owned();
    if is_restricted(world, partition) {
        // The first subsystem ends the restricted state; only the controlling one has the start-up program.
        restricted::leave(world, partition);
        if short == restricted::CONTROLLING {
            return ClAnswer::done("CPF0921", format!("Subsystem {short} started."));
        }
    }
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    if r.system.subsystems.insert(short.clone()) {
        ClAnswer::done("CPC0905", format!("Subsystem {short} changed."))
    } else {
        ClAnswer::escape("CPF1010", format!("Subsystem name {short} active."))
    }
}

/// CHGJOB INQMSGRPY(…) of the job itself.
fn change_job(world: &mut World, partition: &str, caller: &Caller, command: &Command) -> ClAnswer {
    let reply = command.word("INQMSGRPY");
    let job = running(world, partition).and_then(|r| r.system.jobs.get_mut(caller.job));
    if let (Some(job), Some(reply)) = (job, reply) {
        job.default_reply = reply == "*DFT";
        job.system_replies = reply == "*SYSRPYL";
    }
    ClAnswer::quiet()
}

/// CPYSPLF FILE(QPJOBLOG) TOFILE(*TOSTMF) JOB(n/u/j) TOSTMF('/path').
fn copy_spooled(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let word = |k: &str| command.word(k).unwrap_or_default();
    let (file, job, to) = (word("FILE"), word("JOB"), word("TOSTMF"));
    let Some(lines) = listings::spooled_file(world, partition, &job, &file, &(0..usize::MAX))
    else {
        return ClAnswer::escape("CPF3303", format!("File {file} not found in job {job}."));
    };
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    if to.is_empty() || word("TOFILE") != "*TOSTMF" {
        return ClAnswer::not_valid("TOFILE(*TOSTMF) with TOSTMF is expected.");
    }
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    r.disk.files.insert(to, text.into_bytes());
    ClAnswer::quiet()
}

/// VRYCFG CFGTYPE(*DEV) of a tape drive or an independent ASP; `None` = any other object.
fn vary(world: &mut World, partition: &str, command: &Command) -> Option<ClAnswer> {
    if command.word("CFGTYPE").as_deref() != Some("*DEV") {
        return None;
    }
    let name = command.word("CFGOBJ").unwrap_or_default();
    let on = command.word("STATUS").as_deref() == Some("*ON");
    if let Some(answer) = tape::vary(world, partition, &name, on) {
        return Some(answer);
    }
    let r = running(world, partition)?;
    match r.disk.asps.get_mut(&name) {
        Some(available) => {
            *available = on;
            None
        }
        None => Some(ClAnswer::escape(
            "CPF2702",
            format!("Device description {name} not found."),
        )),
    }
}

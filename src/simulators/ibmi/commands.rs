//! CL commands (`ibmi.md` § 11). Unknown ones are refused as the system does.

mod answer;
mod network;
mod operating;

use answer::diagnostic;
pub use answer::{Caller, ClAnswer, ClMessage};
use network::network;

use super::cl::{self, Command};
use super::disk::{Interface, Route};
use super::system::{
    disk_of, identity, own_clock, running, start_interface, start_tcp, tell_operator, view,
};
use super::{brms, check, helper, job_scheduler, jobs, listings, quiesce, replies, saves};
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::hmc;
use crate::simulators::world::World;

/// Name under which a fault waits for this command: `CHGASPACT SUSPEND *SYSBAS`, else the command's text.
pub fn operation(text: &str) -> String {
    match cl::parse(text) {
        Ok(c) if c.name == "CHGASPACT" => match helper::cl_action(&c) {
            Ok((asp, quiesce::AspAction::ForceWrite)) => format!("CHGASPACT FRCWRT {asp}"),
            Ok((asp, quiesce::AspAction::Suspend { .. })) => format!("CHGASPACT SUSPEND {asp}"),
            Ok((asp, quiesce::AspAction::Resume)) => format!("CHGASPACT RESUME {asp}"),
            Err(_) => text.to_owned(),
        },
        Ok(_) | Err(_) => text.to_owned(),
    }
}

/// How long the command takes, world milliseconds.
pub fn duration(world: &World, partition: &str, text: &str) -> u64 {
    let Ok(command) = cl::parse(text) else {
        return 0;
    };
    match command.name.as_str() {
        "CHGASPACT" => helper::cl_action(&command).map_or(0, |(_, action)| {
            quiesce::duration(world, partition, &action)
        }),
        "CALL" => jobs::called_program(text)
            .and_then(|p| {
                let known = disk_of(world, partition)?.programs.get(&p)?;
                Some(
                    known
                        .seconds
                        .map_or(world.knobs.program_milliseconds, |s| s * 1000),
                )
            })
            .unwrap_or(0),
        _ => operating::duration(&command)
            .or_else(|| brms::commands::duration(world, partition, &command))
            .or_else(|| saves::tape::duration(world, partition, &command))
            .unwrap_or(0),
    }
}

/// What a command of a job does when it begins, before its time is over: a control group writes its volumes.
pub(super) fn begin(world: &mut World, partition: &str, job: &str, text: &str) {
    let Ok(command) = cl::parse(text) else {
        return;
    };
    if command.name == "STRBKUBRM" && duration(world, partition, text) > 0 {
        let user = job.split('/').nth(1).unwrap_or_default();
        let group = command.word("CTLGRP").unwrap_or_default();
        // What refuses it says so at its end, which is then at once.
        let _ = brms::backup::begin(world, partition, &Caller { user, job }, &group);
    }
}

/// Runs one command of a shell to its end.
pub fn run(world: &mut World, partition: &str, user: &str, text: &str) -> ClAnswer {
    let number = disk_of(world, partition).map_or(0, |d| d.last_job);
    let job = format!("{number:06}/{user}/QP0ZSPWP");
    let mut answer = run_as(world, partition, &Caller { user, job: &job }, text);
    if let Some((id, text)) = answer.inquiry.take() {
        // Nobody reads the messages of a shell's job: the default reply cancels.
        answer = ClAnswer::escape("CPF9898", format!("Reply C to {id}: {text}"));
    }
    answer
}

/// Runs one command to its end, or up to its question.
pub(super) fn run_as(world: &mut World, partition: &str, caller: &Caller, text: &str) -> ClAnswer {
    let user = caller.user;
    let command = match cl::parse(text) {
        Ok(c) => c,
        Err(why) => {
            let mut answer = ClAnswer::escape("CPF0006", "Errors occurred in command.");
            answer.messages.insert(0, diagnostic("CPD0043", why));
            return answer;
        }
    };
    if let Some(refused) = unauthorised(world, partition, user, &command) {
        return refused;
    }
    let name = command.name.clone();
    let elsewhere = operating::run(world, partition, caller, &command)
        .or_else(|| brms::commands::run(world, partition, caller, &command))
        .or_else(|| saves::run(world, partition, caller, &command));
    if let Some(answer) = elsewhere {
        world.ledger.effect(format!("ibmi.{partition}.{name}"));
        return answer;
    }
    let answer = match name.as_str() {
        "CHGASPACT" => chgaspact(world, partition, &command),
        "SBMJOB" => sbmjob(world, partition, user, &command),
        "ENDJOB" => endjob(world, partition, &command),
        "SNDRPY" => replies::send_reply(world, partition, &command),
        "CALL" => call(world, partition, user, &command),
        "PWRDWNSYS" => pwrdwnsys(world, partition, &command),
        "WRKCFGSTS" | "DSPASPSTS" | "DSPLOG" | "DSPJOBLOG" => {
            listings::list(world, partition, &command)
                .map_or_else(|(id, text)| ClAnswer::escape(&id, text), ClAnswer::listed)
        }
        "ADDTCPIFC" | "RMVTCPIFC" | "CHGTCPIFC" | "STRTCPIFC" | "ENDTCPIFC" | "ADDTCPRTE"
        | "RMVTCPRTE" | "STRTCP" | "ENDTCP" | "STRTCPSVR" => network(world, partition, &command),
        _ => return other(world, partition, user, &command),
    };
    world.ledger.effect(format!("ibmi.{partition}.{name}"));
    answer
}

fn unauthorised(world: &World, partition: &str, user: &str, command: &Command) -> Option<ClAnswer> {
    let profile = disk_of(world, partition)?.user(user)?.clone();
    let needs_allobj = matches!(
        command.name.as_str(),
        "CHGIPLA"
            | "CHGSYSVAL"
            | "CHGNETA"
            | "CRTLIB"
            | "CRTSRCPF"
            | "CPYFRMSTMF"
            | "CRTBNDCL"
            | "GRTOBJAUT"
            | "ADDTCPIFC"
            | "RMVTCPIFC"
            | "CHGTCPIFC"
            | "CHGLINETH"
            | "DLTLIB"
            | "DLTPGM"
            | "DLTDTAARA"
            | "INZBRM"
            | "STRBKUBRM"
            | "STRMNTBRM"
            | "SAVSYS"
            | "RSTLIB"
    );
    let needs_jobctl = matches!(
        command.name.as_str(),
        "CHGASPACT" | "PWRDWNSYS" | "HLDJOBSCDE" | "RLSJOBSCDE" | "ENDSBS" | "HLDJOBQ" | "RLSJOBQ"
    );
    if (needs_allobj && !profile.allobj) || (needs_jobctl && !profile.jobctl) {
        let text = format!("Not authorized to object {} in QSYS.", command.name);
        return Some(ClAnswer::escape("CPF9802", text));
    }
    None
}

fn chgaspact(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    match helper::cl_action(command) {
        Err(why) => {
            let mut answer = ClAnswer::escape("CPF0006", "Errors occurred in command.");
            answer.messages.insert(0, diagnostic("CPD0084", why));
            answer
        }
        Ok((asp, action)) => match quiesce::apply(world, partition, &asp, &action) {
            Ok(()) => ClAnswer::done(
                quiesce::SUSPENDED_ID,
                format!("Request for {asp} completed."),
            ),
            Err((id, text)) => ClAnswer::escape(&id, text),
        },
    }
}

fn sbmjob(world: &mut World, partition: &str, user: &str, command: &Command) -> ClAnswer {
    let inner = command.text("CMD").unwrap_or_default().to_owned();
    let queue = command
        .word("JOBQ")
        .unwrap_or_else(|| "QGPL/QBATCH".to_owned());
    let owner = match command.word("USER") {
        Some(u) if u != "*CURRENT" => u,
        Some(_) | None => user.to_ascii_uppercase(),
    };
    let Some(disk) = disk_of(world, partition) else {
        return ClAnswer::escape("CPF1338", "Errors occurred on SBMJOB command.");
    };
    let problem = if cl::parse(&inner).is_err() {
        Some(("CPD0043", "Command to submit is not valid.".to_owned()))
    } else if !disk.job_queues.contains_key(&queue) {
        Some(("CPF1648", format!("Job queue {queue} not found.")))
    } else if disk.user(&owner).is_none() && owner != "QPGMR" {
        Some(("CPF1651", format!("User profile {owner} not found.")))
    } else {
        None
    };
    if let Some((id, text)) = problem {
        let mut answer = ClAnswer::escape("CPF1338", "Errors occurred on SBMJOB command.");
        answer.messages.insert(0, diagnostic(id, text));
        return answer;
    }
    let name = command.word("JOB").unwrap_or_else(|| "QDFTJOBD".to_owned());
    let qualified = jobs::new_name(world, partition, &owner, &name);
    let at = own_clock(world, partition);
    let job = jobs::Job {
        name: qualified.clone(),
        queue: queue.clone(),
        phase: jobs::JobPhase::Queued {
            held: command.word("HOLD").as_deref() == Some("*YES"),
        },
        entered: at,
        active: None,
        command: inner,
        log: Vec::new(),
        result: super::file::ProgramResult::Normal,
        messages: std::collections::VecDeque::new(),
        default_reply: command.word("INQMSGRPY").as_deref() == Some("*DFT"),
        system_replies: command.word("INQMSGRPY").as_deref() == Some("*SYSRPYL"),
    };
    jobs::submit(world, partition, job);
    let (library, queue) = queue.split_once('/').unwrap_or(("*LIBL", &queue));
    ClAnswer::done(
        "CPC1221",
        format!("Job {qualified} submitted to job queue {queue} in library {library}."),
    )
}

fn endjob(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let wanted = command.word("JOB").unwrap_or_default();
    let found = view(world, partition).and_then(|(s, _)| {
        s.jobs
            .values()
            .find(|j| j.name == wanted || j.short_name() == wanted)
            .map(|j| j.name.clone())
    });
    match found {
        None => ClAnswer::escape("CPF1321", format!("Job {wanted} not found.")),
        Some(name) => {
            jobs::end(world, partition, &name, 50);
            ClAnswer::done("CPC1126", format!("Job {name} ended."))
        }
    }
}

fn call(world: &mut World, partition: &str, user: &str, command: &Command) -> ClAnswer {
    let program = command.word("PGM").unwrap_or_default();
    let parameters = command.values("PARM");
    let exists =
        disk_of(world, partition).is_some_and(|d| d.objects.contains(&format!("{program} *PGM")));
    if !exists {
        return ClAnswer::escape("CPD0170", format!("Program {program} not found."));
    }
    let outcome = match program.as_str() {
        "IBMICLONE/CHECK" => {
            return match check::check(world, partition, user) {
                Ok(text) => ClAnswer::listed(text.lines().map(str::to_owned).collect()),
                Err((id, text)) => ClAnswer::escape(&id, text),
            };
        }
        "IBMICLONE/INSTALL" => {
            let version = parameters.first().cloned().unwrap_or_default();
            check::install(world, partition, version.trim())
        }
        "IBMICLONE/ISPROD" => check::is_production(world, partition, &parameters),
        "QBRM/Q1AOLD" => return brms::commands::old_program(world, partition, &parameters),
        _ => Ok(("CPC0000".to_owned(), String::new())),
    };
    match outcome {
        Ok((id, _)) if id == "CPC0000" => ClAnswer::quiet(),
        Ok((id, text)) => ClAnswer::done(&id, text),
        Err((id, text)) => ClAnswer::escape(&id, text),
    }
}

fn pwrdwnsys(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let ignored = matches!(
        world.faults.take(Device::IbmI, partition, "PWRDWNSYS"),
        Some(FaultKind::Special(n)) if n == "no-reipl"
    );
    if ignored {
        return ClAnswer::done("CPC0980", "System power-down was requested.");
    }
    let restart = command.word("RESTART").as_deref() == Some("*YES");
    if let Some(r) = running(world, partition) {
        r.system.phase = super::system::Phase::Ending;
        r.system.tcp = false;
        r.system.sshd = false;
        r.system.active_interfaces.clear();
    }
    hmc::guest_power_down(world, partition, restart);
    ClAnswer::done("CPC0980", "System power-down was requested.")
}

fn other(world: &mut World, partition: &str, user: &str, command: &Command) -> ClAnswer {
    let name = command.name.clone();
    let word = |k: &str| command.word(k).unwrap_or_default();
    let is_self = identity(world, partition).is_some();
    if name == "SNDMSG" {
        tell_operator(world, partition, "", 80, &word("MSG"));
        return ClAnswer::quiet();
    }
    if let Some(answer) = job_scheduler::run(world, partition, command) {
        world.ledger.effect(format!("ibmi.{partition}.{name}"));
        return answer;
    }
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let disk = r.disk;
    let answer = match name.as_str() {
        "CHGIPLA" => {
            for (key, value) in [
                ("STRTCP", &mut disk.strtcp),
                ("STRPRTWTR", &mut disk.strprtwtr),
            ] {
                if let Some(text) = command.word(key) {
                    *value = text == "*YES";
                }
            }
            ClAnswer::done("CPC1820", "IPL attributes changed.")
        }
        "CHGSYSVAL" => {
            disk.values.insert(word("SYSVAL"), word("VALUE"));
            ClAnswer::done("CPC1803", "System value changed.")
        }
        "CHGNETA" => {
            if let Some(system) = command.word("SYSNAME") {
                disk.pending_name = Some(system);
            }
            if let Some(point) = command.word("LCLCPNAME") {
                disk.control_point = point;
            }
            if let Some(location) = command.word("LCLLOCNAME") {
                disk.location = location;
            }
            if let Some(alerts) = command.word("ALRSTS") {
                disk.alerts = alerts;
            }
            ClAnswer::done("CPC1D82", "Network attributes changed.")
        }
        "CHGTCPDMN" => {
            if let Some(host) = command.word("HOSTNAME") {
                disk.host_name = host;
            }
            ClAnswer::done("TCP1D05", "TCP/IP domain changed.")
        }
        "HLDJOBSCDE" | "RLSJOBSCDE" => {
            let held = name == "HLDJOBSCDE";
            let wanted = word("JOB");
            let mut found = 0;
            for e in &mut disk.schedule {
                if wanted == "*ALL" || e.name == wanted {
                    e.held = held;
                    found += 1;
                }
            }
            if found == 0 {
                ClAnswer::escape("CPF1628", "Job schedule entry not found.")
            } else {
                ClAnswer::done("CPC1238", format!("{found} job schedule entries changed."))
            }
        }
        "HLDJOBQ" | "RLSJOBQ" | "CLRJOBQ" => match disk.job_queues.get_mut(&word("JOBQ")) {
            None => ClAnswer::escape("CPF3307", format!("Job queue {} not found.", word("JOBQ"))),
            Some(q) => {
                if name != "CLRJOBQ" {
                    q.held = name == "HLDJOBQ";
                }
                ClAnswer::done("CPC2195", "Job queue changed.")
            }
        },
        "VRYCFG" => ClAnswer::done("CPC2605", "Vary completed."),
        "CHGLINETH" => match disk.lines.get_mut(&word("LIND")) {
            Some(resource) => {
                if let Some(new) = command.word("RSRCNAME") {
                    *resource = new;
                }
                ClAnswer::done("CPC2633", "Line description changed.")
            }
            None => ClAnswer::escape("CPF2702", format!("Line {} not found.", word("LIND"))),
        },
        _ => match super::objects::run(disk, user, is_self, command) {
            Some(answer) => answer,
            None => {
                let mut answer = ClAnswer::escape("CPF0006", "Errors occurred in command.");
                answer.messages.insert(
                    0,
                    diagnostic(
                        "CPD0030",
                        format!("Command {name} in library *LIBL not found."),
                    ),
                );
                return answer;
            }
        },
    };
    world.ledger.effect(format!("ibmi.{partition}.{name}"));
    answer
}

//! Print files as PASE `system` copies them to standard output: `WRKCFGSTS`, `DSPLOG`, job logs.

use super::cl::Command;
use super::disk::{EndedJob, LogMessage};
use super::system::{own_clock, view};
use crate::simulators::world::World;

/// The lines of a display command's print file.
pub(super) fn list(
    world: &World,
    partition: &str,
    command: &Command,
) -> Result<Vec<String>, (String, String)> {
    let missing = |text: &str| ("CPF9999".to_owned(), text.to_owned());
    let (system, disk) = view(world, partition).ok_or_else(|| missing("system is not active"))?;
    match command.name.as_str() {
        "WRKCFGSTS" => {
            let mut lines = vec![
                "  5770SS1 V7R5M0 220415             Configuration Status".to_owned(),
                "  Description     Status                -------------Job--------------".to_owned(),
            ];
            let kind = command.word("CFGD");
            if kind.as_deref() == Some("*TAP") {
                let devices = world.tapes.devices(partition);
                lines.extend(devices.iter().map(|name| {
                    let on = system.varied_on.contains(name);
                    format!(
                        "  {name:<15} {}",
                        if on { "VARIED ON" } else { "VARIED OFF" }
                    )
                }));
                return Ok(lines);
            }
            if kind.as_deref() != Some("*ASP") || disk.asps.is_empty() {
                return Err((
                    "CPF9801".to_owned(),
                    "No configuration description found.".to_owned(),
                ));
            }
            lines.extend(disk.asps.iter().map(|(name, on)| {
                format!(
                    "  {name:<15} {}",
                    if *on { "AVAILABLE" } else { "VARIED OFF" }
                )
            }));
            Ok(lines)
        }
        "DSPASPSTS" => {
            let name = command.word("ASPDEV").unwrap_or_default();
            match disk.asps.get(&name) {
                Some(on) => Ok(vec![format!(
                    "  {name:<10}  {}",
                    if *on { "AVAILABLE" } else { "VARIED OFF" }
                )]),
                None => Err(("CPF9801".to_owned(), format!("Object {name} not found."))),
            }
        }
        "DSPLOG" => Ok(disk.history.iter().flat_map(print_message).collect()),
        _ => {
            let name = command.word("JOB").unwrap_or_default();
            job_log(world, partition, &name)
                .map(|log| spooled(world, partition, &name, &log))
                .ok_or_else(|| ("CPF1321".to_owned(), format!("Job {name} not found.")))
        }
    }
}

/// The log of a job, live or ended.
pub(super) fn job_log(world: &World, partition: &str, name: &str) -> Option<Vec<LogMessage>> {
    let (system, disk) = view(world, partition)?;
    if let Some(job) = system.jobs.get(name) {
        return Some(job.log.clone());
    }
    disk.ended
        .iter()
        .rfind(|j| j.name == name && !j.vanished)
        .map(|j| j.log.clone())
}

/// The lines of a spooled file of a job that has ended: its log, or what its programs printed.
pub(super) fn spooled_file(
    world: &World,
    partition: &str,
    job: &str,
    file: &str,
) -> Option<Vec<String>> {
    let (_, disk) = view(world, partition)?;
    if file != "QPJOBLOG" {
        return disk
            .spooled
            .get(&(job.to_owned(), file.to_owned()))
            .cloned();
    }
    let written = |j: &&EndedJob| j.name == job && !j.vanished && !j.pending;
    let ended = disk.ended.iter().rfind(written)?;
    Some(spooled(world, partition, job, &ended.log))
}

/// A job log as QPJOBLOG prints it.
pub(super) fn spooled(
    world: &World,
    partition: &str,
    name: &str,
    log: &[LogMessage],
) -> Vec<String> {
    let mut parts = name.split('/');
    let (number, user, job) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let at = own_clock(world, partition).format("%m/%d/%y %H:%M:%S");
    let system = view(world, partition).map_or(String::new(), |(_, d)| d.system_name.clone());
    let mut lines = vec![
        format!(" 5770SS1 V7R5M0 220415                     Job Log                           {system:<8}  {at}    Page    1"),
        format!("  Job name . . . . . . . . . . :   {job:<10}     User  . . . . . . :   {user:<10}   Number . . . . . . . . . . . :   {number}"),
        "  Job description  . . . . . . :   QDFTJOBD       Library . . . . . :   QGPL".to_owned(),
        " MSGID      TYPE                    SEV  DATE      TIME             FROM PGM     LIBRARY     INST     TO PGM      LIBRARY     INST".to_owned(),
    ];
    lines.extend(log.iter().flat_map(print_message));
    lines
}

/// A message as print files show it.
pub(super) fn print_message(m: &LogMessage) -> Vec<String> {
    let kind = match m.kind.as_str() {
        "COMPLETION" => "Completion",
        "DIAGNOSTIC" => "Diagnostic",
        "ESCAPE" => "Escape",
        "INQUIRY" => "Inquiry",
        _ => "Information",
    };
    let id = if m.id.is_empty() { "*NONE" } else { &m.id };
    let mut lines = vec![format!(
        " {id:<10} {kind:<23} {:02}   {}  {}  QCMD         QSYS        01CD     *EXT                    *N",
        m.severity,
        m.at.format("%m/%d/%y"),
        m.at.format("%H:%M:%S%.6f"),
    )];
    let margin = " ".repeat(38);
    lines.push(format!("{margin}Message . . . . :   {}", m.text));
    if !m.second_level.is_empty() {
        lines.push(format!("{margin}{}", m.second_level));
    }
    lines
}

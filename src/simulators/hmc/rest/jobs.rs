//! Jobs: power and CLIRunner, by JobID (`hmc.md` § 1.10, § 1.11, § 2.1).

use super::atom::{CONSOLE_UUID, element, group, web_entry};
use super::{Ask, Reply};
use crate::simulators::hmc::power::{self, Job, JobStatus, add_job};
use crate::simulators::vios;
use crate::simulators::world::World;

/// PUT …/do/OPERATION.
pub(super) fn submit(world: &mut World, ask: &Ask<'_>, parts: &[&str]) -> Reply {
    let parameters = parameters(ask.body);
    let value = |name: &str| {
        parameters
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    let id = match parts {
        ["LogicalPartition", uuid, "do", operation] => {
            let Some(partition) = world.console.by_uuid(uuid).map(|p| p.name.clone()) else {
                return Reply::not_found(ask.path);
            };
            match *operation {
                "PowerOn" if value("OperationType") == Some("changeKeylock") => {
                    power::change_keylock(world, &partition, value("keylock") == Some("manual"))
                }
                "PowerOn" => {
                    let manual = value("keylock").map(|k| k == "manual");
                    let ipl = value("iIPLsource").and_then(|s| s.chars().next());
                    power::power_on(
                        world,
                        &partition,
                        value("LogicalPartitionProfile"),
                        manual,
                        ipl,
                    )
                }
                "PowerOff" => return power_off(world, ask, &partition, &parameters),
                _ => return Reply::not_found(ask.path),
            }
        }
        ["ManagementConsole", CONSOLE_UUID, "do", "CLIRunner"] => {
            if value("acknowledgeThisAPIMayGoAwayInTheFuture") != Some("true") {
                return Reply::error(
                    400,
                    ask.path,
                    "A required parameter is missing.",
                    "REST0010 acknowledgeThisAPIMayGoAwayInTheFuture",
                );
            }
            let command = value("cmd").unwrap_or_default().to_owned();
            let outcome = run_command(world, &command);
            add_job(
                world,
                "CLIRunner",
                "ManagementConsole",
                CONSOLE_UUID,
                outcome,
            )
        }
        _ => return Reply::not_found(ask.path),
    };
    respond_with(world, ask, id, parameters)
}

fn respond_with(
    world: &mut World,
    ask: &Ask<'_>,
    id: u64,
    parameters: Vec<(String, String)>,
) -> Reply {
    if let Some(job) = world.console.jobs.get_mut(&id) {
        job.parameters = parameters;
    }
    match world.console.jobs.get(&id) {
        Some(job) => Reply::atom(job_entry(world, ask, job)),
        None => Reply::not_found(ask.path),
    }
}

/// Only the combinations the page lists; `shutdown`, not immediate, with restart is a dump restart on the real one.
fn power_off(
    world: &mut World,
    ask: &Ask<'_>,
    partition: &str,
    parameters: &[(String, String)],
) -> Reply {
    let value = |name: &str| {
        parameters
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    };
    let id = match (value("operation"), value("immediate"), value("restart")) {
        ("shutdown", "true", "false" | "") => power::power_off(world, partition),
        ("osshutdown", _, _) => {
            let refused = Err((
                JobStatus::CompletedWithError,
                "HSCL0DB4 The operating system shutdown is not available in the simulator."
                    .to_owned(),
            ));
            let uuid = world
                .console
                .partitions
                .get(partition)
                .map(|p| p.uuid.to_string())
                .unwrap_or_default();
            add_job(world, "PowerOff", "LogicalPartition", &uuid, refused)
        }
        (operation, immediate, restart) => {
            let text = format!(
                "REST0011 operation={operation} immediate={immediate} restart={restart} is not supported here."
            );
            return Reply::error(
                400,
                ask.path,
                "The value of a parameter is not valid.",
                &text,
            );
        }
    };
    respond_with(world, ask, id, parameters.to_vec())
}

/// `viosvrcmd -m SYS {-p NAME | --id N} -c "cmd"`; any other command is refused in the console's own spelling.
fn run_command(world: &mut World, command: &str) -> Result<String, (JobStatus, String)> {
    let words = shell_words(command);
    if words.first().map(String::as_str) != Some("viosvrcmd") {
        let verb = words.first().cloned().unwrap_or_default();
        return Err((
            JobStatus::FailedBeforeCompletion,
            format!("Unsupported commmand {verb}"),
        ));
    }
    let after = |flag: &str| {
        words
            .iter()
            .position(|w| w == flag)
            .and_then(|at| words.get(at + 1))
            .cloned()
    };
    let system = after("-m").unwrap_or_default();
    let known = world
        .console
        .systems
        .iter()
        .find(|s| s.name == system || format!("{}*{}", s.type_model, s.serial) == system);
    let Some(system) = known.map(|s| s.name.clone()) else {
        return Err((
            JobStatus::CompletedWithError,
            "HSCL8018 The managed system was not found.".to_owned(),
        ));
    };
    let by_id = after("--id").and_then(|id| id.parse::<i32>().ok());
    let by_name = after("-p");
    let found = world.console.partitions.values().find(|p| {
        p.system == system
            && (by_id == Some(p.identity.partition_id)
                || by_name.as_deref() == Some(p.name.as_str()))
    });
    let Some(name) = found
        .map(|p| p.name.clone())
        .filter(|n| world.vioses.contains_key(n))
    else {
        return Err((
            JobStatus::CompletedWithError,
            "HSCL8012 The partition was not found.".to_owned(),
        ));
    };
    if !world.vioses.get(&name).is_some_and(|v| v.rmc)
        || !crate::simulators::hmc::is_on(world, &name)
    {
        let text =
            format!("HSCL294C The RMC connection to the Virtual I/O Server {name} is not active.");
        return Err((JobStatus::CompletedWithError, text));
    }
    let output = vios::command(world, &name, &after("-c").unwrap_or_default());
    if output.status == 0 {
        return Ok(output.text);
    }
    let text = format!(
        "HSCL2970 The IOServer command has failed because of the following reason:\n{}\nrc={}",
        output.text, output.status
    );
    Err((JobStatus::CompletedWithError, text))
}

/// Words of a command line with single and double quotes and backslashes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut started = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('"') | None, '\\') => word.extend(chars.next()),
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                started = true;
            }
            (None, c) if c.is_whitespace() => {
                if started || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            (None, c) => word.push(c),
        }
    }
    if started || !word.is_empty() {
        words.push(word);
    }
    words
}

fn parameters(body: &str) -> Vec<(String, String)> {
    let Ok(document) = roxmltree::Document::parse(body) else {
        return Vec::new();
    };
    let parameters = document
        .descendants()
        .filter(|n| n.tag_name().name() == "JobParameter");
    parameters
        .map(|p| {
            let text = |name: &str| {
                let node = p.children().find(|n| n.tag_name().name() == name);
                node.and_then(|n| n.text())
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            };
            (text("ParameterName"), text("ParameterValue"))
        })
        .collect()
}

/// GET and DELETE of `/jobs/{JobID}`, POST of `/jobs/{JobID}/cancel`. The entry's UUID is no JobID: 400.
pub(super) fn answer(world: &mut World, ask: &Ask<'_>, parts: &[&str]) -> Reply {
    let Some(id) = parts.get(1).and_then(|id| id.parse::<u64>().ok()) else {
        return Reply::error(
            400,
            ask.path,
            "The job identifier is not valid.",
            "REST0012 A JobID is expected.",
        );
    };
    let Some(job) = world.console.jobs.get(&id).cloned() else {
        return Reply::not_found(ask.path);
    };
    match (ask.method, parts.get(2)) {
        ("GET", _) => Reply::atom(job_entry(world, ask, &job)),
        ("DELETE", None) if !job.status(world.now).is_terminal() => Reply::error(
            409,
            ask.path,
            "The job is running.",
            "REST0013 A running job cannot be deleted.",
        ),
        ("DELETE", None) => {
            world.console.jobs.remove(&id);
            Reply::empty(204)
        }
        ("POST", Some(&"cancel")) => Reply::empty(204),
        _ => Reply::not_found(ask.path),
    }
}

/// GET …/do/OPERATION: an empty request.
pub(super) fn template(ask: &Ask<'_>, operation: &str) -> Reply {
    let inner = group(
        "RequestedOperation",
        &[
            element("OperationName", operation),
            element("GroupName", "LogicalPartition"),
        ]
        .concat(),
    );
    let _ = ask;
    Reply::atom(web_entry(
        "JobRequest",
        "5b1e8f2d-0000-3000-8000-000000000000",
        "",
        &inner,
    ))
}

fn job_entry(world: &World, ask: &Ask<'_>, job: &Job) -> String {
    let status = job.status(world.now);
    let millis = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or(0, |t| t.timestamp_millis()).to_string()
    };
    let started = (status != JobStatus::NotStarted).then_some(job.submitted);
    let completed = status.is_terminal().then_some(job.ends).flatten();
    let shown: String = job
        .parameters
        .iter()
        .map(|(n, v)| parameter(n, v))
        .collect();
    let instance = group(
        "JobRequestInstance",
        &[
            group(
                "RequestedOperation",
                &[
                    element("OperationName", &job.operation),
                    element("GroupName", &job.group),
                ]
                .concat(),
            ),
            group("JobParameters", &shown),
        ]
        .concat(),
    );
    let mut inner = [
        format!("<RequestURL kb=\"ROR\" kxe=\"false\" href=\"{}/{}/do/{}\" rel=\"via\" title=\"The URL to which the JobRequest was submitted.\"/>\n", job.group, job.target, job.operation),
        element("TargetUuid", &job.target),
        element("JobID", &job.id.to_string()),
        element("TimeStarted", &millis(started)),
        element("TimeCompleted", &millis(completed)),
        element("Status", status.as_str()),
        instance,
        group("Progress", &element("LinearProgress", if status.is_terminal() { "1.0" } else { "0.0" })),
    ]
    .concat();
    match status {
        JobStatus::NotStarted | JobStatus::Running => {}
        JobStatus::FailedBeforeCompletion => {
            inner.push_str(&group(
                "ResponseException",
                &[element("Message", &job.result), element("StackTrace", "")].concat(),
            ));
        }
        JobStatus::CompletedOk | JobStatus::CompletedWithError => {
            let results = [
                parameter("returnCode", &job.return_code.to_string()),
                parameter("result", &job.result),
            ];
            inner.push_str(&group("Results", &results.concat()));
        }
    }
    let links = format!(
        "<link rel=\"SELF\" href=\"nulljobs/{id}\"/>\n<link rel=\"SELF\" href=\"https://{host}/rest/api/uom/jobs/{id}/d860017d-c57e-4ec0-b66d-fc904b34366c\"/>\n",
        id = job.id,
        host = ask.host
    );
    web_entry(
        "JobResponse",
        "45a60a53-ac37-3a0d-b8de-0baea66b7227",
        &links,
        &inner,
    )
}

fn parameter(name: &str, value: &str) -> String {
    group(
        "JobParameter",
        &[
            element("ParameterName", name),
            element("ParameterValue", value),
        ]
        .concat(),
    )
}

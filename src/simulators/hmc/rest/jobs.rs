//! Jobs: power and CLIRunner, by JobID (`hmc.md` § 1.10, § 1.11, § 2.1).

use super::atom::{console_link, console_uuid, element, etag, group, web_entry};
use super::{Ask, Reply, sessions};
use crate::simulators::hmc::jobs::{Job, JobStatus, add_job, cancel};
use crate::simulators::hmc::power::{self, PowerOff};
use crate::simulators::vios;
use crate::simulators::world::World;

/// PUT …/do/OPERATION.
pub(super) fn submit(world: &mut World, ask: &Ask<'_>, parts: &[&str]) -> Reply {
    if let Some(reply) = sessions::only_looks(world, ask) {
        return reply;
    }
    let parameters = parameters(ask.body);
    let id = match parts {
        ["LogicalPartition", uuid, "do", operation] => {
            let Some(partition) = world.console.by_uuid(uuid).map(|p| p.name.clone()) else {
                return Reply::not_found(ask.path);
            };
            match *operation {
                "PowerOn" => power_on(world, ask, &partition, &parameters),
                "PowerOff" => power_off(world, ask, &partition, &parameters),
                _ => return Reply::not_found(ask.path),
            }
        }
        [
            "VirtualIOServer",
            uuid,
            "do",
            operation @ ("ConfigDevice" | "RemoveDevice"),
        ] => {
            let p = world.console.by_uuid(uuid).map(|p| p.name.clone());
            let Some(vios) = p.filter(|p| world.vioses.contains_key(p)) else {
                return Reply::not_found(ask.path);
            };
            vios_job(world, ask, (uuid, &vios, operation), &parameters)
        }
        ["ManagementConsole", uuid, "do", "CLIRunner"]
            if uuid.eq_ignore_ascii_case(&console_uuid(ask.endpoint)) =>
        {
            run(world, ask, &parameters)
        }
        _ => return Reply::not_found(ask.path),
    };
    let id = match id {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let Some(job) = world.console.jobs.get_mut(&id) else {
        return Reply::not_found(ask.path);
    };
    job.parameters = parameters;
    job.endpoint = ask.endpoint;
    let job = job.clone();
    Reply::atom(job_entry(world, ask, &job))
}

type Parameters = [(String, String)];

fn value<'p>(parameters: &'p Parameters, name: &str) -> Option<&'p str> {
    let found = parameters.iter().find(|(n, _)| n == name);
    found.map(|(_, v)| v.as_str())
}

fn bad_value(ask: &Ask<'_>, text: &str) -> Reply {
    Reply::error(
        400,
        ask.path,
        "The value of a parameter is not valid.",
        &format!("REST0011 {text}"),
    )
}

/// `norm` is what clients send; some documents spell `normal`.
fn power_on(
    world: &mut World,
    ask: &Ask<'_>,
    partition: &str,
    parameters: &Parameters,
) -> Result<u64, Reply> {
    let manual = match value(parameters, "keylock") {
        None => None,
        Some("manual") => Some(true),
        Some("norm" | "normal") => Some(false),
        Some(other) => return Err(bad_value(ask, &format!("keylock={other}"))),
    };
    let ipl_source = match value(parameters, "iIPLsource") {
        None => None,
        Some("a") => Some('a'),
        Some("b") => Some('b'),
        Some("c") => Some('c'),
        Some("d") => Some('d'),
        Some(other) => return Err(bad_value(ask, &format!("iIPLsource={other}"))),
    };
    match (value(parameters, "OperationType"), manual) {
        (None | Some("activate"), manual) => Ok(power::power_on(
            world,
            partition,
            value(parameters, "LogicalPartitionProfile"),
            manual,
            ipl_source,
        )),
        (Some("changeKeylock"), Some(manual)) => {
            Ok(power::change_keylock(world, partition, manual))
        }
        (Some("changeKeylock"), None) => Err(bad_value(ask, "changeKeylock without keylock")),
        (Some(other), _) => Err(bad_value(ask, &format!("OperationType={other}"))),
    }
}

/// The combinations of `hmc.md` § 1.10. Note that `shutdown`, not immediate, with restart is a dump restart.
fn power_off(
    world: &mut World,
    ask: &Ask<'_>,
    partition: &str,
    parameters: &Parameters,
) -> Result<u64, Reply> {
    let flag = |name: &str| match value(parameters, name) {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(other) => Err(bad_value(ask, &format!("{name}={other}"))),
    };
    let (immediate, restart) = (flag("immediate")?, flag("restart")?);
    let how = match (value(parameters, "operation"), immediate, restart) {
        (Some("shutdown"), true, false) => PowerOff::Immediate,
        (Some("shutdown"), true, true) => PowerOff::ImmediateRestart,
        (Some("shutdown"), false, false) => PowerOff::Delayed,
        (Some("dumprestart"), ..) | (Some("shutdown"), false, true) => PowerOff::DumpRestart,
        (Some("osshutdown"), _, false) => PowerOff::OperatingSystem,
        (operation, immediate, restart) => {
            let operation = operation.unwrap_or("nothing");
            let text = format!("operation={operation} immediate={immediate} restart={restart}");
            return Err(bad_value(ask, &text));
        }
    };
    Ok(power::power_off_how(world, partition, how))
}

/// `ConfigDevice` (cfgdev, of everything or of one adapter) and `RemoveDevice` (`hmc.md` § 2.3).
fn vios_job(
    world: &mut World,
    ask: &Ask<'_>,
    (uuid, vios, operation): (&str, &str, &str),
    parameters: &Parameters,
) -> Result<u64, Reply> {
    let device = value(parameters, "devName");
    let line = match (operation, device) {
        ("ConfigDevice", None) => "cfgdev".to_owned(),
        ("ConfigDevice", Some(device)) => format!("cfgdev -dev {device}"),
        (_, Some(device)) => format!("rmdev -dev {device} -recursive"),
        (_, None) => return Err(bad_value(ask, "RemoveDevice without devName")),
    };
    let outcome = run_on(world, vios, &line);
    Ok(add_job(world, operation, "VirtualIOServer", uuid, outcome))
}

fn run(world: &mut World, ask: &Ask<'_>, parameters: &Parameters) -> Result<u64, Reply> {
    if value(parameters, "acknowledgeThisAPIMayGoAwayInTheFuture") != Some("true") {
        return Err(Reply::error(
            400,
            ask.path,
            "A required parameter is missing.",
            "REST0010 acknowledgeThisAPIMayGoAwayInTheFuture",
        ));
    }
    let outcome = run_command(world, value(parameters, "cmd").unwrap_or_default());
    let console = console_uuid(ask.endpoint);
    Ok(add_job(
        world,
        "CLIRunner",
        "ManagementConsole",
        &console,
        outcome,
    ))
}

/// `viosvrcmd -m SYS {-p NAME | --id N} -c "cmd"`; any other command is refused in the console's own spelling.
fn run_command(world: &mut World, command: &str) -> Result<String, (JobStatus, String)> {
    let words = shell_words(command);
    if words.first().map(String::as_str) != Some("viosvrcmd") {
        let verb = words.first().cloned().unwrap_or_default();
        return Err((
            JobStatus::FailedBeforeCompletion,
            format!(
                "com.ibm.pmc.jaxb.api.server.jobs.PmcJobException: Unsupported commmand {verb}"
            ),
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
    if !world.console.reaches(&system) {
        return Err((
            JobStatus::CompletedWithError,
            "HSCL0238 The managed system is not in a state in which this operation is possible."
                .to_owned(),
        ));
    }
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
    run_on(world, &name, &after("-c").unwrap_or_default())
}

/// A command on a VIOS, through its RMC session.
fn run_on(world: &mut World, name: &str, line: &str) -> Result<String, (JobStatus, String)> {
    if !world.vioses.get(name).is_some_and(|v| v.rmc) || !crate::simulators::hmc::is_on(world, name)
    {
        let text =
            format!("HSCL294C The RMC connection to the Virtual I/O Server {name} is not active.");
        return Err((JobStatus::CompletedWithError, text));
    }
    let output = vios::command(world, name, line);
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
    let job = world.console.jobs.get(&id);
    // Another console does not know it.
    let Some(job) = job.filter(|j| j.endpoint == ask.endpoint).cloned() else {
        return Reply::not_found(ask.path);
    };
    match (ask.method, parts.get(2)) {
        ("GET", _) => {
            let entry = job_entry(world, ask, &job);
            Reply {
                etag: Some(etag(&entry)),
                ..Reply::atom(entry)
            }
        }
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
        ("POST", Some(&"cancel")) => {
            if cancel(world, id) {
                return Reply::error(
                    409,
                    ask.path,
                    "The job has ended.",
                    "REST0014 A job that has ended cannot be cancelled.",
                );
            }
            Reply::empty(204)
        }
        _ => Reply::not_found(ask.path),
    }
}

/// GET …/do/OPERATION: an empty request.
pub(super) fn template(ask: &Ask<'_>, parts: &[&str]) -> Reply {
    let [kind, _, "do", operation] = parts else {
        return Reply::not_found(ask.path);
    };
    let known = [
        "PowerOn",
        "PowerOff",
        "CLIRunner",
        "ConfigDevice",
        "RemoveDevice",
    ];
    if !known.contains(operation) {
        return Reply::not_found(ask.path);
    }
    let names = [
        element("OperationName", operation),
        element("GroupName", kind),
    ];
    let inner = [
        group("RequestedOperation", &names.concat()),
        group("JobParameters", ""),
    ];
    let id = "5b1e8f2d-0000-3000-8000-000000000000";
    Reply::atom(web_entry("JobRequest", id, "", &inner.concat()))
}

/// What was asked for, repeated.
fn instance(job: &Job) -> String {
    let names = [
        element("OperationName", &job.operation),
        element("GroupName", &job.group),
    ];
    let parameters = job.parameters.iter().map(|(n, v)| parameter(n, v));
    let inner = [
        group("RequestedOperation", &names.concat()),
        group("JobParameters", &parameters.collect::<String>()),
    ];
    group("JobRequestInstance", &inner.concat())
}

fn exception(job: &Job) -> String {
    let trace = format!(
        "{}\n\tat com.ibm.pmc.jaxb.api.server.jobs.AbstractPmcJob.execute(AbstractPmcJob.java:633)\n",
        job.result
    );
    let inner = [
        element("Message", &job.result),
        element("StackTrace", &trace),
    ];
    group("ResponseException", &inner.concat())
}

/// The entry of a job; `Results` is there from the start, and empty until the end.
fn job_entry(world: &World, ask: &Ask<'_>, job: &Job) -> String {
    let status = job.status(world.now);
    let millis = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or(0, |t| t.timestamp_millis()).to_string()
    };
    let started = (status != JobStatus::NotStarted).then_some(job.submitted);
    let completed = status.is_terminal().then_some(job.ends).flatten();
    let mut inner = [
        format!("<RequestURL kb=\"ROR\" kxe=\"false\" href=\"{}/{}/do/{}\" rel=\"via\" title=\"The URL to which the JobRequest was submitted.\"/>\n", job.group, job.target, job.operation),
        element("TargetUuid", &job.target),
        element("JobID", &job.id.to_string()),
        element("TimeStarted", &millis(started)),
        element("TimeCompleted", &millis(completed)),
        element("Status", status.as_str()),
    ]
    .concat();
    if status == JobStatus::FailedBeforeCompletion {
        inner.push_str(&exception(job));
    }
    inner.push_str(&instance(job));
    let (progress, results) = match status {
        JobStatus::CompletedOk | JobStatus::CompletedWithError => {
            let results = [
                parameter("returnCode", &job.return_code.to_string()),
                parameter("result", &job.result),
            ];
            (element("LinearProgress", "1.0"), results.concat())
        }
        JobStatus::NotStarted
        | JobStatus::Running
        | JobStatus::FailedBeforeCompletion
        | JobStatus::CanceledBeforeStart
        | JobStatus::CanceledWhileRunning => (String::new(), String::new()),
    };
    inner.push_str(&group("Progress", &progress));
    inner.push_str(&group("Results", &results));
    web_entry(
        "JobResponse",
        "45a60a53-ac37-3a0d-b8de-0baea66b7227",
        &job_links(ask, job, status),
        &inner,
    )
}

/// The answer to the submission has one good link; later ones begin with a bogus one (`hmc.md` § 1.4).
fn job_links(ask: &Ask<'_>, job: &Job, status: JobStatus) -> String {
    let url = format!("https://{}/rest/api/uom/jobs/{}", ask.host, job.id);
    if status == JobStatus::NotStarted {
        return format!("<link rel=\"SELF\" href=\"{url}\"/>\n");
    }
    format!(
        "<link rel=\"SELF\" href=\"nulljobs/{}\"/>\n<link rel=\"SELF\" href=\"{url}/d860017d-c57e-4ec0-b66d-fc904b34366c\"/>\n{}",
        job.id,
        console_link(ask)
    )
}

/// A parameter, as answers write it.
fn parameter(name: &str, value: &str) -> String {
    let inner = [
        element("ParameterName", name),
        element("ParameterValue", value),
    ];
    group("JobParameter", &inner.concat())
}

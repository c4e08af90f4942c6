//! The parameter file of a run (`ibmi/CONTRACT.md` § 2): all the clone knows of what it is to become. Pure text; holds no
//! password.

use super::plan::{Plan, identity_text};
use super::queries::SourceRoute;
use super::records::{RecordError, RecordText};
use crate::api::clone_side::{Network, Route, ScheduledJobs};
use crate::api::options::Function;
use crate::api::saves::{Clear, EndOption};
use crate::site::Identity;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// What was read from the devices for this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFacts {
    /// The source's own clock, UTC.
    pub now: DateTime<Utc>,
    /// SCPF entry time of the source, `CYYMMDDHHMMSS`.
    pub scpf: String,
    /// The console's pair of the clone.
    pub clone: Identity,
    /// IPv4 addresses of the source: what the clone must remove.
    pub interfaces: Vec<String>,
    /// Configured routes of the source.
    pub routes: Vec<SourceRoute>,
    /// Independent ASPs.
    pub asps: Vec<String>,
}

/// The whole text with its checksum.
pub fn parameter_file(plan: &Plan, facts: &SourceFacts) -> Result<String, RecordError> {
    let mut text = RecordText::default();
    run_lines(&mut text, plan, facts);
    save21_lines(&mut text, plan);
    personality_lines(&mut text, plan);
    source_lines(&mut text, facts);
    text.line(
        "varyOnAsps",
        if plan.personality.vary_on_asps {
            "Yes"
        } else {
            "No"
        },
    );
    text.list("asp", &facts.asps);
    text.close()
}

fn run_lines(text: &mut RecordText, plan: &Plan, facts: &SourceFacts) {
    let limit = TimeDelta::seconds(i64::try_from(plan.run_seconds).unwrap_or(i64::MAX / 2_000));
    text.line("version", "1");
    text.line("operator", &plan.operator_id);
    text.line("runToken", &plan.run_token);
    text.line("runNumber", plan.run_number.to_string());
    text.line("environment", &plan.environment);
    text.line("function", plan.function.as_str());
    text.line("writtenAt", utc(facts.now));
    text.line("notAfter", utc(facts.now + limit));
    let identities: Vec<String> = plan.source_identities.iter().map(identity_text).collect();
    text.list("sourceIdentity", &identities);
    text.line("sourceScpf", &facts.scpf);
    text.line("clone.serialNumber", &facts.clone.serial_number);
    text.line("clone.partitionId", facts.clone.partition_id.to_string());
}

/// What the kit's program SAVE21 needs, before anything else is done with these disks.
fn save21_lines(text: &mut RecordText, plan: &Plan) {
    let Some(save) = plan
        .save21
        .as_ref()
        .filter(|_| plan.function == Function::Save21)
    else {
        return;
    };
    text.line("save21.device", &save.device);
    text.list("save21.volumes", &save.volumes);
    text.line(
        "save21.endOption",
        match save.end_option {
            EndOption::Rewind => "Rewind",
            EndOption::Leave => "Leave",
            EndOption::Unload => "Unload",
        },
    );
    text.line(
        "save21.clear",
        match save.clear {
            Clear::None => "None",
            Clear::All => "All",
            Clear::After => "After",
        },
    );
    let expires = match save.expiration_date.as_str() {
        "" => "-",
        date => date,
    };
    text.line("save21.expirationDate", expires);
    text.list("save21.omit", &save.omit);
    text.line("save21.controllingQueue", &save.controlling_queue);
    text.line(
        "save21.restrictedStateSeconds",
        save.restricted_state_seconds.to_string(),
    );
    text.line("save21.replies.count", save.replies.len().to_string());
    for (n, reply) in save.replies.iter().enumerate() {
        let key = |name: &str| format!("save21.replies.{}.{name}", n + 1);
        text.line(&key("messageId"), &reply.message_id);
        text.line(&key("reply"), &reply.reply);
    }
}

fn personality_lines(text: &mut RecordText, plan: &Plan) {
    let become_ = &plan.personality;
    text.line("systemName", &become_.system_name);
    text.line("hostName", &become_.host_name);
    if let Some(domain) = &become_.domain {
        text.line("domain", domain);
    }
    text.line(
        "network",
        match plan.network {
            Network::Shared => "Shared",
            Network::Isolated => "Isolated",
        },
    );
    text.line("interface.count", become_.interfaces.len().to_string());
    for (n, interface) in become_.interfaces.iter().enumerate() {
        let key = |name: &str| format!("interface.{}.{name}", n + 1);
        text.line(&key("address"), &interface.address);
        text.line(&key("netmask"), &interface.netmask);
        text.line(&key("lineDescription"), &interface.line_description);
        text.line(
            &key("resource"),
            interface.resource.as_deref().unwrap_or("*KEEP"),
        );
    }
    route_lines(
        text,
        "route",
        &become_.routes.iter().map(wanted_route).collect::<Vec<_>>(),
    );
    if let Some(program) = &become_.startup_program {
        text.line("startupProgram", program);
    }
    text.list("startSubsystem", &become_.start_subsystems);
    text.line(
        "scheduledJobs",
        match become_.scheduled_jobs {
            ScheduledJobs::Hold => "Hold",
            ScheduledJobs::Keep => "Keep",
        },
    );
    let scheduler = &become_.job_scheduler;
    text.list("js1.dataLibrary", &scheduler.data_libraries);
    text.list("js1.monitorJob", &scheduler.monitor_jobs);
    // All other job queues stay held: only those on which jobs of this run are submitted are released.
    text.list("releaseJobQueue", &plan.clone_queues());
}

fn source_lines(text: &mut RecordText, facts: &SourceFacts) {
    text.line("sourceInterface.count", facts.interfaces.len().to_string());
    for (n, address) in facts.interfaces.iter().enumerate() {
        text.line(&format!("sourceInterface.{}.address", n + 1), address);
    }
    route_lines(text, "sourceRoute", &facts.routes);
}

fn route_lines(text: &mut RecordText, list: &str, routes: &[SourceRoute]) {
    text.line(&format!("{list}.count"), routes.len().to_string());
    for (n, route) in routes.iter().enumerate() {
        let key = |name: &str| format!("{list}.{}.{name}", n + 1);
        text.line(&key("destination"), &route.destination);
        text.line(&key("netmask"), &route.netmask);
        text.line(&key("nextHop"), &route.next_hop);
    }
}

fn wanted_route(route: &Route) -> SourceRoute {
    let (destination, netmask) = route
        .destination
        .split_once('/')
        .unwrap_or((route.destination.as_str(), "*NONE"));
    SourceRoute {
        destination: destination.to_owned(),
        netmask: netmask.to_owned(),
        next_hop: route.next_hop.clone(),
    }
}

fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

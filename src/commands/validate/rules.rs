//! Rules between fields that are worth having without a cluster, and what the operator itself reads: cron lines, zones.

use super::schema::Finding;
use crate::api::{CloneEnvironment, CloneRun};
use crate::schedule::{CronLine, Zone};
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Rules of the definitions, as they are written there, that [`check`] does in Rust.
const COVERED: [&str; 10] = [
    "size(self.metadata.name) <= 40",
    "size(self.metadata.name) <= 63",
    "self.function == 'USER' ? has(self.user) : !has(self.user)",
    "!(self.source.partition.name == self.clone.partition.name && self.source.partition.managedSystem == self.clone.partition.managedSystem)",
    "self.source.host.address != self.clone.host.address",
    "self.clone.personality.interfaces.all(i, i.address != self.source.host.address)",
    "self.all(x, !x.contains('TZ='))",
    "self.all(x, !x.startsWith('@'))",
    r"self.all(x, x.contains('TZ=') || x.startsWith('@') || x.matches(r'^[0-9A-Za-z*,/#+?\-]+( +[0-9A-Za-z*,/#+?\-]+){4}$'))",
    "(self.trigger == 'Schedule') == has(self.scheduledTime)",
];

/// Whether a rule is done here.
pub fn covers(rule: &str) -> bool {
    COVERED.contains(&rule)
}

/// An object that follows the schema.
pub fn check(kind: &str, object: &Value, findings: &mut Vec<Finding>) {
    let outcome = match kind {
        "CloneEnvironment" => read(object).map(|e| environment(&e, findings)),
        _ => read(object).map(|r| run(&r, findings)),
    };
    if let Err(text) = outcome {
        findings.push(Finding::new(&[], text));
    }
}

/// What follows the schema can be read; if not, it is said all the same.
fn read<K: DeserializeOwned>(object: &Value) -> Result<K, String> {
    let object = object.clone();
    serde_json::from_value(object).map_err(|e| format!("cannot be read: {e}"))
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn environment(environment: &CloneEnvironment, findings: &mut Vec<Finding>) {
    let spec = &environment.spec;
    let mut found = |at: &str, text: &str| findings.push(Finding::new(&path(at), text));
    if environment.name_any().len() > 40 {
        found(
            "metadata.name",
            "write at most 40 characters, names of runs, ConfigMaps and Leases are made from it",
        );
    }
    let user = spec.function.as_str() == "USER";
    if user != spec.user.is_some() {
        found(
            "spec.user",
            "function USER needs the block user: { programs: [ … ] }, and no other function may have it",
        );
    }
    if spec.source.partition.name == spec.clone.partition.name
        && spec.source.partition.managed_system == spec.clone.partition.managed_system
    {
        found(
            "spec.clone.partition",
            "the clone must be another partition than the source; it is overwritten by every run",
        );
    }
    let production = &spec.source.host.address;
    if *production == spec.clone.host.address {
        found(
            "spec.clone.host.address",
            "write the address the clone has after its personality; this one is production's",
        );
    }
    let interfaces = &spec.clone.personality.interfaces;
    if interfaces.iter().any(|i| i.address == *production) {
        found(
            "spec.clone.personality.interfaces",
            "the address of source.host may not be an interface of the clone; write addresses that only the clone has",
        );
    }
    let Some(schedule) = &spec.schedule else {
        return;
    };
    if let Err(error) = Zone::parse(&schedule.time_zone) {
        found("spec.schedule.timeZone", &error.to_string());
    }
    for (at, line) in schedule.cron.iter().enumerate() {
        if let Err(error) = CronLine::parse(line) {
            found(&format!("spec.schedule.cron.{at}"), &error.to_string());
        }
    }
}

fn run(run: &CloneRun, findings: &mut Vec<Finding>) {
    let mut found = |at: &str, text: &str| findings.push(Finding::new(&path(at), text));
    if run.name_any().len() > 63 {
        found(
            "metadata.name",
            "write at most 63 characters, names and labels of its logs are made from it",
        );
    }
    let scheduled = run.spec.trigger == crate::api::run::Trigger::Schedule;
    if scheduled != run.spec.scheduled_time.is_some() {
        found(
            "spec.scheduledTime",
            "a run with trigger Schedule needs scheduledTime, and no other run may have it",
        );
    }
}

//! What an export says, checked as a whole before anything is sent anywhere.

use super::file::{Piece, Text};
use super::obstacles::is_live;
use super::pick::ACTS;
use super::{Counts, Header, summed};
use crate::api::{
    CloneEnvironment, CloneRun, ENDS_ANNOTATION, ENVIRONMENT_LABEL, GROUP as API_GROUP,
};
use crate::commands::CommandError;
use crate::commands::embedded_api::kinds;
use crate::controllers::history::archive::{ARCHIVE_LABEL, archive_name};
use crate::controllers::run::logs::{LOG_LABEL, RUN_LABEL};
use crate::embedded::schema::Structural;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One object of an export.
#[derive(Debug, Clone)]
pub(super) struct Item<'t> {
    pub(super) piece: Piece<'t>,
    /// Where it goes.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Item<'_> {
    pub(super) fn place(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }
}

/// A checked export.
pub(super) struct Plan<'t> {
    pub(super) text: &'t Text,
    pub(super) header: Header,
    pub(super) environments: Vec<Item<'t>>,
    pub(super) runs: Vec<Item<'t>>,
    pub(super) archives: Vec<Item<'t>>,
    pub(super) logs: Vec<Item<'t>>,
}

/// Reads and checks. `into`: the namespace that all goes into, instead of the ones it was in.
///
/// # Errors
/// A file that is no whole export, or holds what no export holds; what is wrong stands on standard error.
pub(super) fn plan<'t>(text: &'t Text, into: Option<&str>) -> Result<Plan<'t>, CommandError> {
    let pieces = text.pieces();
    let header = text.header(pieces.first().copied())?;
    let mut reading = Reading {
        schemas: Schemas::new()?,
        into,
        plan: Plan {
            text,
            header,
            environments: Vec::new(),
            runs: Vec::new(),
            archives: Vec::new(),
            logs: Vec::new(),
        },
        seen: BTreeMap::new(),
        spaces: BTreeSet::new(),
        numbers: BTreeSet::new(),
        findings: Vec::new(),
        runs_of_logs: Vec::new(),
    };
    for piece in pieces.into_iter().skip(1) {
        reading.enter(piece)?;
    }
    reading.finished()
}

/// The definitions of our kinds as this version has them.
struct Schemas {
    environment: Structural,
    run: Structural,
}

impl Schemas {
    fn new() -> Result<Self, CommandError> {
        let kinds = kinds()?;
        let of = |name: &str| {
            let kind = kinds.iter().find(|k| k.kind == name);
            let kind = kind.ok_or_else(|| CommandError::Other(format!("no kind {name}")))?;
            Structural::new(kind).map_err(CommandError::Other)
        };
        Ok(Self {
            environment: of("CloneEnvironment")?,
            run: of("CloneRun")?,
        })
    }
}

struct Reading<'t, 'i> {
    schemas: Schemas,
    into: Option<&'i str>,
    plan: Plan<'t>,
    /// Line of each object.
    seen: BTreeMap<(String, String, String), usize>,
    /// Namespaces that the objects were in.
    spaces: BTreeSet<String>,
    numbers: BTreeSet<(String, String, i64)>,
    findings: Vec<String>,
    /// Line, namespace and run of each part of a log.
    runs_of_logs: Vec<(usize, String, String)>,
}

impl<'t> Reading<'t, '_> {
    fn enter(&mut self, piece: Piece<'t>) -> Result<(), CommandError> {
        let value = self.plan.text.value(piece)?;
        let word = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let word = |pointer: &str| word(pointer).unwrap_or_default().to_owned();
        let (kind, version) = (word("/kind"), word("/apiVersion"));
        let (from, name) = (word("/metadata/namespace"), word("/metadata/name"));
        let namespace = self.into.map_or_else(|| from.clone(), str::to_owned);
        let what = format!("line {}: {kind} {from}/{name}", piece.line);
        if name.is_empty() || from.is_empty() {
            self.findings
                .push(format!("{what} has no name or no namespace"));
            return Ok(());
        }
        self.spaces.insert(from.clone());
        let key = (kind.clone(), namespace.clone(), name.clone());
        if let Some(first) = self.seen.insert(key, piece.line) {
            self.findings
                .push(format!("{what} stands on line {first} too"));
        }
        let item = Item {
            piece,
            namespace,
            name,
        };
        let ours = version.strip_prefix(API_GROUP).is_some();
        let wrong = match (kind.as_str(), ours, version.as_str()) {
            ("CloneEnvironment", true, _) => self.environment(item, &value),
            ("CloneRun", true, _) => self.run(item, &value),
            ("ConfigMap", false, "v1") => self.config_map(item, value),
            (_, _, _) => {
                vec![
                    "is no part of an export: environments, runs, archives and logs are".to_owned(),
                ]
            }
        };
        let wrong = wrong.into_iter().map(|why| format!("{what}: {why}"));
        self.findings.extend(wrong);
        Ok(())
    }

    fn environment(&mut self, item: Item<'t>, value: &Value) -> Vec<String> {
        self.plan.environments.push(item);
        let mut wrong = against(&self.schemas.environment, value);
        if let Err(error) = serde_json::from_value::<CloneEnvironment>(value.clone()) {
            wrong.push(error.to_string());
        }
        wrong
    }

    fn run(&mut self, item: Item<'t>, value: &Value) -> Vec<String> {
        let place = item.place();
        self.plan.runs.push(item);
        let mut wrong = against(&self.schemas.run, value);
        let run: CloneRun = match serde_json::from_value(value.clone()) {
            Ok(run) => run,
            Err(error) => {
                wrong.push(error.to_string());
                return wrong;
            }
        };
        wrong.extend(not_a_row(&run, value));
        let number = run.status.as_ref().and_then(|s| s.number);
        if let Some(number) = number
            && !self.numbers.insert((place.0, run.spec.environment, number))
        {
            wrong.push(format!(
                "another run of its environment has number {number}"
            ));
        }
        wrong
    }

    fn config_map(&mut self, item: Item<'t>, value: Value) -> Vec<String> {
        let map: ConfigMap = match serde_json::from_value(value) {
            Ok(map) => map,
            Err(error) => return vec![error.to_string()],
        };
        let label = |key: &str| map.labels().get(key).map(String::as_str);
        match (label(ARCHIVE_LABEL), label(LOG_LABEL), label(RUN_LABEL)) {
            (Some(_), None, None) => {
                let of = label(ENVIRONMENT_LABEL).unwrap_or_default();
                let right = item.name == archive_name(of);
                self.plan.archives.push(item);
                match right {
                    true => Vec::new(),
                    false => vec!["is not named after the environment whose archive it is".into()],
                }
            }
            (None, Some(_), Some(run)) => {
                let at = (item.piece.line, item.namespace.clone(), run.to_owned());
                self.runs_of_logs.push(at);
                self.plan.logs.push(item);
                Vec::new()
            }
            (_, _, _) => vec!["is neither an archive nor a log".to_owned()],
        }
    }

    fn finished(mut self) -> Result<Plan<'t>, CommandError> {
        if let (Some(into), 2..) = (self.into, self.spaces.len()) {
            let spaces: Vec<&str> = self.spaces.iter().map(String::as_str).collect();
            return Err(CommandError::Usage(format!(
                "the export is of the namespaces {}: they do not all go into {into}, leave -n out",
                spaces.join(", ")
            )));
        }
        let plan = &self.plan;
        let runs: BTreeSet<(String, String)> = plan.runs.iter().map(Item::place).collect();
        for (line, namespace, run) in &self.runs_of_logs {
            if !runs.contains(&(namespace.clone(), run.clone())) {
                let text = format!("line {line}: the run {run} of this log is not in the file");
                self.findings.push(text);
            }
        }
        let counts = Counts {
            environments: plan.environments.len(),
            runs: plan.runs.len(),
            archives: plan.archives.len(),
            logs: plan.logs.len(),
        };
        if counts != plan.header.counts {
            self.findings.push(format!(
                "it has {}, and its header says {}: the file is not whole",
                counts.said(),
                plan.header.counts.said()
            ));
        }
        match summed(&self.findings) {
            Some(found) => Err(plan.text.whole(format!("{found}; nothing was imported"))),
            None => Ok(self.plan),
        }
    }
}

/// What the definitions of this version say against an object, and against its status after it.
fn against(schema: &Structural, value: &Value) -> Vec<String> {
    let mut fresh = value.clone();
    if let Some(fields) = fresh.as_object_mut() {
        fields.remove("status");
    }
    let mut causes = schema.validate(&fresh, None);
    if causes.is_empty() && value.get("status").is_some() {
        causes = schema.validate(value, Some(&fresh));
    }
    let mut wrong: Vec<String> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect();
    let unknown = schema.unknown_fields(value);
    wrong.extend(
        unknown
            .iter()
            .map(|field| format!("{field}: use the version that wrote it")),
    );
    wrong
}

/// Why a run is no finished row, or would do something.
fn not_a_row(run: &CloneRun, value: &Value) -> Vec<String> {
    let status = run.status.clone().unwrap_or_default();
    let mut wrong = Vec::new();
    let mut says = |text: &str| wrong.push(text.to_owned());
    if run.spec.imported.is_none() {
        says("it has no spec.imported, so it would be executed");
    }
    if !status.phase.is_final() {
        says("it is not finished");
    }
    if status.obligations.iter().any(|o| o.met.is_none()) {
        says("it owes something to production");
    }
    if is_live(&status) || run.annotations().contains_key(ENDS_ANNOTATION) {
        says("its image would be taken for one that is there");
    }
    if !run.finalizers().is_empty() {
        says("it has a finalizer");
    }
    for field in ACTS {
        if !value["spec"][field].is_null() {
            says(&format!("spec.{field} would act"));
        }
    }
    wrong
}

//! `guest show`: what is installed on production, in one look, at most 80 columns.

use super::observe::Observed;
use super::plan::pair_text;
use super::remains::{Remains, StartUp};
use crate::commands::text::{TERMINAL, wrapped};
use crate::recipe::operator_lock::Lock;
use crate::recipe::records::KIT_VERSION;
use serde::Serialize;

/// Width of the first column.
const LABEL: usize = 13;

/// The answer, as `-o json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Name of the environment.
    environment: String,
    /// Address of the source.
    address: String,
    /// `SERIAL/PARTITIONID` of who answers there.
    system: String,
    /// Installed version; absent = CHECK does not run.
    installed: Option<String>,
    /// Version this operator works with.
    needed: &'static str,
    /// What CHECK said instead of a record.
    #[serde(skip_serializing_if = "String::is_empty")]
    check_failed: String,
    /// Pairs that the guard takes for production.
    identities: Vec<String>,
    /// QSTRUPPGM, `LIB/PGM`.
    start_up: Option<String>,
    /// Whether that is the guard.
    guarded: bool,
    /// QGPL/CLNORIG, `LIB/PGM`.
    original: Option<String>,
    /// IPL attribute: `Yes`, `No`, `Unknown`.
    strtcp: String,
    /// Parts of the kit that are there.
    parts: Vec<&'static str>,
    /// Objects that CHECK misses.
    missing: Vec<String>,
    /// Files of a run that lie there.
    leftovers: Vec<String>,
    /// Id of the operator in the lock; absent = free.
    lock_owner: Option<String>,
    /// Whether that is this one.
    lock_is_ours: bool,
}

fn list(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    parts.map(str::to_owned).collect()
}

impl Shown {
    /// From what was read.
    pub fn new(
        environment: &str,
        address: &str,
        operator: &str,
        observed: &Observed,
        found: &Remains,
    ) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let name = |program: &Option<StartUp>| program.as_ref().map(ToString::to_string);
        let parts = [
            (found.library, "library IBMICLONE"),
            (found.directory, "directory /ibmiclone"),
            (found.stub, "program QGPL/CLNSTRUP"),
            (found.original_area, "data area QGPL/CLNORIG"),
        ];
        Self {
            environment: environment.to_owned(),
            address: address.to_owned(),
            system: pair_text(&found.identity),
            installed: some(observed.checked("kit")),
            needed: KIT_VERSION,
            check_failed: observed.check_said.clone(),
            identities: list(observed.checked("identities")),
            start_up: name(&found.start_up),
            guarded: found.start_up.as_ref().is_some_and(StartUp::is_guard),
            original: name(&found.original),
            strtcp: some(observed.checked("strtcp")).unwrap_or_else(|| "Unknown".to_owned()),
            parts: parts.iter().filter(|p| p.0).map(|p| p.1).collect(),
            missing: list(observed.checked("missing")),
            leftovers: list(observed.checked("leftovers")),
            lock_owner: match &found.lock {
                Lock::Free => None,
                Lock::Held(id) => Some(id.clone()),
                Lock::Unreadable => Some("(unreadable)".to_owned()),
            },
            lock_is_ours: found.lock == Lock::Held(operator.to_owned()),
        }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let or = |value: &Option<String>, otherwise: &str| {
            value.clone().unwrap_or_else(|| otherwise.to_owned())
        };
        let joined = |values: &[String]| {
            if values.is_empty() {
                "none".to_owned()
            } else {
                values.join(", ")
            }
        };
        let lines = [
            ("system", format!("{} at {}", self.system, self.address)),
            ("installed", self.version()),
            ("identities", joined(&self.identities)),
            ("start-up", self.start_up_line()),
            ("original", or(&self.original, "not known")),
            ("STRTCP", self.strtcp.clone()),
            ("parts", parts(&self.parts)),
            ("missing", joined(&self.missing)),
            ("leftovers", joined(&self.leftovers)),
            ("lock", self.lock_line()),
        ];
        let mut text = format!("{}\n", self.environment);
        for (label, said) in lines {
            for (at, line) in wrapped(&said, TERMINAL - LABEL - 3).iter().enumerate() {
                let label = if at == 0 { label } else { "" };
                text.push_str(format!("  {label:<LABEL$} {line}").trim_end());
                text.push('\n');
            }
        }
        text
    }

    fn version(&self) -> String {
        match &self.installed {
            Some(version) if version == self.needed => version.clone(),
            Some(version) => format!(
                "{version}; this operator needs {}: run guest install",
                self.needed
            ),
            None if self.check_failed.is_empty() => "no version: half an install".to_owned(),
            None => format!("not usable: {}", self.check_failed),
        }
    }

    fn start_up_line(&self) -> String {
        match (&self.start_up, self.guarded) {
            (Some(program), true) => format!("{program}, the guard"),
            (Some(program), false) => format!("{program}, not the guard"),
            (None, _) => "not known".to_owned(),
        }
    }

    fn lock_line(&self) -> String {
        match (&self.lock_owner, self.lock_is_ours) {
            (None, _) => "free".to_owned(),
            (Some(id), true) => format!("ours ({id})"),
            (Some(id), false) => format!("operator {id}"),
        }
    }
}

fn parts(found: &[&str]) -> String {
    if found.is_empty() {
        return "none".to_owned();
    }
    found.join(", ")
}

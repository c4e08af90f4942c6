//! `export` and `import`: a history moves from one API to another, a cluster's or that of `standalone`, with its environments,
//! numbers, statuses, archive and logs.
//!
//! What must not come of it (`architecture.md` § 4 rule 14, `product.md` § 7):
//!
//! - *A row executes.* Every exported run carries `spec.imported`: the operator leaves such a run alone, and the API server
//!   refuses every status of it that is not final. It stands in the file already, so that `kubectl apply` does no harm either.
//!   Its annotation `opened` names an object that is not there, which stops operators of before the field.
//! - *Something owed is forgotten.* While a run is open nothing is exported.
//! - *An image is overwritten that nobody knows of.* Whose image is where, and which is held, stands in Leases, which are of
//!   one operator and do not move: with a live image nothing is exported, with a held one never.
//! - *Two operators for one production.* Environments arrive paused. On production the guest kit's lock refuses the second
//!   operator until a person takes it over.

mod check;
mod export;
mod file;
mod import;
mod obstacles;
mod pick;
mod reading;
mod target;
mod write;

pub use export::Arguments as ExportArguments;
pub use import::Arguments as ImportArguments;

pub(super) use export::execute as export;
pub(super) use import::execute as import;

use crate::engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Group of the header document; its version rises with what an earlier version would misread.
const GROUP: &str = "export.ibmiclone.dev/";
const VERSION: &str = "v1";
/// Kind of the header document.
const KIND: &str = "Export";

/// The first document of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: String,
    kind: String,
    /// Of this export: an import that was interrupted knows its own work by it.
    id: String,
    /// Program and version.
    tool: String,
    /// When it was made.
    created_at: Timestamp,
    source: Source,
    counts: Counts,
    /// What the objects refer to and has to be made by hand where they go: `NAMESPACE/NAME`.
    #[serde(default)]
    to_be_made: ToBeMade,
}

/// Where an export is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    /// UID of namespace kube-system there; empty when it cannot be read.
    #[serde(default)]
    installation: String,
    /// Namespaces of the objects.
    namespaces: Vec<String>,
}

/// How many documents follow: a file that was cut is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    environments: usize,
    runs: usize,
    archives: usize,
    logs: usize,
}

impl Counts {
    fn said(&self) -> String {
        let Self {
            environments,
            runs,
            archives,
            logs,
        } = self;
        format!(
            "{environments} environments, {runs} runs, {archives} archives, {logs} parts of logs"
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToBeMade {
    #[serde(default)]
    secrets: BTreeSet<String>,
    #[serde(default)]
    config_maps: BTreeSet<String>,
}

impl ToBeMade {
    /// One line per kind, for people. `into`: the namespace that they go into, instead of the one they were in.
    fn said(&self, into: Option<&str>) -> Vec<String> {
        let place = |name: &String| match (into, name.split_once('/')) {
            (Some(into), Some((_, name))) => format!("{into}/{name}"),
            (_, _) => name.clone(),
        };
        let line = |kind: &str, names: &BTreeSet<String>| {
            let names: Vec<String> = names.iter().map(place).collect();
            (!names.is_empty()).then(|| format!("{kind} to be made by hand: {}", names.join(", ")))
        };
        let lines = [
            line("Secrets", &self.secrets),
            line("ConfigMaps", &self.config_maps),
        ];
        lines.into_iter().flatten().collect()
    }
}

/// Things that are named at once.
const NAMED: usize = 10;

/// The first of several things that are wrong; the next ones are named on standard error.
fn summed(all: &[String]) -> Option<String> {
    let first = all.first()?;
    for other in all.iter().skip(1).take(NAMED) {
        eprintln!("{other}");
    }
    Some(match all.len() {
        1 => first.clone(),
        n => format!("{first} (and {} more)", n - 1),
    })
}

//! `validate`: environments and runs in YAML files, checked without a cluster.
//!
//! What is checked: the schema of the definitions (fields, types, bounds, words), their rules about the form of one
//! value, cron lines and time zones as the operator reads them, and the rules of [`rules`]. The other rules of the
//! definitions are written in CEL, which only an API server evaluates: the command says so instead of pretending.

mod rules;
mod schema;

use super::documents::{self, Document};
use super::{CommandError, Exit};
use crate::api::{CloneEnvironment, CloneRun, GROUP};
use kube::CustomResourceExt;
use schema::Finding;
use serde_json::Value;
use std::path::PathBuf;

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing found, 2 something must be mended, 74 a file cannot be read.
Checked by the API server only: rules that compare fields of different blocks (most of them), what a change may not touch,
whether referenced Secrets exist. `kubectl apply --dry-run=server -f FILE` checks the rules, `ibmi-clone verify ENV` the site.")]
pub struct Arguments {
    /// YAML files with one or more documents; - is the standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Checks all files, prints what was found.
pub fn execute(arguments: &Arguments) -> Result<Exit, CommandError> {
    let kinds = [Kind::of::<CloneEnvironment>(), Kind::of::<CloneRun>()];
    let (mut wrong, mut checked) = (0, 0);
    for file in &arguments.files {
        let documents = documents::read(file)?;
        if documents.is_empty() {
            println!("{}: no document", file.display());
            wrong += 1;
        }
        for (at, document) in documents.iter().enumerate() {
            let place = format!("{}: document {}", file.display(), at + 1);
            match check(document, &kinds) {
                Checked::Other => println!(
                    "{place} ({} {}): not checked, it is no kind of {GROUP}",
                    document.kind(),
                    document.name()
                ),
                Checked::Findings(findings) => {
                    checked += 1;
                    wrong += findings.len();
                    for finding in findings {
                        let line = document.line_of(&finding.path);
                        let line = finding.line.unwrap_or(line);
                        println!("{}:{line}: document {}, {finding}", file.display(), at + 1);
                    }
                }
            }
        }
    }
    let open = schema::unchecked(&kinds.map(|kind| kind.schema));
    match wrong {
        0 if checked == 1 => println!("1 object, nothing found"),
        0 => println!("{checked} objects, nothing found"),
        1 => println!("1 thing must be mended"),
        n => println!("{n} things must be mended"),
    }
    println!(
        "{open} rules between fields are checked by an API server only: `kubectl apply --dry-run=server`"
    );
    Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
}

/// A kind with its schema.
struct Kind {
    name: String,
    version: String,
    schema: Value,
}

impl Kind {
    fn of<K: CustomResourceExt>() -> Self {
        let crd = K::crd();
        let version = crd.spec.versions.first();
        let schema = version.and_then(|v| v.schema.as_ref()?.open_api_v3_schema.clone());
        Self {
            name: crd.spec.names.kind,
            version: format!(
                "{GROUP}/{}",
                version.map(|v| v.name.as_str()).unwrap_or_default()
            ),
            schema: serde_json::to_value(schema).unwrap_or_default(),
        }
    }
}

enum Checked {
    /// Another kind: a Secret beside the environment is nothing wrong.
    Other,
    Findings(Vec<Finding>),
}

fn check(document: &Document, kinds: &[Kind; 2]) -> Checked {
    let value = match &document.value {
        Ok(value) => value,
        Err(why) => {
            let mut finding = Finding::new(&[], format!("no YAML: {why}"));
            finding.line = line_in(why);
            return Checked::Findings(vec![finding]);
        }
    };
    let Some(kind) = kinds.iter().find(|k| k.name == document.kind()) else {
        return if value["apiVersion"]
            .as_str()
            .unwrap_or_default()
            .starts_with(GROUP)
            || document.kind().is_empty()
        {
            let known = kinds.each_ref().map(|k| k.name.as_str()).join(" or ");
            let path = ["kind".to_owned()];
            Checked::Findings(vec![Finding::new(&path, format!("write {known}"))])
        } else {
            Checked::Other
        };
    };
    let mut findings = Vec::new();
    if value["apiVersion"].as_str() != Some(&kind.version) {
        let path = ["apiVersion".to_owned()];
        findings.push(Finding::new(&path, format!("write {}", kind.version)));
    }
    schema::check_object(&kind.schema, value, &mut findings);
    if findings.is_empty() {
        rules::check(&kind.name, value, &mut findings);
    }
    Checked::Findings(findings)
}

/// The parser says `line 7, column 3`.
fn line_in(text: &str) -> Option<usize> {
    let (_, rest) = text.split_once("line ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "tests.rs"]
mod tests;

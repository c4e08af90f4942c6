//! `history`: the runs, newest first, in the layout that users of the IBM i history display know: objects and the lines
//! of the archive together.

pub mod heading;
pub mod layout;
pub mod read;
mod row;
mod times;

use super::operator_state::{LeaseFlags, last_sign};
use super::table::{Column, render};
use super::text::TERMINAL;
use super::{CommandError, Exit, KubeFlags, text};
use crate::api::CloneRun;
use crate::api::options::Function;
use chrono::{DateTime, Utc};
use heading::{Heading, labelled, under_way};
use kube::ResourceExt;
use layout::{View, fitting, wide};
use read::Known;
pub use row::Row;
use std::collections::HashMap;
use std::io::Write;

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only these environments; default all of the namespace.
    #[arg(value_name = "ENV")]
    environments: Vec<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only this function: *HOLD, *USER, *BRMS or *SAVE21.
    #[arg(long, value_parser = text::parse_function)]
    function: Option<Function>,
    /// At most this many rows of each environment.
    #[arg(short = 'c', long, visible_alias = "count", value_name = "N")]
    limit: Option<usize>,
    /// When each part began and ended instead of how long it took. Times are UTC.
    #[arg(short, long)]
    time: bool,
    /// wide: more columns; json: rows as a JSON array; csv: one row per line. json and csv have all of both views and tell
    /// with `archived` whether the object is gone and only its line in the archive is left.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    #[command(flatten)]
    leases: LeaseFlags,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// More columns.
    Wide,
    /// A JSON array of rows.
    Json,
    /// A heading and one row per line, RFC 4180.
    Csv,
}

/// Reads and prints.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    kube.namespace_is_no_count("rows of each environment write --limit")?;
    let cluster = kube.connect().await?;
    let mut known = read::known(&cluster, arguments, Utc::now()).await?;
    let groups = group(
        std::mem::take(&mut known.rows),
        arguments.function,
        arguments.limit,
    );
    let table = matches!(arguments.output, None | Some(Output::Wide));
    if table && !groups.is_empty() {
        known.operator = arguments.leases.look(&cluster).await;
    }
    let headings = Headings {
        known: &known,
        namespaces: arguments.all_namespaces,
        now: Utc::now(),
    };
    let view = match arguments.time {
        true => View::Times,
        false => View::Durations,
    };
    let all = |columns: &dyn Fn(&[&Row]) -> Vec<Column>| {
        if groups.is_empty() {
            return String::new();
        }
        let tables = tables(&groups, |row| headings.of(row), columns);
        format!("{}\n{tables}", headings.operator())
    };
    let shown = match arguments.output {
        Some(Output::Json) => {
            let rows: Vec<&Row> = groups.iter().flatten().collect();
            let json = serde_json::to_string_pretty(&rows).map_err(|e| CommandError::other(&e))?;
            format!("{json}\n")
        }
        Some(Output::Csv) => csv(&groups)?,
        Some(Output::Wide) => all(&|rows| wide(rows, view)),
        None => all(&|rows| fitting(rows, view, TERMINAL)),
    };
    if groups.is_empty() && table {
        eprintln!("no runs; `ibmi-clone run ENV` starts one");
    }
    // A closed pipe (`| head`) is no reason to fail.
    let _ = std::io::stdout().write_all(shown.as_bytes());
    Ok(Exit::Done)
}

/// Rows by environment, newest first; the environment that ran last comes first.
pub(super) fn group(
    mut rows: Vec<Row>,
    function: Option<Function>,
    limit: Option<usize>,
) -> Vec<Vec<Row>> {
    rows.retain(|row| {
        function.is_none_or(|wanted| row.function.as_deref() == Some(wanted.as_str()))
    });
    // A run that has not opened has no number yet and is newer than all that have.
    rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.number.is_none(), row.number)));
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for row in rows {
        let key = (row.namespace.clone(), row.environment.clone());
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    for group in &mut groups {
        in_order_of_opening(group);
        group.truncate(limit.unwrap_or(usize::MAX));
    }
    groups
}

/// Within an environment the number is the order of opening; it outranks the time of creation. Runs without one (Skipped,
/// or not opened yet) keep the place of their creation.
fn in_order_of_opening(group: &mut [Row]) {
    let places: Vec<usize> = (0..group.len())
        .filter(|at| group[*at].number.is_some())
        .collect();
    let mut numbered: Vec<Row> = places.iter().map(|at| group[*at].clone()).collect();
    numbered.sort_by_key(|row| std::cmp::Reverse(row.number));
    for (at, row) in places.into_iter().zip(numbered) {
        group[at] = row;
    }
}

/// A heading and one line per row.
fn csv(groups: &[Vec<Row>]) -> Result<String, CommandError> {
    let mut text = row::FIELDS.join(",") + "\r\n";
    for row in groups.iter().flatten() {
        let row = serde_json::to_value(row).map_err(|e| CommandError::other(&e))?;
        let cells: Vec<String> = row::FIELDS.iter().map(|field| cell(&row[*field])).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    Ok(text)
}

fn cell(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// What stands above each table.
struct Headings<'a> {
    known: &'a Known,
    /// Names with their namespaces.
    namespaces: bool,
    now: DateTime<Utc>,
}

impl Headings<'_> {
    /// The first lines of all: the operator.
    fn operator(&self) -> String {
        let (environments, runs) = (self.known.environments.iter(), self.known.runs.iter());
        let sign = last_sign(environments, runs);
        let said = self.known.operator.said(sign, self.now);
        labelled("Operator", &said, TERMINAL)
    }

    /// Of the environment that a row belongs to.
    fn of(&self, row: &Row) -> String {
        let same = |namespace: Option<String>, name: &str| {
            namespace.as_deref() == Some(row.namespace.as_str()) && name == row.environment
        };
        let name = match self.namespaces {
            true => format!("{}/{}", row.namespace, row.environment),
            false => row.environment.clone(),
        };
        let mut environments = self.known.environments.iter();
        let Some(environment) = environments.find(|e| same(e.namespace(), &e.name_any())) else {
            let said = format!("{name} (does not exist any more)");
            return labelled("Environment", &said, TERMINAL);
        };
        let runs = self.known.runs.iter();
        let under_way = runs
            .filter(|run| same(run.namespace(), &run.spec.environment))
            .find_map(|run| under_way(run, self.now));
        let heading = Heading {
            name,
            ..Heading::of(environment, self.now)
        };
        heading.block(under_way.as_deref(), TERMINAL)
    }
}

/// The default form of all runs given, one table per environment; for the end of the demo.
pub fn table_of_all(runs: &[CloneRun]) -> String {
    let rows = runs.iter().map(|run| Row::new(run, Utc::now())).collect();
    let name = |row: &Row| format!("{}\n", row.environment);
    tables(&group(rows, None, None), name, |rows| {
        fitting(rows, View::Durations, TERMINAL)
    })
}

/// A table per environment, its heading above, an empty line between.
fn tables(
    groups: &[Vec<Row>],
    heading: impl Fn(&Row) -> String,
    columns: impl Fn(&[&Row]) -> Vec<Column>,
) -> String {
    let tables = groups.iter().filter_map(|rows| {
        let heading = heading(rows.first()?);
        let rows: Vec<&Row> = rows.iter().collect();
        Some(heading + &render(&columns(&rows)))
    });
    tables.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;

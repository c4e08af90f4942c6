//! `history`: the runs, newest first, in the layout that users of the IBM i history display know: objects and the lines
//! of the archive together.

mod read;
mod row;

use super::table::{Column, Side, render, width};
use super::{CommandError, Exit, KubeFlags, text};
use crate::api::CloneRun;
use crate::api::options::Function;
use chrono::{DateTime, Utc};
pub use row::Row;
use std::collections::HashMap;
use std::io::Write;

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this environment; default all of the namespace.
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only this function: *HOLD, *USER.
    #[arg(long, value_parser = text::parse_function)]
    function: Option<Function>,
    /// At most this many rows of each environment.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// wide: more columns; json: rows as a JSON array; csv: one row per line. json and csv tell with `archived` whether
    /// the object is gone and only its line in the archive is left.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
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
    let rows = read::rows(kube, arguments, Utc::now()).await?;
    let groups = group(rows, arguments.function, arguments.limit);
    let shown = match arguments.output {
        Some(Output::Json) => {
            let rows: Vec<&Row> = groups.iter().flatten().collect();
            let json = serde_json::to_string_pretty(&rows).map_err(|e| CommandError::other(&e))?;
            format!("{json}\n")
        }
        Some(Output::Csv) => csv(&groups)?,
        Some(Output::Wide) => tables(&groups, arguments.headings(), wide),
        None => tables(&groups, arguments.headings(), narrow),
    };
    let table = matches!(arguments.output, None | Some(Output::Wide));
    if groups.is_empty() && table {
        eprintln!("no runs; `ibmi-clone run ENV` starts one");
    }
    // A closed pipe (`| head`) is no reason to fail.
    let _ = std::io::stdout().write_all(shown.as_bytes());
    Ok(Exit::Done)
}

/// Rows by environment, newest first; the environment that ran last comes first.
fn group(mut rows: Vec<Row>, function: Option<Function>, limit: Option<usize>) -> Vec<Vec<Row>> {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heading {
    /// Nothing: there is one environment.
    None,
    /// Name of the environment.
    Environment,
    /// Namespace and name.
    Namespace,
}

impl Arguments {
    fn headings(&self) -> Heading {
        match (self.all_namespaces, &self.environment) {
            (true, _) => Heading::Namespace,
            (false, None) => Heading::Environment,
            (false, Some(_)) => Heading::None,
        }
    }
}

/// The default form of all runs given, one table per environment; for the end of the demo.
pub fn table_of_all(runs: &[CloneRun]) -> String {
    let rows = runs.iter().map(|run| Row::new(run, Utc::now())).collect();
    tables(&group(rows, None, None), Heading::Environment, narrow)
}

fn tables(groups: &[Vec<Row>], heading: Heading, table: fn(&[Row]) -> String) -> String {
    let mut text = String::new();
    for rows in groups {
        let Some(first) = rows.first() else { continue };
        if !text.is_empty() {
            text.push('\n');
        }
        match heading {
            Heading::None => {}
            Heading::Environment => text.push_str(&format!("{}\n", first.environment)),
            Heading::Namespace => {
                text.push_str(&format!("{}/{}\n", first.namespace, first.environment));
            }
        }
        text.push_str(&table(rows));
    }
    text
}

/// How much of STARTED and STEP is shown; tried in this order until the table fits a terminal.
const LAYOUTS: [(Started, usize); 5] = [
    (Started::Seconds, 16),
    (Started::Minutes, 16),
    (Started::Minutes, 12),
    (Started::NoYear, 12),
    (Started::NoYear, 7),
];
/// The terminal everybody has.
const TERMINAL: usize = 80;

#[derive(Debug, Clone, Copy)]
enum Started {
    /// `2026-11-23 07:30:12`
    Seconds,
    /// `2026-11-23 07:30`
    Minutes,
    /// `11-23 07:30`
    NoYear,
}

impl Started {
    /// From RFC 3339 in UTC; anything else is shown as it is.
    fn shown(self, text: &str) -> String {
        let Ok(at) = DateTime::parse_from_rfc3339(text) else {
            return text.to_owned();
        };
        let form = match self {
            Self::Seconds => "%Y-%m-%d %H:%M:%S",
            Self::Minutes => "%Y-%m-%d %H:%M",
            Self::NoYear => "%m-%d %H:%M",
        };
        at.with_timezone(&Utc).format(form).to_string()
    }
}

/// The default form: at most 80 columns.
fn narrow(rows: &[Row]) -> String {
    for (started, step) in LAYOUTS {
        let columns = common(rows, started, step);
        if width(&columns) <= TERMINAL {
            return render(&columns);
        }
    }
    let (started, step) = LAYOUTS[LAYOUTS.len() - 1];
    render(&common(rows, started, step))
}

/// Everything, as wide as it is.
fn wide(rows: &[Row]) -> String {
    let mut columns = common(rows, Started::Seconds, usize::MAX);
    let text = |value: fn(&Row) -> Option<String>| column(rows, value);
    columns.extend([
        Column::new("RUN", Side::Left, text(|r| Some(r.name.clone()))),
        Column::new(
            "PARTITION",
            Side::Right,
            text(|r| r.partition_active.clone()),
        ),
        Column::new(
            "FLASHCOPY",
            Side::Right,
            text(|r| r.flash_copy_active.clone()),
        ),
        Column::new("FUNCTION", Side::Left, text(|r| r.function.clone())),
        Column::new(
            "TRIGGER",
            Side::Left,
            text(|r| Some(format!("{:?}", r.trigger))),
        ),
        Column::new("FREEZE", Side::Right, text(|r| r.freeze.clone())),
        Column::new("DURATION", Side::Right, text(|r| r.duration.clone())),
        Column::new("REASON", Side::Left, text(|r| r.reason.clone())),
        Column::new(
            "MESSAGE",
            Side::Left,
            text(|r| r.message.as_deref().map(text::one_line)),
        ),
    ]);
    render(&columns)
}

fn common(rows: &[Row], started: Started, step: usize) -> Vec<Column> {
    let text = |value: fn(&Row) -> Option<String>| column(rows, value);
    let started = rows
        .iter()
        .map(|r| {
            r.started
                .as_deref()
                .map_or("-".into(), |t| started.shown(t))
        })
        .collect();
    let (number, state) = (
        text(|r| r.number.map(|n| n.to_string())),
        text(|r| Some(r.state.clone())),
    );
    vec![
        Column::new("NUMBER", Side::Right, number),
        Column::new("STARTED", Side::Left, started),
        Column::new("STATUS", Side::Left, state),
        Column::new("STEP", Side::Left, text(|r| r.step.clone())).at_most(step),
        Column::new("MSG", Side::Right, text(|r| r.messages.map(count))),
        Column::new("ERR", Side::Right, text(|r| r.errors.map(count))),
        Column::two_lines(
            "PREP",
            "PROD",
            Side::Right,
            text(|r| r.prepare_on_source.clone()),
        ),
        Column::two_lines(
            "PREP",
            "CLONE",
            Side::Right,
            text(|r| r.prepare_on_clone.clone()),
        ),
        Column::new("SAVE", Side::Right, text(|r| r.save.clone())),
        Column::new(
            "DISK%",
            Side::Right,
            text(|r| r.disk_used_percent.map(|p| p.to_string())),
        ),
    ]
}

/// No cell is empty: scripts cut tables at blanks.
fn column(rows: &[Row], value: fn(&Row) -> Option<String>) -> Vec<String> {
    rows.iter()
        .map(|row| value(row).filter(|t| !t.is_empty()).unwrap_or("-".into()))
        .collect()
}

/// Message counts of five digits at most, so that a noisy save does not widen the table.
fn count(n: i64) -> String {
    match n {
        ..100_000 => n.to_string(),
        100_000..10_000_000 => format!("{}k", n / 1000),
        10_000_000.. => format!("{}M", n / 1_000_000),
    }
}

#[cfg(test)]
mod tests;

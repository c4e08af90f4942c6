//! The logs of a run for the screen, from its ConfigMaps, in the words of the command `logs`.

use super::pager::{Shown, Tone};
use crate::commands::cluster::Cluster;
use crate::commands::logs::{readable, unreadable};
use crate::controllers::run::logs::read_logs;
use serde::Deserialize;

/// One log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `steps`, `joblog`, `history`, …
    pub kind: &'static str,
    /// Its lines.
    pub lines: Vec<Shown>,
}

/// Which logs an option asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Any.
    All,
    /// Those of the function's jobs.
    JobLog,
    /// The clone's history log (DSPLOG).
    System,
}

impl Want {
    /// Whether a log is asked for.
    pub fn takes(self, kind: &str) -> bool {
        match self {
            Want::All => true,
            Want::JobLog => kind == "joblog" || kind.starts_with("joblog-"),
            Want::System => kind == "history",
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Want::All => "logs",
            Want::JobLog => "job log",
            Want::System => "system log of the clone",
        }
    }
}

/// All logs of a run, by its name.
///
/// # Errors
/// The API does not answer, or a part is missing or damaged; what a person can do is said.
pub async fn read(cluster: &Cluster, run: &str) -> Result<Vec<Log>, String> {
    let logs = read_logs(&cluster.client, &cluster.namespace, run, None).await;
    let logs = logs.map_err(|e| unreadable(e).to_string())?;
    let log = |(kind, text): (crate::recipe::LogKind, String)| Log {
        kind: kind.as_str(),
        lines: text.lines().flat_map(lines).collect(),
    };
    Ok(logs.into_iter().map(log).collect())
}

/// All that is needed of a kept line besides its words.
#[derive(Deserialize)]
struct Severity {
    sev: u8,
}

/// A kept line, with its second-level text below.
fn lines(kept: &str) -> Vec<Shown> {
    let severity = serde_json::from_str::<Severity>(kept).map_or(0, |line| line.sev);
    let tone = match severity {
        0..20 => Tone::Plain,
        20..30 => Tone::Warning,
        30.. => Tone::Bad,
    };
    let said = readable(kept);
    let lines = said.lines().enumerate();
    lines
        .map(|(at, line)| Shown::toned(line, if at == 0 { tone } else { Tone::Dim }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_seen_and_the_second_level_stands_back() {
        let kept = r#"{"ts":"t","part":"clone","id":"CPF9801","sev":40,"text":"Object not found","second":"Cause"}"#;
        let shown = lines(kept);
        assert_eq!(
            shown[0],
            Shown::toned("t clone CPF9801 40 Object not found", Tone::Bad)
        );
        assert_eq!(shown[1], Shown::toned("    Cause", Tone::Dim));
        assert_eq!(lines("plain"), [Shown::plain("plain")]);
    }

    #[test]
    fn an_option_takes_the_logs_of_all_jobs_and_no_others() {
        for (kind, job, system) in [
            ("joblog", true, false),
            ("joblog-2", true, false),
            ("history", false, true),
            ("steps", false, false),
        ] {
            assert_eq!(
                (Want::JobLog.takes(kind), Want::System.takes(kind)),
                (job, system)
            );
            assert!(Want::All.takes(kind));
        }
    }
}

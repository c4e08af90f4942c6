//! `logs -f`: the live tail of a run as it grows, then the logs that were kept. Ends when the run is final.

use super::{Arguments, Missing, print_kept, say, shown, unreadable};
use crate::api::CloneRun;
use crate::commands::cluster::Cluster;
use crate::commands::{CommandError, Exit};
use crate::controllers::run::logs::read_live;
use crate::recipe::{LogKind, LogLine};
use kube::ResourceExt;
use std::time::Duration;

/// Between two looks: the tail is written every 10 s at most.
const LOOK: Duration = Duration::from_secs(2);

/// Follows.
pub async fn execute(
    cluster: &Cluster,
    run: CloneRun,
    arguments: &Arguments,
) -> Result<Exit, CommandError> {
    tokio::select! {
        done = until_final(cluster, run, arguments) => done,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    }
}

async fn until_final(
    cluster: &Cluster,
    mut run: CloneRun,
    arguments: &Arguments,
) -> Result<Exit, CommandError> {
    let mut seen = Seen::default();
    loop {
        let ended = run.status.as_ref().is_some_and(|s| s.phase.is_final());
        // After the look at the run: whatever is in the tail now belongs to before its end.
        let live = read_live(&cluster.client, &cluster.namespace, &run).await;
        let live = live.map_err(unreadable)?.unwrap_or_default();
        let new = seen.new_lines(&live);
        let wanted = new.iter().filter(|l| is_of_kind(l, arguments.kind));
        let text: String = wanted.map(|l| shown(l, arguments.output)).collect();
        if !say(&text) {
            return Ok(Exit::Done);
        }
        if ended {
            return print_kept(cluster, &run, arguments, Missing::IsSaid).await;
        }
        tokio::time::sleep(LOOK).await;
        let name = run.name_any();
        let found = cluster.run(&name).await?;
        if found.uid() != run.uid() {
            let text = format!("run {name} was deleted and made anew while it was followed");
            return Err(CommandError::NotFound(text));
        }
        run = found;
    }
}

/// The live tail has the operator's own lines and those of the function's job.
fn is_of_kind(line: &str, kind: Option<LogKind>) -> bool {
    let Ok(line) = serde_json::from_str::<LogLine>(line) else {
        return kind.is_none();
    };
    match kind {
        None => true,
        Some(LogKind::Steps) => line.part == "operator",
        Some(LogKind::JobLog | LogKind::JobLogOf(_)) => line.part == "clone",
        Some(LogKind::HookLog(_) | LogKind::History | LogKind::Brms | LogKind::Devices) => false,
    }
}

/// What was printed of the tail: it loses lines at its beginning and gains some at its end.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    /// The lines behind the longest end of what was seen that the tail still has.
    fn new_lines(&mut self, live: &str) -> Vec<String> {
        let lines: Vec<String> = live.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return Vec::new();
        }
        let known = |count: usize| self.0.ends_with(&lines[..count]);
        let count = (0..=lines.len().min(self.0.len()))
            .rev()
            .find(|count| known(*count))
            .unwrap_or(0);
        let new = lines[count..].to_vec();
        self.0 = lines;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_one_kind_shows_its_lines_of_the_tail_only() {
        let own = r#"{"ts":"t","part":"operator","sev":0,"text":"begun"}"#;
        let job = r#"{"ts":"t","part":"clone","job":"1/U/J","sev":0,"text":"saved"}"#;
        for (kind, wanted) in [
            (None, [true, true]),
            (Some(LogKind::Steps), [true, false]),
            (Some(LogKind::JobLog), [false, true]),
            (Some(LogKind::JobLogOf(2)), [false, true]),
            (Some(LogKind::Brms), [false, false]),
        ] {
            let shown = [own, job].map(|line| is_of_kind(line, kind));
            assert_eq!(shown, wanted, "{kind:?}");
        }
    }

    #[test]
    fn each_line_of_the_tail_is_printed_once_while_it_moves_on() {
        let mut seen = Seen::default();
        assert_eq!(seen.new_lines("a\nb\n"), ["a", "b"]);
        assert_eq!(seen.new_lines("a\nb\n"), Vec::<String>::new());
        assert_eq!(seen.new_lines("b\nc\nd\n"), ["c", "d"]);
        assert_eq!(seen.new_lines(""), Vec::<String>::new());
        assert_eq!(seen.new_lines("c\nd\ne\n"), ["e"]);
        // All of it is new when nothing of the old one is left.
        assert_eq!(seen.new_lines("x\ny\n"), ["x", "y"]);
    }
}

//! `logs`: what a run left behind, from its ConfigMaps (`product.md` § 9).

use super::cluster::Cluster;
use super::{CommandError, Exit, KubeFlags, text};
use crate::api::CloneRun;
use crate::api::run::LogRef;
use crate::recipe::LogLine;
use flate2::read::MultiGzDecoder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};
use std::io::{Read, Write};

/// Arguments of `logs`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the run, or ENV/NUMBER as the history shows it.
    #[arg(value_name = "RUN")]
    run: String,
    /// Only this log: steps, joblog, history, devices.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// json: the lines as they are kept, one JSON object each.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// One JSON object per line.
    Json,
}

/// Reads and prints.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let run = cluster.run(&arguments.run).await?;
    let wanted = wanted(&run, arguments.kind.as_deref())?;
    let several = wanted.len() > 1;
    for log in wanted {
        let lines = read(&cluster, log).await?;
        let mut shown = String::new();
        if several && arguments.output.is_none() {
            shown.push_str(&format!("==> {} ({} lines) <==\n", log.kind, log.lines));
        }
        for line in lines.lines() {
            match arguments.output {
                Some(Output::Json) => shown.push_str(line),
                None => shown.push_str(&readable(line)),
            }
            shown.push('\n');
        }
        // A closed pipe (`| head`) is no reason to fail, but the end of the work.
        if std::io::stdout().write_all(shown.as_bytes()).is_err() {
            break;
        }
    }
    Ok(Exit::Done)
}

/// The logs to print, or an error that names those that are there.
fn wanted<'a>(run: &'a CloneRun, kind: Option<&str>) -> Result<Vec<&'a LogRef>, CommandError> {
    let status = run.status.as_ref();
    let all: &[LogRef] = status.map_or(&[], |s| &s.logs);
    let found: Vec<&LogRef> = all
        .iter()
        .filter(|log| kind.is_none_or(|kind| log.kind == kind))
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let name = run.name_any();
    let final_phase = status.is_some_and(|s| s.phase.is_final());
    let why = match (all.is_empty(), final_phase) {
        (false, _) => {
            let kinds: Vec<&str> = all.iter().map(|log| log.kind.as_str()).collect();
            format!("it has {}", kinds.join(", "))
        }
        (true, false) => "logs are kept at its end; `kubectl describe crun` shows it now".into(),
        (true, true) => "none were kept: see spec.logs of its environment".into(),
    };
    let what = kind.map_or("logs".to_owned(), |kind| format!("log {kind}"));
    Err(CommandError::NotFound(format!("run {name} has no {what}: {why}")))
}

/// The text of one log, from all its ConfigMaps.
async fn read(cluster: &Cluster, log: &LogRef) -> Result<String, CommandError> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let mut text = Vec::new();
    for name in names(log) {
        let part = api.get(&name).await;
        let part = part.map_err(|e| CommandError::kube(format!("log {name}"), &e))?;
        unpack(&part, &mut text).map_err(|e| CommandError::io(format!("unpack log {name}"), e))?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Names of the parts: the first one ends in a number, the others count up in the same width.
fn names(log: &LogRef) -> Vec<String> {
    let digits = log.config_map.len()
        - log
            .config_map
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .len();
    let (stem, number) = log.config_map.split_at(log.config_map.len() - digits);
    match number.parse::<u32>() {
        Ok(first) => (0..u32::try_from(log.parts.max(1)).unwrap_or(1))
            .map(|n| format!("{stem}{:0digits$}", first + n))
            .collect(),
        Err(_) => vec![log.config_map.clone()],
    }
}

/// Members in `binaryData` are gzip, texts in `data` are plain.
fn unpack(part: &ConfigMap, text: &mut Vec<u8>) -> std::io::Result<()> {
    for packed in part.binary_data.iter().flat_map(|data| data.values()) {
        MultiGzDecoder::new(packed.0.as_slice()).read_to_end(text)?;
    }
    for plain in part.data.iter().flat_map(|data| data.values()) {
        text.extend_from_slice(plain.as_bytes());
    }
    Ok(())
}

/// A kept line as a person reads it: time, who, id and severity, text.
fn readable(line: &str) -> String {
    let Ok(line) = serde_json::from_str::<LogLine>(line) else {
        return line.to_owned();
    };
    let mut parts = vec![line.ts, line.part];
    parts.extend(Some(line.job).filter(|job| !job.is_empty()));
    if !line.id.is_empty() {
        parts.push(format!("{} {:02}", line.id, line.sev));
    }
    parts.push(text::one_line(&line.text));
    let mut shown = parts.join(" ");
    for second in line.second.lines() {
        shown.push_str(&format!("\n    {}", second.trim_end()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::run::{CloneRunSpec, CloneRunStatus, RunMode, Trigger};
    use crate::engine::journal::Phase;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use k8s_openapi::ByteString;

    fn log(kind: &str, config_map: &str, parts: i32) -> LogRef {
        LogRef {
            kind: kind.into(),
            config_map: config_map.into(),
            parts,
            lines: 1,
        }
    }

    fn run(logs: Vec<LogRef>) -> CloneRun {
        let mut run = CloneRun::new(
            "nightly-1",
            CloneRunSpec {
                environment: "nightly".into(),
                mode: RunMode::Clone,
                trigger: Trigger::Manual,
                requested_by: String::new(),
            },
        );
        run.status = Some(CloneRunStatus {
            phase: Phase::Succeeded,
            logs,
            ..CloneRunStatus::default()
        });
        run
    }

    #[test]
    fn parts_of_a_log_count_up_from_the_first() {
        assert_eq!(
            names(&log("joblog", "nightly-1-log-joblog-009", 3)),
            [
                "nightly-1-log-joblog-009",
                "nightly-1-log-joblog-010",
                "nightly-1-log-joblog-011"
            ]
        );
        assert_eq!(names(&log("steps", "odd", 2)), ["odd"]);
    }

    #[test]
    fn a_wrong_kind_is_answered_with_the_kinds_there_are() {
        let run = run(vec![log("steps", "a-0", 1), log("joblog", "b-0", 1)]);
        let error = wanted(&run, Some("brms")).expect_err("there is no such log");
        assert_eq!(error.exit(), Exit::NotFound);
        assert!(error.to_string().contains("it has steps, joblog"));
        assert_eq!(wanted(&run, None).map(|l| l.len()).ok(), Some(2));
    }

    #[test]
    fn several_gzip_members_and_plain_text_are_unpacked() {
        let pack = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).expect("memory");
            encoder.finish().expect("memory")
        };
        let mut members = pack("one\n");
        members.extend(pack("two\n"));
        let part = ConfigMap {
            binary_data: Some([("log.gz".to_owned(), ByteString(members))].into()),
            data: Some([("tail".to_owned(), "three\n".to_owned())].into()),
            ..ConfigMap::default()
        };
        let mut text = Vec::new();
        unpack(&part, &mut text).expect("is gzip");
        assert_eq!(text, b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_line_is_shown_with_its_id_and_severity_and_an_unknown_one_as_it_is() {
        let kept = r#"{"ts":"t","part":"clone","id":"CPF9801","sev":40,"text":"Object not found","second":"Cause\nRecovery"}"#;
        assert_eq!(
            readable(kept),
            "t clone CPF9801 40 Object not found\n    Cause\n    Recovery"
        );
        assert_eq!(readable("plain"), "plain");
    }
}

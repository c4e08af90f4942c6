//! Lines to gzip members: pure and deterministic.

use crate::engine::journal::{Entry, Journal};
use crate::recipe::LogLine;
use crate::site::transcript::Exchange;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::io::Write;

/// Largest gzip member: a ConfigMap holds 1 MiB, base64 takes a third more.
pub const MEMBER: usize = 512 * 1024;

/// One ConfigMap's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// gzip of whole lines.
    pub gzip: Vec<u8>,
    /// SHA-256 of the uncompressed bytes, hex.
    pub sha256: String,
    /// Time of the first line, as its writer printed it.
    pub from: String,
    /// Time of the last line.
    pub to: String,
}

/// A whole log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// At least one, also for an empty log: its presence says that it was collected.
    pub members: Vec<Member>,
    /// Lines kept.
    pub lines: i64,
    /// SHA-256 of the lines as given, hex.
    pub digest: String,
}

/// Packs lines into members. Beyond `budget` compressed bytes head and tail survive and a line marks the cut.
pub fn pack(lines: &[LogLine], budget: usize) -> Packed {
    let texts: Vec<String> = lines.iter().map(text).collect();
    let mut all = Sha256::new();
    for line in &texts {
        all.update(line.as_bytes());
    }
    let kept = within_budget(lines, &texts, budget);
    let mut members = Vec::new();
    split(&kept, &mut members);
    Packed {
        lines: i64::try_from(kept.len()).unwrap_or(i64::MAX),
        digest: hex(&all.finalize()),
        members,
    }
}

/// One JSON object and its line end.
fn text(line: &LogLine) -> String {
    // A line is made of strings and a number: it always serialises.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

struct Kept<'l> {
    ts: &'l str,
    text: std::borrow::Cow<'l, str>,
}

fn within_budget<'l>(lines: &'l [LogLine], texts: &'l [String], budget: usize) -> Vec<Kept<'l>> {
    let keep = |n: usize| Kept {
        ts: lines[n].ts.as_str(),
        text: texts[n].as_str().into(),
    };
    let total = texts.len();
    if gzip(texts.iter().map(String::as_str)).len() <= budget {
        return (0..total).map(keep).collect();
    }
    // Largest number of lines that fits, half from each end.
    let ends = |n: usize| {
        let head = n / 2 + n % 2;
        (head, total - n / 2)
    };
    let fits = |n: usize| {
        let (head, tail) = ends(n);
        let both = texts[..head].iter().chain(&texts[tail..]);
        gzip(both.map(String::as_str)).len() + 200 <= budget
    };
    let (mut low, mut high) = (0, total.saturating_sub(1));
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let (head, tail) = ends(low);
    let mark = LogLine {
        part: "operator".to_owned(),
        text: format!(
            "{} lines are cut here: they do not fit into logs.maxBytesPerRun",
            tail - head
        ),
        ..LogLine::default()
    };
    let mut kept: Vec<Kept<'l>> = (0..head).map(keep).collect();
    kept.push(Kept {
        ts: lines.get(head).map_or("", |l| l.ts.as_str()),
        text: text(&mark).into(),
    });
    kept.extend((tail..total).map(keep));
    kept
}

/// Halves until every member is small enough; one line alone is never cut.
fn split(lines: &[Kept<'_>], members: &mut Vec<Member>) {
    let bytes = gzip(lines.iter().map(|l| l.text.as_ref()));
    if bytes.len() > MEMBER && lines.len() > 1 {
        let (left, right) = lines.split_at(lines.len() / 2);
        split(left, members);
        split(right, members);
        return;
    }
    let mut digest = Sha256::new();
    for line in lines {
        digest.update(line.text.as_bytes());
    }
    members.push(Member {
        gzip: bytes,
        sha256: hex(&digest.finalize()),
        from: lines.first().map_or("", |l| l.ts).to_owned(),
        to: lines.last().map_or("", |l| l.ts).to_owned(),
    });
}

fn gzip<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for text in texts {
        // Writing to memory does not fail.
        let _ = encoder.write_all(text.as_bytes());
    }
    encoder.finish().unwrap_or_default()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One exchange with a device.
pub fn exchange(exchange: &Exchange) -> LogLine {
    let milliseconds = exchange.microseconds / 1000;
    LogLine {
        ts: exchange
            .at
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        part: exchange.device.clone(),
        kind: "EXCHANGE".to_owned(),
        text: format!(
            "{} -> {} ({milliseconds} ms)",
            exchange.request, exchange.answer
        ),
        ..LogLine::default()
    }
}

/// The whole record of a run, one line per fact: what the slim final row does not keep.
pub fn record(journal: &Journal) -> Vec<LogLine> {
    let mut lines: Vec<LogLine> = journal.steps.iter().filter_map(step).collect();
    if let Some(window) = &journal.window {
        let text = serde_json::to_string(window).unwrap_or_default();
        lines.push(line(
            "window",
            window.opened.map(|t| t.to_string()),
            0,
            text,
        ));
    }
    for owed in &journal.obligations {
        let met = match owed.met {
            Some(at) => format!("met {at}"),
            None => "open".to_owned(),
        };
        let how = owed.message.as_deref().unwrap_or_default();
        let text = format!("{:?} of {}: {met}; {how}", owed.kind, owed.step);
        lines.push(line("obligation", Some(owed.since.to_string()), 0, text));
    }
    for (name, severity, texts) in [
        ("warning", 20, &journal.warnings),
        ("note", 0, &journal.notes),
    ] {
        lines.extend(texts.iter().map(|t| line(name, None, severity, t.clone())));
    }
    if let Some(verdict) = &journal.verdict {
        let text = format!(
            "{:?} {}: {}",
            verdict.phase, verdict.reason, verdict.message
        );
        lines.push(line("verdict", Some(verdict.at.to_string()), 0, text));
    }
    lines
}

fn step(entry: &Entry) -> Option<LogLine> {
    let start = entry.start.or(entry.end)?;
    let facts = |name: &str, map: &crate::engine::journal::Facts| {
        let list: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
        match list.as_slice() {
            [] => String::new(),
            list => format!("; {name}: {}", list.join(", ")),
        }
    };
    let end = entry.end.map(|t| format!(" {t}")).unwrap_or_default();
    let message = entry.message.as_deref().map(|m| format!("; {m}"));
    let text = format!(
        "{:?}{end} after {} attempts{}{}{}",
        entry.state,
        entry.attempts,
        message.unwrap_or_default(),
        facts("before", &entry.baseline),
        facts("after", &entry.output),
    );
    let severity = match entry.state {
        crate::engine::journal::EntryState::Failed => 40,
        crate::engine::journal::EntryState::Pending
        | crate::engine::journal::EntryState::Intended
        | crate::engine::journal::EntryState::Done
        | crate::engine::journal::EntryState::Skipped => 0,
    };
    Some(line(&entry.name, Some(start.to_string()), severity, text))
}

fn line(job: &str, ts: Option<String>, sev: u8, text: String) -> LogLine {
    LogLine {
        ts: ts.unwrap_or_default(),
        part: "operator".to_owned(),
        job: job.to_owned(),
        sev,
        text,
        ..LogLine::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn lines(count: usize) -> Vec<LogLine> {
        // Hashes do not compress: a log of them meets every limit early.
        (0..count)
            .map(|n| LogLine {
                ts: format!("{n:08}"),
                part: "clone".to_owned(),
                text: hex(&Sha256::digest(n.to_string())),
                ..LogLine::default()
            })
            .collect()
    }

    fn unpack(packed: &Packed) -> String {
        let mut all = String::new();
        for member in &packed.members {
            let mut text = String::new();
            GzDecoder::new(member.gzip.as_slice())
                .read_to_string(&mut text)
                .unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "cut on lines");
            assert_eq!(hex(&Sha256::digest(&text)), member.sha256);
            all.push_str(&text);
        }
        all
    }

    #[test]
    fn members_are_small_whole_and_the_same_every_time() {
        let given = lines(30_000);
        let packed = pack(&given, usize::MAX);
        assert!(packed.members.len() > 1);
        assert!(packed.members.iter().all(|m| m.gzip.len() <= MEMBER));
        let text = unpack(&packed);
        assert_eq!(text.lines().count(), 30_000);
        assert_eq!(packed.members[0].from, "00000000");
        assert_eq!(packed.members.last().unwrap().to, "00029999");
        assert_eq!(packed, pack(&given, usize::MAX));
    }

    #[test]
    fn beyond_the_budget_head_and_tail_survive_and_the_cut_is_marked() {
        let given = lines(2_000);
        let packed = pack(&given, 20_000);
        let size: usize = packed.members.iter().map(|m| m.gzip.len()).sum();
        assert!(size <= 20_000 && size > 15_000, "{size}");
        let text = unpack(&packed);
        let kept: Vec<&str> = text.lines().collect();
        assert!(kept[0].contains("00000000") && kept.last().unwrap().contains("00001999"));
        let marks = kept
            .iter()
            .filter(|l| l.contains("lines are cut here"))
            .count();
        assert_eq!(marks, 1);
        assert_eq!(packed.lines, i64::try_from(kept.len()).unwrap());
        assert_ne!(packed.digest, pack(&given[..1999], 20_000).digest);
    }

    #[test]
    fn an_empty_log_is_a_log() {
        let packed = pack(&[], 100);
        assert_eq!((packed.members.len(), packed.lines), (1, 0));
        assert_eq!(unpack(&packed), "");
        // A budget that takes nothing keeps the mark at least.
        assert!(unpack(&pack(&lines(50), 10)).contains("50 lines are cut here"));
    }
}

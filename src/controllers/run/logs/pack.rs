//! Lines to gzip members: deterministic, and without ever having more of a log in memory than what is kept of it.
//!
//! Lines are gathered into small blocks, each compressed by itself, which tells what it costs. The first blocks are the
//! head; the last ones stay in a queue whose front is dropped when it takes too much. At the end the blocks that are left
//! are compressed once more, as one stream per ConfigMap.

use crate::recipe::LogLine;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};

/// Largest gzip member: a ConfigMap holds 1 MiB, base64 takes a third more.
pub const MEMBER: usize = 512 * 1024;
/// Largest text of one line; what is longer is cut, and says so.
const LONGEST_TEXT: usize = 128 << 10;
/// Largest block before compression.
const BLOCK: usize = 64 << 10;
/// Smallest one: below that gzip's own frame weighs more than it saves.
const SMALLEST_BLOCK: usize = 512;
/// What the line that marks the cut may take.
const MARK: usize = 200;
/// Messages of this severity and above are told apart in the line that marks the cut.
const SEVERE: u8 = 30;

/// One ConfigMap's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// gzip of whole lines.
    pub gzip: Vec<u8>,
    /// SHA-256 of the uncompressed bytes, hex.
    pub sha256: String,
    /// Time of the first line that has one, as its writer printed it.
    pub from: String,
    /// Time of the last line that has one.
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

impl Packed {
    /// Hands over the lines that are kept.
    pub fn each_line(&self, mut each: impl FnMut(&LogLine)) {
        for member in &self.members {
            let lines = BufReader::new(GzDecoder::new(member.gzip.as_slice())).lines();
            // Made by ourselves a moment ago: all of it is readable.
            lines
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str(&line).ok())
                .for_each(|line| each(&line));
        }
    }

    /// Compressed bytes of all members.
    pub fn bytes(&self) -> u64 {
        let sizes = self.members.iter().map(|m| m.gzip.len());
        u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
    }
}

/// Lines compressed together.
#[derive(Debug, Default)]
struct Block {
    gzip: Vec<u8>,
    /// Bytes before compression.
    bytes: u64,
    lines: i64,
    severe: i64,
    from: String,
    to: String,
}

/// Packs lines as they come. Beyond the budget head and tail survive and a line marks the cut.
#[derive(Debug)]
pub struct Packer {
    budget: usize,
    block: usize,
    digest: Sha256,
    raw: Vec<u8>,
    open: Block,
    head: Vec<Block>,
    head_size: usize,
    tail: VecDeque<Block>,
    tail_size: usize,
    cut: Block,
}

impl Packer {
    /// For this many compressed bytes.
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            block: (budget / 8).clamp(SMALLEST_BLOCK, BLOCK),
            digest: Sha256::new(),
            raw: Vec::new(),
            open: Block::default(),
            head: Vec::new(),
            head_size: 0,
            tail: VecDeque::new(),
            tail_size: 0,
            cut: Block::default(),
        }
    }

    /// Adds a line.
    pub fn line(&mut self, line: &LogLine) {
        let text = text(line);
        self.digest.update(text.as_bytes());
        if !self.raw.is_empty() && self.raw.len() + text.len() > self.block {
            self.close();
        }
        // A note of the operator has no time of its own.
        if !line.ts.is_empty() {
            if self.open.from.is_empty() {
                self.open.from.clone_from(&line.ts);
            }
            self.open.to.clone_from(&line.ts);
        }
        self.open.lines += 1;
        self.open.severe += i64::from(line.sev >= SEVERE);
        self.raw.extend(text.as_bytes());
    }

    fn close(&mut self) {
        let mut block = std::mem::take(&mut self.open);
        block.bytes = u64::try_from(self.raw.len()).unwrap_or(u64::MAX);
        block.gzip = gzip(&self.raw);
        self.raw.clear();
        let size = block.gzip.len();
        let room = self.budget.saturating_sub(MARK);
        if self.tail.is_empty() && self.cut.lines == 0 && self.head_size + size <= room / 2 {
            self.head_size += size;
            self.head.push(block);
            return;
        }
        self.tail_size += size;
        self.tail.push_back(block);
        while self.head_size + self.tail_size > room
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_size -= oldest.gzip.len();
            self.cut.lines += oldest.lines;
            self.cut.severe += oldest.severe;
            self.cut.bytes += oldest.bytes;
            if self.cut.from.is_empty() {
                self.cut.from = oldest.from;
            }
        }
    }

    /// What is left of all lines.
    pub fn finish(mut self) -> Packed {
        if self.open.lines > 0 {
            self.close();
        }
        let mark = (self.cut.lines > 0).then(|| self.mark());
        let blocks: Vec<Block> = self.head.into_iter().chain(mark).chain(self.tail).collect();
        Packed {
            lines: blocks.iter().map(|b| b.lines).sum(),
            digest: hex(&self.digest.finalize()),
            members: members(&blocks),
        }
    }

    fn mark(&self) -> Block {
        let cut = &self.cut;
        let line = LogLine {
            ts: cut.from.clone(),
            part: "operator".to_owned(),
            text: format!(
                "{} lines are cut here: they do not fit into logs.maxBytesPerRun ({} bytes, {} lines of severity {SEVERE} or above)",
                cut.lines, cut.bytes, cut.severe
            ),
            ..LogLine::default()
        };
        Block {
            gzip: gzip(text(&line).as_bytes()),
            bytes: 0,
            lines: 1,
            severe: 0,
            from: line.ts.clone(),
            to: line.ts,
        }
    }
}

/// Packs lines that are all there.
#[cfg(test)]
fn pack(lines: &[LogLine], budget: usize) -> Packed {
    let mut packer = Packer::new(budget);
    lines.iter().for_each(|line| packer.line(line));
    packer.finish()
}

/// One JSON object and its line end.
fn text(line: &LogLine) -> String {
    let long = |text: &str| text.len() > LONGEST_TEXT;
    // A line is made of strings and a number: it always serialises.
    let mut text = if long(&line.text) || long(&line.second) {
        let shorter = LogLine {
            text: shortened(&line.text),
            second: shortened(&line.second),
            ..line.clone()
        };
        serde_json::to_string(&shorter).unwrap_or_default()
    } else {
        serde_json::to_string(line).unwrap_or_default()
    };
    text.push('\n');
    text
}

fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_TEXT);
    match text.len() - end {
        0 => text.to_owned(),
        more => format!("{} … ({more} more bytes are cut here)", &text[..end]),
    }
}

/// As many blocks as fit into one member, compressed once more as one stream: it is no larger than they were.
fn members(blocks: &[Block]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut begin = 0;
    loop {
        let mut size = 0;
        let mut end = begin;
        while let Some(block) = blocks.get(end)
            && (end == begin || size + block.gzip.len() <= MEMBER)
        {
            size += block.gzip.len();
            end += 1;
        }
        members.push(member(&blocks[begin..end]));
        begin = end;
        if begin == blocks.len() {
            return members;
        }
    }
}

fn member(blocks: &[Block]) -> Member {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut digest = Sha256::new();
    let mut raw = Vec::new();
    let timed = |time: &&String| !time.is_empty();
    for block in blocks {
        raw.clear();
        // Both ends are memory, and we have written the one ourselves: neither fails.
        let _ = GzDecoder::new(block.gzip.as_slice()).read_to_end(&mut raw);
        digest.update(&raw);
        let _ = encoder.write_all(&raw);
    }
    Member {
        gzip: encoder.finish().unwrap_or_default(),
        sha256: hex(&digest.finalize()),
        from: blocks
            .iter()
            .map(|b| &b.from)
            .find(timed)
            .cloned()
            .unwrap_or_default(),
        to: blocks
            .iter()
            .map(|b| &b.to)
            .rfind(timed)
            .cloned()
            .unwrap_or_default(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
    fn what_fits_compressed_is_not_cut_however_long_it_is() {
        let same: Vec<LogLine> = (0..200_000)
            .map(|n| LogLine {
                ts: "2026-11-23-04.00.00.000000".to_owned(),
                text: format!("Object {} in library CLNLIB was saved.", n % 10),
                ..LogLine::default()
            })
            .collect();
        let packed = pack(&same, 256 * 1024);
        assert_eq!(packed.lines, 200_000);
        assert!(!unpack(&packed).contains("lines are cut here"));
    }

    #[test]
    fn what_is_cut_is_counted_and_nothing_is_lost_besides() {
        let mut given = lines(3_000);
        given.iter_mut().step_by(10).for_each(|l| l.sev = 40);
        let text = unpack(&pack(&given, 30_000));
        let (mark, kept): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|l| l.contains("lines are cut here"));
        let mark: LogLine = serde_json::from_str(mark[0]).unwrap();
        let count: usize = mark.text.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(kept.len() + count, 3_000);
        let severe = kept.iter().filter(|l| l.contains("\"sev\":40")).count();
        let lost = 300 - severe;
        assert!(
            mark.text.contains(&format!(" {lost} lines of severity 30")),
            "{}",
            mark.text
        );
        assert!(mark.ts.as_str() > "00000000");
    }

    #[test]
    fn a_text_of_ten_megabytes_is_cut_and_says_so() {
        let line = LogLine {
            text: "é".repeat(5 << 20),
            ..LogLine::default()
        };
        let text = unpack(&pack(&[line], usize::MAX));
        assert!(text.len() < LONGEST_TEXT + 200);
        assert!(
            text.contains("more bytes are cut here"),
            "{}",
            &text[text.len() - 100..]
        );
    }

    #[test]
    fn the_time_range_is_of_the_lines_that_have_a_time() {
        let mut given = lines(4);
        for untimed in [0, 3] {
            given[untimed].ts.clear();
        }
        let packed = pack(&given, usize::MAX);
        let member = &packed.members[0];
        assert_eq!(
            (member.from.as_str(), member.to.as_str()),
            ("00000001", "00000002")
        );
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

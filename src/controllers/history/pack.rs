//! The bytes of an archive: gzip members one after the other, each of some hundred lines. Pure.
//!
//! A run that is added rewrites the last member only; room is made by leaving out the first ones. `zcat` reads the whole.

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read, Write};

/// Lines of a full member.
const LINES: usize = 500;
/// A ConfigMap holds 1 MiB of values; the rest is for what people add.
pub const LIMIT: usize = 1_000_000;
/// Longest text that is read: 64 bytes of text per byte of archive are far more than rows give.
const READ: u64 = 64 * 1024 * 1024;

/// Why an archive cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no gzip of text lines: {0}")]
pub struct UnpackError(String);

/// An archive with lines added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Lines in them.
    pub lines: usize,
    /// Oldest lines that were left out to make room.
    pub dropped: usize,
}

struct Member {
    bytes: Vec<u8>,
    lines: usize,
}

/// All lines, oldest first.
///
/// # Errors
/// Bytes that are no gzip, or were cut off.
pub fn unpack(archive: &[u8]) -> Result<Vec<String>, UnpackError> {
    let texts = members(archive)?.into_iter().map(|(_, text)| text);
    Ok(texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect())
}

/// Adds lines at the end and leaves out the oldest where the whole would be longer than `limit` bytes. The lines that
/// are added stay, whatever the limit.
///
/// # Errors
/// As [`unpack`]: what cannot be read is not written over.
pub fn append(archive: &[u8], added: &[String], limit: usize) -> Result<Appended, UnpackError> {
    let mut kept: Vec<Member> = Vec::new();
    let mut rest: Vec<String> = Vec::new();
    let read = members(archive)?;
    let last = read.len().saturating_sub(1);
    for (at, (bytes, text)) in read.into_iter().enumerate() {
        let lines = text.lines().count();
        if at == last && lines < LINES {
            rest = text.lines().map(str::to_owned).collect();
        } else {
            let bytes = bytes.to_vec();
            kept.push(Member { bytes, lines });
        }
    }
    rest.extend_from_slice(added);
    kept.extend(rest.chunks(LINES).map(|lines| Member {
        bytes: gzip(lines),
        lines: lines.len(),
    }));
    let needed = added.len().div_ceil(LINES).max(1);
    let mut size: usize = kept.iter().map(|m| m.bytes.len()).sum();
    let (mut first, mut dropped) = (0, 0);
    while size > limit && kept.len() - first > needed {
        size -= kept[first].bytes.len();
        dropped += kept[first].lines;
        first += 1;
    }
    let kept = &kept[first..];
    Ok(Appended {
        bytes: kept.iter().flat_map(|m| m.bytes.iter().copied()).collect(),
        lines: kept.iter().map(|m| m.lines).sum(),
        dropped,
    })
}

fn members(mut archive: &[u8]) -> Result<Vec<(&[u8], String)>, UnpackError> {
    let mut found = Vec::new();
    let mut left = READ;
    while !archive.is_empty() {
        let mut text = String::new();
        let mut decoder = GzDecoder::new(archive).take(left + 1);
        let read = decoder.read_to_string(&mut text);
        let read = read.map_err(|e| UnpackError(e.to_string()))? as u64;
        if read > left {
            return Err(UnpackError(format!("it holds more than {READ} bytes")));
        }
        left -= read;
        let after = decoder.into_inner().into_inner();
        found.push((&archive[..archive.len() - after.len()], text));
        archive = after;
    }
    Ok(found)
}

fn gzip(lines: &[String]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for line in lines {
        // Into memory: it cannot fail.
        let _ = encoder.write_all(line.as_bytes());
        let _ = encoder.write_all(b"\n");
    }
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::line::ArchivedRun;
    use super::*;

    /// As different as rows of a year are: uid, times, counts and durations vary, words repeat.
    fn line(n: u64) -> String {
        let mix = |salt: u64| {
            let mut x =
                (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32);
            x ^= x >> 29;
            x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
            x ^ (x >> 32)
        };
        let uid = format!("{:08x}-{:04x}", mix(1) as u32, mix(2) as u16);
        let (day, minute, second) = (1 + n % 28, mix(6) % 3, mix(7) % 60);
        let month = 1 + n / 28 % 12;
        let year = 2026 + n / 336;
        let failed = n.is_multiple_of(29);
        let row = serde_json::json!({
            "uid": uid, "name": format!("nightly-brms-{year}{month:02}{day:02}t0000z"), "number": n,
            "created": format!("{year}-{month:02}-{day:02}T00:00:00.000Z"),
            "started": format!("{year}-{month:02}-{day:02}T00:{minute:02}:{second:02}Z"),
            "state": if failed { "ERROR" } else { "END_FC" },
            "phase": if failed { "Failed" } else { "Succeeded" },
            "step": if failed { "prepare-copy" } else { "settle" }, "progress": "15/15",
            "messages": 1200 + mix(8) % 900, "errors": mix(9) % 4,
            "prepareOnSource": format!("1:{:02}", mix(10) % 60), "prepareOnClone": format!("2{}:{:02}", mix(11) % 9, mix(12) % 60),
            "save": format!("6:{:02}:{:02}", mix(13) % 60, mix(14) % 60), "diskUsedPercent": 3 + mix(15) % 9,
            "partitionActive": format!("23:{:02}:{:02}", mix(16) % 60, mix(17) % 60), "flashCopyActive": "23:51:07",
            "function": "USER", "mode": "Clone", "trigger": "Schedule", "freeze": 380 + mix(18) % 400,
            "duration": format!("7:{:02}:{:02}", mix(19) % 60, mix(20) % 60),
        });
        let row: ArchivedRun = serde_json::from_value(row).unwrap();
        row.text()
    }

    #[test]
    fn some_twenty_thousand_rows_fit_and_the_oldest_go_first() {
        let lines: Vec<String> = (0..24_000).map(line).collect();
        let mut archive = append(&[], &lines[..18_000], LIMIT).unwrap();
        let fits = archive.lines;
        for batch in lines[18_000..].chunks(1_000) {
            let dropped = archive.dropped;
            archive = append(&archive.bytes, batch, LIMIT).unwrap();
            archive.dropped += dropped;
        }
        println!(
            "{fits} of 18000, then {} lines in {} bytes",
            archive.lines,
            archive.bytes.len()
        );
        assert!(archive.bytes.len() <= LIMIT);
        assert!(archive.lines >= 17_000, "{}", archive.lines);
        assert_eq!(archive.lines + archive.dropped, lines.len());
        assert_eq!(unpack(&archive.bytes).unwrap(), lines[archive.dropped..]);
    }

    #[test]
    fn one_line_at_a_time_gives_what_all_at_once_give() {
        let lines: Vec<String> = (0..1_203).map(line).collect();
        let mut archive = append(&[], &lines[..995], LIMIT).unwrap();
        for one in &lines[995..] {
            archive = append(&archive.bytes, std::slice::from_ref(one), LIMIT).unwrap();
        }
        assert_eq!(archive, append(&[], &lines, LIMIT).unwrap());
        assert_eq!(unpack(&archive.bytes).unwrap(), lines);
    }

    #[test]
    fn a_line_that_is_added_stays_whatever_the_limit() {
        let archive = append(&[], &[line(1)], LIMIT).unwrap();
        let next = append(&archive.bytes, &[line(2)], 10).unwrap();
        assert_eq!(unpack(&next.bytes).unwrap(), [line(1), line(2)]);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_not_written_over() {
        let whole = append(&[], &[line(1), line(2)], LIMIT).unwrap().bytes;
        for bad in [
            &whole[..whole.len() - 9],
            b"by hand",
            &[whole.as_slice(), b"x"].concat(),
        ] {
            assert!(unpack(bad).is_err() && append(bad, &[line(3)], LIMIT).is_err());
        }
    }
}

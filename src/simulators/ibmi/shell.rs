//! The PASE shell behind an SSH exec: exactly what the operator's driver sends, and a refusal of anything else.
//!
//! Understood: commands joined with `;`, both kinds of quotes, `$?` and variables, `> file`, `>> file`, `echo`, `umask`,
//! `cat`, `dd` (`if=`, `bs=`, `skip=`, `count=`), `wc -c`, `openssl dgst -sha256`, `mv -f`, `rm -f`, `rm -rf`, `ls -a`, `ls -d`, `ls -ld`, `mkdir -p`, `ln`, `chown -R`, `exit`, `export`, `system`, and
//! Qshell's `db2` through `qsh -c`.

use super::commands;
use super::sql;
use super::system::{Phase, running, view};
use crate::simulators::Shared;
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::ledger::RequestLine;
use crate::simulators::world::World;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Who is logged in where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Partition behind the connection.
    pub partition: String,
    /// IPL the connection belongs to.
    pub generation: u64,
    /// Profile.
    pub user: String,
}

/// What becomes of an exec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit status; `None` = the server sends none.
    pub status: Option<u32>,
    /// The connection drops instead of an orderly end.
    pub dropped: bool,
    /// Before it drops, what is there is sent.
    pub torn: bool,
    /// Nothing ever arrives.
    pub hangs: bool,
    /// A part of standard output that is made while it is sent.
    pub long: Option<super::long::Long>,
}

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Simple {
    words: Vec<Word>,
    output: Option<String>,
    append: bool,
}

/// Where standard output goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// Stream file, or a save file in the library file system.
    pub path: &'a str,
    /// Behind what is there.
    pub append: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Word {
    /// Text and whether it may hold `$` to be replaced.
    parts: Vec<(String, bool)>,
}

/// Whether the line starts the resident helper, and is therefore no command with an end of its own.
pub fn starts_helper(command: &str) -> bool {
    command.ends_with("exec /QOpenSys/usr/bin/system -bi \"CALL PGM(IBMICLONE/HELPER)\"")
        && command.contains("QIBM_USE_DESCRIPTOR_STDIO=Y; export QIBM_USE_DESCRIPTOR_STDIO;")
}

/// Whether the connection is still one to the running system.
pub fn alive(world: &World, login: &Login) -> bool {
    world.systems.get(&login.partition).is_some_and(|s| {
        s.generation == login.generation && s.phase == Phase::Up && s.sshd && s.tcp
    })
}

/// Whether new work hangs now: an ASP is suspended and the knob says so.
pub fn hangs(world: &World, partition: &str) -> bool {
    world.knobs.exec_hangs_while_suspended
        && world
            .systems
            .get(partition)
            .is_some_and(|s| !s.suspended.is_empty())
}

/// Runs a line. A hang because of a suspension is the caller's: ask [`hangs`] first.
pub async fn exec(shared: &Shared, login: &Login, command: &str, stdin: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    {
        let mut world = shared.now();
        if !alive(&world, login) {
            outcome.dropped = true;
            return outcome;
        }
        let banner = view(&world, &login.partition)
            .map(|(_, d)| d.profile_banner.clone())
            .unwrap_or_default();
        outcome.stdout.extend(banner.as_bytes());
        let at = world.now;
        world.ledger.request(RequestLine {
            at,
            device: login.partition.clone(),
            operation: command.chars().take(2_000).collect(),
            answer: String::new(),
            milliseconds: 0,
            microseconds: None,
        });
    }
    let Some(line) = parse(command) else {
        outcome.stderr.extend(b"sh: syntax error\n");
        outcome.status = Some(2);
        return outcome;
    };
    let mut state = State {
        variables: BTreeMap::new(),
        status: 0,
        stdin: stdin.to_vec(),
    };
    for simple in line {
        let words: Vec<String> = simple.words.iter().map(|w| state.expand(w)).collect();
        let target = simple.output.as_deref().map(|path| Target {
            path,
            append: simple.append,
        });
        let done = step(shared, login, &words, target, &mut state, &mut outcome).await;
        if done {
            break;
        }
    }
    if !outcome.dropped && !outcome.hangs && outcome.status != Some(NO_STATUS) {
        outcome.status = Some(state.status);
    }
    if outcome.status == Some(NO_STATUS) {
        outcome.status = None;
    }
    outcome
}

/// Marks an exec whose status is not sent (fault `no-status`).
const NO_STATUS: u32 = u32::MAX;

struct State {
    variables: BTreeMap<String, String>,
    status: u32,
    stdin: Vec<u8>,
}

impl State {
    fn expand(&self, word: &Word) -> String {
        let mut out = String::new();
        for (text, replace) in &word.parts {
            if !replace {
                out.push_str(text);
                continue;
            }
            let mut rest = text.as_str();
            while let Some(at) = rest.find('$') {
                out.push_str(&rest[..at]);
                rest = &rest[at + 1..];
                if let Some(more) = rest.strip_prefix('?') {
                    let _ = write!(out, "{}", self.status);
                    rest = more;
                } else {
                    let end = rest
                        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .unwrap_or(rest.len());
                    out.push_str(self.variables.get(&rest[..end]).map_or("", String::as_str));
                    rest = &rest[end..];
                }
            }
            out.push_str(rest);
        }
        out
    }
}

fn parse(line: &str) -> Option<Vec<Simple>> {
    let mut all = Vec::new();
    let empty = || Simple {
        words: Vec::new(),
        output: None,
        append: false,
    };
    let mut current = empty();
    let mut word: Option<Word> = None;
    let mut to_file = false;
    let mut chars = line.chars().peekable();
    let finish = |word: &mut Option<Word>, current: &mut Simple, to_file: &mut bool| {
        if let Some(w) = word.take() {
            if *to_file {
                current.output = Some(w.parts.iter().map(|(t, _)| t.as_str()).collect());
                *to_file = false;
            } else {
                current.words.push(w);
            }
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let mut text = String::new();
                loop {
                    match chars.next()? {
                        x if x == c => break,
                        '\\' if c == '"' => text.push(chars.next()?),
                        x => text.push(x),
                    }
                }
                word.get_or_insert_with(Word::default)
                    .parts
                    .push((text, c == '"'));
            }
            ';' | '\n' => {
                finish(&mut word, &mut current, &mut to_file);
                if !current.words.is_empty() {
                    all.push(std::mem::replace(&mut current, empty()));
                }
            }
            '>' => {
                finish(&mut word, &mut current, &mut to_file);
                current.append = to_file;
                to_file = true;
            }
            '\\' => word
                .get_or_insert_with(Word::default)
                .parts
                .push((chars.next()?.to_string(), false)),
            '&' | '|' | '<' | '`' | '(' | ')' => return None,
            c if c.is_whitespace() => finish(&mut word, &mut current, &mut to_file),
            c => {
                let w = word.get_or_insert_with(Word::default);
                match w.parts.last_mut() {
                    Some((text, true)) => text.push(c),
                    _ => w.parts.push((c.to_string(), true)),
                }
            }
        }
    }
    finish(&mut word, &mut current, &mut to_file);
    if !current.words.is_empty() {
        all.push(current);
    }
    Some(all)
}

/// Runs one command; `true` = the line ends here.
async fn step(
    shared: &Shared,
    login: &Login,
    words: &[String],
    output: Option<Target<'_>>,
    state: &mut State,
    outcome: &mut Outcome,
) -> bool {
    let Some(first) = words.first() else {
        return false;
    };
    if let Some((name, value)) = first.split_once('=')
        && words.len() == 1
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        state.variables.insert(name.to_owned(), value.to_owned());
        state.status = 0;
        return false;
    }
    let name = first.rsplit('/').next().unwrap_or(first).to_owned();
    match name.as_str() {
        "exit" => {
            state.status = words
                .get(1)
                .and_then(|s| s.parse().ok())
                .unwrap_or(state.status);
            return true;
        }
        "export" | "umask" | ":" => {
            state.status = 0;
            return false;
        }
        "echo" => {
            outcome.stdout.extend(words[1..].join(" ").as_bytes());
            outcome.stdout.push(b'\n');
            state.status = 0;
            return false;
        }
        _ => {}
    }
    let operation = operation_of(&name, words, output);
    let (fault, mut wait) = {
        let mut world = shared.now();
        if !alive(&world, login) {
            outcome.dropped = true;
            return true;
        }
        let fault = world
            .faults
            .take(Device::IbmI, &login.partition, &operation);
        let wait = if name == "system" {
            commands::duration(
                &world,
                &login.partition,
                words.last().map_or("", String::as_str),
            )
        } else {
            0
        };
        (fault, wait)
    };
    match &fault {
        Some(FaultKind::NoAnswer) => {
            outcome.hangs = true;
            return true;
        }
        Some(FaultKind::Refused) => {
            outcome.dropped = true;
            return true;
        }
        Some(FaultKind::Busy) => {
            outcome.stderr.extend(b"CPF1002: Cannot allocate object.\n");
            state.status = 255;
            return false;
        }
        Some(FaultKind::Refuse { code, text }) => {
            let _ = writeln!(Text(&mut outcome.stderr), "{code}: {text}");
            state.status = 255;
            return false;
        }
        Some(FaultKind::Delay { milliseconds }) => wait += milliseconds,
        Some(FaultKind::Special(special)) if special == "ignored" => {
            state.status = 0;
            return false;
        }
        Some(FaultKind::AnswerLost | FaultKind::Special(_)) | None => {}
    }
    if wait > 0 {
        shared.clock().sleep(Duration::from_millis(wait)).await;
    }
    let from = outcome.stdout.len();
    if matches!(&fault, Some(FaultKind::Special(word)) if word == "cut" || word == "short") {
        state.stdin.truncate(state.stdin.len() / 2);
    }
    {
        let mut world = shared.now();
        if !alive(&world, login) {
            outcome.dropped = true;
            return true;
        }
        state.status = run(&mut world, login, &name, words, output, state, outcome);
    }
    match fault {
        Some(FaultKind::AnswerLost) => {
            outcome.dropped = true;
            true
        }
        Some(FaultKind::Special(special)) => match special.as_str() {
            "no-status" => {
                outcome.status = Some(NO_STATUS);
                true
            }
            "cut" => {
                let whole = outcome.stdout.len() - from;
                outcome.stdout.truncate(from + whole / 2);
                outcome.dropped = true;
                outcome.torn = true;
                true
            }
            "non-utf8" => {
                outcome.stdout.extend([0xC4, 0xE9, b' ', 0xFF, b'\n']);
                false
            }
            _ => false,
        },
        _ => false,
    }
}

struct Text<'a>(&'a mut Vec<u8>);
impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0.extend(s.as_bytes());
        Ok(())
    }
}

fn operation_of(name: &str, words: &[String], output: Option<Target<'_>>) -> String {
    let last = words.last().map_or("", String::as_str);
    match (name, output) {
        ("system", _) => commands::operation(last),
        ("qsh", _) => format!("SQL {last}"),
        ("cat", Some(to)) => format!("PUT {}", to.path),
        ("cat", None) => format!("GET {last}"),
        ("rm", _) => format!("REMOVE {}", words.get(2).map_or("", String::as_str)),
        (other, _) => format!("{} {last}", other.to_ascii_uppercase()),
    }
}

fn run(
    world: &mut World,
    login: &Login,
    name: &str,
    words: &[String],
    output: Option<Target<'_>>,
    state: &mut State,
    outcome: &mut Outcome,
) -> u32 {
    let last = words.last().cloned().unwrap_or_default();
    match name {
        "system" => {
            let answer = commands::run(world, &login.partition, &login.user, &last);
            let text: String = answer
                .messages
                .iter()
                .map(|m| format!("{}: {}\n", m.id, m.text))
                .collect();
            let listing: String = answer.listing.iter().map(|l| format!("{l}\n")).collect();
            outcome.stdout.extend(listing.as_bytes());
            if answer.ok {
                outcome.stdout.extend(text.as_bytes());
                0
            } else {
                outcome.stderr.extend(text.as_bytes());
                255
            }
        }
        "qsh" => {
            let inner = parse(&last).unwrap_or_default();
            match inner.as_slice() {
                [one] if one.words.len() >= 2 => {
                    let text = state.expand(&one.words[one.words.len() - 1]);
                    database(world, login, &text, outcome)
                }
                _ => 1,
            }
        }
        _ => {
            let digests = world.knobs.openssl_in_shell;
            let Some(r) = running(world, &login.partition) else {
                return 1;
            };
            if let Some(status) = super::files::reading(r.disk, name, words, digests, outcome) {
                return status;
            }
            super::files::run(
                r.disk,
                name,
                words,
                output,
                &std::mem::take(&mut state.stdin),
                outcome,
            )
        }
    }
}

/// Qshell's `db2 -S`: heading, dashes, rows, count; errors on standard output as well.
fn database(world: &World, login: &Login, text: &str, outcome: &mut Outcome) -> u32 {
    if super::long::begin(world, login, text, outcome).is_some() {
        return 0;
    }
    let out = &mut Text(&mut outcome.stdout);
    match sql::query(world, &login.partition, &login.user, text) {
        Err(e) => {
            let _ = writeln!(
                out,
                "  **** CLI ERROR *****\n         SQLSTATE: {}\nNATIVE ERROR CODE: {}\n{}",
                e.state, e.code, e.text
            );
            1
        }
        Ok((columns, rows)) => {
            let _ = writeln!(out, "\n{}\n----------", columns.join(" "));
            print_rows(out, &columns, &rows);
            let _ = writeln!(out, "\n  {} RECORD(S) SELECTED.", rows.len());
            0
        }
    }
}

pub(super) fn print_rows(out: &mut impl Write, columns: &[String], rows: &[sql::SqlRow]) {
    for row in rows {
        let cell = |c: &String| row.get(c).and_then(|v| v.as_deref()).unwrap_or("-");
        let cells: Vec<&str> = columns.iter().map(cell).collect();
        let _ = writeln!(out, "{}", cells.join(" "));
    }
}

#[cfg(test)]
mod tests;

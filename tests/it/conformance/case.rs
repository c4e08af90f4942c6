//! A case and how it is read from the files in `cases/`.
//!
//! ```text
//! === group.id  The rule in words
//! POST /api/v1/namespaces/${ns}/configmaps -> 201     method, path, expected status
//! Accept: application/json                            headers, exactly these; an empty value = not sent
//! {"metadata": {"generateName": "cm-"}}               body, up to an empty line or a line with `>`
//! > name = /metadata/name                             keep a part of the answer as ${name}
//! > only /items/[metadata.name=a]/data                record only this; `*` = every element
//! ```
//!
//! A request with a body and without `Content-Type` gets `application/json`. `MERGE`, `JSONPATCH`, `STRATEGIC` and `APPLY`
//! are PATCH with that content type; `PROTOBUF POST` encodes the JSON body as clients of Go do. `AWAIT GET …` repeats until the
//! status, and every `> until /pointer = value`, is there. `WATCH w GET …` opens a stream, `READ w 3` takes so many of its events
//! (no bookmarks), `READ w BOOKMARK` all up to the next one, `READ w end` all up to its end. `${ns}` is a namespace of the case
//! alone; `fragments.txt` holds further names. With an `Authorization` header of its own a request goes without credentials.

use std::path::Path;

use serde_json::Value;

use super::talk::Names;

/// One rule of the API and the requests that show it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Like `create.generate-name`; `docs/embedded-api.md` names differences by it.
    pub id: String,
    /// In words.
    pub rule: String,
    pub steps: Vec<Step>,
    /// Its lines in the file: a time that stands in them is no time of a server.
    pub source: String,
}

#[derive(Debug, Clone)]
pub enum Step {
    Exchange(Exchange),
    /// Opens a stream under a name.
    Watch(String, Exchange),
    /// Reads from it.
    Read(String, Until, Vec<Capture>),
}

/// How far a stream is read.
#[derive(Debug, Clone)]
pub enum Until {
    Events(usize),
    Bookmark,
    End,
}

/// A request, with names still in it, and what is done with the answer.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    /// The body is JSON and is sent as protobuf.
    pub protobuf: bool,
    /// It is repeated until status and conditions are there.
    pub awaited: bool,
    pub until: Vec<(String, Value)>,
    pub captures: Vec<Capture>,
    pub only: Vec<String>,
}

/// `name`, JSON pointer.
pub type Capture = (String, String);

/// All cases of a directory, in the order of file names.
pub fn read(directory: &Path) -> Vec<Case> {
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "http"))
        .collect();
    paths.sort();
    let parse = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        cases(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    paths.iter().flat_map(parse).collect()
}

/// `name = text` per line.
pub fn fragments(directory: &Path) -> Names {
    let text = std::fs::read_to_string(directory.join("fragments.txt")).unwrap();
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.split_once(" = ").unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn cases(text: &str) -> Result<Vec<Case>, String> {
    let mut found: Vec<Case> = Vec::new();
    // A body may go on over lines; it ends with the request.
    let mut in_body = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(head) = line.strip_prefix("=== ") {
            let (id, rule) = head
                .split_once("  ")
                .ok_or(format!("{head}: no rule in words"))?;
            found.push(Case {
                id: id.to_owned(),
                rule: rule.trim().to_owned(),
                steps: Vec::new(),
                source: String::new(),
            });
            in_body = false;
            continue;
        }
        let Some(case) = found.last_mut() else {
            continue;
        };
        case.source.push_str(line);
        case.source.push('\n');
        add(case, line, &mut in_body).map_err(|error| format!("line {}: {error}", number + 1))?;
    }
    Ok(found)
}

fn add(case: &mut Case, line: &str, in_body: &mut bool) -> Result<(), String> {
    if line.trim().is_empty() || (line.starts_with('#') && !*in_body) {
        *in_body = false;
        return Ok(());
    }
    if let Some(word) = line.strip_prefix("> ") {
        *in_body = false;
        let step = case.steps.last_mut().ok_or("no request before it")?;
        return direct(step, word);
    }
    if let Some(step) = start(line)? {
        *in_body = false;
        case.steps.push(step);
        return Ok(());
    }
    let exchange = match case.steps.last_mut() {
        Some(Step::Exchange(exchange) | Step::Watch(_, exchange)) => exchange,
        Some(Step::Read(..)) | None => return Err(format!("not understood: {line}")),
    };
    match header(line).filter(|_| !*in_body) {
        Some(header) => exchange.headers.push(header),
        None => {
            *in_body = true;
            let body = exchange.body.get_or_insert_default();
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(line);
        }
    }
    Ok(())
}

/// `Name: value`; a name starts with a capital, which no key of a YAML body here does.
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let named = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    named.then(|| (name.to_owned(), value.trim().to_owned()))
}

/// The first line of a step.
fn start(line: &str) -> Result<Option<Step>, String> {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    Ok(Some(match first {
        "READ" => {
            let (stream, until) = rest.split_once(' ').ok_or("READ stream until")?;
            let until = match until {
                "BOOKMARK" => Until::Bookmark,
                "end" => Until::End,
                number => Until::Events(number.parse().map_err(|e| format!("{number}: {e}"))?),
            };
            Step::Read(stream.to_owned(), until, Vec::new())
        }
        "WATCH" => {
            let (stream, rest) = rest.split_once(' ').ok_or("WATCH stream GET path")?;
            Step::Watch(stream.to_owned(), request(rest)?)
        }
        "AWAIT" => {
            let mut exchange = request(rest)?;
            exchange.awaited = true;
            Step::Exchange(exchange)
        }
        "PROTOBUF" => {
            let mut exchange = request(rest)?;
            exchange.protobuf = true;
            Step::Exchange(exchange)
        }
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "MERGE"
        | "JSONPATCH" | "STRATEGIC" | "APPLY" => Step::Exchange(request(line)?),
        _ => return Ok(None),
    }))
}

fn request(line: &str) -> Result<Exchange, String> {
    let (request, status) = line.rsplit_once(" -> ").ok_or("no expected status")?;
    let (method, path) = request.split_once(' ').ok_or("no path")?;
    let media = match method {
        "MERGE" => Some("application/merge-patch+json"),
        "JSONPATCH" => Some("application/json-patch+json"),
        "STRATEGIC" => Some("application/strategic-merge-patch+json"),
        "APPLY" => Some("application/apply-patch+yaml"),
        _ => None,
    };
    let headers = media.map(|media| ("Content-Type".to_owned(), media.to_owned()));
    Ok(Exchange {
        method: media.map_or(method, |_| "PATCH").to_owned(),
        path: path.trim().to_owned(),
        status: status
            .trim()
            .parse()
            .map_err(|e| format!("{status}: {e}"))?,
        headers: headers.into_iter().collect(),
        ..Exchange::default()
    })
}

/// A line with `>`.
fn direct(step: &mut Step, word: &str) -> Result<(), String> {
    let exchange = match step {
        Step::Exchange(exchange) | Step::Watch(_, exchange) => exchange,
        Step::Read(_, _, captures) => {
            let (name, pointer) = word.split_once(" = ").ok_or("name = /pointer")?;
            captures.push((name.to_owned(), pointer.to_owned()));
            return Ok(());
        }
    };
    if let Some(path) = word.strip_prefix("only ") {
        exchange.only.push(path.to_owned());
    } else if let Some(condition) = word.strip_prefix("until ") {
        let (pointer, value) = condition
            .split_once(" = ")
            .ok_or("until /pointer = value")?;
        let value = serde_json::from_str(value).map_err(|e| format!("{value}: {e}"))?;
        exchange.until.push((pointer.to_owned(), value));
    } else {
        let (name, pointer) = word.split_once(" = ").ok_or("name = /pointer")?;
        exchange
            .captures
            .push((name.to_owned(), pointer.to_owned()));
    }
    Ok(())
}

//! A case is held with a server: its requests are sent, parts of the answers are kept for later requests, and everything
//! that was said is written down.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::case::{Capture, Case, Exchange, Step, Until};
use super::place::Place;
use super::{protobuf, select};

/// Of an event that must come, or a state that is awaited. Garbage collection and the end of a namespace take 5 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a state that is awaited.
const LOOK: Duration = Duration::from_millis(50);

/// Names and what they stand for.
pub type Names = BTreeMap<String, String>;

/// What was said.
#[derive(Debug, Clone)]
pub struct Talk {
    pub entries: Vec<Entry>,
    /// `ns` and what was kept of answers.
    pub names: Names,
    /// Why it could not be held to its end, or was not as the case says.
    pub trouble: Option<String>,
}

/// One request with its answer, or some events of a stream.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Method and path, or what was read.
    pub request: String,
    /// Status and headers; empty for events.
    pub head: Vec<String>,
    /// Each an object, or a text that is no JSON.
    pub bodies: Vec<Value>,
}

/// Headers that are compared; the others are of the connection or random.
const HEADERS: [&str; 3] = ["content-type", "warning", "allow"];

/// Holds a case in a namespace that is there.
pub async fn hold(place: &Place, case: &Case, namespace: &str, fragments: &Names) -> Talk {
    let names = Names::from([("ns".to_owned(), namespace.to_owned())]);
    let mut talker = Talker {
        place,
        fragments,
        streams: BTreeMap::new(),
        talk: Talk {
            entries: Vec::new(),
            names,
            trouble: None,
        },
    };
    for (number, step) in case.steps.iter().enumerate() {
        if let Err(trouble) = talker.step(step).await {
            talker.talk.trouble = Some(format!("step {}: {trouble}", number + 1));
            break;
        }
    }
    talker.talk
}

struct Talker<'a> {
    place: &'a Place,
    fragments: &'a Names,
    streams: BTreeMap<String, Lines>,
    talk: Talk,
}

impl Talker<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Exchange(exchange) if exchange.awaited => self.wait(exchange).await,
            Step::Exchange(exchange) => {
                let answer = self.ask(exchange).await?;
                self.record(exchange, answer)
            }
            Step::Watch(name, exchange) => self.watch(name, exchange).await,
            Step::Read(name, until, captures) => self.read(name, until, captures).await,
        }
    }

    /// Sends a request and reads the whole answer.
    async fn ask(&self, exchange: &Exchange) -> Result<Answer, String> {
        let response = self.place.send(self.request(exchange)?).await?;
        let (parts, body) = response.into_parts();
        let body = timeout(PATIENCE, axum::body::to_bytes(body, usize::MAX)).await;
        let body = body.map_err(|_| "the answer has no end".to_owned())?;
        let body = body.map_err(|error| format!("the answer breaks off: {error}"))?;
        Ok(Answer {
            status: parts.status,
            body: parsed(&body, &parts.headers),
            headers: parts.headers,
        })
    }

    async fn wait(&mut self, exchange: &Exchange) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(exchange).await?;
            let there = answer.status == exchange.status
                && (exchange.until.iter()).all(|(pointer, value)| {
                    answer.body.pointer(pointer).unwrap_or(&Value::Null) == value
                });
            if there || Instant::now() > deadline {
                self.record(exchange, answer)?;
                let missing = "what is awaited did not come".to_owned();
                return if there { Ok(()) } else { Err(missing) };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Writes an answer down and keeps what the case wants of it.
    fn record(&mut self, exchange: &Exchange, answer: Answer) -> Result<(), String> {
        let mut head = vec![answer.status.as_u16().to_string()];
        for name in HEADERS {
            for value in answer.headers.get_all(name) {
                head.push(format!(
                    "{name}: {}",
                    String::from_utf8_lossy(value.as_bytes())
                ));
            }
        }
        let recorded = if exchange.only.is_empty() {
            answer.body.clone()
        } else {
            select::only(&answer.body, &exchange.only)
        };
        self.talk.entries.push(Entry {
            request: format!("{} {}", exchange.method, exchange.path),
            head,
            bodies: vec![recorded],
        });
        if answer.status != exchange.status {
            let expected = exchange.status;
            return Err(format!(
                "{expected} expected, {}: {}",
                answer.status, answer.body
            ));
        }
        self.keep(&exchange.captures, &answer.body)
    }

    fn keep(&mut self, captures: &[Capture], answer: &Value) -> Result<(), String> {
        for (name, pointer) in captures {
            let pointer = pointer.trim();
            let value = match answer.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Number(_) | Value::Object(_) | Value::Array(_))) => {
                    value.to_string()
                }
                _ => return Err(format!("no {pointer} in the answer: {answer}")),
            };
            self.talk.names.insert(name.clone(), value);
        }
        Ok(())
    }

    async fn watch(&mut self, name: &str, exchange: &Exchange) -> Result<(), String> {
        let response = self.place.send(self.request(exchange)?).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status != StatusCode::OK || exchange.status != 200 {
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            let body = parsed(&body.map_err(|error| error.to_string())?, &headers);
            return self.record(
                exchange,
                Answer {
                    status,
                    headers,
                    body,
                },
            );
        }
        let stream = response.into_body().into_data_stream();
        let stream = stream.map_err(|error| error.to_string()).boxed();
        self.streams.insert(
            name.to_owned(),
            Lines {
                stream,
                rest: Vec::new(),
            },
        );
        self.record(
            exchange,
            Answer {
                status,
                headers,
                body: Value::Null,
            },
        )
    }

    async fn read(
        &mut self,
        name: &str,
        until: &Until,
        captures: &[Capture],
    ) -> Result<(), String> {
        let lines = self
            .streams
            .get_mut(name)
            .ok_or(format!("no stream {name}"))?;
        let mut events = Vec::new();
        let took = timeout(PATIENCE, lines.take(until, &mut events)).await;
        let took = took.unwrap_or_else(|_| Err("the events did not come".to_owned()));
        let last = events.last().cloned().unwrap_or_default();
        self.talk.entries.push(Entry {
            request: format!("READ {name}"),
            head: Vec::new(),
            bodies: events,
        });
        took?;
        self.keep(captures, &last)
    }

    fn request(&self, exchange: &Exchange) -> Result<Request<Body>, String> {
        let fill = |text: &str| filled(text, &self.talk.names, self.fragments);
        let mut request = Request::builder()
            .method(exchange.method.as_str())
            .uri(fill(&exchange.path)?);
        let json = "application/json";
        let protobuf = "application/vnd.kubernetes.protobuf";
        let media = if exchange.protobuf { protobuf } else { json };
        let mut media = exchange.body.is_some().then_some(media);
        for (name, value) in &exchange.headers {
            let typed = name.eq_ignore_ascii_case("content-type");
            if typed {
                media = None;
            }
            if !(typed && value.is_empty()) {
                request = request.header(name, fill(value)?);
            }
        }
        if let Some(media) = media {
            request = request.header("Content-Type", media);
        }
        let body = match &exchange.body {
            None => Body::empty(),
            Some(body) if exchange.protobuf => {
                let object = serde_json::from_str(&fill(body)?).map_err(|e| e.to_string())?;
                Body::from(protobuf::encoded(&object))
            }
            Some(body) => Body::from(fill(body)?),
        };
        request.body(body).map_err(|error| error.to_string())
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

/// JSON, or YAML as what it means, or the text of what is neither.
fn parsed(body: &[u8], headers: &HeaderMap) -> Value {
    let text = String::from_utf8_lossy(body);
    let media = headers.get("content-type").map(|media| media.as_bytes());
    let parsed = match media {
        Some(b"application/yaml") => serde_saphyr::from_str(&text).ok(),
        _ => serde_json::from_str(&text).ok(),
    };
    parsed.unwrap_or_else(|| json!(text))
}

/// Puts what the names stand for in their places, also within what they stand for.
fn filled(text: &str, names: &Names, fragments: &Names) -> Result<String, String> {
    let mut text = text.to_owned();
    while let Some(start) = text.find("${") {
        let end = text[start..].find('}').ok_or("${ without }")? + start;
        let name = &text[start + 2..end];
        let value = names.get(name).or_else(|| fragments.get(name));
        let value = value.ok_or(format!("no ${{{name}}}"))?;
        text.replace_range(start..=end, value);
    }
    Ok(text)
}

/// The events of a stream, a line each.
struct Lines {
    stream: BoxStream<'static, Result<Bytes, String>>,
    rest: Vec<u8>,
}

impl Lines {
    async fn take(&mut self, until: &Until, events: &mut Vec<Value>) -> Result<(), String> {
        let mut count = 0;
        loop {
            match until {
                Until::Events(wanted) if count >= *wanted => return Ok(()),
                Until::Events(_) | Until::Bookmark | Until::End => {}
            }
            let Some(event) = self.next().await? else {
                return match until {
                    Until::End => Ok(()),
                    Until::Events(_) | Until::Bookmark => Err("the stream ended".to_owned()),
                };
            };
            let bookmark = event["type"] == "BOOKMARK";
            // When one comes is the server's affair, unless it is what the case is about.
            if !bookmark || matches!(until, Until::Bookmark) {
                events.push(event);
                count += 1;
            }
            if bookmark && matches!(until, Until::Bookmark) {
                return Ok(());
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(parsed(&line, &HeaderMap::new())));
            }
            match self.stream.next().await {
                Some(chunk) => self.rest.extend_from_slice(&chunk?),
                None => return Ok(None),
            }
        }
    }
}

//! Watches: one JSON object per line, as long as both sides want (`kubernetes-api.md` § 4 row 10).

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use chrono::Utc;
use futures::StreamExt;
use serde_json::{Value, json};

use super::negotiate::{MetaVersion, Shape};
use super::resources::Reply;
use super::route::Place;
use super::service::Service;
use super::table::{Definitions, Form, Include};
use super::{answer, partial};
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::{Shown, WatchItem, WatchOptions};

/// Most events that are sent in one piece when a client is behind.
const PIECE: usize = 128;

/// Answers a watch.
///
/// # Errors
/// Whatever the registry refuses; 429 when too many watches are open.
pub async fn answer(
    reply: &Reply<'_>,
    place: &Place,
    options: &WatchOptions,
) -> Result<Response<Body>, Refusal> {
    let turn = reply.service.turns().watch()?;
    let items = reply
        .service
        .registry()
        .watch(&place.target(), options)
        .await?;
    let mut encoder = Encoder {
        service: reply.service.clone(),
        kind: reply.kind.clone(),
        shape: reply.wanted.shape,
        include: reply.include,
        definitions: Definitions::Told,
    };
    let stop = reply.service.stop().clone();
    let lines = items.ready_chunks(PIECE).map(move |items| {
        // Held by the stream, so that the watch is open until its client is gone.
        let _turn = &turn;
        let mut piece = Vec::new();
        for item in items {
            encoder.write(item, &mut piece);
        }
        Ok::<_, Infallible>(Bytes::from(piece))
    });
    let lines = lines.take_until(stop.cancelled_owned());
    Ok(answer::bytes(
        StatusCode::OK,
        answer::JSON,
        Body::from_stream(lines),
    ))
}

/// The type first, as on the real server: a client that reads as it comes knows at once what it is.
fn line(event: &str, object: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("{{\"type\":\"{event}\",\"object\":").as_bytes());
    into.extend_from_slice(object);
    into.extend_from_slice(b"}\n");
}

struct Encoder {
    service: Service,
    kind: Kind,
    shape: Shape,
    include: Include,
    definitions: Definitions,
}

impl Encoder {
    fn write(&mut self, item: WatchItem, into: &mut Vec<u8>) {
        match item {
            WatchItem::Added(object) => self.object("ADDED", &object, into),
            WatchItem::Modified(object) => self.object("MODIFIED", &object, into),
            WatchItem::Deleted(object) => self.object("DELETED", &object, into),
            WatchItem::Bookmark {
                resource_version,
                initial_end,
            } => {
                let bookmark = self.bookmark(&resource_version, initial_end);
                let bookmark = self.form(bookmark);
                line("BOOKMARK", bookmark.to_string().as_bytes(), into);
            }
            WatchItem::Error(refusal) => {
                let status = answer::status(&refusal);
                line("ERROR", status.to_string().as_bytes(), into);
            }
        }
    }

    fn object(&mut self, event: &str, object: &Shown, into: &mut Vec<u8>) {
        match self.shape {
            Shape::Object => line(event, &object.text(), into),
            Shape::Metadata(_) | Shape::MetadataList(_) | Shape::Table(_) => {
                let form = self.form((**object).clone());
                line(event, form.to_string().as_bytes(), into);
            }
        }
    }

    fn bookmark(&self, resource_version: &str, initial_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": resource_version});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata})
    }

    fn form(&mut self, object: Value) -> Value {
        match self.shape {
            Shape::Object => object,
            Shape::Metadata(version) | Shape::MetadataList(version) => {
                partial::object(object, version)
            }
            Shape::Table(version) => self.table(object, version),
        }
    }

    fn table(&mut self, object: Value, version: MetaVersion) -> Value {
        let include = self.include;
        let definitions = std::mem::replace(&mut self.definitions, Definitions::Left);
        match self.service.columns(&self.kind) {
            Ok(columns) => {
                columns.object(object, Form { version, include }, definitions, Utc::now())
            }
            Err(refusal) => answer::status(&refusal),
        }
    }
}

//! Lists, written to the client piece by piece: what is in memory of a list does not grow with it.
//!
//! An object of ours leaves as it is stored, with its revision put in; of what becomes a row of a table only the fields are read
//! that its cells are made of.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, VARY};
use axum::http::{HeaderValue, Response, StatusCode};
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::answer;
use super::negotiate::{Format, MetaVersion, Shape};
use super::resources::{self, Reply};
use super::route::Place;
use super::table::{Columns, Form, Include};
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::{ListOptions, Listed, Pages, Text};
use crate::embedded::sparse::Fields;
use crate::embedded::store::Unreadable;

/// Answers a list. `packs`: one that is large is compressed.
///
/// # Errors
/// Whatever the registry refuses. What goes wrong after the first piece breaks the connection off: the client has been told 200.
pub async fn answer(
    reply: &Reply<'_>,
    place: &Place,
    options: &ListOptions,
    packs: bool,
) -> Result<Response<Body>, Refusal> {
    // Given back with the first piece: whoever reads slowly keeps nobody waiting, and holds no more than a piece.
    let _turn = reply.service.turn().await?;
    let registry = reply.service.registry();
    let plain = reply.wanted.format == Format::Json { pretty: false };
    let (Some(frame), true) = (Frame::of(reply)?, plain) else {
        return reply.list(registry.list(&place.target(), options).await?);
    };
    let item = Item::of(reply)?;
    let pages = registry.pages(&place.target(), options, move |text| item.write(text))?;
    let mut list = List {
        pages,
        frame,
        filled: false,
    };
    let text = list.next().await?.unwrap_or_default();
    let over = list.pages.is_over();
    let large = text.len() >= reply.service.limits().compress || !over;
    let packed = packs && large;
    let mut out = Out::new(packed);
    let first = out.pack(text, over);
    let first = first.map_err(|_| super::texts::internal("the list cannot be compressed"))?;
    let body = if over {
        Body::from(first)
    } else {
        Body::from_stream(rest(first, list, out))
    };
    let mut response = answer::bytes(StatusCode::OK, answer::JSON, body);
    if packed {
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    Ok(response)
}

/// The pieces of a list that has more than one. The next is read when the client has taken the one before.
fn rest(first: Vec<u8>, list: List, out: Out) -> impl futures::Stream<Item = io::Result<Bytes>> {
    let after = stream::try_unfold((list, out), |(mut list, mut out)| async move {
        let text = list.next().await.map_err(|refusal| {
            tracing::warn!(%refusal, "a list of the embedded API was broken off");
            io::Error::other(refusal.message)
        })?;
        let Some(text) = text else { return Ok(None) };
        let packed = out.pack(text, list.pages.is_over())?;
        Ok(Some((Bytes::from(packed), (list, out))))
    });
    stream::iter([Ok(Bytes::from(first))]).chain(after)
}

/// A list on its way, as its text.
struct List {
    pages: Pages<Vec<u8>>,
    frame: Frame,
    /// An item has been written.
    filled: bool,
}

impl List {
    /// The text of the next piece, the first one with the head, the last one with the tail. None: there are no more.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(items) = self.pages.next().await? else {
            return Ok(None);
        };
        let mut text = std::mem::take(&mut self.frame.head).into_bytes();
        text.reserve(items.iter().map(|i| i.len() + 1).sum());
        for item in items {
            if std::mem::replace(&mut self.filled, true) {
                text.push(b',');
            }
            text.extend(item);
        }
        if self.pages.is_over() {
            text.extend(self.frame.tail(&self.pages.ending()).into_bytes());
        }
        Ok(Some(text))
    }
}

/// As it is, or compressed.
enum Out {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
}

impl Out {
    fn new(packed: bool) -> Self {
        if packed {
            // The fastest level: the list is for a client that waits.
            Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast()))
        } else {
            Self::Plain
        }
    }

    fn pack(&mut self, text: Vec<u8>, last: bool) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(text),
            Self::Gzip(encoder) => {
                encoder.write_all(&text)?;
                if last {
                    encoder.try_finish()?;
                }
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }
}

/// What is around the items. What the list says of itself comes last, because it is known last.
struct Frame {
    /// Until it has been written.
    head: String,
    kind: String,
    /// Metadata as of a list of our kind.
    own: Option<Kind>,
}

impl Frame {
    /// None: the shape is none of a list.
    fn of(reply: &Reply<'_>) -> Result<Option<Self>, Refusal> {
        let kind = reply.kind;
        let frame = |version: &str, before: &str, items: &str, list: &str, own| Self {
            head: format!(
                "{{\"apiVersion\":{},{before}\"{items}\":[",
                Value::from(version)
            ),
            kind: list.to_owned(),
            own,
        };
        Ok(match reply.wanted.shape {
            Shape::Metadata(_) => None,
            Shape::Object => {
                let version = kind.api_version();
                Some(frame(
                    &version,
                    "",
                    "items",
                    &kind.list_kind,
                    Some(kind.clone()),
                ))
            }
            Shape::MetadataList(version) => {
                let list = "PartialObjectMetadataList";
                Some(frame(version.api_version(), "", "items", list, None))
            }
            Shape::Table(version) => {
                let definitions = reply.service.columns(kind)?.definitions();
                let before = format!("\"columnDefinitions\":{definitions},");
                Some(frame(version.api_version(), &before, "rows", "Table", None))
            }
        })
    }

    fn tail(&self, ending: &Listed) -> String {
        let metadata = match &self.own {
            Some(kind) => resources::own_metadata(kind, ending),
            None => resources::list_metadata(ending),
        };
        let kind = Value::from(self.kind.as_str());
        format!("],\"kind\":{kind},\"metadata\":{metadata}}}")
    }
}

/// How an object becomes an item.
enum Item {
    Whole {
        kind: Box<Kind>,
        /// As the text of an object of ours begins, before its metadata.
        beginning: String,
    },
    Metadata(MetaVersion),
    Row {
        columns: Arc<Columns>,
        form: Form,
        now: DateTime<Utc>,
    },
    /// A row for which not all of the object is read.
    SparseRow {
        columns: Arc<Columns>,
        looks: Fields,
        form: Form,
        now: DateTime<Utc>,
    },
}

impl Item {
    fn of(reply: &Reply<'_>) -> Result<Self, Refusal> {
        let (kind, include) = (reply.kind, reply.include);
        Ok(match reply.wanted.shape {
            Shape::Object => Self::Whole {
                beginning: format!(
                    "{{\"apiVersion\":{},\"kind\":{},\"metadata\":",
                    Value::from(kind.api_version()),
                    Value::from(kind.kind.as_str())
                ),
                kind: Box::new(kind.clone()),
            },
            Shape::Metadata(version) | Shape::MetadataList(version) => Self::Metadata(version),
            Shape::Table(version) => {
                let columns = Arc::clone(reply.service.columns(kind)?);
                let (form, now) = (Form { version, include }, Utc::now());
                // What is stored of events has another form than they have in one of their groups.
                match columns
                    .looks()
                    .filter(|_| kind.custom && include != Include::Object)
                {
                    Some(looks) => Self::SparseRow {
                        looks: looks.clone(),
                        columns,
                        form,
                        now,
                    },
                    None => Self::Row { columns, form, now },
                }
            }
        })
    }

    fn write(&self, text: &Text<'_>) -> Result<Vec<u8>, Unreadable> {
        let value = match self {
            Self::Whole { kind, beginning } => match spliced(kind, beginning, text) {
                Some(written) => return Ok(written),
                None => resources::item(kind, text.object()?),
            },
            Self::Metadata(version) => {
                let parts = Fields::default().parts(text.json)?;
                return Ok(metadata(*version, parts.metadata, text.revision).into_bytes());
            }
            Self::Row { columns, form, now } => columns.row(text.object()?, *form, *now),
            Self::SparseRow {
                columns,
                looks,
                form,
                now,
            } => return sparse_row(text, columns, looks, *form, *now),
        };
        Ok(serde_json::to_vec(&value)?)
    }
}

/// The text of an object of ours with its revision in it. None when it does not begin as such texts do.
fn spliced(kind: &Kind, beginning: &str, text: &Text<'_>) -> Option<Vec<u8>> {
    let rest = text.json.strip_prefix(beginning.as_bytes())?;
    let rest = rest
        .strip_prefix(b"{")
        .filter(|r| kind.custom && !r.starts_with(b"}"))?;
    let revision = format!("{{\"resourceVersion\":\"{}\",", text.revision);
    Some([beginning.as_bytes(), revision.as_bytes(), rest].concat())
}

/// Metadata with the revision in it, as an object of its own.
fn metadata(version: MetaVersion, raw: &str, revision: u64) -> String {
    let fields = raw.trim_start_matches('{').trim_start();
    let comma = if fields.starts_with('}') { "" } else { "," };
    format!(
        "{{\"apiVersion\":\"{}\",\"kind\":\"PartialObjectMetadata\",\"metadata\":{{\"resourceVersion\":\"{revision}\"{comma}{fields}}}",
        version.api_version()
    )
}

fn sparse_row(
    text: &Text<'_>,
    columns: &Columns,
    looks: &Fields,
    form: Form,
    now: DateTime<Utc>,
) -> Result<Vec<u8>, Unreadable> {
    let mut parts = looks.parts(text.json)?;
    if let Some(fields) = parts
        .fields
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    {
        fields.insert(
            "resourceVersion".to_owned(),
            json!(text.revision.to_string()),
        );
    }
    let cells = Value::from(columns.cells(&parts.fields, now));
    let object = match form.include {
        Include::None => "null".to_owned(),
        Include::Metadata => metadata(form.version, parts.metadata, text.revision),
        // Such a table reads all of its objects.
        Include::Object => return Ok(serde_json::to_vec(&columns.row(text.object()?, form, now))?),
    };
    Ok(format!("{{\"cells\":{cells},\"object\":{object}}}").into_bytes())
}

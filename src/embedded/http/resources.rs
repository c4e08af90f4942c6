//! Objects: read, written, deleted. The registry knows the rules; here are the forms.

use axum::body::Body;
use axum::http::{Method, Response, StatusCode};
use chrono::Utc;
use serde_json::{Map, Value, json};

use super::decode::{Decoded, Duplicate};
use super::negotiate::{self, Shape, Wanted};
use super::query::Write;
use super::route::{Path, Place};
use super::service::{Asked, Service};
use super::table::{Definitions, Form, Include};
use super::{answer, body, decode, lists, partial, texts, watch, write};
use crate::embedded::go_json;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::{Listed, PatchBody};

/// Answers a request about objects.
///
/// # Errors
/// Whatever is wrong with it.
pub async fn answer(
    service: &Service,
    place: Place,
    asked: Asked,
) -> Result<Response<Body>, Refusal> {
    let kind = &place.kind;
    let wanted = negotiate::objects(&asked.headers, asked.query.get("pretty"), !kind.custom)?;
    let include = match wanted.shape {
        Shape::Table(_) => Include::of(&asked.query)?,
        Shape::Object | Shape::Metadata(_) | Shape::MetadataList(_) => Include::Metadata,
    };
    let reply = Reply {
        service,
        kind,
        wanted,
        include,
    };
    match (asked.method.as_str(), place.name.clone()) {
        (_, name) if place.path == Path::Watch => {
            let mut options = asked.query.watch()?;
            if let Some(name) = name {
                options.fields = only_named(&options.fields, &name)?;
            }
            watch::answer(&reply, &place, &options).await
        }
        ("GET", None) if asked.query.is_watch() => {
            let options = asked.query.watch()?;
            watch::answer(&reply, &place, &options).await
        }
        ("GET", None) => {
            let options = asked.query.list()?;
            let packs = !asked.near && answer::reads_gzip(&asked.headers);
            lists::answer(&reply, &place, &options, packs).await
        }
        ("GET", Some(name)) => {
            let _turn = service.turn().await?;
            let object = service.registry().get(&place.target(), &name).await?;
            reply.object(StatusCode::OK, object)
        }
        ("DELETE", name) => delete(&reply, &place, name, asked).await,
        (_, name) => change(&reply, &place, name, asked).await,
    }
}

/// A field selector that takes one object alone.
fn only_named(fields: &str, name: &str) -> Result<String, Refusal> {
    let mut names = fields
        .split(',')
        .filter_map(|part| part.trim().strip_prefix("metadata.name="));
    if names.any(|other| other.trim_start_matches('=') != name) {
        let message = "fieldSelector metadata.name doesn't match requested name";
        return Err(texts::bad_request(message));
    }
    let wanted = format!("metadata.name={name}");
    Ok(match fields {
        "" => wanted,
        fields => format!("{fields},{wanted}"),
    })
}

/// What an answer is to look like.
pub struct Reply<'a> {
    /// Of this service.
    pub service: &'a Service,
    /// About this kind.
    pub kind: &'a Kind,
    /// As the client asked.
    pub wanted: Wanted,
    /// What goes with the rows of a table.
    pub include: Include,
}

impl Reply<'_> {
    /// One object.
    fn object(&self, status: StatusCode, object: Value) -> Result<Response<Body>, Refusal> {
        let value = match self.wanted.shape {
            Shape::Object => object,
            Shape::Metadata(version) => partial::object(object, version),
            Shape::MetadataList(_) => return Err(partial::is_no_list(self.kind)),
            Shape::Table(version) => {
                let include = self.include;
                let columns = self.service.columns(self.kind)?;
                columns.object(
                    object,
                    Form { version, include },
                    Definitions::Told,
                    Utc::now(),
                )
            }
        };
        Ok(answer::object(status, &value, self.wanted.format))
    }

    /// A list that is there as a whole.
    pub fn list(&self, listed: Listed) -> Result<Response<Body>, Refusal> {
        let value = match self.wanted.shape {
            Shape::Object => list(self.kind, listed),
            Shape::MetadataList(version) => partial::list(listed, version),
            Shape::Metadata(_) => return Err(partial::is_a_list(self.kind)),
            Shape::Table(version) => {
                let include = self.include;
                self.service
                    .columns(self.kind)?
                    .list(listed, Form { version, include }, Utc::now())
            }
        };
        Ok(answer::object(StatusCode::OK, &value, self.wanted.format))
    }
}

/// The `metadata` of a list.
pub fn list_metadata(listed: &Listed) -> Value {
    let mut metadata = json!({"resourceVersion": listed.resource_version});
    if let Some(next) = &listed.continue_ {
        metadata["continue"] = json!(next);
    }
    if let Some(remaining) = listed.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    metadata
}

/// The same, of a list of whole objects.
pub fn own_metadata(kind: &Kind, listed: &Listed) -> Value {
    let mut metadata = list_metadata(listed);
    if let (true, Some(fields)) = (kind.custom, metadata.as_object_mut()) {
        // The real server's lists of definitions always have the field.
        fields.entry("continue").or_insert_with(|| json!(""));
    }
    metadata
}

/// An object as an item of a list: those of built-in kinds do not say what they are.
pub fn item(kind: &Kind, mut object: Value) -> Value {
    if let (false, Some(fields)) = (kind.custom, object.as_object_mut()) {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}

fn list(kind: &Kind, listed: Listed) -> Value {
    let metadata = own_metadata(kind, &listed);
    let items: Vec<Value> = listed.items.into_iter().map(|o| item(kind, o)).collect();
    json!({
        "kind": kind.list_kind,
        "apiVersion": kind.api_version(),
        "metadata": metadata,
        "items": items,
    })
}

async fn delete(
    reply: &Reply<'_>,
    place: &Place,
    name: Option<String>,
    asked: Asked,
) -> Result<Response<Body>, Refusal> {
    let service = reply.service;
    let bytes = body::read(asked.body, service.limits()).await?;
    let options = body::delete_options(&bytes, &asked.headers, &asked.query)?;
    let _turn = service.turn().await?;
    let registry = service.registry();
    let Some(name) = name else {
        let selection = asked.query.list()?;
        let deleted = registry
            .delete_collection(&place.target(), &selection, &options)
            .await?;
        return reply.list(deleted);
    };
    let deleted = registry.delete(&place.target(), &name, &options).await?;
    if deleted.get("kind").and_then(Value::as_str) == Some("Status") {
        return Ok(answer::object(
            StatusCode::OK,
            &deleted,
            reply.wanted.format,
        ));
    }
    reply.object(StatusCode::OK, deleted)
}

async fn change(
    reply: &Reply<'_>,
    place: &Place,
    name: Option<String>,
    asked: Asked,
) -> Result<Response<Body>, Refusal> {
    let service = reply.service;
    let form = match asked.method {
        Method::POST => None,
        Method::PUT => None,
        _ => Some(Patch::of(body::media_type(&asked.headers), reply.kind)?),
    };
    let options = match (&asked.method, form) {
        (_, Some(Patch::Apply)) => asked.query.write(Write::Apply, &asked.headers)?,
        (_, Some(Patch::Json | Patch::Merge | Patch::Strategic)) => {
            asked.query.write(Write::Patch, &asked.headers)?
        }
        (&Method::POST, None) => asked.query.write(Write::Create, &asked.headers)?,
        (_, None) => asked.query.write(Write::Update, &asked.headers)?,
    };
    let bytes = body::read(asked.body, service.limits()).await?;
    let (action, duplicates) = match (form, name) {
        (Some(form), Some(name)) => {
            let (patch, duplicates) = form.read(&bytes)?;
            (write::Action::Patch(name, patch), duplicates)
        }
        (_, name) => {
            let Decoded { value, duplicates } =
                body::object(&bytes, &asked.headers, body::Expected::of(reply.kind))?;
            let action = match name {
                None => write::Action::Create(value),
                Some(name) => write::Action::Replace(name, value),
            };
            (action, write::problems(&duplicates))
        }
    };
    let _turn = service.turn().await?;
    let written = write::write(service.registry(), place, action, &duplicates, &options).await?;
    let status = if written.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = reply.object(status, written.object)?;
    answer::warn(&mut response, &written.warnings);
    Ok(response)
}

/// What a patch is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patch {
    Json,
    Merge,
    Strategic,
    Apply,
}

/// What a patch of a definition's kind may be.
const OF_DEFINITIONS: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
];
/// What a JSON patch is to become.
const OPERATIONS: &str = "[]handlers.jsonPatchOp";
/// What the other patches are to become.
const FIELDS: &str = "map[string]interface {}";

impl Patch {
    fn of(media_type: &str, kind: &Kind) -> Result<Self, Refusal> {
        match media_type {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !kind.custom => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ if kind.custom => Err(texts::unsupported_media_type(&OF_DEFINITIONS)),
            _ => Err(texts::unknown_patch()),
        }
    }

    fn read(self, bytes: &[u8]) -> Result<(PatchBody, Vec<write::Problem>), Refusal> {
        let prefix = match self {
            Self::Json | Self::Merge => "error decoding patch: ",
            Self::Strategic => "",
            Self::Apply => "error decoding YAML: ",
        };
        let broken = |why: String| texts::bad_request(format!("{prefix}{why}"));
        if self == Self::Apply {
            return read_apply(bytes)
                .map(|body| (PatchBody::Apply(body), Vec::new()))
                .map_err(broken);
        }
        let Decoded { value, duplicates } = decode::json(bytes).map_err(broken)?;
        let fits = match self {
            Self::Json => value.is_array(),
            Self::Merge | Self::Strategic | Self::Apply => value.is_object(),
        };
        if !fits {
            let into = if self == Self::Json {
                OPERATIONS
            } else {
                FIELDS
            };
            return Err(broken(go_json::cannot_become(&value, into)));
        }
        let problems = match self {
            Self::Json => of_operations(&value, &duplicates),
            Self::Merge | Self::Strategic | Self::Apply => write::problems(&duplicates),
        };
        let body = match self {
            Self::Json => PatchBody::Json(value),
            Self::Strategic => PatchBody::Strategic(value),
            Self::Merge | Self::Apply => PatchBody::Merge(value),
        };
        Ok((body, problems))
    }
}

/// kubectl sends JSON by this name; people send YAML.
fn read_apply(bytes: &[u8]) -> Result<Value, String> {
    let read = decode::json(bytes).or_else(|_| decode::yaml(bytes));
    match read
        .map_err(|why| format!("error converting YAML to JSON: {why}"))?
        .value
    {
        Value::Null => Ok(json!({})),
        Value::Object(fields) => Ok(Value::Object(fields)),
        other => Err(format!(
            "error unmarshaling JSON: while decoding JSON: {}",
            go_json::cannot_become(&other, FIELDS)
        )),
    }
}

/// What is odd about the operations of a JSON patch.
fn of_operations(operations: &Value, duplicates: &[Duplicate]) -> Vec<write::Problem> {
    let mut problems: Vec<write::Problem> = write::problems(duplicates)
        .into_iter()
        .map(|p| write::Problem::new(format!("json patch {}", p.text())))
        .collect();
    for (index, operation) in operations.as_array().into_iter().flatten().enumerate() {
        let fields = operation.as_object().into_iter().flat_map(Map::keys);
        for field in fields.filter(|f| !matches!(f.as_str(), "op" | "path" | "from" | "value")) {
            problems.push(write::Problem::new(format!(
                "json patch unknown field \"[{index}].{field}\""
            )));
        }
    }
    problems
}

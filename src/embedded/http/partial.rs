//! Objects without spec and status: `PartialObjectMetadata`, for controllers that only want to know who is there
//! (`kubernetes-api.md` § 3.5).

use serde_json::{Value, json};

use super::negotiate::MetaVersion;
use super::texts;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::Listed;

/// Of one object.
pub fn object(mut object: Value, version: MetaVersion) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": version.api_version(),
        "metadata": object.get_mut("metadata").map(Value::take).unwrap_or_default(),
    })
}

/// Of a list. The real server says `null` for one without items, which strict clients cannot read.
pub fn list(listed: Listed, version: MetaVersion) -> Value {
    let metadata = super::resources::list_metadata(&listed);
    let items: Vec<Value> = listed
        .items
        .into_iter()
        .map(|o| object(o, version))
        .collect();
    json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": version.api_version(),
        "metadata": metadata,
        "items": items,
    })
}

/// 406: one object was wanted and it is a list.
pub fn is_a_list(kind: &Kind) -> Refusal {
    let what = if kind.custom {
        "unstructured.UnstructuredList".to_owned()
    } else {
        format!("{}List", go_type(kind))
    };
    texts::not_acceptable(format!(
        "you requested PartialObjectMetadata, but the requested object is a list (*{what})"
    ))
}

/// A list was wanted and it is one object.
pub fn is_no_list(kind: &Kind) -> Refusal {
    if kind.custom {
        return Refusal::new(500, "", "content is not a list");
    }
    let what = go_type(kind);
    texts::not_acceptable(format!(
        "you requested PartialObjectMetadataList, but the requested object is not a list (*{what})"
    ))
}

/// What the real server calls a kind inside.
fn go_type(kind: &Kind) -> String {
    let package = match kind.group.split('.').next().unwrap_or_default() {
        // Both groups of events are one type there.
        "" | "events" => "core",
        other => other,
    };
    format!("{package}.{}", kind.kind)
}

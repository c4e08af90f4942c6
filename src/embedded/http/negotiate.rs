//! Which form of an answer a client wants: header `Accept` (`kubernetes-api.md` § 3.1). Requests may come without any, or with
//! protobuf first: whoever reads JSON too gets JSON.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, USER_AGENT};
use serde_json::json;

use super::texts;
use crate::embedded::refusal::Refusal;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json {
        /// In lines, for people.
        pretty: bool,
    },
    /// YAML.
    Yaml,
}

/// What of an object is in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// All of it.
    Object,
    /// Rows with the kind's columns.
    Table(MetaVersion),
    /// Metadata of one object, or of those that a watch tells.
    Metadata(MetaVersion),
    /// Metadata of the objects of a list.
    MetadataList(MetaVersion),
}

/// Version of group meta.k8s.io.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    /// Current.
    V1,
    /// The older one; its tables and metadata look the same.
    V1Beta1,
}

impl MetaVersion {
    /// For `apiVersion`.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// What is in the answer.
    pub shape: Shape,
    /// How it is written.
    pub format: Format,
}

/// One clause of the header.
struct Clause<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|p| p.split_once('='));
        Self {
            media_type,
            parameters: parameters.map(|(k, v)| (k.trim(), v.trim())).collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.parameters.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| *value)
    }

    fn quality(&self) -> f32 {
        let quality = self.get("q").and_then(|q| q.parse().ok());
        quality.unwrap_or(1.0)
    }

    fn is_json(&self) -> bool {
        matches!(
            self.media_type,
            "application/json" | "*/*" | "application/*"
        )
    }
}

fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause> = header
        .split(',')
        .filter(|c| !c.trim().is_empty())
        .map(Clause::parse)
        .collect();
    // Stable: among equals the first one counts.
    clauses.sort_by(|a, b| b.quality().total_cmp(&a.quality()));
    clauses
}

fn accept(headers: &HeaderMap) -> String {
    let values = headers.get_all(ACCEPT).iter();
    let texts: Vec<&str> = values.filter_map(|v| v.to_str().ok()).collect();
    texts.join(",")
}

/// For objects, lists and watches. `built_in`: of a kind that Kubernetes has built in, whose refusal is worded differently.
/// `pretty`: the parameter of that name.
///
/// # Errors
/// 406 when none of what the client reads can be written.
pub fn objects(
    headers: &HeaderMap,
    pretty: Option<&str>,
    built_in: bool,
) -> Result<Wanted, Refusal> {
    let header = accept(headers);
    let json = Format::Json {
        pretty: wants_lines(headers, pretty),
    };
    let clauses = clauses(&header);
    if clauses.is_empty() {
        let shape = Shape::Object;
        return Ok(Wanted {
            shape,
            format: json,
        });
    }
    for clause in &clauses {
        let format = match clause.media_type {
            "application/yaml" => Format::Yaml,
            _ if clause.is_json() => json,
            _ => continue,
        };
        if let Some(shape) = shape(clause) {
            return Ok(Wanted { shape, format });
        }
    }
    let known = |c: &Clause| {
        c.is_json()
            || c.media_type.starts_with("application/vnd.kubernetes")
            || c.media_type == "application/yaml"
    };
    Err(refused(built_in && !clauses.iter().any(known)))
}

/// For documents that have one form: JSON.
///
/// # Errors
/// 406 when the client does not read JSON.
pub fn document(headers: &HeaderMap) -> Result<Format, Refusal> {
    let header = accept(headers);
    let clauses = clauses(&header);
    if clauses.is_empty() || clauses.iter().any(|c| c.is_json() && c.get("as").is_none()) {
        let pretty = wants_lines(headers, None);
        return Ok(Format::Json { pretty });
    }
    Err(refused(!clauses.iter().any(Clause::is_json)))
}

/// Discovery of all groups in one document (`apidiscovery.k8s.io/v2`) is wanted before the plain one.
pub fn wants_aggregated(headers: &HeaderMap) -> bool {
    let header = accept(headers);
    for clause in clauses(&header).iter().filter(|c| c.is_json()) {
        match (clause.get("as"), clause.get("g"), clause.get("v")) {
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => {
                return true;
            }
            (None, _, _) => return false,
            _ => {}
        }
    }
    false
}

fn shape(clause: &Clause<'_>) -> Option<Shape> {
    let Some(name) = clause.get("as") else {
        return Some(Shape::Object);
    };
    let version = match (clause.get("g"), clause.get("v")) {
        (Some("meta.k8s.io"), Some("v1")) => MetaVersion::V1,
        (Some("meta.k8s.io"), Some("v1beta1")) => MetaVersion::V1Beta1,
        _ => return None,
    };
    match name {
        "Table" => Some(Shape::Table(version)),
        "PartialObjectMetadata" => Some(Shape::Metadata(version)),
        "PartialObjectMetadataList" => Some(Shape::MetadataList(version)),
        _ => None,
    }
}

/// What is named is what can be written; the real server names protobuf too.
fn refused(by_router: bool) -> Refusal {
    if !by_router {
        return texts::not_acceptable(
            "only the following media types are accepted: application/json, application/yaml",
        );
    }
    let mut refusal = texts::not_acceptable(
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/json;stream=watch",
    );
    refusal.details = json!({});
    refusal
}

/// People read what curl, wget and browsers show.
fn wants_lines(headers: &HeaderMap, parameter: Option<&str>) -> bool {
    match parameter {
        Some(value) => !matches!(value, "false" | "0"),
        None => {
            let agent = headers.get(USER_AGENT).and_then(|v| v.to_str().ok());
            agent.is_some_and(|a| {
                ["curl", "Wget", "Mozilla/5.0"]
                    .iter()
                    .any(|p| a.starts_with(p))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, MetaVersion, Shape, Wanted, document, objects, wants_aggregated};
    use axum::http::{HeaderMap, HeaderValue, header::ACCEPT};

    fn headers(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())])
    }

    fn shape(accept: &str) -> Result<Shape, u16> {
        objects(&headers(accept), None, false)
            .map(|w| w.shape)
            .map_err(|r| r.code)
    }

    #[test]
    fn whoever_reads_json_gets_json() {
        let plain = Wanted {
            shape: Shape::Object,
            format: Format::Json { pretty: false },
        };
        assert_eq!(objects(&HeaderMap::new(), None, true), Ok(plain));
        for accept in [
            "application/json, */*",
            "application/vnd.kubernetes.protobuf,application/json",
            "application/*",
            "text/html, */*;q=0.8",
        ] {
            assert_eq!(
                objects(&headers(accept), None, false),
                Ok(plain),
                "{accept}"
            );
        }
        assert_eq!(shape("application/vnd.kubernetes.protobuf"), Err(406));
        assert_eq!(shape("foo/bar"), Err(406));
    }

    #[test]
    fn the_first_form_that_is_known_counts() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        assert_eq!(shape(table), Ok(Shape::Table(MetaVersion::V1)));
        assert_eq!(
            shape("application/json;as=Table;v=v2;g=meta.k8s.io,application/json"),
            Ok(Shape::Object)
        );
        assert_eq!(
            shape("application/json;as=Table;v=v2;g=meta.k8s.io"),
            Err(406)
        );
        assert_eq!(
            shape(&format!("application/json;q=0.5,{table}")),
            Ok(Shape::Table(MetaVersion::V1))
        );
        let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1beta1";
        assert_eq!(shape(metadata), Ok(Shape::Metadata(MetaVersion::V1Beta1)));
    }

    #[test]
    fn aggregated_discovery_is_not_forced_on_anybody() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        assert!(wants_aggregated(&headers(&format!(
            "{v2},application/json"
        ))));
        assert!(!wants_aggregated(&headers(&format!(
            "application/json,{v2}"
        ))));
        let beta = v2.replace("v=v2", "v=v2beta1");
        assert!(!wants_aggregated(&headers(&format!(
            "{beta},application/json"
        ))));
        assert!(document(&headers(&beta)).is_err());
        assert!(document(&headers(&format!("{beta},application/json"))).is_ok());
    }
}

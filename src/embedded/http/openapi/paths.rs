//! What can be done at each path, and with which parameters.

use serde_json::{Map, Value, json};

use super::schemas::{META, name, review_name};
use crate::embedded::http::reviews;
use crate::embedded::http::route::{self, Part};
use crate::embedded::kind::Kind;

/// Where the objects of a group are, without the first slash; its document has the same path.
pub fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// All paths of a group.
pub fn of_group(kinds: &[&Kind], group: &str) -> Value {
    let mut paths = Map::new();
    for kind in kinds {
        of_kind(&mut paths, kind);
    }
    for plural in route::reviews(group) {
        let kind = reviews::kind(plural);
        let operation = Operation {
            action: "post",
            what: "create",
            gvk: json!({"group": group, "version": "v1", "kind": kind}),
            answer: review_name(group, kind),
            parameters: &WRITE,
            body: Body::Object(review_name(group, kind)),
        };
        let path = format!("/{}/{plural}", prefix(group, "v1"));
        paths.insert(path, shared(json!({"post": operation.document(kind, "")})));
    }
    Value::Object(paths)
}

fn of_kind(paths: &mut Map<String, Value>, kind: &Kind) {
    let base = format!("/{}", prefix(&kind.group, &kind.version));
    let (all, one) = if kind.namespaced {
        paths.insert(
            format!("{base}/{}", kind.plural),
            shared(json!({"get": list(kind).document(&kind.kind, "ForAllNamespaces")})),
        );
        let all = format!("{base}/namespaces/{{namespace}}/{}", kind.plural);
        (all.clone(), format!("{all}/{{name}}"))
    } else {
        let all = format!("{base}/{}", kind.plural);
        (all.clone(), format!("{all}/{{name}}"))
    };
    paths.insert(all, shared(collection(kind)));
    if Part::Status.is_of(kind) {
        let item = read_and_written(kind, "Status");
        paths.insert(format!("{one}/status"), shared(item));
    }
    if Part::Finalize.is_of(kind) {
        let put = write(kind, "put", "replace", &WRITE, Body::Object(name(kind)));
        let put = put.document(&kind.kind, "Finalize");
        let item = json!({"put": put, "parameters": in_path(kind, &["name"])});
        paths.insert(format!("{one}/finalize"), shared(item));
    }
    paths.insert(one, shared(object(kind)));
}

/// Parameters that all operations of a path have stand at the path, as in the real server's documents.
fn shared(mut item: Value) -> Value {
    let Some(fields) = item.as_object_mut() else {
        return item;
    };
    let mut at_path = match fields.remove("parameters") {
        Some(Value::Array(parameters)) => parameters,
        Some(_) | None => Vec::new(),
    };
    let mut all: Vec<&mut Vec<Value>> = fields
        .values_mut()
        .filter_map(|operation| operation.get_mut("parameters")?.as_array_mut())
        .collect();
    let common: Vec<Value> = match all.split_first() {
        Some((first, others)) => {
            let everywhere = |p: &&Value| others.iter().all(|own| own.contains(p));
            first.iter().filter(everywhere).cloned().collect()
        }
        None => Vec::new(),
    };
    for own in &mut all {
        own.retain(|parameter| !common.contains(parameter));
    }
    for operation in fields.values_mut().filter_map(Value::as_object_mut) {
        if operation.get("parameters") == Some(&json!([])) {
            operation.remove("parameters");
        }
    }
    at_path.extend(common);
    at_path.sort_by_key(|p| p["name"].as_str().unwrap_or_default().to_owned());
    fields.insert("parameters".to_owned(), at_path.into());
    item
}

fn collection(kind: &Kind) -> Value {
    let mut item = json!({"get": list(kind).document(&kind.kind, "")});
    item["post"] =
        write(kind, "post", "create", &WRITE, Body::Object(name(kind))).document(&kind.kind, "");
    if kind.namespaced {
        let mut delete = list(kind);
        (delete.action, delete.what, delete.answer) = (
            "deletecollection",
            "deleteCollection",
            format!("{META}Status"),
        );
        item["delete"] = delete.document(&kind.kind, "");
    }
    item["parameters"] = in_path(kind, &[]);
    item
}

fn object(kind: &Kind) -> Value {
    let mut delete = write(kind, "delete", "delete", &DELETE, Body::DeleteOptions);
    delete.answer = format!("{META}Status");
    let mut item = read_and_written(kind, "");
    item["delete"] = delete.document(&kind.kind, "");
    item
}

/// Reading, replacing and patching: the same for an object and for its status.
fn read_and_written(kind: &Kind, part: &str) -> Value {
    json!({
        "get": write(kind, "get", "read", &READ, Body::None).document(&kind.kind, part),
        "put": write(kind, "put", "replace", &WRITE, Body::Object(name(kind))).document(&kind.kind, part),
        "patch": write(kind, "patch", "patch", &PATCH, Body::Patch { strategic: !kind.custom }).document(&kind.kind, part),
        "parameters": in_path(kind, &["name"]),
    })
}

fn list(kind: &Kind) -> Operation {
    let mut list = write(kind, "list", "list", &LIST, Body::None);
    list.answer.push_str("List");
    list
}

fn write(
    kind: &Kind,
    action: &'static str,
    what: &'static str,
    parameters: &'static [Parameter],
    body: Body,
) -> Operation {
    Operation {
        action,
        what,
        gvk: json!({"group": kind.group, "version": kind.version, "kind": kind.kind}),
        answer: name(kind),
        parameters,
        body,
    }
}

/// An operation at a path.
struct Operation {
    action: &'static str,
    what: &'static str,
    gvk: Value,
    answer: String,
    parameters: &'static [Parameter],
    body: Body,
}

enum Body {
    None,
    Object(String),
    Patch { strategic: bool },
    DeleteOptions,
}

impl Operation {
    fn document(&self, kind: &str, scope: &str) -> Value {
        let parameters: Vec<Value> = self.parameters.iter().map(Parameter::document).collect();
        let mut document = json!({
            "description": format!("{} {kind}", self.action),
            "operationId": format!("{}{kind}{scope}", self.what),
            "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference(&self.answer)}}}},
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": self.gvk,
        });
        let content = |types: &[&str], schema: &str| {
            let types = types
                .iter()
                .map(|t| ((*t).to_owned(), json!({"schema": reference(schema)})));
            json!({"content": types.collect::<Map<String, Value>>(), "required": true})
        };
        match &self.body {
            Body::None => {}
            Body::Object(schema) => {
                document["requestBody"] = content(&["application/json", "application/yaml"], schema)
            }
            Body::DeleteOptions => {
                document["requestBody"] = content(
                    &["application/json", "application/yaml"],
                    &format!("{META}DeleteOptions"),
                );
                document["requestBody"]["required"] = json!(false);
            }
            Body::Patch { strategic } => {
                let mut types = vec![
                    "application/apply-patch+yaml",
                    "application/json-patch+json",
                    "application/merge-patch+json",
                ];
                if *strategic {
                    types.push("application/strategic-merge-patch+json");
                }
                document["requestBody"] = content(&types, &format!("{META}Patch"));
            }
        }
        document
    }
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn in_path(kind: &Kind, more: &[&str]) -> Value {
    let namespace = kind.namespaced.then_some("namespace");
    let names = more.iter().copied().chain(namespace);
    let parameter = |n| json!({"name": n, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    names.map(parameter).collect()
}

/// A parameter of the query: kubectl looks for some of them before it uses them.
struct Parameter(&'static str, &'static str, &'static str);

impl Parameter {
    fn document(&self) -> Value {
        let Self(name, kind, description) = self;
        json!({"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true}})
    }
}

const DRY_RUN: Parameter = Parameter(
    "dryRun",
    "string",
    "All: everything is done but the writing.",
);
const MANAGER: Parameter = Parameter(
    "fieldManager",
    "string",
    "Whom the fields belong to that this request writes; required for apply requests.",
);
const VALIDATION: Parameter = Parameter(
    "fieldValidation",
    "string",
    "What becomes of unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
);
const FORCE: Parameter = Parameter(
    "force",
    "boolean",
    "Take over the fields of others; for apply requests only.",
);
const VERSION: Parameter = Parameter("resourceVersion", "string", "As of which version.");

const PRETTY: Parameter = Parameter("pretty", "string", "true: over several lines.");

const READ: [Parameter; 2] = [VERSION, PRETTY];
const WRITE: [Parameter; 4] = [DRY_RUN, MANAGER, VALIDATION, PRETTY];
const PATCH: [Parameter; 5] = [DRY_RUN, MANAGER, VALIDATION, FORCE, PRETTY];
const DELETE: [Parameter; 5] = [
    PRETTY,
    DRY_RUN,
    Parameter(
        "gracePeriodSeconds",
        "integer",
        "None of these kinds ends gracefully.",
    ),
    Parameter("orphanDependents", "boolean", "Use propagationPolicy."),
    Parameter(
        "propagationPolicy",
        "string",
        "Background (the default), Foreground or Orphan.",
    ),
];
const LIST: [Parameter; 11] = [
    PRETTY,
    Parameter(
        "allowWatchBookmarks",
        "boolean",
        "Events of type BOOKMARK are wanted.",
    ),
    Parameter("continue", "string", "From the page before."),
    Parameter("fieldSelector", "string", "Which objects, by fields."),
    Parameter("labelSelector", "string", "Which objects, by labels."),
    Parameter("limit", "integer", "Most objects of a page."),
    VERSION,
    Parameter("resourceVersionMatch", "string", "Exact or NotOlderThan."),
    Parameter(
        "sendInitialEvents",
        "boolean",
        "A watch begins with what is there.",
    ),
    Parameter("timeoutSeconds", "integer", "How long a watch goes on."),
    Parameter("watch", "boolean", "Go on with changes."),
];

//! Request bodies as clients written in Go send them: kubectl for `create configmap`, `create secret`, `create namespace` and
//! `auth can-i`, Helm for its release records. Like Kubernetes' generated code, fields that are not optional are written even
//! when they are empty.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How a field is written.
#[derive(Clone, Copy)]
enum Shape {
    /// Written even when empty.
    Text,
    /// Only when there.
    OptionalText,
    Integer,
    OptionalInteger,
    OptionalFlag,
    Message(Fields),
    OptionalMessage(Fields),
    Texts,
    Messages(Fields),
    /// Text to text.
    Map,
    /// Text to bytes, base64 in JSON.
    BytesMap,
    /// `creationTimestamp`: an empty message.
    NoTime,
}

type Fields = &'static [(&'static str, u64, Shape)];

const OWNER: Fields = &[
    ("kind", 1, Shape::Text),
    ("name", 3, Shape::Text),
    ("uid", 4, Shape::Text),
    ("apiVersion", 5, Shape::Text),
    ("controller", 6, Shape::OptionalFlag),
    ("blockOwnerDeletion", 7, Shape::OptionalFlag),
];
const META: Fields = &[
    ("name", 1, Shape::Text),
    ("generateName", 2, Shape::Text),
    ("namespace", 3, Shape::Text),
    ("selfLink", 4, Shape::Text),
    ("uid", 5, Shape::Text),
    ("resourceVersion", 6, Shape::Text),
    ("generation", 7, Shape::Integer),
    ("creationTimestamp", 8, Shape::NoTime),
    ("labels", 11, Shape::Map),
    ("annotations", 12, Shape::Map),
    ("ownerReferences", 13, Shape::Messages(OWNER)),
    ("finalizers", 14, Shape::Texts),
];
const CONFIG_MAP: Fields = &[
    ("metadata", 1, Shape::Message(META)),
    ("data", 2, Shape::Map),
    ("binaryData", 3, Shape::BytesMap),
    ("immutable", 4, Shape::OptionalFlag),
];
const SECRET: Fields = &[
    ("metadata", 1, Shape::Message(META)),
    ("data", 2, Shape::BytesMap),
    ("type", 3, Shape::Text),
    ("stringData", 4, Shape::Map),
    ("immutable", 5, Shape::OptionalFlag),
];
const NAMESPACE: Fields = &[
    ("metadata", 1, Shape::Message(META)),
    (
        "spec",
        2,
        Shape::Message(&[("finalizers", 1, Shape::Texts)]),
    ),
    ("status", 3, Shape::Message(&[("phase", 1, Shape::Text)])),
];
const LEASE: Fields = &[
    ("metadata", 1, Shape::Message(META)),
    (
        "spec",
        2,
        Shape::Message(&[
            ("holderIdentity", 1, Shape::OptionalText),
            ("leaseDurationSeconds", 2, Shape::OptionalInteger),
            ("leaseTransitions", 5, Shape::OptionalInteger),
        ]),
    ),
];
const OBJECT_REFERENCE: Fields = &[
    ("kind", 1, Shape::Text),
    ("namespace", 2, Shape::Text),
    ("name", 3, Shape::Text),
    ("uid", 4, Shape::Text),
    ("apiVersion", 5, Shape::Text),
    ("resourceVersion", 6, Shape::Text),
    ("fieldPath", 7, Shape::Text),
];
const EVENT: Fields = &[
    ("metadata", 1, Shape::Message(META)),
    ("involvedObject", 2, Shape::Message(OBJECT_REFERENCE)),
    ("reason", 3, Shape::Text),
    ("message", 4, Shape::Text),
    (
        "source",
        5,
        Shape::Message(&[("component", 1, Shape::Text), ("host", 2, Shape::Text)]),
    ),
    ("count", 8, Shape::Integer),
    ("type", 9, Shape::Text),
];
const REVIEW: Fields = &[
    ("metadata", 1, Shape::Message(META)),
    (
        "spec",
        2,
        Shape::Message(&[(
            "resourceAttributes",
            1,
            Shape::OptionalMessage(&[
                ("namespace", 1, Shape::Text),
                ("verb", 2, Shape::Text),
                ("group", 3, Shape::Text),
                ("version", 4, Shape::Text),
                ("resource", 5, Shape::Text),
                ("subresource", 6, Shape::Text),
                ("name", 7, Shape::Text),
            ]),
        )]),
    ),
    ("status", 3, Shape::Message(&[("reason", 2, Shape::Text)])),
];
const DELETE_OPTIONS: Fields = &[
    ("gracePeriodSeconds", 1, Shape::OptionalInteger),
    (
        "preconditions",
        2,
        Shape::OptionalMessage(&[
            ("uid", 1, Shape::OptionalText),
            ("resourceVersion", 2, Shape::OptionalText),
        ]),
    ),
    ("propagationPolicy", 4, Shape::OptionalText),
    ("dryRun", 5, Shape::Texts),
];

/// `k8s\0` and the envelope with apiVersion, kind and the object.
pub fn encoded(object: &Value) -> Vec<u8> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let fields = match kind {
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "Namespace" => NAMESPACE,
        "Lease" => LEASE,
        "Event" => EVENT,
        "SelfSubjectAccessReview" => REVIEW,
        "DeleteOptions" => DELETE_OPTIONS,
        other => panic!("no protobuf of {other}"),
    };
    let mut kinds = Vec::new();
    bytes(
        &mut kinds,
        1,
        object["apiVersion"].as_str().unwrap_or_default().as_bytes(),
    );
    bytes(&mut kinds, 2, kind.as_bytes());
    let mut envelope = b"k8s\0".to_vec();
    bytes(&mut envelope, 1, &kinds);
    bytes(&mut envelope, 2, &message(object, fields));
    // contentEncoding, contentType
    bytes(&mut envelope, 3, b"");
    bytes(&mut envelope, 4, b"");
    envelope
}

fn message(object: &Value, fields: Fields) -> Vec<u8> {
    let mut out = Vec::new();
    for &(name, number, shape) in fields {
        field(&mut out, number, shape, &object[name]);
    }
    out
}

fn field(out: &mut Vec<u8>, number: u64, shape: Shape, value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let pairs = || value.as_object().into_iter().flatten();
    match shape {
        Shape::Text => bytes(out, number, text.as_bytes()),
        Shape::NoTime => bytes(out, number, b""),
        Shape::Message(fields) => bytes(out, number, &message(value, fields)),
        Shape::Integer => integer(out, number, value.as_u64().unwrap_or_default()),
        Shape::OptionalText if value.is_string() => bytes(out, number, text.as_bytes()),
        Shape::OptionalMessage(fields) if value.is_object() => {
            bytes(out, number, &message(value, fields))
        }
        Shape::OptionalInteger | Shape::OptionalFlag if !value.is_null() => {
            integer(
                out,
                number,
                value.as_u64().unwrap_or(u64::from(value == true)),
            );
        }
        Shape::OptionalText
        | Shape::OptionalMessage(_)
        | Shape::OptionalInteger
        | Shape::OptionalFlag => {}
        Shape::Texts => {
            for item in value.as_array().into_iter().flatten() {
                bytes(out, number, item.as_str().unwrap_or_default().as_bytes());
            }
        }
        Shape::Messages(fields) => {
            for item in value.as_array().into_iter().flatten() {
                bytes(out, number, &message(item, fields));
            }
        }
        Shape::Map => {
            for (key, value) in pairs() {
                entry(
                    out,
                    number,
                    key,
                    value.as_str().unwrap_or_default().as_bytes(),
                );
            }
        }
        Shape::BytesMap => {
            for (key, value) in pairs() {
                let value = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
                entry(out, number, key, &value);
            }
        }
    }
}

fn entry(out: &mut Vec<u8>, number: u64, key: &str, value: &[u8]) {
    let mut pair = Vec::new();
    bytes(&mut pair, 1, key.as_bytes());
    bytes(&mut pair, 2, value);
    bytes(out, number, &pair);
}

fn bytes(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn integer(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3);
    varint(out, value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

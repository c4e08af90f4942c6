//! Bodies as the real server writes them, beside the same objects as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ask, get, service};
use crate::embedded::http::protobuf::{DELETE_OPTIONS, Unreadable, decode, table};

#[derive(Deserialize)]
struct Recorded {
    group: String,
    kind: String,
    protobuf: String,
    object: Value,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("protobuf.json")).unwrap()
}

#[test]
fn a_body_is_read_as_the_real_server_shows_it() {
    for one in recorded() {
        let body = STANDARD.decode(&one.protobuf).unwrap();
        let read = decode(&body, table(&one.group, &one.kind).unwrap()).unwrap();
        assert_eq!(read, one.object, "{} {}", one.group, one.kind);
    }
}

#[test]
fn a_body_that_breaks_off_is_never_read_as_the_whole() {
    for one in recorded() {
        let body = STANDARD.decode(&one.protobuf).unwrap();
        let table = table(&one.group, &one.kind).unwrap();
        // The envelope ends with two empty fields.
        for end in 0..body.len() - 4 {
            match decode(&body[..end], table) {
                Ok(read) => assert_ne!(read, one.object, "cut at {end}"),
                Err(Unreadable::CutOff | Unreadable::NoPrefix) => {}
                Err(other) => panic!("cut at {end}: {other}"),
            }
        }
    }
}

#[test]
fn a_message_without_an_end_is_refused() {
    for endless in [
        b"k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".as_slice(),
        b"k8s\0\xff\xff",
    ] {
        assert_eq!(decode(endless, DELETE_OPTIONS), Err(Unreadable::CutOff));
    }
    assert_eq!(
        decode(b"k8s\0\x13", DELETE_OPTIONS),
        Err(Unreadable::Illegal { wire: 3 })
    );
}

#[tokio::test]
async fn kubectl_creates_and_deletes_in_protobuf() {
    let service = service().await;
    let all = "/api/v1/namespaces/default/configmaps";
    let text = "k8s\0\n\u{f}\n\u{2}v1\u{12}\tConfigMap\u{12}\u{d}\n\u{3}\n\u{1}p\u{12}\u{6}\n\u{1}k\u{12}\u{1}v";
    let headers = [
        ("content-type", "application/vnd.kubernetes.protobuf"),
        (
            "accept",
            "application/vnd.kubernetes.protobuf,application/json",
        ),
    ];
    let created = ask(&service, "POST", all, &headers, text).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("content-type"), "application/json");
    let found = get(&service, &format!("{all}/p"), &[]).await.json();
    assert_eq!(found["data"], json!({"k": "v"}));
    // Preconditions of another object.
    let options = "k8s\0\n\u{13}\n\u{2}v1\u{12}\rDeleteOptions\u{12}\u{5}\u{12}\u{3}\n\u{1}x";
    let refused = ask(&service, "DELETE", &format!("{all}/p"), &headers, options).await;
    assert_eq!(refused.status, 409);
}

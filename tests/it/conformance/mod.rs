//! One suite on the real API server and on the embedded one: what kubectl, Helm and kube-rs send, and whether both answer
//! alike. Differences that are accepted stand in `docs/embedded-api.md` and nowhere else.
//!
//! The cases are data, in `cases/`; [`case`] says how they are written. `IBMICLONE_CONFORMANCE_CASES=patch.` holds only the
//! cases whose id contains that. What was said is kept under the target directory, `tmp/conformance/<server>/<case>.txt`.

mod case;
mod compare;
mod embedded;
mod normal;
mod place;
mod programs;
mod protobuf;
mod select;
mod talk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use futures::{StreamExt, stream};
use tokio::sync::OnceCell;

use crate::support::{kube, wait};
use case::Case;
use place::Place;
use talk::Names;

/// Cases held at once: enough that those that wait for a server's clock cost nothing.
const AT_ONCE: usize = 24;

/// A case that was held with a server.
#[derive(Debug, Clone)]
pub struct Held {
    pub id: String,
    pub rule: String,
    /// What was said, without what is random.
    pub text: String,
    /// Why it ended early, or which status was not the expected one.
    pub trouble: Option<String>,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance/cases")
}

fn cases() -> Vec<Case> {
    let wanted = std::env::var("IBMICLONE_CONFORMANCE_CASES").unwrap_or_default();
    let mut cases = case::read(&directory());
    cases.retain(|case| case.id.contains(&wanted));
    cases
}

/// Holds all cases with a server, each in a namespace of its own.
async fn hold(place: &Place) -> Vec<Held> {
    let mut fragments = case::fragments(&directory());
    // Larger than a server takes.
    fragments.insert("filler".to_owned(), "x".repeat(4 << 20));
    let cases = cases();
    ready(place).await;
    let held = cases.iter().map(|case| hold_one(place, case, &fragments));
    let started = Instant::now();
    let held: Vec<_> = stream::iter(held).buffered(AT_ONCE).collect().await;
    compare::took(
        &format!("{} cases with the {} server", held.len(), place.name),
        started,
    );
    compare::keep(place.name, &held);
    held
}

async fn hold_one(place: &Place, case: &Case, fragments: &Names) -> Held {
    let namespace = namespace(place).await;
    let talk = talk::hold(place, case, &namespace, fragments).await;
    let small = fragments.values().filter(|text| text.len() < 4096);
    let said: String = small.fold(case.source.clone(), |said, more| said + more);
    Held {
        id: case.id.clone(),
        rule: case.rule.clone(),
        text: normal::text(&talk, &said),
        trouble: talk.trouble,
    }
}

/// A namespace nobody else has. Its end is not waited for.
async fn namespace(place: &Place) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("conf-{:06x}-{number}", std::process::id());
    let body =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let request = Request::post("/api/v1/namespaces")
        .header("Content-Type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = place.send(request).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
        .await
        .unwrap();
    assert_eq!(
        status,
        201,
        "{}: {}",
        place.name,
        String::from_utf8_lossy(&body)
    );
    name
}

/// A kind whose definition is new is refused for a moment with 429 while the real server fills its cache.
async fn ready(place: &Place) {
    for kind in ["cloneruns", "cloneenvironments"] {
        let path = format!("/apis/ibmiclone.dev/v1alpha1/{kind}?resourceVersion=0");
        wait::until("the kinds are served", async || {
            let answer = place
                .send(Request::get(&path).body(Body::empty()).unwrap())
                .await;
            answer.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }
}

/// What the real server answers, asked once for all tests.
async fn real() -> Option<&'static Vec<Held>> {
    static REAL: OnceCell<Vec<Held>> = OnceCell::const_new();
    let place = Place::of("real", kube::shared().await?.config());
    Some(REAL.get_or_init(async || hold(&place).await).await)
}

#[test]
fn the_suite_is_as_large_as_promised() {
    let cases = case::read(&directory());
    let ids: BTreeSet<_> = cases.iter().map(|case| case.id.clone()).collect();
    assert_eq!(ids.len(), cases.len(), "an id is used twice");
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let mut known = ids;
    known.extend(programs::ids());
    let unknown = compare::unknown(&compare::accepted(), &known);
    assert!(
        unknown.is_empty(),
        "docs/embedded-api.md lists {unknown:?}, which are no cases"
    );
}

/// The cases are what the real server does, and nothing in what is compared is random.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_answers_as_the_cases_say_and_twice_alike() {
    let Some(first) = real().await else { return };
    let troubles = first.iter().filter_map(|held| {
        let trouble = held.trouble.as_ref()?;
        Some(format!("{}: {trouble}", held.id))
    });
    let troubles: Vec<_> = troubles.collect();
    assert!(
        troubles.is_empty(),
        "{} cases:\n{}",
        troubles.len(),
        troubles.join("\n")
    );
    let stack = kube::shared().await.unwrap();
    let second = hold(&Place::of("real-again", stack.config())).await;
    let complaints = compare::complaints(first, &second, &BTreeSet::new());
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_answers_as_the_real_one() {
    let Some(real) = real().await else { return };
    let server = embedded::start().await;
    let embedded = hold(&server.place).await;
    let complaints = compare::complaints(real, &embedded, &compare::accepted());
    assert!(
        complaints.is_empty(),
        "{} of {} cases:\n\n{}",
        complaints.len(),
        real.len(),
        complaints.join("\n\n")
    );
}

use super::*;
use crate::embedded::registry::request::{WatchItem, WatchOptions};
use futures::{FutureExt as _, Stream, StreamExt as _};
use std::pin::Pin;
use std::time::Instant;

pub type Items = Pin<Box<dyn Stream<Item = WatchItem> + Send>>;

pub async fn watch(api: &Api<'_>, options: WatchOptions) -> Items {
    Box::pin(api.registry.watch(&api.target, &options).await.unwrap())
}

pub fn from(revision: impl ToString) -> WatchOptions {
    WatchOptions {
        resource_version: revision.to_string(),
        ..WatchOptions::default()
    }
}

pub fn streaming() -> WatchOptions {
    WatchOptions {
        resource_version_match: "NotOlderThan".to_owned(),
        send_initial_events: Some(true),
        bookmarks: true,
        ..WatchOptions::default()
    }
}

/// The next items in short: `+a` added, `*a` modified, `-a` deleted.
pub async fn take(items: &mut Items, count: usize) -> String {
    let found: Vec<WatchItem> = items.take(count).collect().await;
    let short = found.iter().map(|item| {
        let (sign, object) = match item {
            WatchItem::Added(object) => ("+", object),
            WatchItem::Modified(object) => ("*", object),
            WatchItem::Deleted(object) => ("-", object),
            WatchItem::Bookmark { initial_end, .. } => {
                return if *initial_end {
                    "end".to_owned()
                } else {
                    "mark".to_owned()
                };
            }
            WatchItem::Error(refusal) => return refusal.to_string(),
        };
        format!("{sign}{}", object["metadata"]["name"].as_str().unwrap())
    });
    short.collect::<Vec<_>>().join(" ")
}

/// The next item, a bookmark: up to where everything has been told.
pub async fn bookmark(items: &mut Items, at_initial_end: bool) -> String {
    match items.next().await {
        Some(WatchItem::Bookmark {
            resource_version,
            initial_end,
        }) if initial_end == at_initial_end => resource_version,
        Some(_) | None => panic!("no bookmark"),
    }
}

/// Nothing is there now. What a first poll begins is given the time to end.
pub async fn is_silent(items: &mut Items) -> bool {
    for _ in 0..50 {
        if items.next().now_or_never().is_some() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

#[tokio::test]
async fn without_a_revision_and_from_zero_a_watch_begins_with_what_is_there() {
    let world = world().await;
    let maps = world.maps();
    for n in 0..250 {
        maps.made(&format!("m{n:03}"), json!({}), json!({})).await;
    }
    for revision in ["", "0"] {
        let mut items = watch(&maps, from(revision)).await;
        let state = take(&mut items, 250).await;
        assert!(
            state.starts_with("+m000 +m001 ") && state.ends_with(" +m249"),
            "{state}"
        );
        maps.merge("m000", json!({"data": {"a": revision}}))
            .await
            .unwrap();
        assert_eq!(take(&mut items, 1).await, "*m000");
    }
}

#[tokio::test]
async fn what_came_between_the_list_and_the_watch_is_not_lost() {
    let world = world().await;
    let maps = world.maps();
    let listed = maps.list(ListOptions::default()).await.unwrap();
    maps.made("between", json!({}), json!({})).await;
    let mut items = watch(&maps, from(&listed.resource_version)).await;
    maps.made("after", json!({}), json!({})).await;
    assert_eq!(take(&mut items, 2).await, "+between +after");
    maps.delete("between").await.unwrap();
    let WatchItem::Deleted(gone) = items.next().await.unwrap() else {
        panic!()
    };
    assert_eq!(
        revision(&gone),
        world.registry.store().revision(),
        "a deletion has a revision of its own"
    );
    assert!(is_silent(&mut items).await);
}

#[tokio::test]
async fn a_watch_sees_its_namespace_or_all() {
    let world = world().await;
    let start = world.registry.store().revision();
    let mut one = watch(&world.maps(), from(start)).await;
    let mut all = watch(&world.maps().everywhere(), from(start)).await;
    world
        .maps()
        .inside("kube-system")
        .made("other", json!({}), json!({}))
        .await;
    world.maps().made("mine", json!({}), json!({})).await;
    world.things().made("thing", json!({}), json!({})).await;
    assert_eq!(take(&mut one, 1).await, "+mine");
    assert_eq!(take(&mut all, 2).await, "+other +mine");
    assert!(is_silent(&mut one).await && is_silent(&mut all).await);
}

#[tokio::test]
async fn what_enters_or_leaves_the_selector_is_added_or_deleted() {
    let world = world().await;
    let maps = world.maps();
    maps.made("a0", json!({"labels": {"x": "0"}}), json!({}))
        .await;
    maps.made("a1", json!({"labels": {"x": "1"}}), json!({}))
        .await;
    let mut options = from(world.registry.store().revision());
    options.labels = "x=1".to_owned();
    let mut items = watch(&maps, options).await;
    maps.merge("a0", json!({"data": {"n": "0"}})).await.unwrap();
    maps.merge(
        "a0",
        json!({"metadata": {"labels": {"x": "1"}}, "data": {"n": "1"}}),
    )
    .await
    .unwrap();
    maps.merge("a0", json!({"data": {"n": "2"}})).await.unwrap();
    let left = maps
        .merge(
            "a0",
            json!({"metadata": {"labels": {"x": "2"}}, "data": {"n": "3"}}),
        )
        .await
        .unwrap()
        .object;
    assert_eq!(take(&mut items, 2).await, "+a0 *a0");
    let WatchItem::Deleted(last) = items.next().await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (&last["data"]["n"], &last["metadata"]["labels"]["x"]),
        (&json!("2"), &json!("1")),
        "the last state that matched"
    );
    assert_eq!(revision(&last), revision(&left));
    maps.delete("a0").await.unwrap();
    maps.delete("a1").await.unwrap();
    assert_eq!(take(&mut items, 1).await, "-a1");
}

#[tokio::test]
async fn a_field_selector_follows_the_status() {
    let world = world().await;
    let things = world.things();
    things.made("t", json!({}), json!({})).await;
    let mut options = from(world.registry.store().revision());
    options.fields = "status.phase=Running".to_owned();
    let mut items = watch(&things, options).await;
    let status = things.clone().status();
    for phase in ["Running", "Done"] {
        status
            .merge("t", json!({"status": {"phase": phase}}))
            .await
            .unwrap();
    }
    assert_eq!(take(&mut items, 1).await, "+t");
    let WatchItem::Deleted(last) = items.next().await.unwrap() else {
        panic!()
    };
    assert_eq!(last["status"]["phase"], "Running");
}

#[tokio::test]
async fn a_revision_that_history_has_left_behind_is_told_in_the_stream() {
    let world = with(Options {
        feed_changes: 10,
        ..Options::default()
    })
    .await;
    let maps = world.maps();
    let start = world.registry.store().revision();
    let mut lagging = watch(&maps, from(start)).await;
    maps.made("a", json!({}), json!({})).await;
    assert_eq!(take(&mut lagging, 1).await, "+a");
    for n in 0..300 {
        maps.merge("a", json!({"data": {"n": n.to_string()}}))
            .await
            .unwrap();
    }
    world.forget_history().await;
    let mut late = watch(&maps, from(start - 1)).await;
    let Some(WatchItem::Error(refusal)) = late.next().await else {
        panic!()
    };
    assert_eq!((refusal.code, refusal.reason), (410, "Expired"));
    assert!(
        refusal
            .message
            .starts_with(&format!("too old resource version: {} (", start - 1)),
        "{refusal}"
    );
    assert_eq!(late.next().await, None, "and that is the end");
    let Some(WatchItem::Error(refusal)) = lagging.next().await else {
        panic!()
    };
    assert_eq!(refusal.code, 410, "also for one that was too slow");
}

#[tokio::test]
async fn a_slow_client_loses_nothing_though_nothing_is_kept_for_it() {
    let world = with(Options {
        feed_changes: 10,
        ..Options::default()
    })
    .await;
    let maps = world.maps();
    maps.made("a", json!({}), json!({})).await;
    let start = world.registry.store().revision();
    let (mut slow, mut fast) = (
        watch(&maps, from(start)).await,
        watch(&maps, from(start)).await,
    );
    for n in 0..300 {
        maps.merge("a", json!({"data": {"n": n.to_string()}}))
            .await
            .unwrap();
        assert_eq!(take(&mut fast, 1).await, "*a");
    }
    for n in 0..300 {
        let Some(WatchItem::Modified(object)) = slow.next().await else {
            panic!()
        };
        assert_eq!(object["data"]["n"], n.to_string());
    }
}

#[tokio::test]
async fn a_watch_that_begins_far_back_loses_nothing_though_little_is_kept() {
    let world = with(Options {
        feed_changes: 10,
        ..Options::default()
    })
    .await;
    let maps = world.maps();
    let start = world.registry.store().revision();
    maps.made("a", json!({}), json!({})).await;
    for n in 0..300 {
        maps.merge("a", json!({"data": {"n": n.to_string()}}))
            .await
            .unwrap();
    }
    let mut items = watch(&maps, from(start)).await;
    for expected in start + 1..=start + 301 {
        let (WatchItem::Added(object) | WatchItem::Modified(object)) = items.next().await.unwrap()
        else {
            panic!()
        };
        assert_eq!(revision(&object), expected);
    }
}

#[tokio::test]
async fn a_watch_from_a_revision_to_come_waits_for_it() {
    let world = world().await;
    let maps = world.maps();
    let mut items = watch(&maps, from(world.registry.store().revision() + 1)).await;
    assert!(is_silent(&mut items).await);
    maps.made("a", json!({}), json!({})).await;
    maps.made("b", json!({}), json!({})).await;
    assert_eq!(take(&mut items, 1).await, "+b");
}

#[tokio::test]
async fn events_are_watched_in_the_words_of_the_group() {
    let world = world().await;
    let new = world.of("events.events.k8s.io");
    let mut options = from(world.registry.store().revision());
    options.fields = "regarding.name=x".to_owned();
    let mut items = watch(&new, options).await;
    for name in ["y", "x"] {
        let about = json!({"name": name, "namespace": "default"});
        world
            .of("events")
            .made(
                name,
                json!({}),
                json!({"involvedObject": about, "message": "m"}),
            )
            .await;
    }
    let Some(WatchItem::Added(event)) = items.next().await else {
        panic!()
    };
    assert_eq!(
        (
            &event["regarding"]["name"],
            &event["note"],
            &event["apiVersion"]
        ),
        (&json!("x"), &json!("m"), &json!("events.k8s.io/v1"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_watches_lose_none_of_a_thousand_writes() {
    let world = world().await;
    let things = world.things();
    for n in 0..10 {
        things.made(&format!("t{n}"), json!({}), json!({})).await;
    }
    let start = world.registry.store().revision();
    let mut watches = Vec::new();
    for _ in 0..200 {
        let mut items = watch(&things, from(start)).await;
        watches.push(tokio::spawn(async move {
            for expected in start + 1..=start + 1_000 {
                let Some(WatchItem::Modified(object)) = items.next().await else {
                    panic!()
                };
                assert_eq!(revision(&object), expected);
            }
        }));
    }
    let began = Instant::now();
    for n in 0..1_000 {
        let patch = json!({"status": {"phase": n.to_string()}});
        things
            .clone()
            .status()
            .merge(&format!("t{}", n % 10), patch)
            .await
            .unwrap();
    }
    let written = began.elapsed();
    for watch in watches {
        watch.await.unwrap();
    }
    eprintln!(
        "1,000 writes in {written:?}, told 200 times after {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_text_of_a_change_is_made_once_for_all_watches() {
    let world = world().await;
    let maps = world.maps();
    let revision = world.registry.store().revision();
    let mut watches = [
        watch(&maps, from(revision)).await,
        watch(&maps, from(revision)).await,
    ];
    maps.made("a", json!({}), json!({})).await;
    let mut texts = Vec::new();
    for items in &mut watches {
        let Some(WatchItem::Added(object)) = items.next().await else {
            panic!("it was added");
        };
        let text: Value = serde_json::from_slice(&object.text()).unwrap();
        assert_eq!(text, maps.get("a").await.unwrap());
        texts.push(object.text());
    }
    assert!(std::sync::Arc::ptr_eq(&texts[0], &texts[1]));
}

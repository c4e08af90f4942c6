use super::*;
use crate::embedded::registry::request::{WatchItem, WatchOptions};
use futures::{FutureExt as _, Stream, StreamExt as _};
use std::pin::Pin;
use std::time::Instant;

type Items = Pin<Box<dyn Stream<Item = WatchItem> + Send>>;

async fn watch(api: &Api<'_>, options: WatchOptions) -> Items {
    Box::pin(api.registry.watch(&api.target, &options).await.unwrap())
}

fn from(revision: impl ToString) -> WatchOptions {
    WatchOptions {
        resource_version: revision.to_string(),
        ..WatchOptions::default()
    }
}

fn streaming() -> WatchOptions {
    WatchOptions {
        resource_version_match: "NotOlderThan".to_owned(),
        send_initial_events: Some(true),
        bookmarks: true,
        ..WatchOptions::default()
    }
}

/// The next items in short: `+a` added, `*a` modified, `-a` deleted.
async fn take(items: &mut Items, count: usize) -> String {
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

/// Nothing is there now. What a first poll begins is given the time to end.
async fn is_silent(items: &mut Items) -> bool {
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
async fn the_end_of_the_initial_state_is_marked_when_asked_for() {
    let world = world().await;
    let maps = world.maps();
    maps.made("a", json!({}), json!({})).await;
    let mut items = watch(&maps, streaming()).await;
    assert_eq!(take(&mut items, 2).await, "+a end");
    maps.made("b", json!({}), json!({})).await;
    assert_eq!(take(&mut items, 1).await, "+b");
    let mut unmarked = streaming();
    unmarked.bookmarks = false;
    let mut items = watch(&maps, unmarked).await;
    assert_eq!(take(&mut items, 2).await, "+a +b");
    assert!(is_silent(&mut items).await, "bookmarks were not allowed");
    let mut none = streaming();
    none.send_initial_events = Some(false);
    let mut items = watch(&maps, none).await;
    maps.made("c", json!({}), json!({})).await;
    assert_eq!(take(&mut items, 1).await, "+c");
    let empty = world.of("secrets");
    let mut items = watch(&empty, streaming()).await;
    let Some(WatchItem::Bookmark {
        resource_version,
        initial_end: true,
    }) = items.next().await
    else {
        panic!()
    };
    assert_eq!(
        resource_version,
        world.registry.store().revision().to_string()
    );
}

#[tokio::test]
async fn options_that_do_not_go_together_are_refused_before_the_stream() {
    let world = world().await;
    let maps = world.maps();
    let text = async |options: WatchOptions| {
        let refused = maps
            .registry
            .watch(&maps.target, &options)
            .await
            .err()
            .unwrap();
        (refused.code, refused.message)
    };
    let all = |why: &str| {
        (
            422,
            format!("ListOptions.meta.k8s.io \"\" is invalid: {why}"),
        )
    };
    let alone = WatchOptions {
        resource_version_match: String::new(),
        ..streaming()
    };
    assert_eq!(
        text(alone.clone()).await,
        all(
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    );
    assert_eq!(
        text(WatchOptions {
            send_initial_events: Some(false),
            ..alone
        })
        .await
        .0,
        422
    );
    let exact = WatchOptions {
        resource_version_match: "Exact".to_owned(),
        ..streaming()
    };
    assert_eq!(
        text(exact).await,
        all(
            "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]"
        )
    );
    let plain = WatchOptions {
        resource_version_match: "NotOlderThan".to_owned(),
        ..from(5)
    };
    assert_eq!(
        text(plain).await,
        all(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        )
    );
    assert_eq!(text(from("abc")).await, (500, "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax".to_owned()));
    let newest = world.registry.store().revision();
    let to_come = WatchOptions {
        resource_version: "99999".to_owned(),
        ..streaming()
    };
    let why = format!("Timeout: Too large resource version: 99999, current: {newest}");
    assert_eq!(text(to_come).await, (504, why));
    let fields = WatchOptions {
        fields: "foo=bar".to_owned(),
        ..from("")
    };
    assert_eq!(text(fields).await.0, 400);
}

#[tokio::test]
async fn a_bookmark_tells_how_far_everything_has_been_told() {
    let world = with(Options {
        bookmark: Duration::from_millis(1),
        ..Options::default()
    })
    .await;
    let maps = world.maps();
    let mut options = from(world.registry.store().revision());
    options.bookmarks = true;
    let mut items = watch(&maps, options).await;
    world.things().made("t", json!({}), json!({})).await;
    let newest = world.registry.store().revision().to_string();
    loop {
        let Some(WatchItem::Bookmark {
            resource_version,
            initial_end: false,
        }) = items.next().await
        else {
            panic!()
        };
        if resource_version == newest {
            break;
        }
    }
    assert!(
        is_silent(&mut watch(&maps, from(newest)).await).await,
        "who did not ask gets none"
    );
}

#[tokio::test]
async fn a_watch_ends_after_its_time_out() {
    let world = world().await;
    let mut options = from("");
    options.timeout = Some(Duration::from_millis(1));
    world.maps().made("a", json!({}), json!({})).await;
    let items: Vec<WatchItem> = watch(&world.maps(), options).await.collect().await;
    assert!(items.len() <= 1);
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

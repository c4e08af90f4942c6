use super::watches::{bookmark, from, is_silent, streaming, take, watch};
use super::*;
use crate::embedded::registry::request::{WatchItem, WatchOptions};
use futures::StreamExt as _;

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
    assert_eq!(
        bookmark(&mut items, true).await,
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
    while bookmark(&mut items, false).await != newest {}
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
async fn a_watch_says_where_to_go_on_two_seconds_before_its_time_out() {
    let world = world().await;
    let revision = world.registry.store().revision();
    let options = WatchOptions {
        bookmarks: true,
        timeout: Some(Duration::from_millis(2_050)),
        ..from(revision)
    };
    let mut items = watch(&world.maps(), options.clone()).await;
    assert_eq!(bookmark(&mut items, false).await, revision.to_string());
    let shorter = WatchOptions {
        timeout: Some(Duration::from_millis(50)),
        ..options
    };
    let items: Vec<WatchItem> = watch(&world.maps(), shorter).await.collect().await;
    assert_eq!(items.len(), 0, "a short watch has no such moment");
}

#[tokio::test]
async fn a_token_of_a_list_says_nothing_to_a_watch() {
    let world = world().await;
    let options = WatchOptions {
        continue_: Some("x".to_owned()),
        ..streaming()
    };
    let maps = world.maps();
    let refused = maps.registry.watch(&maps.target, &options).await;
    assert_eq!(
        refused.err().unwrap().message,
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue \
         is provided"
    );
}

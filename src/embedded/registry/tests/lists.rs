use super::*;
use crate::embedded::registry::page::Page;

fn limit(limit: i64) -> ListOptions {
    ListOptions {
        limit: Some(limit),
        ..ListOptions::default()
    }
}

fn at(revision: impl ToString, wanted: &str) -> ListOptions {
    ListOptions {
        resource_version: revision.to_string(),
        resource_version_match: wanted.to_owned(),
        ..ListOptions::default()
    }
}

fn next(page: &Listed, limit: i64) -> ListOptions {
    ListOptions {
        limit: Some(limit),
        continue_: page.continue_.clone(),
        ..ListOptions::default()
    }
}

async fn five(world: &World) -> Api<'_> {
    let maps = world.maps();
    for n in 0..5 {
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        maps.made(
            &format!("c{n}"),
            json!({"labels": {"p": parity}}),
            json!({}),
        )
        .await;
    }
    maps
}

#[tokio::test]
async fn the_pages_of_a_list_are_of_one_moment() {
    let world = world().await;
    let maps = five(&world).await;
    let first = maps.list(limit(2)).await.unwrap();
    assert_eq!(
        (names(&first), first.remaining),
        (vec!["c0", "c1"], Some(3))
    );
    maps.made("c9", json!({}), json!({})).await;
    maps.delete("c3").await.unwrap();
    maps.merge("c4", json!({"data": {"a": "b"}})).await.unwrap();
    let second = maps.list(next(&first, 2)).await.unwrap();
    assert_eq!(
        (names(&second), second.remaining),
        (vec!["c2", "c3"], Some(1))
    );
    assert_eq!(second.resource_version, first.resource_version);
    let third = maps.list(next(&second, 2)).await.unwrap();
    assert_eq!(
        (names(&third), third.remaining, third.continue_.clone()),
        (vec!["c4"], None, None)
    );
    assert_eq!(third.items[0].get("data"), None, "as it was then");
    assert_eq!(
        names(&maps.list(limit(0)).await.unwrap()),
        ["c0", "c1", "c2", "c4", "c9"]
    );
    assert_eq!(names(&maps.list(limit(-1)).await.unwrap()).len(), 5);
}

#[tokio::test]
async fn a_page_token_is_worth_nothing_when_history_is_gone_or_it_is_none() {
    let world = world().await;
    let maps = five(&world).await;
    let first = maps.list(limit(2)).await.unwrap();
    maps.delete("c3").await.unwrap();
    world.forget_history().await;
    let refusal = maps.list(next(&first, 2)).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (410, "Expired"));
    assert!(refusal.message.starts_with(
        "The provided continue parameter is too old to display a consistent list result."
    ));
    let inconsistent = Page {
        revision: None,
        after: ("default".to_owned(), "c1".to_owned()),
        left: None,
    };
    let mut options = limit(2);
    options.continue_ = Some(inconsistent.token());
    assert_eq!(
        names(&maps.list(options.clone()).await.unwrap()),
        ["c2", "c4"]
    );
    options.resource_version = "5".to_owned();
    assert_eq!(
        said(maps.list(options.clone()).await),
        (
            400,
            "specifying resource version is not allowed when using continue".to_owned()
        )
    );
    for nonsense in ["zork", "e30", ""] {
        options.resource_version = String::new();
        options.continue_ = Some(nonsense.to_owned());
        let answer = maps.list(options.clone()).await;
        assert_eq!(
            answer.is_err_and(|r| r.code == 400),
            !nonsense.is_empty(),
            "{nonsense}"
        );
    }
}

#[tokio::test]
async fn with_a_selector_pages_are_full_and_nothing_is_counted() {
    let world = world().await;
    let maps = five(&world).await;
    let mut options = limit(1);
    options.labels = "p=odd".to_owned();
    let mut found = Vec::new();
    loop {
        let page = maps.list(options.clone()).await.unwrap();
        assert_eq!(page.remaining, None);
        assert!(page.items.len() <= 1);
        found.extend(names(&page).into_iter().map(str::to_owned));
        options.continue_ = page.continue_.clone();
        if page.continue_.is_none() {
            break;
        }
    }
    assert_eq!(found, ["c1", "c3"]);
}

#[tokio::test]
async fn a_revision_means_exactly_that_or_nothing_older_as_the_client_says() {
    let world = world().await;
    let maps = five(&world).await;
    let then = world.registry.store().revision();
    maps.delete("c3").await.unwrap();
    let count = async |options: ListOptions| {
        let listed = maps.list(options).await.unwrap();
        (
            listed.items.len(),
            listed.resource_version.parse::<u64>().unwrap(),
        )
    };
    assert_eq!(count(at(then, "Exact")).await, (5, then));
    assert_eq!(count(at(then, "NotOlderThan")).await, (4, then + 1));
    assert_eq!(count(at(then, "")).await, (4, then + 1));
    assert_eq!(count(at(0, "NotOlderThan")).await, (4, then + 1));
    let limited = |options: ListOptions| ListOptions {
        limit: Some(1),
        ..options
    };
    assert_eq!(
        count(limited(at(then, ""))).await,
        (1, then),
        "a limit makes it exact"
    );
    assert_eq!(
        count(limited(at(then, "NotOlderThan"))).await,
        (1, then + 1)
    );
    assert_eq!(count(limited(at(0, ""))).await, (1, then + 1));
    world.forget_history().await;
    let refusal = maps.list(at(then, "Exact")).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (410, "The resourceVersion for the provided list is too old.")
    );
}

#[tokio::test]
async fn a_revision_to_come_or_no_revision_at_all_is_refused() {
    let world = world().await;
    let maps = world.maps();
    let newest = world.registry.store().revision();
    let refusal = maps.list(at(99_999, "")).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (504, "Timeout"));
    assert_eq!(
        refusal.message,
        format!("Timeout: Too large resource version: 99999, current: {newest}")
    );
    let status = refusal.status();
    assert_eq!(
        status["details"],
        json!({"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]})
    );
    let text = said(maps.list(at("abc", "")).await);
    assert_eq!(text, (400, "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax".to_owned()));
}

#[tokio::test]
async fn options_that_do_not_go_together_are_refused() {
    let world = world().await;
    let maps = world.maps();
    let text = async |options| said(maps.list(options).await);
    let all = |why: &str| {
        (
            422,
            format!("ListOptions.meta.k8s.io \"\" is invalid: {why}"),
        )
    };
    assert_eq!(
        text(at("", "Exact")).await,
        all(
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    );
    assert_eq!(
        text(at(0, "Exact")).await,
        all(
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
        )
    );
    assert_eq!(
        text(at(5, "Zork")).await,
        all(
            "resourceVersionMatch: Unsupported value: \"Zork\": supported values: \"Exact\", \"NotOlderThan\", \"\""
        )
    );
    let mut both = at("", "Exact");
    both.continue_ = Some("x".to_owned());
    assert_eq!(
        text(both).await,
        all(
            "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided]"
        )
    );
}

#[tokio::test]
async fn all_namespaces_are_listed_in_order() {
    let world = world().await;
    world.maps().made("b", json!({}), json!({})).await;
    world
        .maps()
        .inside("kube-system")
        .made("a", json!({}), json!({}))
        .await;
    let all = world.maps().everywhere().list(limit(1)).await.unwrap();
    assert_eq!(names(&all), ["b"]);
    let rest = world.maps().everywhere().list(next(&all, 5)).await.unwrap();
    assert_eq!(names(&rest), ["a"]);
    assert_eq!(rest.items[0]["kind"], "ConfigMap");
}

#[tokio::test]
async fn everything_that_a_list_does_not_take_is_told_at_once() {
    let world = world().await;
    let options = ListOptions {
        resource_version_match: "NotOlderThan".to_owned(),
        send_initial_events: Some(true),
        ..ListOptions::default()
    };
    assert_eq!(
        said(world.maps().list(options).await),
        (
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless \
             resourceVersion is provided, sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list]"
                .to_owned()
        )
    );
}

use super::*;

fn owned(owners: &[&Value]) -> Value {
    let references: Vec<Value> = owners.iter().map(|o| reference(o)).collect();
    json!({"ownerReferences": references})
}

fn reference(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]})
}

fn blocking(owner: &Value) -> Value {
    let mut reference = reference(owner);
    reference["blockOwnerDeletion"] = true.into();
    reference
}

#[tokio::test]
async fn what_its_owners_have_left_goes_and_what_one_still_owns_stays() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let mut background = world.registry.background();
    let (a, b) = (
        things.made("a", json!({}), json!({})).await,
        things.made("b", json!({}), json!({})).await,
    );
    maps.made("of-a", owned(&[&a]), json!({})).await;
    maps.made("of-both", owned(&[&a, &b]), json!({})).await;
    maps.made("free", json!({}), json!({})).await;
    background.settle().await.unwrap();
    assert_eq!(
        names(&maps.list(ListOptions::default()).await.unwrap()).len(),
        3
    );
    things.delete("a").await.unwrap();
    background.settle().await.unwrap();
    assert_eq!(
        names(&maps.list(ListOptions::default()).await.unwrap()),
        ["free", "of-both"]
    );
    let left = maps.get("of-both").await.unwrap();
    assert_eq!(
        left["metadata"]["ownerReferences"],
        json!([reference(&b)]),
        "the owner that is gone is no longer named"
    );
}

#[tokio::test]
async fn an_owner_that_never_was_or_is_another_one_now_does_not_keep_anything() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let a = things.made("a", json!({}), json!({})).await;
    for (name, field, value) in [
        ("uid", "uid", "gone"),
        ("name", "name", "other"),
        ("kind", "kind", "Nope"),
    ] {
        let mut reference = reference(&a);
        reference[field] = value.into();
        maps.made(name, json!({"ownerReferences": [reference]}), json!({}))
            .await;
    }
    // What was there before it began is looked at too.
    world.registry.background().settle().await.unwrap();
    assert_eq!(
        names(&maps.list(ListOptions::default()).await.unwrap()),
        ["kind"],
        "a kind that is not served may be there"
    );
}

#[tokio::test]
async fn deletion_goes_down_the_whole_line() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let mut background = world.registry.background();
    let a = things.made("a", json!({}), json!({})).await;
    let b = things.made("b", owned(&[&a]), json!({})).await;
    maps.made("c", owned(&[&b]), json!({})).await;
    background.settle().await.unwrap();
    things
        .delete_with("a", propagation(Propagation::Background))
        .await
        .unwrap();
    background.settle().await.unwrap();
    assert!(things.is_gone("b").await && maps.is_gone("c").await);
}

#[tokio::test]
async fn in_the_foreground_the_owner_waits_for_those_that_block_it() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let mut background = world.registry.background();
    let owner = things.made("own", json!({}), json!({})).await;
    let blocks = json!({"ownerReferences": [blocking(&owner)], "finalizers": ["a.b/c"]});
    maps.made("blocks", blocks, json!({})).await;
    let mut free = owned(&[&owner]);
    free["finalizers"] = json!(["a.b/c"]);
    maps.made("free", free, json!({})).await;
    maps.made("plain", owned(&[&owner]), json!({})).await;
    let waiting = things
        .delete_with("own", propagation(Propagation::Foreground))
        .await
        .unwrap();
    assert_eq!(
        waiting["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    background.settle().await.unwrap();
    assert!(maps.is_gone("plain").await);
    assert!(
        maps.get("blocks").await.unwrap()["metadata"]
            .get("deletionTimestamp")
            .is_some()
    );
    assert!(!things.is_gone("own").await);
    maps.merge("blocks", json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    background.settle().await.unwrap();
    assert!(
        things.is_gone("own").await,
        "who does not block is not waited for"
    );
    assert!(!maps.is_gone("free").await);
}

#[tokio::test]
async fn in_the_foreground_the_leaves_go_first() {
    let world = world().await;
    let things = world.things();
    let mut background = world.registry.background();
    let a = things.made("a", json!({}), json!({})).await;
    let b = things
        .made("b", json!({"ownerReferences": [blocking(&a)]}), json!({}))
        .await;
    things
        .made("c", json!({"ownerReferences": [blocking(&b)]}), json!({}))
        .await;
    let start = world.registry.store().revision();
    things
        .delete_with("a", propagation(Propagation::Foreground))
        .await
        .unwrap();
    background.settle().await.unwrap();
    let changes = world
        .registry
        .store()
        .changes("things.test.dev", None, start, 100)
        .await
        .unwrap();
    let gone = changes.iter().filter(|c| c.verb == store::Verb::Deleted);
    assert_eq!(
        gone.map(|c| c.key.name.as_str()).collect::<Vec<_>>(),
        ["c", "b", "a"]
    );
}

#[tokio::test]
async fn a_circle_of_owners_does_not_wait_for_itself() {
    let world = world().await;
    let things = world.things();
    let mut background = world.registry.background();
    let a = things.made("a", json!({}), json!({})).await;
    let b = things
        .made("b", json!({"ownerReferences": [blocking(&a)]}), json!({}))
        .await;
    things
        .merge(
            "a",
            json!({"metadata": {"ownerReferences": [blocking(&b)]}}),
        )
        .await
        .unwrap();
    background.settle().await.unwrap();
    things
        .delete_with("a", propagation(Propagation::Foreground))
        .await
        .unwrap();
    background.settle().await.unwrap();
    assert!(things.is_gone("a").await && things.is_gone("b").await);
}

#[tokio::test]
async fn orphans_stay_and_forget_their_owner() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let mut background = world.registry.background();
    let owner = things.made("own", json!({}), json!({})).await;
    maps.made("orphan", owned(&[&owner]), json!({})).await;
    let waiting = things
        .delete_with("own", propagation(Propagation::Orphan))
        .await
        .unwrap();
    assert_eq!(waiting["metadata"]["finalizers"], json!(["orphan"]));
    background.settle().await.unwrap();
    assert!(things.is_gone("own").await);
    assert_eq!(
        maps.get("orphan").await.unwrap()["metadata"].get("ownerReferences"),
        None
    );
}

#[tokio::test]
async fn garbage_is_found_after_history_was_given_up() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let mut background = world.registry.background();
    background.settle().await.unwrap();
    let owner = things.made("own", json!({}), json!({})).await;
    maps.made("of", owned(&[&owner]), json!({})).await;
    things.delete("own").await.unwrap();
    world.forget_history().await;
    background.settle().await.unwrap();
    assert!(maps.is_gone("of").await);
}

#[tokio::test]
async fn a_namespace_ends_when_it_is_empty() {
    let world = world().await;
    let (namespaces, maps) = (world.namespaces(), world.maps().inside("n2"));
    let mut background = world.registry.background();
    namespaces.made("n2", json!({}), json!({})).await;
    maps.made("x", json!({"finalizers": ["a.b/c"]}), json!({}))
        .await;
    maps.made("y", json!({}), json!({})).await;
    world
        .things()
        .inside("n2")
        .made("t", json!({}), json!({}))
        .await;
    let ending = namespaces.delete("n2").await.unwrap();
    assert_eq!(ending["status"], json!({"phase": "Terminating"}));
    assert_eq!(ending["metadata"].get("deletionGracePeriodSeconds"), None);
    let refusal = maps.create(maps.named("z")).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (403, "Forbidden"));
    assert_eq!(
        refusal.message,
        "configmaps \"z\" is forbidden: unable to create new content in namespace n2 because it is being terminated"
    );
    assert_eq!(refusal.causes[0].reason, "NamespaceTerminating");
    assert_eq!(said(maps.apply("zz", maps.named("zz")).await).0, 403);
    maps.merge("x", json!({"data": {"a": "b"}})).await.unwrap();
    assert_eq!(
        namespaces.delete("n2").await.unwrap()["status"]["phase"],
        "Terminating",
        "again changes nothing"
    );
    background.settle().await.unwrap();
    assert_eq!(
        names(&maps.list(ListOptions::default()).await.unwrap()),
        ["x"]
    );
    assert!(world.things().inside("n2").is_gone("t").await);
    let told = namespaces.get("n2").await.unwrap()["status"]["conditions"].clone();
    assert_eq!(
        told[3]["message"],
        "Some resources are remaining: configmaps. has 1 resource instances"
    );
    assert_eq!(
        told[4]["message"],
        "Some content in the namespace has finalizers remaining: a.b/c in 1 resource instances"
    );
    maps.merge("x", json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    background.settle().await.unwrap();
    assert!(namespaces.is_gone("n2").await);
    assert!(
        !background.step().await.unwrap(),
        "and nothing is left to do"
    );
}

#[tokio::test]
async fn a_namespace_with_finalizers_of_others_waits_for_them() {
    let world = world().await;
    let namespaces = world.namespaces();
    let mut background = world.registry.background();
    namespaces
        .made("n", json!({"finalizers": ["a.b/c"]}), json!({}))
        .await;
    namespaces.delete("n").await.unwrap();
    background.settle().await.unwrap();
    assert_eq!(
        namespaces.get("n").await.unwrap()["spec"]["finalizers"],
        json!([])
    );
    namespaces
        .merge("n", json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    assert!(namespaces.is_gone("n").await);
}

#[tokio::test]
async fn some_namespaces_stay() {
    let world = world().await;
    let namespaces = world.namespaces();
    for name in ["default", "kube-system"] {
        let why = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        assert_eq!(said(namespaces.delete(name).await), (403, why));
    }
    assert_eq!(said(namespaces.delete("nope").await).0, 404);
    namespaces.made("n", json!({}), json!({})).await;
    let options = DeleteOptions {
        uid: Some("x".to_owned()),
        ..DeleteOptions::default()
    };
    let text = said(namespaces.delete_with("n", options).await).1;
    assert!(text.starts_with("Operation cannot be fulfilled on namespaces \"n\": Precondition failed: UID in precondition: x, UID in object meta: "), "{text}");
}

#[tokio::test]
async fn nothing_is_created_in_a_namespace_after_its_end_began() {
    let world = world().await;
    let namespaces = world.namespaces();
    let mut background = world.registry.background();
    for round in 0..20 {
        let name = format!("n{round}");
        namespaces.made(&name, json!({}), json!({})).await;
        let maps = world.maps().inside(&name);
        let creates = (0..10).map(|n| maps.create(maps.named(&format!("m{n}"))));
        let (created, deleted) =
            tokio::join!(futures::future::join_all(creates), namespaces.delete(&name));
        deleted.unwrap();
        assert!(
            created
                .iter()
                .all(|c| c.as_ref().err().is_none_or(|r| r.code == 403))
        );
        background.settle().await.unwrap();
        assert!(namespaces.is_gone(&name).await);
        assert!(
            maps.list(ListOptions::default())
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }
}

#[tokio::test]
async fn events_end_an_hour_after_their_last_write() {
    let world = world().await;
    let events = world.of("events");
    let background = world.registry.background();
    for name in ["old", "kept"] {
        events
            .made(
                name,
                json!({}),
                json!({"involvedObject": {"namespace": "default"}, "message": "m"}),
            )
            .await;
    }
    world.advance(TimeDelta::minutes(59));
    background.sweep().await.unwrap();
    assert_eq!(
        names(&events.list(ListOptions::default()).await.unwrap()),
        ["kept", "old"]
    );
    events.merge("kept", json!({"count": 2})).await.unwrap();
    world.advance(TimeDelta::minutes(1));
    background.sweep().await.unwrap();
    assert_eq!(
        names(&events.list(ListOptions::default()).await.unwrap()),
        ["kept"]
    );
}

#[tokio::test]
async fn the_sweep_gives_up_history_that_is_not_to_be_kept() {
    let keep = Keep {
        changes: 1,
        age: Duration::from_secs(3600),
    };
    let world = with(Options {
        keep,
        ..Options::default()
    })
    .await;
    let maps = world.maps();
    for n in 0..5 {
        maps.made(&format!("m{n}"), json!({}), json!({})).await;
    }
    world.registry.background().sweep().await.unwrap();
    let exact = ListOptions {
        resource_version: "3".to_owned(),
        resource_version_match: "Exact".to_owned(),
        ..ListOptions::default()
    };
    assert_eq!(said(maps.list(exact).await).0, 410);
}

#[tokio::test]
async fn it_goes_on_by_itself_until_it_is_told_to_end() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let token = tokio_util::sync::CancellationToken::new();
    let running = world.registry.start_background(token.clone());
    let owner = things.made("own", json!({}), json!({})).await;
    maps.made("of", owned(&[&owner]), json!({})).await;
    let mut news = world.registry.store().subscribe();
    things.delete("own").await.unwrap();
    while !maps.is_gone("of").await {
        news.changed().await.unwrap();
    }
    token.cancel();
    running.await.unwrap();
}

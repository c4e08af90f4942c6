use super::*;

#[tokio::test]
async fn what_has_no_finalizers_is_gone_at_once() {
    let world = world().await;
    let things = world.things();
    let made = things.made("d1", json!({}), json!({})).await;
    let dry = DeleteOptions {
        dry_run: true,
        ..DeleteOptions::default()
    };
    let answer = things.delete_with("d1", dry).await.unwrap();
    let details = json!({"name": "d1", "group": "test.dev", "kind": "things", "uid": made["metadata"]["uid"]});
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    assert_eq!(answer, success);
    assert_eq!(things.get("d1").await.unwrap(), made);
    assert_eq!(things.delete("d1").await.unwrap(), success);
    assert_eq!(
        said(things.delete("d1").await),
        (404, "things.test.dev \"d1\" not found".to_owned())
    );
}

#[tokio::test]
async fn what_has_finalizers_is_marked_and_goes_with_the_last_of_them() {
    let world = world().await;
    let things = world.things();
    let made = things
        .made("d2", json!({"finalizers": ["a.b/c", "a.b/d"]}), json!({}))
        .await;
    let marked = things.delete("d2").await.unwrap();
    assert_eq!(
        marked["metadata"]["deletionTimestamp"],
        "2026-03-01T10:00:00Z"
    );
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(marked["metadata"]["generation"], 2);
    assert!(revision(&marked) > revision(&made));
    world.advance(TimeDelta::seconds(9));
    assert_eq!(things.delete("d2").await.unwrap(), marked, "once is enough");
    let kept = things
        .merge("d2", json!({"metadata": {"deletionTimestamp": null}}))
        .await
        .unwrap()
        .object;
    assert_eq!(kept, marked, "there is no way back");
    let (code, text) = said(
        things
            .merge(
                "d2",
                json!({"metadata": {"finalizers": ["a.b/c", "x.y/z"]}}),
            )
            .await,
    );
    assert_eq!(
        (code, text.as_str()),
        (
            422,
            "Thing.test.dev \"d2\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.y/z\"}"
        )
    );
    let one = things
        .merge("d2", json!({"metadata": {"finalizers": ["a.b/d"]}}))
        .await
        .unwrap()
        .object;
    let status = things
        .clone()
        .status()
        .merge("d2", json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap()
        .object;
    assert_eq!(status, one, "not through the status");
    things
        .clone()
        .dry()
        .merge("d2", json!({"metadata": {"finalizers": null}}))
        .await
        .unwrap();
    assert_eq!(things.get("d2").await.unwrap(), one, "not by a dry run");
    let last = things
        .merge(
            "d2",
            json!({"metadata": {"finalizers": null}, "spec": {"color": "b"}}),
        )
        .await
        .unwrap()
        .object;
    assert_eq!(last["metadata"].get("finalizers"), None);
    assert_eq!(revision(&last), revision(&one));
    assert!(things.is_gone("d2").await);
}

#[tokio::test]
async fn preconditions_name_the_object_that_is_meant() {
    let world = world().await;
    let things = world.things();
    let made = things.made("d1", json!({}), json!({})).await;
    let (uid, newest) = (made["metadata"]["uid"].as_str().unwrap(), revision(&made));
    let with = |uid: Option<&str>, revision: Option<u64>| DeleteOptions {
        uid: uid.map(str::to_owned),
        resource_version: revision.map(|r| r.to_string()),
        ..DeleteOptions::default()
    };
    let refusal = things
        .delete_with("d1", with(Some("nope"), None))
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.code, refusal.details),
        (
            409,
            json!({"name": "d1", "group": "test.dev", "kind": "Thing"})
        )
    );
    assert_eq!(
        refusal.message,
        format!(
            "Operation cannot be fulfilled on Thing.test.dev \"d1\": the UID in the precondition (nope) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        )
    );
    let text = said(things.delete_with("d1", with(Some(uid), Some(1))).await).1;
    assert_eq!(
        text,
        format!(
            "Operation cannot be fulfilled on Thing.test.dev \"d1\": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({newest}). The object might have been modified"
        )
    );
    things
        .delete_with("d1", with(Some(uid), Some(newest)))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_propagation_stands_in_the_finalizers() {
    let world = world().await;
    let things = world.things();
    things
        .made("d3", json!({"finalizers": ["a.b/c"]}), json!({}))
        .await;
    let finalizers = async |policy| {
        things.delete_with("d3", propagation(policy)).await.unwrap()["metadata"]["finalizers"]
            .clone()
    };
    assert_eq!(
        finalizers(Propagation::Foreground).await,
        json!(["a.b/c", "foregroundDeletion"])
    );
    assert_eq!(
        finalizers(Propagation::Orphan).await,
        json!(["a.b/c", "orphan"])
    );
    assert_eq!(
        things.delete("d3").await.unwrap()["metadata"]["finalizers"],
        json!(["a.b/c", "orphan"]),
        "nothing said: as it is"
    );
    assert_eq!(finalizers(Propagation::Background).await, json!(["a.b/c"]));
    let maps = world.maps();
    maps.made("d6", json!({"finalizers": ["orphan"]}), json!({}))
        .await;
    assert_eq!(
        maps.delete_with("d6", propagation(Propagation::Background))
            .await
            .unwrap()["status"],
        "Success"
    );
    let refusal = Propagation::parse("Zork").unwrap_err();
    assert_eq!(
        refusal.message,
        "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Zork\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
    );
}

#[tokio::test]
async fn a_collection_is_deleted_as_it_is_listed() {
    let world = world().await;
    let maps = world.maps();
    maps.made("a", json!({"labels": {"x": "y"}}), json!({}))
        .await;
    maps.made(
        "b",
        json!({"labels": {"x": "y"}, "finalizers": ["a.b/c"]}),
        json!({}),
    )
    .await;
    maps.made("c", json!({"labels": {"x": "z"}}), json!({}))
        .await;
    let selected = ListOptions {
        labels: "x=y".to_owned(),
        ..ListOptions::default()
    };
    let dry = DeleteOptions {
        dry_run: true,
        ..DeleteOptions::default()
    };
    let collection = async |options: DeleteOptions| {
        world
            .registry
            .delete_collection(&maps.target, &selected, &options)
            .await
            .unwrap()
    };
    assert_eq!(names(&collection(dry).await), ["a", "b"]);
    assert_eq!(
        names(&collection(DeleteOptions::default()).await),
        ["a", "b"]
    );
    let left = maps.list(ListOptions::default()).await.unwrap();
    assert_eq!(names(&left), ["b", "c"]);
    assert!(left.items[0]["metadata"].get("deletionTimestamp").is_some());
    for target in [world.namespaces().target, maps.clone().everywhere().target] {
        let refused = world
            .registry
            .delete_collection(&target, &selected, &DeleteOptions::default())
            .await;
        assert_eq!(said(refused).0, 405);
    }
}

use super::*;

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

#[tokio::test]
async fn a_replace_that_is_not_based_on_the_newest_state_is_a_conflict() {
    let world = world().await;
    let things = world.things();
    let old = things.made("r1", json!({}), json!({})).await;
    things
        .merge("r1", json!({"spec": {"color": "a"}}))
        .await
        .unwrap();
    let refusal = things.replace("r1", old.clone()).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (409, "Conflict"));
    assert_eq!(
        refusal.message,
        format!("Operation cannot be fulfilled on things.test.dev \"r1\": {MODIFIED}")
    );
    assert_eq!(
        refusal.details,
        json!({"name": "r1", "group": "test.dev", "kind": "things"})
    );
    let patched = things
        .merge(
            "r1",
            json!({"metadata": {"resourceVersion": revision(&old).to_string()}}),
        )
        .await;
    assert_eq!(said(patched).0, 409, "also in a patch");
    let mut config = things.named("r1");
    config["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(
        said(things.apply("r1", config).await).0,
        409,
        "and in an apply"
    );
    let nonsense = things.object("r1", json!({"resourceVersion": "abc"}), json!({}));
    assert_eq!(
        said(things.replace("r1", nonsense).await),
        (
            500,
            "strconv.ParseUint: parsing \"abc\": invalid syntax".to_owned()
        )
    );
}

#[tokio::test]
async fn a_replace_without_a_revision_is_refused_for_custom_kinds_and_leases_alone() {
    let world = world().await;
    let (things, maps, leases) = (
        world.things(),
        world.maps(),
        world.of("leases.coordination.k8s.io"),
    );
    things.made("u1", json!({}), json!({})).await;
    for revision in [json!({}), json!({"resourceVersion": "0"})] {
        let refusal = things
            .replace("u1", things.object("u1", revision, json!({})))
            .await
            .unwrap_err();
        assert_eq!(refusal.code, 422);
        assert_eq!(
            refusal.message,
            "things.test.dev \"u1\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        );
        assert_eq!(refusal.details["kind"], "things");
    }
    assert_eq!(
        said(
            things
                .merge("u1", json!({"metadata": {"resourceVersion": null}}))
                .await
        )
        .0,
        422
    );
    leases.made("l1", json!({}), json!({})).await;
    assert_eq!(said(leases.replace("l1", leases.named("l1")).await).0, 422);
    maps.made("m1", json!({}), json!({"data": {"a": "b"}}))
        .await;
    let written = maps
        .replace(
            "m1",
            maps.object("m1", json!({}), json!({"data": {"a": "c"}})),
        )
        .await
        .unwrap();
    assert!(!written.created);
    assert_eq!(written.object["data"]["a"], "c");
}

#[tokio::test]
async fn a_replace_of_what_is_not_there_creates_leases_and_events_alone() {
    let world = world().await;
    let (things, maps, leases) = (
        world.things(),
        world.maps(),
        world.of("leases.coordination.k8s.io"),
    );
    assert_eq!(
        said(things.replace("nope", things.named("nope")).await),
        (404, "things.test.dev \"nope\" not found".to_owned())
    );
    assert_eq!(
        said(maps.replace("nope", maps.named("nope")).await),
        (404, "configmaps \"nope\" not found".to_owned())
    );
    let body = leases.object("l1", json!({"resourceVersion": "5"}), json!({}));
    let written = leases.replace("l1", body).await.unwrap();
    assert!(written.created);
    assert_eq!(written.object["spec"], json!({}));
    let (code, text) = said(
        leases
            .replace("l2", leases.object("l2", json!({"uid": "xx"}), json!({})))
            .await,
    );
    assert_eq!(code, 409);
    assert!(
        text.contains("Precondition failed: UID in precondition: xx, UID in object meta: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_change_that_changes_nothing_does_not_raise_the_revision() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let thing = things
        .made(
            "u1",
            json!({"labels": {"a": "b"}}),
            json!({"spec": {"color": "red"}}),
        )
        .await;
    world.advance(TimeDelta::seconds(5));
    let newest = world.registry.store().revision();
    let same = things.replace("u1", thing.clone()).await.unwrap();
    assert_eq!(same.object, thing);
    let bare = json!({"resourceVersion": revision(&thing).to_string(), "labels": {"a": "b"}, "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 99});
    let same = things
        .replace(
            "u1",
            things.object(
                "u1",
                bare,
                json!({"spec": {"color": "red"}, "status": {"phase": "z"}}),
            ),
        )
        .await
        .unwrap();
    assert_eq!(
        same.object, thing,
        "the time of creation, the generation and the status are not the client's"
    );
    maps.made("m1", json!({}), json!({"data": {"a": "b"}}))
        .await;
    maps.replace(
        "m1",
        maps.object("m1", json!({}), json!({"data": {"a": "b"}})),
    )
    .await
    .unwrap();
    maps.merge("m1", json!({"data": {"a": "b"}})).await.unwrap();
    assert_eq!(world.registry.store().revision(), newest + 1);
    let changed = things
        .merge("u1", json!({"metadata": {"managedFields": [{}]}}))
        .await
        .unwrap()
        .object;
    assert!(
        revision(&changed) > newest + 1,
        "who owns what counts as a change"
    );
}

#[tokio::test]
async fn the_generation_counts_changes_of_what_is_asked_for() {
    let world = world().await;
    let things = world.things();
    things
        .made("g", json!({}), json!({"spec": {"color": "red"}}))
        .await;
    let generation = async |patch: Value| {
        things.merge("g", patch).await.unwrap().object["metadata"]["generation"].clone()
    };
    assert_eq!(
        generation(json!({"metadata": {"labels": {"a": "b"}}})).await,
        1
    );
    assert_eq!(generation(json!({"spec": {"color": "blue"}})).await, 2);
    let status = things
        .clone()
        .status()
        .merge("g", json!({"status": {"phase": "p"}}))
        .await
        .unwrap();
    assert_eq!(status.object["metadata"]["generation"], 2);
    let plains = world.of("plains.test.dev");
    plains.made("g", json!({}), json!({})).await;
    let changed = plains
        .merge("g", json!({"status": {"phase": "y"}}))
        .await
        .unwrap();
    assert_eq!(
        changed.object["metadata"]["generation"], 2,
        "without the subresource status is asked for too"
    );
    let made = world.maps().made("g", json!({}), json!({})).await;
    assert_eq!(made["metadata"].get("generation"), None);
}

#[tokio::test]
async fn metadata_that_never_changes_is_refused_or_kept() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let made = things.made("u1", json!({}), json!({})).await;
    let refusal = things
        .merge("u1", json!({"metadata": {"uid": "u2"}}))
        .await
        .unwrap_err();
    assert_eq!(
        refusal.message,
        "Thing.test.dev \"u1\" is invalid: metadata.uid: Invalid value: \"u2\": field is immutable"
    );
    assert_eq!(refusal.causes.len(), 2, "the real server looks twice");
    let kept = things
        .merge(
            "u1",
            json!({"metadata": {"uid": null, "creationTimestamp": null}}),
        )
        .await
        .unwrap();
    assert_eq!(kept.object, made);
    let (code, text) = said(
        things
            .merge(
                "u1",
                json!({"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}),
            )
            .await,
    );
    assert_eq!(code, 422);
    assert!(text.contains("metadata.deletionTimestamp: Invalid value: \"2001-01-01T00:00:00Z\": field is immutable"), "{text}");
    let revision = json!({"resourceVersion": revision(&made).to_string(), "uid": "other"});
    let text = said(
        things
            .replace("u1", things.object("u1", revision, json!({})))
            .await,
    )
    .1;
    assert!(text.starts_with("Operation cannot be fulfilled on things.test.dev \"u1\": StorageError: invalid object, Code: 4, Key: /registry/test.dev/things/default/u1, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: "), "{text}");
    maps.made("m", json!({}), json!({})).await;
    let (code, text) = said(
        maps.merge("m", json!({"metadata": {"labels": {"-x": "c"}}}))
            .await,
    );
    assert_eq!(code, 422);
    assert!(
        text.starts_with(
            "ConfigMap \"m\" is invalid: metadata.labels: Invalid value: \"-x\": name part must"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn name_and_namespace_in_the_body_must_be_those_of_the_request() {
    let world = world().await;
    let things = world.things();
    things.made("u1", json!({}), json!({})).await;
    let other = "the name of the object (u2) does not match the name on the URL (u1)".to_owned();
    assert_eq!(
        said(things.replace("u1", things.named("u2")).await),
        (400, other.clone())
    );
    assert_eq!(
        said(
            things
                .merge("u1", json!({"metadata": {"name": "u2"}}))
                .await
        ),
        (400, other.clone())
    );
    assert_eq!(
        said(things.apply("u1", things.named("u2")).await),
        (400, other)
    );
    let missing =
        "the name of the object (u1 based on URL) was undeterminable: name must be provided"
            .to_owned();
    assert_eq!(
        said(things.merge("u1", json!({"metadata": null})).await),
        (400, missing)
    );
    let namespace =
        "the namespace of the provided object does not match the namespace sent on the request"
            .to_owned();
    assert_eq!(
        said(
            things
                .merge("u1", json!({"metadata": {"namespace": "kube-system"}}))
                .await
        ),
        (400, namespace)
    );
    let kind = said(things.merge("u1", json!({"kind": "Zork"})).await).1;
    assert_eq!(
        kind,
        "Zork.test.dev \"u1\" is invalid: kind: Invalid value: \"Zork\": must be Thing"
    );
}

#[tokio::test]
async fn a_dry_run_of_a_change_stores_nothing() {
    let world = world().await;
    let things = world.things();
    let made = things.made("u1", json!({}), json!({})).await;
    let dry = things.clone().dry();
    let written = dry
        .merge("u1", json!({"spec": {"color": "x"}}))
        .await
        .unwrap();
    assert_eq!(written.object["spec"]["color"], "x");
    let mut body = made.clone();
    body["spec"] = json!({"color": "y"});
    assert_eq!(
        dry.replace("u1", body).await.unwrap().object["metadata"]["generation"],
        2
    );
    assert_eq!(things.get("u1").await.unwrap(), made);
}

#[tokio::test]
async fn replaces_of_many_at_once_without_a_revision_all_succeed() {
    let world = world().await;
    let maps = world.maps();
    maps.made("m", json!({}), json!({})).await;
    let bodies =
        (0..40).map(|n| maps.object("m", json!({}), json!({"data": {"n": n.to_string()}})));
    let replaces = bodies.map(|body| maps.replace("m", body));
    for replaced in futures::future::join_all(replaces).await {
        replaced.unwrap();
    }
}

#[tokio::test]
async fn an_empty_list_of_managers_forgets_them_in_built_in_kinds_alone() {
    let world = world().await;
    let (maps, things) = (world.maps(), world.things());
    let managers = |object: &Value| object["metadata"]["managedFields"].clone();
    for (none, api, part) in [
        (json!([]), &maps, "data"),
        (json!([{}]), &maps, "data"),
        (json!([]), &things, "spec"),
        (json!([{}]), &things, "spec"),
    ] {
        let name = if none == json!([]) { "a" } else { "b" };
        let field = if part == "data" {
            json!({"k": "v"})
        } else {
            json!({"color": "red"})
        };
        let live = api.made(name, json!({}), json!({part: field})).await;
        assert_ne!(managers(&live), json!(null));
        let version = &live["metadata"]["resourceVersion"];
        let metadata = json!({"managedFields": none, "resourceVersion": version});
        let body = api.object(name, metadata, json!({part: field}));
        let written = api.replace(name, body).await.unwrap().object;
        let kept = none == json!([]) && part == "spec";
        assert_eq!(!managers(&written).is_null(), kept, "{none} {part}");
    }
}

use super::*;
use crate::embedded::registry::request::Validation;

#[tokio::test]
async fn a_patch_that_makes_unknown_fields_is_refused_or_warned_of() {
    let world = world().await;
    let mut things = world.things();
    let made = things.made("u1", json!({}), json!({"spec": {}})).await;
    let written = things
        .merge("u1", json!({"spec": {"zork": 1}}))
        .await
        .unwrap();
    assert_eq!(
        (written.warnings, written.object),
        (vec!["unknown field \"spec.zork\"".to_owned()], made)
    );
    things.options.validation = Validation::Strict;
    let json_patch = json!([{"op": "add", "path": "/spec", "value": {"zork": 1}}]);
    for patch in [
        PatchBody::Merge(json!({"spec": {"zork": 1}})),
        PatchBody::Json(json_patch),
    ] {
        let (code, text) = said(things.patch("u1", patch).await);
        assert_eq!(code, 422);
        assert!(
            text.starts_with(" \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":"),
            "{text}"
        );
        assert!(
            text.ends_with("strict decoding error: unknown field \"spec.zork\""),
            "{text}"
        );
    }
    things.options.validation = Validation::Ignore;
    let config = things.object("u1", json!({}), json!({"spec": {"zork": 1}}));
    let (code, text) = said(things.apply("u1", config).await);
    assert_eq!(
        (code, text.as_str()),
        (
            500,
            "failed to create typed patch object (/u1; test.dev/v1, Kind=Thing): .spec.zork: field not declared in schema"
        )
    );
}

#[tokio::test]
async fn the_text_of_a_secret_is_not_in_a_refusal() {
    let world = world().await;
    let mut secrets = world.of("secrets");
    secrets
        .made("s", json!({}), json!({"stringData": {"a": "geheim"}}))
        .await;
    secrets.options.validation = Validation::Strict;
    let text = said(
        secrets
            .merge("s", json!({"zork": 1, "stringData": {"b": "geheim"}}))
            .await,
    )
    .1;
    assert!(
        text.contains("unknown field") && !text.contains("geheim") && !text.contains("Z2VoZWlt"),
        "{text}"
    );
}

#[tokio::test]
async fn an_apply_creates_what_is_not_there_and_then_changes_it() {
    let world = world().await;
    let things = world.things();
    let config = things.object(
        "n",
        json!({}),
        json!({"spec": {"color": "c"}, "status": {"phase": "z"}}),
    );
    let dry = things
        .clone()
        .dry()
        .apply("n", config.clone())
        .await
        .unwrap();
    assert!(dry.created && things.is_gone("n").await);
    let written = things.apply("n", config.clone()).await.unwrap();
    assert!(written.created);
    assert_eq!(written.object.get("status"), None);
    assert_eq!(
        written.object["metadata"]["managedFields"][0]["operation"],
        "Apply"
    );
    let again = things.apply("n", config).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.object, written.object);
    let headless = json!({"apiVersion": "test.dev/v1", "kind": "Thing", "spec": {"color": "d"}});
    let changed = things.apply("n", headless.clone()).await.unwrap();
    assert_eq!(
        (
            changed.object["spec"]["color"].clone(),
            changed.object["metadata"]["name"].clone()
        ),
        (json!("d"), json!("n")),
        "metadata may be left out"
    );
    let missing =
        "the name of the object (o based on URL) was undeterminable: name must be provided"
            .to_owned();
    assert_eq!(said(things.apply("o", headless).await), (400, missing));
    let uid = things.object("o", json!({"uid": "x"}), json!({}));
    assert_eq!(
        said(things.apply("o", uid).await).1,
        "Operation cannot be fulfilled on things.test.dev \"o\": uid mismatch: the provided object specified uid x, and no existing object was found"
    );
    assert_eq!(
        said(things.clone().status().apply("o", things.named("o")).await).0,
        404
    );
}

#[tokio::test]
async fn options_that_belong_to_another_patch_are_refused() {
    let world = world().await;
    let mut things = world.things();
    things.made("u1", json!({}), json!({})).await;
    assert_eq!(
        said(things.patch("u1", PatchBody::Strategic(json!({}))).await).0,
        415
    );
    assert_eq!(
        said(things.merge("nope", json!({})).await),
        (404, "things.test.dev \"nope\" not found".to_owned())
    );
    things.options.force = true;
    assert_eq!(said(things.merge("u1", json!({})).await), (422, "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch".to_owned()));
    things.options.manager = String::new();
    assert_eq!(said(things.apply("u1", things.named("u1")).await), (422, "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch".to_owned()));
}

#[tokio::test]
async fn patches_of_many_at_once_are_all_kept() {
    let world = world().await;
    let maps = world.maps();
    maps.made("m", json!({}), json!({})).await;
    let patches = (0..40).map(|n| maps.merge("m", json!({"data": {format!("k{n}"): "x"}})));
    for patched in futures::future::join_all(patches).await {
        patched.unwrap();
    }
    assert_eq!(
        maps.get("m").await.unwrap()["data"]
            .as_object()
            .unwrap()
            .len(),
        40
    );
}

#[tokio::test]
async fn a_patch_that_leaves_no_object_is_refused() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let thing = things.made("u1", json!({}), json!({})).await;
    let map = maps.made("u1", json!({}), json!({})).await;
    for root in [
        json!(null),
        json!([]),
        json!("x"),
        json!(1),
        json!({}),
        json!({"metadata": "x"}),
        json!({"metadata": {"labels": 1}}),
    ] {
        let patch = PatchBody::Json(json!([{"op": "replace", "path": "", "value": root}]));
        for api in [&things, &maps] {
            let (code, text) = said(api.patch("u1", patch.clone()).await);
            assert!([400, 422].contains(&code), "{root}: {code} {text}");
        }
    }
    assert_eq!(
        (
            things.get("u1").await.unwrap(),
            maps.get("u1").await.unwrap()
        ),
        (thing, map)
    );
}

#[tokio::test]
async fn a_strategic_patch_is_not_read_as_json() {
    let world = world().await;
    let maps = world.maps();
    maps.made("a", json!({}), json!({"data": {"k": "v"}})).await;
    let patch = json!({"data": {"k": {"x": 1}}});
    assert_eq!(
        said(maps.patch("a", PatchBody::Strategic(patch)).await),
        (
            422,
            " \"\" is invalid: patch: Invalid value: \"map[data:map[k:map[x:1]]]\": unrecognized type: string".to_owned()
        )
    );
}

use super::*;

#[tokio::test]
async fn the_main_resource_keeps_the_status_and_the_status_keeps_the_rest() {
    let world = world().await;
    let things = world.things();
    let made = things
        .made("u1", json!({}), json!({"spec": {"color": "red"}}))
        .await;
    let foreign = json!({"resourceVersion": revision(&made).to_string(), "labels": {"q": "r"}, "annotations": {"x": "y"},
        "finalizers": ["a.b/c"], "generateName": "z"});
    let body = things.object(
        "u1",
        foreign,
        json!({"spec": {"color": "green"}, "status": {"phase": "p1"}}),
    );
    let status = things.clone().status();
    let written = status.replace("u1", body).await.unwrap().object;
    assert_eq!(written["status"], json!({"phase": "p1"}));
    assert_eq!(written["spec"], json!({"color": "red", "size": 3}));
    for field in ["labels", "annotations", "finalizers", "generateName"] {
        assert_eq!(written["metadata"].get(field), None, "{field}");
    }
    let newest = world.registry.store().revision();
    let kept = things
        .merge("u1", json!({"status": {"phase": "p3"}}))
        .await
        .unwrap()
        .object;
    assert_eq!(kept, written);
    assert_eq!(
        world.registry.store().revision(),
        newest,
        "a status sent to the main resource changes nothing"
    );
    let removed = status
        .merge(
            "u1",
            json!({"status": null, "metadata": {"labels": {"a": "b"}}}),
        )
        .await
        .unwrap()
        .object;
    assert_eq!(
        (removed.get("status"), removed["metadata"].get("labels")),
        (None, None)
    );
    assert_eq!(status.get("u1").await.unwrap(), removed);
}

#[tokio::test]
async fn a_kind_without_the_subresource_has_no_status_path() {
    let world = world().await;
    let plains = world.of("plains.test.dev");
    plains.made("u1", json!({}), json!({})).await;
    let status = plains.status();
    assert_eq!(
        said(status.merge("u1", json!({})).await),
        (404, "plains.test.dev \"u1\" not found".to_owned())
    );
    assert_eq!(said(status.get("u1").await).0, 404);
}

#[tokio::test]
async fn a_status_wants_the_newest_revision_too_and_is_never_deleted_alone() {
    let world = world().await;
    let things = world.things();
    things.made("u1", json!({}), json!({})).await;
    let status = things.clone().status();
    assert_eq!(said(status.replace("u1", things.named("u1")).await).0, 422);
    assert_eq!(
        said(status.delete("u1").await),
        (
            405,
            "delete is not supported on resources of kind \"things.test.dev\"".to_owned()
        )
    );
    assert_eq!(said(status.merge("nope", json!({})).await).0, 404);
}

#[tokio::test]
async fn an_apply_of_the_status_owns_the_status_alone() {
    let world = world().await;
    let things = world.things();
    things
        .made("u1", json!({}), json!({"spec": {"color": "red"}}))
        .await;
    let config = things.object(
        "u1",
        json!({"labels": {"a": "b"}}),
        json!({"spec": {"color": "d"}, "status": {"phase": "z"}}),
    );
    let written = things
        .clone()
        .status()
        .apply("u1", config)
        .await
        .unwrap()
        .object;
    assert_eq!(written["spec"]["color"], "red");
    assert_eq!(written["status"]["phase"], "z");
    assert_eq!(written["metadata"].get("labels"), None);
    let entries = written["metadata"]["managedFields"].as_array().unwrap();
    let mine = entries.iter().find(|e| e["operation"] == "Apply").unwrap();
    assert_eq!(
        (&mine["subresource"], &mine["fieldsV1"]),
        (&json!("status"), &json!({"f:status": {"f:phase": {}}}))
    );
}

use super::*;

#[tokio::test]
async fn what_was_odd_about_a_body_is_told_also_when_it_is_refused() {
    let world = world().await;
    let mut maps = world.maps();
    maps.options.noticed = vec![
        "duplicate field \"data.a\"".to_owned(),
        "duplicate field \"odd\"".to_owned(),
    ];
    maps.made("a", json!({}), json!({})).await;
    // Of a kind that is built in, an unknown field is not told as a duplicate too.
    let told = ["duplicate field \"data.a\"", "unknown field \"odd\""];
    let odd = |name: &str| maps.object(name, json!({}), json!({"odd": 1}));
    let exists = maps.create(odd("a")).await.unwrap_err();
    assert_eq!(
        (exists.code, exists.warnings.to_vec()),
        (409, told.map(str::to_owned).to_vec())
    );
    let invalid = maps.create(odd("A")).await.unwrap_err();
    assert_eq!(
        (invalid.code, invalid.warnings.to_vec()),
        (422, told.map(str::to_owned).to_vec())
    );
    let gone = maps.replace("b", odd("b")).await.unwrap_err();
    assert_eq!(
        (gone.code, gone.warnings.to_vec()),
        (404, told.map(str::to_owned).to_vec())
    );
    let patch = json!({"odd": 1, "data": {"a b": "x"}});
    let patched = maps.merge("a", patch).await.unwrap_err();
    assert_eq!(
        (patched.code, patched.warnings.to_vec()),
        (422, told.map(str::to_owned).to_vec())
    );
    let unreadable = maps.object("c", json!({}), json!({"odd": 1, "data": 5}));
    let unreadable = maps.create(unreadable).await.unwrap_err();
    assert_eq!(
        (unreadable.code, unreadable.warnings.len()),
        (400, 0),
        "it was not read"
    );
}

#[tokio::test]
async fn of_another_version_everything_but_the_metadata_is_unknown() {
    let world = world().await;
    let mut things = world.things();
    let mut other = things.object("a", json!({"odd": 1}), json!({"spec": {}}));
    other["apiVersion"] = json!("test.dev/v7");
    let refused = things.create(other.clone()).await.unwrap_err();
    assert_eq!(
        refused.message,
        "the API version in the data (test.dev/v7) does not match the expected API version (test.dev/v1)"
    );
    assert_eq!(
        refused.warnings.to_vec(),
        ["unknown field \"metadata.odd\"", "unknown field \"spec\""]
    );
    things.options.validation = crate::embedded::registry::request::Validation::Strict;
    assert_eq!(
        said(things.create(other).await),
        (
            400,
            "Thing in version \"v7\" cannot be handled as a Thing: strict decoding error: unknown field \"metadata.odd\", unknown \
             field \"spec\""
                .to_owned()
        )
    );
}

#[tokio::test]
async fn null_in_a_map_of_texts_is_the_empty_text() {
    let world = world().await;
    let metadata = json!({"labels": {"a": null}, "annotations": {"b": null}});
    let data = json!({"data": {"k": null, "l": "w"}, "binaryData": {"m": null}});
    let made = world.maps().made("a", metadata.clone(), data).await;
    assert_eq!(made["data"], json!({"k": "", "l": "w"}));
    assert_eq!(made["binaryData"], json!({"m": ""}));
    let thing = world.things().made("a", metadata, json!({})).await;
    for object in [made, thing] {
        let metadata = &object["metadata"];
        assert_eq!(
            (&metadata["labels"], &metadata["annotations"]),
            (&json!({"a": ""}), &json!({"b": ""}))
        );
    }
}

#[tokio::test]
async fn times_of_a_built_in_kind_are_stored_as_go_writes_them() {
    let world = world().await;
    let leases = world.of("leases.coordination.k8s.io");
    let spec = json!({"spec": {"renewTime": "2026-01-01T02:00:00.123456+02:00"}});
    let made = leases.made("l", json!({}), spec).await;
    assert_eq!(made["spec"]["renewTime"], "2026-01-01T00:00:00.123456Z");
    let short = leases.object(
        "m",
        json!({}),
        json!({"spec": {"renewTime": "2026-01-01T00:00:00Z"}}),
    );
    assert_eq!(
        said(leases.create(short).await),
        (
            400,
            "Lease in version \"v1\" cannot be handled as a Lease: parsing time \"2026-01-01T00:00:00Z\" as \
             \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\""
                .to_owned()
        )
    );
}

use super::*;
use crate::embedded::registry::request::Validation;

#[tokio::test]
async fn something_new_gets_uid_time_generation_and_defaults_and_loses_what_only_the_server_sets() {
    let world = world().await;
    let things = world.things();
    let metadata = json!({"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "selfLink": "x",
        "deletionTimestamp": "2001-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5, "labels": {}});
    let made = things
        .made(
            "a",
            metadata,
            json!({"spec": {"color": "red"}, "status": {"phase": "x"}}),
        )
        .await;
    assert_eq!(
        made["metadata"]["creationTimestamp"],
        "2026-03-01T10:00:00Z"
    );
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["metadata"]["namespace"], "default");
    assert_eq!(made["spec"], json!({"color": "red", "size": 3}));
    assert_eq!(
        made.get("status"),
        None,
        "a status subresource takes the status out of a create"
    );
    let uid = made["metadata"]["uid"].as_str().unwrap();
    assert!(uid.len() == 36 && uid.as_bytes()[14] == b'4', "{uid}");
    for field in [
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
    ] {
        assert_eq!(made["metadata"].get(field), None, "{field}");
    }
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "test");
    assert_eq!(things.get("a").await.unwrap(), made);
    let plain = world
        .of("plains.test.dev")
        .made("a", json!({}), json!({"status": {"phase": "x"}}))
        .await;
    assert_eq!(
        plain["status"]["phase"], "x",
        "without the subresource status is a field like any other"
    );
}

#[tokio::test]
async fn a_generated_name_has_five_characters_of_the_alphabet_and_a_taken_one_is_tried_again() {
    let world = world().await;
    let things = world.things();
    let body =
        json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"generateName": "gen-"}});
    let made = things.create(body.clone()).await.unwrap().object;
    let name = made["metadata"]["name"].as_str().unwrap();
    let suffix = name.strip_prefix("gen-").unwrap();
    assert!(
        suffix.len() == 5
            && suffix
                .chars()
                .all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)),
        "{name}"
    );
    let mut long = body.clone();
    long["metadata"]["generateName"] = "x".repeat(100).into();
    let made = things.create(long).await.unwrap().object;
    assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 63);

    // Three names in turn, the first of which is there already.
    fn next(_: &str) -> String {
        static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let names = ["taken", "taken", "free"];
        names[CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3].to_owned()
    }
    let registry = world.registry.clone().naming(next);
    let api = Api {
        registry: &registry,
        ..things.clone()
    };
    assert_eq!(
        api.create(body.clone()).await.unwrap().object["metadata"]["name"],
        "taken"
    );
    assert_eq!(
        api.create(body.clone()).await.unwrap().object["metadata"]["name"],
        "free"
    );
    fn always(_: &str) -> String {
        "taken".to_owned()
    }
    let registry = world.registry.clone().naming(always);
    let api = Api {
        registry: &registry,
        ..things.clone()
    };
    let refusal = api.create(body).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.reason),
        (409, "AlreadyExists"),
        "not for ever"
    );
}

#[tokio::test]
async fn a_name_must_be_there_be_allowed_and_be_free() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let nameless = json!({"apiVersion": "test.dev/v1", "kind": "Thing"});
    let refusal = things.create(nameless).await.unwrap_err();
    assert_eq!(
        refusal.message,
        "Thing.test.dev \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
    assert_eq!(
        refusal.details,
        json!({"group": "test.dev", "kind": "Thing"})
    );
    let (code, text) = said(maps.create(maps.named("Bad_Name")).await);
    assert_eq!(code, 422);
    assert!(text.starts_with("ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123"), "{text}");
    assert_eq!(
        said(
            world
                .namespaces()
                .create(world.namespaces().named("n1.x"))
                .await
        )
        .1,
        "Namespace \"n1.x\" is invalid: metadata.name: Invalid value: \"n1.x\": must not contain dots"
    );
    things.create(things.named("a")).await.unwrap();
    let refusal = things.create(things.named("a")).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (409, "AlreadyExists"));
    assert_eq!(refusal.message, "things.test.dev \"a\" already exists");
    assert_eq!(
        refusal.details,
        json!({"name": "a", "group": "test.dev", "kind": "things"})
    );
}

#[tokio::test]
async fn the_body_must_be_of_the_kind_and_in_the_namespace_of_the_request() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let other = things.object("c", json!({"namespace": "other"}), json!({}));
    let why =
        "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!(said(things.create(other).await), (400, why.to_owned()));
    let text = said(things.create(maps.named("c")).await);
    assert_eq!(text, (400, "the API version in the data (v1) does not match the expected API version (test.dev/v1)".to_owned()));
    let (code, text) = said(things.create(json!({"metadata": {"name": "c"}})).await);
    assert_eq!(code, 400);
    assert!(text.starts_with("the object provided is unrecognized (must be of type Thing): Object 'Kind' is missing in '{"), "{text}");
    let zork = json!({"apiVersion": "test.dev/v1", "kind": "Zork", "metadata": {"name": "z1"}});
    let refusal = things.create(zork).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (
            422,
            "Zork.test.dev \"z1\" is invalid: kind: Invalid value: \"Zork\": must be Thing"
        )
    );
    assert_eq!(refusal.details["kind"], "Zork");
    let made = maps
        .create(json!({"metadata": {"name": "c"}}))
        .await
        .unwrap()
        .object;
    assert_eq!(
        (&made["apiVersion"], &made["kind"]),
        (&json!("v1"), &json!("ConfigMap")),
        "built-in kinds need not be named"
    );
    let text = said(maps.create(things.named("d")).await).1;
    assert_eq!(
        text,
        "Thing in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Thing) to (core.ConfigMap): unknown conversion"
    );
    let text = said(
        maps.create(json!({"kind": "ConfigMap", "apiVersion": "v2", "metadata": {"name": "d"}}))
            .await,
    )
    .1;
    assert_eq!(
        text,
        "ConfigMap in version \"v2\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for version \"v2\" in scheme \"pkg/runtime/scheme.go:111\""
    );
    assert_eq!(said(things.create(json!([])).await).0, 400);
}

#[tokio::test]
async fn a_revision_in_something_new_is_refused() {
    let world = world().await;
    let body = world
        .things()
        .object("c", json!({"resourceVersion": "12"}), json!({}));
    let refusal = world.things().create(body).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (
            500,
            "resourceVersion should not be set on objects to be created"
        )
    );
    assert_eq!(refusal.status().get("reason"), None);
}

#[tokio::test]
async fn a_dry_run_answers_as_a_create_and_stores_nothing() {
    let world = world().await;
    let things = world.things();
    let before = world.registry.store().revision();
    let written = things
        .clone()
        .dry()
        .create(things.named("b"))
        .await
        .unwrap();
    assert!(written.created && written.object["metadata"].get("uid").is_some());
    assert_eq!(written.object["metadata"].get("resourceVersion"), None);
    assert!(things.is_gone("b").await);
    assert_eq!(world.registry.store().revision(), before);
    things.create(things.named("b")).await.unwrap();
    assert_eq!(
        said(things.clone().dry().create(things.named("b")).await).0,
        409
    );
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_dropped_as_the_client_asks() {
    let world = world().await;
    let mut things = world.things();
    let body = |name: &str| things_body(name);
    let written = things.create(body("warn")).await.unwrap();
    assert_eq!(
        written.warnings,
        [
            "unknown field \"metadata.bogus\"",
            "unknown field \"spec.bogus\"",
            "unknown field \"zork\""
        ]
    );
    assert_eq!(written.object["spec"], json!({"color": "red", "size": 3}));
    assert_eq!(written.object.get("zork"), None);
    things.options.validation = Validation::Ignore;
    assert_eq!(
        things.create(body("ignore")).await.unwrap().warnings,
        Vec::<String>::new()
    );
    things.options.validation = Validation::Strict;
    let refusal = things.create(body("strict")).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason), (400, "BadRequest"));
    assert_eq!(
        refusal.message,
        "Thing in version \"v1\" cannot be handled as a Thing: strict decoding error: unknown field \"metadata.bogus\", unknown field \"spec.bogus\", unknown field \"zork\""
    );
    assert!(things.is_gone("strict").await);
    let mut maps = world.maps();
    maps.options.validation = Validation::Strict;
    assert_eq!(
        said(
            maps.create(maps.object("m", json!({}), json!({"bogus": 1})))
                .await
        )
        .0,
        400
    );
}

fn things_body(name: &str) -> Value {
    json!({"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"name": name, "bogus": 1},
        "spec": {"color": "red", "bogus": 1}, "zork": {"a": 1}})
}

#[tokio::test]
async fn values_of_a_wrong_type_are_invalid_in_custom_kinds_and_unreadable_elsewhere() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let (code, text) = said(
        things
            .create(things.object("z", json!({}), json!({"spec": {"color": 1}})))
            .await,
    );
    assert_eq!(code, 422);
    assert_eq!(
        text,
        "Thing.test.dev \"z\" is invalid: spec.color: Invalid value: \"integer\": spec.color in body must be of type string: \"integer\""
    );
    let (code, text) = said(
        things
            .create(things.object("z", json!({"labels": {"a": 1}}), json!({})))
            .await,
    );
    assert_eq!(code, 400);
    assert_eq!(
        text,
        "Thing in version \"v1\" cannot be handled as a Thing: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    );
    let (code, text) = said(
        maps.create(maps.object("z", json!({}), json!({"data": {"k": 1}})))
            .await,
    );
    assert_eq!(code, 400);
    assert_eq!(
        text,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
    );
}

#[tokio::test]
async fn finalizers_without_a_domain_are_warned_of_in_custom_kinds_and_refused_elsewhere() {
    let world = world().await;
    let (things, maps) = (world.things(), world.maps());
    let written = things
        .create(things.object("fin", json!({"finalizers": ["nodomain"]}), json!({})))
        .await
        .unwrap();
    assert_eq!(
        written.warnings,
        [
            "metadata.finalizers: \"nodomain\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
        ]
    );
    let text = said(
        maps.create(maps.object("fin", json!({"finalizers": ["nodomain"]}), json!({})))
            .await,
    )
    .1;
    assert_eq!(
        text,
        "ConfigMap \"fin\" is invalid: metadata.finalizers[0]: Invalid value: \"nodomain\": name is neither a standard finalizer name nor is it fully qualified"
    );
}

#[tokio::test]
async fn a_namespace_must_be_there_and_stay() {
    let world = world().await;
    let things = world.things().inside("nope");
    let refusal = things.create(things.named("c")).await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (404, "namespaces \"nope\" not found")
    );
    assert_eq!(
        refusal.details,
        json!({"name": "nope", "kind": "namespaces"})
    );
    assert!(
        things
            .list(ListOptions::default())
            .await
            .unwrap()
            .items
            .is_empty(),
        "reading it finds nothing"
    );
    assert_eq!(
        said(world.things().everywhere().create(things.named("c")).await).0,
        405
    );
}

#[tokio::test]
async fn definitions_are_seeded_and_then_only_read() {
    let world = world().await;
    let definitions = world.of("customresourcedefinitions.apiextensions.k8s.io");
    let body = json!({"metadata": {"name": "things.test.dev"}, "spec": {"group": "test.dev", "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things"}, "versions": [{"name": "v1", "served": true, "storage": true}]}});
    let kind = definitions.target.kind;
    let first = world.registry.seed(kind, None, body.clone()).await.unwrap();
    let again = world.registry.seed(kind, None, body.clone()).await;
    assert_eq!(
        definitions.get("things.test.dev").await.unwrap()["spec"]["group"],
        "test.dev"
    );
    assert_eq!(
        again.unwrap().object,
        first.object,
        "seeding the same again changes nothing"
    );
    let why = (
        405,
        "the server does not allow this method on the requested resource".to_owned(),
    );
    assert_eq!(said(definitions.create(body.clone()).await), why);
    assert_eq!(
        said(definitions.replace("things.test.dev", body).await),
        why
    );
    assert_eq!(
        said(definitions.merge("things.test.dev", json!({})).await),
        why
    );
    assert_eq!(said(definitions.delete("things.test.dev").await), why);
}

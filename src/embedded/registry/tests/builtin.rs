use super::*;

const IMMUTABLE: &str = "field is immutable when `immutable` is set";

#[tokio::test]
async fn the_texts_of_a_secret_become_data_and_its_type_stays() {
    let world = world().await;
    let secrets = world.of("secrets");
    let made = secrets
        .made(
            "s1",
            json!({}),
            json!({"stringData": {"a": "x"}, "data": {"a": "b2xk", "c": "eg=="}}),
        )
        .await;
    assert_eq!(
        (&made["data"], made.get("stringData")),
        (&json!({"a": "eA==", "c": "eg=="}), None)
    );
    assert_eq!(made["type"], "Opaque");
    let patched = secrets
        .merge("s1", json!({"stringData": {"a": "new"}}))
        .await
        .unwrap()
        .object;
    assert_eq!(patched["data"]["a"], "bmV3");
    let (code, text) = said(secrets.merge("s1", json!({"type": "x.y/z"})).await);
    assert_eq!(
        (code, text.as_str()),
        (
            422,
            "Secret \"s1\" is invalid: type: Invalid value: \"x.y/z\": field is immutable"
        )
    );
    assert_eq!(
        secrets
            .merge("s1", json!({"type": null}))
            .await
            .unwrap()
            .object,
        patched
    );
    let (code, text) = said(
        secrets
            .create(secrets.object("s2", json!({}), json!({"data": {"a": "not base64!"}})))
            .await,
    );
    assert_eq!(
        (code, text.as_str()),
        (
            400,
            "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 3"
        )
    );
}

#[tokio::test]
async fn what_is_immutable_keeps_its_data() {
    let world = world().await;
    for (resource, kind) in [("configmaps", "ConfigMap"), ("secrets", "Secret")] {
        let api = world.of(resource);
        api.made(
            "m1",
            json!({}),
            json!({"data": {"a": "eA=="}, "immutable": true}),
        )
        .await;
        let refused = async |patch: Value| said(api.merge("m1", patch).await).1;
        assert_eq!(
            refused(json!({"data": {"a": "eQ=="}})).await,
            format!("{kind} \"m1\" is invalid: data: Forbidden: {IMMUTABLE}")
        );
        assert_eq!(
            refused(json!({"immutable": null})).await,
            format!("{kind} \"m1\" is invalid: immutable: Forbidden: {IMMUTABLE}")
        );
        api.merge("m1", json!({"metadata": {"labels": {"a": "y"}}}))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn keys_and_sizes_of_data_are_checked() {
    let world = world().await;
    let maps = world.maps();
    let text = async |rest: Value| said(maps.create(maps.object("m2", json!({}), rest)).await).1;
    let twice = text(json!({"data": {"a": "x"}, "binaryData": {"a": "eQ=="}})).await;
    assert_eq!(
        twice,
        "ConfigMap \"m2\" is invalid: data[a]: Invalid value: \"a\": duplicate of key present in binaryData"
    );
    let large = text(json!({"data": {"a": "x".repeat(1024 * 1024 + 1)}})).await;
    assert_eq!(
        large,
        "ConfigMap \"m2\" is invalid: []: Too long: may not be more than 1048576 bytes"
    );
    assert!(
        text(json!({"data": {"..a": "x"}}))
            .await
            .ends_with("data[..a]: Invalid value: \"..a\": must not start with '..'")
    );
    let made = maps
        .made("m3", json!({}), json!({"data": {}, "binaryData": {}}))
        .await;
    assert_eq!((made.get("data"), made.get("binaryData")), (None, None));
}

#[tokio::test]
async fn a_lease_has_a_duration_and_exact_times() {
    let world = world().await;
    let leases = world.of("leases.coordination.k8s.io");
    let create = async |name: &str, spec: Value| {
        leases
            .create(leases.object(name, json!({}), json!({"spec": spec})))
            .await
    };
    let (code, text) = said(
        create(
            "l",
            json!({"leaseDurationSeconds": 0, "leaseTransitions": -1}),
        )
        .await,
    );
    assert_eq!(
        (code, text.as_str()),
        (
            422,
            "Lease.coordination.k8s.io \"l\" is invalid: [spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0, spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0]"
        )
    );
    let (code, text) = said(create("l", json!({"renewTime": "nope"})).await);
    assert_eq!(
        (code, text.as_str()),
        (
            400,
            "Lease in version \"v1\" cannot be handled as a Lease: parsing time \"nope\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"nope\" as \"2006\""
        )
    );
    create(
        "l",
        json!({"renewTime": "2026-01-01T00:00:00.123456Z", "holderIdentity": ""}),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_namespace_begins_active_with_its_label_and_keeps_what_is_the_servers() {
    let world = world().await;
    let namespaces = world.namespaces();
    let made = namespaces
        .made(
            "n1",
            json!({"namespace": "zork"}),
            json!({"spec": {"finalizers": ["a.b/c"]}, "status": {"phase": "Terminating"}}),
        )
        .await;
    assert_eq!(made["spec"], json!({"finalizers": ["a.b/c", "kubernetes"]}));
    assert_eq!(made["status"], json!({"phase": "Active"}));
    assert_eq!(
        made["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "n1"})
    );
    assert_eq!(made["metadata"].get("namespace"), None);
    let same = namespaces
        .replace(
            "n1",
            json!({"metadata": {"name": "n1"}, "spec": {"finalizers": []}}),
        )
        .await
        .unwrap()
        .object;
    assert_eq!(same, made);
    let same = namespaces.merge("n1", json!({"metadata": {"labels": {"kubernetes.io/metadata.name": "x"}}, "status": {"phase": "x"}})).await.unwrap().object;
    assert_eq!(same, made);
    let changed = namespaces
        .merge("n1", json!({"metadata": {"finalizers": ["a.b/c"]}}))
        .await
        .unwrap()
        .object;
    assert_eq!(changed["metadata"]["finalizers"], json!(["a.b/c"]));
}

#[tokio::test]
async fn a_service_account_is_only_stored() {
    let world = world().await;
    let accounts = world.of("serviceaccounts");
    accounts.made("x", json!({}), json!({})).await;
    let patched = accounts
        .merge("x", json!({"secrets": [{"name": "a"}]}))
        .await
        .unwrap()
        .object;
    assert_eq!(patched["secrets"], json!([{"name": "a"}]));
    assert!(
        world
            .of("secrets")
            .list(ListOptions::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

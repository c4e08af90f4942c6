use super::*;

impl Api<'_> {
    async fn finalize(&self, name: &str, spec: Value) -> Result<Written, Refusal> {
        let object = self.object(name, json!({}), json!({"spec": spec}));
        self.registry
            .finalize(&self.target, name, object, &self.options)
            .await
    }
}

#[tokio::test]
async fn only_finalize_changes_what_keeps_a_namespace() {
    let world = world().await;
    let spaces = world.namespaces();
    spaces.made("n", json!({}), json!({})).await;
    let two = json!({"finalizers": ["kubernetes", "x.y/z"]});
    let body = spaces.object(
        "n",
        json!({}),
        json!({"spec": two, "status": {"phase": "X"}}),
    );
    assert_eq!(
        spaces.replace("n", body).await.unwrap().object["spec"],
        json!({"finalizers": ["kubernetes"]})
    );
    let done = spaces.finalize("n", two.clone()).await.unwrap().object;
    assert_eq!(
        (&done["spec"], &done["status"]),
        (&two, &json!({"phase": "Active"}))
    );
    let managers = done["metadata"]["managedFields"].as_array().unwrap();
    let fields = managers
        .iter()
        .find(|m| m["subresource"] == "finalize")
        .unwrap();
    assert_eq!(fields["fieldsV1"]["f:spec"], json!({"f:finalizers": {}}));
    let (code, text) = said(spaces.finalize("n", json!({"finalizers": ["plain"]})).await);
    assert_eq!(
        (code, text.as_str()),
        (
            422,
            "Namespace \"n\" is invalid: spec.finalizers[0]: Invalid value: \"plain\": name is neither a standard finalizer name \
             nor is it fully qualified"
        )
    );
    assert_eq!(said(spaces.finalize("nope", json!({})).await).0, 404);
    let dry = spaces.clone().dry().finalize("n", json!({})).await.unwrap();
    assert_eq!(dry.object["spec"], json!({}));
    assert_eq!(spaces.get("n").await.unwrap()["spec"], two);
    assert_eq!(said(world.maps().finalize("a", json!({})).await).0, 404);
}

#[tokio::test]
async fn a_namespace_that_ends_goes_with_its_last_finalizer_and_not_before() {
    let world = world().await;
    let spaces = world.namespaces();
    spaces.made("n", json!({}), json!({})).await;
    let none = spaces.finalize("n", json!({})).await.unwrap();
    assert_eq!(none.object["spec"], json!({}), "nobody wants it to end");
    spaces
        .finalize("n", json!({"finalizers": ["kubernetes", "x.y/z"]}))
        .await
        .unwrap();
    spaces.delete("n").await.unwrap();
    world.registry.background().settle().await.unwrap();
    assert_eq!(
        spaces.get("n").await.unwrap()["spec"],
        json!({"finalizers": ["x.y/z"]}),
        "the server takes its own away"
    );
    spaces.finalize("n", json!({})).await.unwrap();
    assert!(spaces.is_gone("n").await);
}

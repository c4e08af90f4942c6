//! Credentials are read by name, only with the label, and what is wrong with them is said (`product.md` § 2).

use super::field::Field;
use crate::server::Server;
use ibmi_clone_operator::controllers::secrets::{Credential, read};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use macro_rules_attribute::apply;
use secrecy::ExposeSecret;
use serde_json::json;

#[apply(on_both!)]
async fn what_is_wrong_with_a_credential_is_said(server: Server) {
    let field = Field::new(server).await;
    let environment = field
        .environment("nightly", |spec| {
            spec["console"]["hmc"]["tls"] = json!({"caBundle": {"name": "site-ca"}});
            spec["clone"]["host"]["credentials"]["name"] = json!("key");
        })
        .await;
    let (client, ns) = (&field.client, &field.namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), ns);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), ns);
    let refused = async || read(client, ns, &environment.spec).await.unwrap_err();

    let error = refused().await;
    assert_eq!(error.reason(), "SecretMissing");
    assert!(
        error.to_string().contains("Secret key does not exist"),
        "{error}"
    );

    let mut key: Secret = serde_json::from_value(json!({
        "metadata": {"name": "key"}, "type": "kubernetes.io/ssh-auth",
        "stringData": {"ssh-privatekey": "-----BEGIN-----\nline\n"},
    }))
    .unwrap();
    secrets.create(&PostParams::default(), &key).await.unwrap();
    let error = refused().await;
    assert_eq!(error.reason(), "SecretUnlabelled");
    let remedy = "kubectl label secret key ibmiclone.dev/credentials=true";
    assert!(error.to_string().contains(remedy), "{error}");

    let change = async |value| {
        let patch = Patch::Merge(&value);
        key = secrets
            .patch("key", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    let mut change = change;
    change(json!({"metadata": {"labels": {"ibmiclone.dev/credentials": "true"}}})).await;
    let error = refused().await;
    assert_eq!(error.to_string(), "Secret key has no key username: add it");
    change(json!({"stringData": {"username": "CLONEOPR\n"}})).await;

    assert_eq!(refused().await.reason(), "ConfigMapMissing");
    let empty = json!({"metadata": {"name": "site-ca"}, "data": {"ca.pem": "x"}});
    let empty: ConfigMap = serde_json::from_value(empty).unwrap();
    maps.create(&PostParams::default(), &empty).await.unwrap();
    let error = refused().await;
    assert_eq!(
        error.to_string(),
        "ConfigMap site-ca has no key ca.crt: add it"
    );
    let full = json!({"data": {"ca.crt": "-----BEGIN CERTIFICATE-----"}});
    let patch = Patch::Merge(&full);
    maps.patch("site-ca", &PatchParams::default(), &patch)
        .await
        .unwrap();

    let found = read(client, ns, &environment.spec).await.unwrap();
    let host = &environment.spec.clone.host.credentials;
    match found.credential(host).unwrap() {
        Credential::Ssh {
            username,
            private_key,
        } => {
            assert_eq!(
                username, "CLONEOPR",
                "the line end of a file is no part of a name"
            );
            assert!(private_key.expose_secret().ends_with("line\n"));
        }
        other => panic!("{other:?}"),
    }
    let shown = format!("{found:?}");
    assert!(
        !shown.contains("not shown anywhere") && !shown.contains("line"),
        "{shown}"
    );
    let before = found.fingerprint().to_owned();
    change(json!({"stringData": {"username": "OTHER"}})).await;
    let after = read(client, ns, &environment.spec).await.unwrap();
    assert_ne!(before, after.fingerprint());
}

#[apply(on_both!)]
async fn a_secret_of_another_type_is_refused(server: Server) {
    let field = Field::new(server).await;
    let environment = field
        .environment("nightly", |spec| {
            spec["clone"]["host"]["credentials"]["name"] = json!("opaque");
        })
        .await;
    let opaque: Secret = serde_json::from_value(json!({
        "metadata": {"name": "opaque", "labels": {"ibmiclone.dev/credentials": "true"}},
        "stringData": {"username": "a", "password": "b"},
    }))
    .unwrap();
    let secrets: Api<Secret> = Api::namespaced(field.client.clone(), &field.namespace);
    secrets
        .create(&PostParams::default(), &opaque)
        .await
        .unwrap();
    let error = read(&field.client, &field.namespace, &environment.spec)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "SecretWrongType");
    assert!(
        error.to_string().contains("kubernetes.io/basic-auth"),
        "{error}"
    );
}

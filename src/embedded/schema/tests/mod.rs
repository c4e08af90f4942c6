//! `recorded.json` is what a kube-apiserver 1.36.3 answered to these objects with our definitions and with `sample.yaml`: every
//! case of `tests/it/crd_rules` among them, accepted and refused ones, new and changed objects. Some were changed after the
//! definition had become stricter. `tests/it/recorded` writes it.

mod pointer;
mod recorded;
mod rules;
mod speed;

use super::*;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::json;

/// The compiled schema of a definition.
fn structural(definition: &str) -> Structural {
    let definition: CustomResourceDefinition = serde_saphyr::from_str(definition).unwrap();
    Structural::new(&Kind::of(&definition, true).unwrap()).unwrap()
}

const ENVIRONMENT: &str = include_str!("../../../../crds/cloneenvironments.ibmiclone.dev.yaml");
const RUN: &str = include_str!("../../../../crds/cloneruns.ibmiclone.dev.yaml");
const SAMPLE: &str = include_str!("sample.yaml");

/// As the registry does it: read, prune, defaults.
fn taken(structural: &Structural, mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!("default");
    structural.prune(&mut object);
    structural.default(&mut object);
    object
}

#[test]
fn annotations_have_a_size_all_together() {
    let structural = structural(RUN);
    let annotations = json!({"a": "x".repeat(256 * 1024)});
    let object = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun", "spec": {"environment": "nightly"},
        "metadata": {"name": "x", "annotations": annotations},
    });
    let causes = structural.validate(&taken(&structural, object), None);
    let words = "Too long: may not be more than 262144 bytes";
    let found = causes
        .iter()
        .any(|c| c.field == "metadata.annotations" && c.message == words);
    assert!(found, "{causes:?}");
}

#[test]
fn unknown_fields_are_named_with_their_place_the_metadata_first() {
    let structural = structural(RUN);
    let object = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun", "extra": {},
        "metadata": {"name": "x", "zz": 1, "labels": {"q": "w"}},
        "spec": {"environment": "nightly", "bogus": 1, "replies": [{"key": "a", "text": "b", "z": {"y": 1}}]},
    });
    // As a kube-apiserver 1.36.3 says it.
    assert_eq!(
        structural.unknown_fields(&object).join(", "),
        "unknown field \"metadata.zz\", unknown field \"extra\", unknown field \"spec.bogus\", unknown field \
         \"spec.replies[0].z\""
    );
    let pruned = taken(&structural, object);
    assert_eq!(structural.unknown_fields(&pruned), Vec::<String>::new());
    assert_eq!(pruned["metadata"]["labels"], json!({"q": "w"}));
}

#[test]
fn metadata_that_cannot_be_read_is_refused_before_anything_else() {
    let structural = structural(RUN);
    for (metadata, words) in [
        (
            json!({"labels": {"a": 1}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string",
        ),
        (
            json!({"generation": "5"}),
            "json: cannot unmarshal string into Go struct field ObjectMeta.generation of type int64",
        ),
        (
            json!({"name": 5}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string",
        ),
        (
            json!("x"),
            "json: cannot unmarshal string into Go value of type v1.ObjectMeta",
        ),
        (
            json!({"ownerReferences": {"a": 1}}),
            "json: cannot unmarshal object into Go struct field ObjectMeta.ownerReferences of type []v1.OwnerReference",
        ),
        (
            json!({"creationTimestamp": "yesterday"}),
            "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"",
        ),
    ] {
        let refusal = structural
            .readable(&json!({"metadata": metadata}))
            .unwrap_err();
        let wanted =
            format!("CloneRun in version \"v1alpha1\" cannot be handled as a CloneRun: {words}");
        assert_eq!((refusal.code, refusal.message), (400, wanted));
    }
    let good = json!({"metadata": {"name": "x", "creationTimestamp": null, "labels": null}});
    assert_eq!(structural.readable(&good), Ok(()));
}

#[test]
fn a_schema_that_asks_for_what_is_not_there_is_refused() {
    for (schema, words) in [
        (
            json!({"type": "string", "format": "uri"}),
            "format uri is not supported",
        ),
        (
            json!({"type": "array", "uniqueItems": true}),
            "uniqueItems is not supported",
        ),
        (json!({"type": "string", "pattern": "("}), "pattern"),
        (json!({"type": "strange"}), "strange is no type"),
        (
            json!({"type": "string", "x-kubernetes-validations": [{"rule": "self =="}]}),
            "self ==",
        ),
        (
            json!({"type": "object", "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".no"}]}),
            "does not refer to a valid field",
        ),
        (
            json!({"type": "object", "allOf": [{"x-kubernetes-validations": [{"rule": "true"}]}]}),
            "rules inside allOf",
        ),
    ] {
        let definition = json!({"spec": {
            "group": "g", "scope": "Namespaced", "names": {"kind": "K", "plural": "ks"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": schema},
            }}}],
        }});
        let definition: CustomResourceDefinition = serde_json::from_value(definition).unwrap();
        let error = Structural::new(&Kind::of(&definition, true).unwrap()).unwrap_err();
        assert!(
            error.starts_with("ks.g.spec") && error.contains(words),
            "{error}"
        );
    }
}

use super::files::{Manifest, stamp};
use super::plan::{Applied, plan};
use super::{Key, key_of};
use kube::api::DynamicObject;
use serde_json::json;

fn environment(name: &str) -> DynamicObject {
    let object = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment",
        "metadata": {"name": name, "namespace": "ibmi"}, "spec": {},
    });
    serde_json::from_value(object).unwrap()
}

fn space() -> DynamicObject {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ibmi"}});
    serde_json::from_value(object).unwrap()
}

fn file(name: &str, objects: Vec<DynamicObject>) -> Manifest {
    Manifest {
        name: name.to_owned(),
        objects: Ok(objects),
    }
}

fn bad(name: &str) -> Manifest {
    Manifest {
        name: name.to_owned(),
        objects: Err("no YAML".to_owned()),
    }
}

fn applied(object: &DynamicObject, file: &str) -> Applied {
    let (key, file) = (key_of(object), file.to_owned());
    Applied { key, file }
}

fn names(keys: &[Key]) -> Vec<String> {
    keys.iter().map(Key::to_string).collect()
}

#[test]
fn what_no_file_has_any_more_is_pruned_with_what_is_in_a_namespace_first() {
    let before = [
        applied(&space(), "a.yaml"),
        applied(&environment("nightly"), "a.yaml"),
        applied(&environment("weekly"), "b.yaml"),
    ];
    let found = plan(vec![file("b.yaml", vec![environment("weekly")])], &before);
    assert_eq!(
        names(&found.prune),
        ["CloneEnvironment ibmi/nightly", "Namespace ibmi"]
    );
}

#[test]
fn a_file_that_cannot_be_used_keeps_what_it_had() {
    let before = [applied(&environment("nightly"), "a.yaml")];
    let found = plan(vec![bad("a.yaml"), file("b.yaml", vec![])], &before);
    assert!(found.prune.is_empty());
    assert_eq!(found.refused[0].0, "a.yaml");
}

#[test]
fn an_empty_directory_prunes_nothing() {
    let before = [applied(&environment("nightly"), "a.yaml")];
    assert!(plan(Vec::new(), &before).prune.is_empty());
}

#[test]
fn an_object_that_moved_to_another_file_is_not_pruned() {
    let before = [applied(&environment("nightly"), "a.yaml")];
    let files = vec![
        file("a.yaml", vec![]),
        file("b.yaml", vec![environment("nightly")]),
    ];
    let found = plan(files, &before);
    assert!(found.prune.is_empty());
    assert_eq!(found.apply.len(), 1);
}

#[test]
fn an_object_of_two_files_is_taken_from_the_first_and_the_other_is_refused() {
    let files = vec![
        file("a.yaml", vec![environment("nightly")]),
        file(
            "b.yaml",
            vec![environment("nightly"), environment("weekly")],
        ),
    ];
    let found = plan(files, &[]);
    assert_eq!(found.apply.len(), 1);
    let (name, why) = &found.refused[0];
    assert_eq!(name, "b.yaml");
    assert!(
        why.contains("CloneEnvironment ibmi/nightly is in a.yaml"),
        "{why}"
    );
}

#[test]
fn namespaces_come_before_what_is_in_them() {
    let found = plan(
        vec![file("a.yaml", vec![environment("nightly"), space()])],
        &[],
    );
    let kinds = found.apply.iter().map(|(_, o)| key_of(o).kind);
    assert_eq!(kinds.collect::<Vec<_>>(), ["Namespace", "CloneEnvironment"]);
}

#[test]
fn files_are_read_whole_or_not_at_all_and_hidden_ones_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("more")).unwrap();
    write(
        "more/good.yml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n",
    );
    write(
        "half.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nmetadata: {name: b}\n",
    );
    write(
        "nameless.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n",
    );
    write(
        "twice.json",
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}"#,
    );
    // kubectl would send true, and the server refuse it; a number that JSON lacks is refused here.
    write(
        "unquoted.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\ndata: {a: .inf}\n",
    );
    write(".swp.yaml", "no: manifest");
    write("README.md", "no manifest");
    let found = stamp(directory.path()).unwrap();
    let read = found.read(directory.path(), "ibmi");
    let told: Vec<(String, Result<Vec<String>, String>)> = read
        .into_iter()
        .map(|m| {
            (
                m.name,
                m.objects
                    .map(|o| o.iter().map(|o| key_of(o).to_string()).collect()),
            )
        })
        .collect();
    let good = |name: &str| told.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert_eq!(
        good("more/good.yml").unwrap(),
        ["ConfigMap ibmi/a", "Namespace b"]
    );
    assert_eq!(good("twice.json").unwrap(), ["ConfigMap ibmi/a"]);
    assert!(
        good("half.yaml")
            .unwrap_err()
            .contains("no apiVersion and kind")
    );
    assert!(good("nameless.yaml").unwrap_err().contains("generateName"));
    let unquoted = good("unquoted.yaml").unwrap_err();
    assert!(unquoted.contains("line 7"), "{unquoted}");
    assert_eq!(told.len(), 5);
}

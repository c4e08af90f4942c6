//! Who may do what: verb × resource × role, each cell asked of the real API server, allowed and not allowed.

use super::{OPERATORS, RELEASE, acting_as, bind, installed, read};
use crate::crd_rules::environment;
use crate::support::kube::namespace;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::collections::BTreeSet;

const VERBS: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];
/// Group, resource with its subresource.
const RESOURCES: [(&str, &str); 17] = [
    ("ibmiclone.dev", "cloneenvironments"),
    ("ibmiclone.dev", "cloneenvironments/status"),
    ("ibmiclone.dev", "cloneenvironments/finalizers"),
    ("ibmiclone.dev", "cloneruns"),
    ("ibmiclone.dev", "cloneruns/status"),
    ("ibmiclone.dev", "cloneruns/finalizers"),
    ("ibmiclone.dev", "cloneruns/startheld"),
    ("ibmiclone.dev", "cloneruns/releaseheld"),
    ("ibmiclone.dev", "cloneruns/end"),
    ("", "configmaps"),
    ("", "secrets"),
    ("", "events"),
    ("events.k8s.io", "events"),
    ("", "pods"),
    ("", "namespaces"),
    ("coordination.k8s.io", "leases"),
    ("rbac.authorization.k8s.io", "roles"),
];

const READ: &str = "get list watch";
const WRITE: &str = "create update patch delete deletecollection";

/// Rows of what is allowed: verbs, group, resource. Everything else is not.
type Rows<'a> = Vec<(&'a str, &'a str, &'a str)>;

fn viewer() -> Rows<'static> {
    vec![
        (READ, "ibmiclone.dev", "cloneenvironments"),
        (READ, "ibmiclone.dev", "cloneruns"),
        ("get", "", "configmaps"),
        (READ, "", "events"),
        (READ, "events.k8s.io", "events"),
    ]
}

fn operator() -> Rows<'static> {
    let mut rows = viewer();
    rows.push(("create patch", "ibmiclone.dev", "cloneruns"));
    rows
}

fn editor() -> Rows<'static> {
    let mut rows = viewer();
    rows.extend([
        (WRITE, "ibmiclone.dev", "cloneenvironments"),
        (WRITE, "ibmiclone.dev", "cloneruns"),
        ("create", "ibmiclone.dev", "cloneruns/startheld"),
        ("create", "ibmiclone.dev", "cloneruns/releaseheld"),
        ("create", "ibmiclone.dev", "cloneruns/end"),
    ]);
    rows
}

/// The account of the pod, in a namespace it serves.
fn account() -> Rows<'static> {
    vec![
        ("get list watch patch", "ibmiclone.dev", "cloneenvironments"),
        (
            "get list watch create patch delete",
            "ibmiclone.dev",
            "cloneruns",
        ),
        ("create", "ibmiclone.dev", "cloneruns/end"),
        ("update patch", "ibmiclone.dev", "cloneenvironments/status"),
        ("update patch", "ibmiclone.dev", "cloneruns/status"),
        ("update", "ibmiclone.dev", "cloneenvironments/finalizers"),
        ("update", "ibmiclone.dev", "cloneruns/finalizers"),
        ("get list create update patch delete", "", "configmaps"),
        ("get", "", "secrets"),
        ("create patch", "events.k8s.io", "events"),
    ]
}

/// Asks as the client's user whether it may.
async fn may(client: &Client, namespace: &str, verb: &str, group: &str, resource: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review: SelfSubjectAccessReview = read(json!({"spec": {"resourceAttributes": {
        "namespace": namespace, "verb": verb, "group": group,
        "resource": resource, "subresource": subresource,
    }}}));
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await.unwrap();
    answer.status.unwrap().allowed
}

fn cells(rows: &Rows<'_>) -> BTreeSet<String> {
    let each = rows.iter().flat_map(|(verbs, group, resource)| {
        verbs
            .split(' ')
            .map(move |verb| format!("{verb} {group}/{resource}"))
    });
    each.collect()
}

/// Every cell of the table, both ways.
async fn assert_exactly(client: &Client, namespace: &str, who: &str, rows: &Rows<'_>) {
    let mut allowed = BTreeSet::new();
    for (group, resource) in RESOURCES {
        for verb in VERBS {
            if may(client, namespace, verb, group, resource).await {
                allowed.insert(format!("{verb} {group}/{resource}"));
            }
        }
    }
    let wanted = cells(rows);
    let more: Vec<_> = allowed.difference(&wanted).collect();
    let less: Vec<_> = wanted.difference(&allowed).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "{who} in {namespace}: too much {more:?}, missing {less:?}"
    );
}

#[tokio::test]
async fn each_role_may_do_exactly_what_its_table_says() {
    let Some(stack) = installed().await else {
        return;
    };
    let (admin, here) = namespace(stack).await;
    let (_, elsewhere) = namespace(stack).await;
    for (role, rows) in [
        ("viewer", viewer()),
        ("operator", operator()),
        ("editor", editor()),
    ] {
        let user = format!("{RELEASE}-{role}");
        bind(&admin, &here, &user).await;
        let client = acting_as(stack, &user);
        assert_exactly(&client, &here, role, &rows).await;
        assert_exactly(&client, &elsewhere, role, &vec![]).await;
    }
    assert_exactly(&acting_as(stack, "nobody"), &here, "nobody", &vec![]).await;
}

#[tokio::test]
async fn the_operators_account_may_do_exactly_what_it_needs() {
    let Some(stack) = installed().await else {
        return;
    };
    let (_, served) = namespace(stack).await;
    let account_name = format!("system:serviceaccount:{OPERATORS}:{RELEASE}");
    let client = acting_as(stack, &account_name);
    assert_exactly(&client, &served, "account", &account()).await;
    let mut own = account();
    own.push((
        "get list watch create update patch",
        "coordination.k8s.io",
        "leases",
    ));
    assert_exactly(&client, OPERATORS, "account", &own).await;
    // The cluster's identity is read from this one namespace.
    let review: SelfSubjectAccessReview = read(json!({"spec": {"resourceAttributes": {
        "verb": "get", "resource": "namespaces", "name": "kube-system",
    }}}));
    let api: Api<SelfSubjectAccessReview> = Api::all(client);
    let answer = api.create(&PostParams::default(), &review).await.unwrap();
    assert!(answer.status.unwrap().allowed);
}

/// Who may edit or administer a namespace may not for that reason freeze production.
#[tokio::test]
async fn nothing_is_added_to_kubernetes_own_roles() {
    let Some(stack) = installed().await else {
        return;
    };
    let (admin, here) = namespace(stack).await;
    for role in ["view", "edit", "admin"] {
        bind(&admin, &here, role).await;
        let client = acting_as(stack, role);
        assert!(
            may(&client, &here, "get", "", "configmaps").await,
            "{role} is bound"
        );
        for (group, resource) in RESOURCES.iter().filter(|r| r.0 == "ibmiclone.dev") {
            for verb in VERBS {
                let allowed = may(&client, &here, verb, group, resource).await;
                assert!(!allowed, "{role} may {verb} {resource}");
            }
        }
    }
}

fn assert_forbidden<T: std::fmt::Debug>(what: &str, answer: Result<T, kube::Error>) {
    match answer {
        Err(kube::Error::Api(status)) if status.is_forbidden() => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn the_roles_hold_for_real_calls_too() {
    let Some(stack) = installed().await else {
        return;
    };
    let (admin, here) = namespace(stack).await;
    let post = PostParams::default();
    let new_environment = || -> CloneEnvironment { read(environment("nightly")) };
    let new_run = || -> CloneRun {
        read(json!({"metadata": {"generateName": "nightly-"}, "spec": {"environment": "nightly"}}))
    };
    let mut apis = Vec::new();
    for role in ["viewer", "operator", "editor"] {
        let user = format!("{RELEASE}-{role}");
        bind(&admin, &here, &user).await;
        let client = acting_as(stack, &user);
        let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), &here);
        let runs: Api<CloneRun> = Api::namespaced(client, &here);
        apis.push((environments, runs));
    }
    let [(viewed, seen), (operated, started), (edited, ruled)] = apis.try_into().ok().unwrap();

    edited.create(&post, &new_environment()).await.unwrap();
    for (role, environments) in [("viewer", &viewed), ("operator", &operated)] {
        environments.get("nightly").await.unwrap();
        let answer = environments.create(&post, &new_environment()).await;
        assert_forbidden(role, answer);
        let patch = json!({"metadata": {"labels": {"a": "b"}}});
        let answer = environments
            .patch("nightly", &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        assert_forbidden(role, answer);
        assert_forbidden(
            role,
            environments
                .delete("nightly", &DeleteParams::default())
                .await,
        );
    }
    assert_forbidden("viewer", seen.create(&post, &new_run()).await);
    let run = started.create(&post, &new_run()).await.unwrap();
    let name = run.metadata.name.unwrap();
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    let patch = Patch::Merge(&patch);
    started
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_forbidden(
        "operator",
        started.delete(&name, &DeleteParams::default()).await,
    );
    let status = json!({"status": {"phase": "Succeeded"}});
    let answer = ruled
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
        .await;
    assert_forbidden("editor writes a status", answer);
    assert_eq!(
        seen.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );
    ruled.delete(&name, &DeleteParams::default()).await.unwrap();
}

//! The definitions on the real API server: what is refused at `kubectl apply`, with which words, and what is accepted.

mod runs;
mod saves;

use crate::server::Server;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, CloneRunStatus};
use ibmi_clone_operator::engine::journal::Phase;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// A USER environment with nothing left out that has no default.
pub fn environment(name: &str) -> Value {
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment",
        "metadata": {"name": name},
        "spec": {
            "function": "USER",
            "source": {
                "partition": {"managedSystem": "P10-PARIS", "name": "PROD"},
                "host": {"address": "prod.example.com", "credentials": {"name": "prod-ssh"}},
            },
            "clone": {
                "partition": {"managedSystem": "P10-PARIS", "name": "CLONE1"},
                "host": {"address": "clone1.example.com", "credentials": {"name": "clone-ssh"}},
                "personality": {
                    "systemName": "CLONE1", "hostName": "clone1",
                    "interfaces": [{"address": "10.0.8.21", "netmask": "255.255.255.0", "lineDescription": "ETHLINE"}],
                },
            },
            "console": {"hmc": {"endpoints": ["https://hmc1.example.com"], "credentials": {"name": "hmc"}}},
            "virtualIo": {"vscsi": {"adapters": [{"server": "VIOS1", "vhost": "vhost3"}]}},
            "storage": {"spectrumVirtualize": {
                "endpoint": "https://svc.example.com:7443", "credentials": {"name": "svc"}, "consistencyGroups": ["CLONE1"],
            }},
            "user": {"programs": [{"program": "CLNLIB/MYSAVE"}]},
        },
    })
}

/// Fixed host mappings and two target sets: the clone's ports would show it both.
fn two_sets_without_swap() -> Value {
    let mut object = environment("npiv");
    set(&mut object, "/spec/virtualIo", json!({"npiv": {}}));
    let sets = json!(["CLONE1", "CLONE2"]);
    set(
        &mut object,
        "/spec/storage/spectrumVirtualize/consistencyGroups",
        sets,
    );
    object["spec"].take()
}

/// Sends an object as `kubectl apply` does: unknown fields are refused.
async fn create(
    client: &Client,
    namespace: &str,
    object: &Value,
) -> Result<DynamicObject, kube::Error> {
    let kind = object["kind"].as_str().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("ibmiclone.dev", "v1alpha1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let parameters = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        field_manager: Some("test".to_owned()),
        ..PatchParams::default()
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    api.patch(name, &parameters, &Patch::Apply(object)).await
}

/// Sets `pointer` of a good environment to `value` (`null` removes it) and gives the API server's refusal.
async fn refusal(client: &Client, namespace: &str, pointer: &str, value: Value) -> String {
    let mut object = environment("bad");
    set(&mut object, pointer, value);
    match create(client, namespace, &object).await {
        Err(kube::Error::Api(status)) => status.message,
        other => panic!("{pointer} must be refused: {other:?}"),
    }
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{pointer} has no parent"));
    match parent {
        Value::Object(map) if value.is_null() => drop(map.remove(key).unwrap()),
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        other => panic!("{pointer}: {other} has no members"),
    }
}

#[apply(on_both!)]
async fn a_bad_environment_is_refused_with_field_and_remedy(server: Server) {
    let (client, ns) = server.namespace().await;
    #[rustfmt::skip]
    let cases = [
        ("/metadata/name", json!("a".repeat(41)), "metadata.name", "at most 40 characters"),
        ("/spec/function", json!("SAVE99"), "spec.function", "\"HOLD\", \"BRMS\", \"SAVE21\", \"USER\""),
        ("/spec/function", json!("HOLD"), "spec.user", "no other function may have it"),
        ("/spec/user", Value::Null, "spec.user", "needs the block user: { programs"),
        ("/spec/schedule", json!({"cron": []}), "spec.schedule.cron", "at least 1 items"),
        ("/spec/schedule", json!({"cron": ["0 0 * *"]}), "spec.schedule.cron", "write five fields, minute"),
        ("/spec/schedule", json!({"cron": ["0 0 * * *", "0 0 0 * * *"]}), "spec.schedule.cron", "write five fields, minute"),
        ("/spec/schedule", json!({"cron": ["TZ=UTC 0 0 * * *"]}), "spec.schedule.cron", "in schedule.timeZone, not in the line"),
        ("/spec/schedule", json!({"cron": ["@every 5m"]}), "spec.schedule.cron", "five fields instead of @every"),
        ("/spec/schedule", json!({"cron": ["0 0 * * *"], "timeZone": "Europe Paris"}), "spec.schedule.timeZone", "IANA name such as Europe/Paris"),
        ("/spec/schedule", json!({"cron": ["0 0 * * *"], "startingDeadlineSeconds": 5}), "spec.schedule.startingDeadlineSeconds", "greater than or equal to 30"),
        ("/spec/schedule", json!({"cron": ["0 0 * * *"], "jitterSeconds": 900}), "spec.schedule.jitterSeconds", "at most half of startingDeadlineSeconds"),
        ("/spec/suspend", json!("yes"), "spec.suspend", "boolean"),
        ("/spec/clone/partition/name", json!("PROD"), "spec.clone.partition", "another partition than the source"),
        ("/spec/clone/host/address", json!("prod.example.com"), "clone.host.address", "after its personality"),
        ("/spec/clone/host/address", json!("root@clone1"), "spec.clone.host.address", "write a host name or an IP address"),
        ("/spec/clone/personality/interfaces", json!([]), "spec.clone.personality.interfaces", "at least 1 items"),
        ("/spec/clone/personality/interfaces/0/address", json!("10.0.8.321"), "interfaces[0].address", "write an IPv4 address"),
        ("/spec/clone/personality/systemName", json!("clone1"), "spec.clone.personality.systemName", "upper-case letters"),
        ("/spec/clone/personality/startupProgram", json!("CLONEUP"), "spec.clone.personality.startupProgram", "write LIBRARY/PROGRAM"),
        ("/spec/console", json!({}), "spec.console", "write exactly one console"),
        ("/spec/console/hmc/endpoints", json!(["http://hmc1"]), "spec.console.hmc.endpoints", "write https://HOST"),
        ("/spec/virtualIo", json!({}), "spec.virtualIo", "write exactly one of virtualIo"),
        ("/spec/virtualIo", json!({"npiv": {}, "vscsi": {"adapters": [{"server": "VIOS1", "vhost": "vhost3"}]}}), "spec.virtualIo", "npiv: { swapHostMappings: false }"),
        ("/spec", two_sets_without_swap(), "spec.virtualIo.npiv", "with more than one consistency group write true"),
        ("/spec/virtualIo", json!({"npiv": {"hosts": ["CLONE1"]}}), "spec.virtualIo.npiv.hosts", "field not declared in schema"),
        ("/spec/virtualIo/vscsi/adapters/0/vhost", json!("host3"), "adapters[0].vhost", "such as vhost3"),
        ("/spec/storage", json!({}), "spec.storage", "write exactly one of storage"),
        ("/spec/storage/spectrumVirtualize/endpoint", json!("https://svc:7443/rest"), "spec.storage.spectrumVirtualize.endpoint", "without a path"),
        ("/spec/storage/spectrumVirtualize/consistencyGroups", json!(["A", "B", "A"]), "spec.storage.spectrumVirtualize.consistencyGroups", "write each group once"),
        ("/spec/storage/spectrumVirtualize/consistencyGroups", json!(["A", "B", "C", "D", "E", "F", "G", "H", "I"]), "spec.storage.spectrumVirtualize.consistencyGroups", "at most 8 items"),
        ("/spec/storage/spectrumVirtualize/pool", json!({"refuseAbovePercent": 95}), "spec.storage.spectrumVirtualize.pool", "not be above alarmPercent"),
        ("/spec/freeze", json!({"maxSeconds": 900}), "spec.freeze.maxSeconds", "less than or equal to 600"),
        ("/spec/freeze", json!({"maxSeconds": 60}), "spec.freeze", "commitBoundarySeconds must be below maxSeconds"),
        ("/spec/user/programs/0/program", json!("mysave"), "programs[0].program", "write LIBRARY/PROGRAM"),
        ("/spec/user/programs", json!(vec![json!({"program": "CLNLIB/MYSAVE"}); 17]), "spec.user.programs", "at most 16 items"),
        ("/spec/hooks", json!([{"at": "BeforeFreeze", "program": "quiesce"}]), "hooks[0].program", "write LIBRARY/PROGRAM"),
        ("/spec/hooks", json!([{"at": "AfterHistory", "program": "CLNLIB/HOOK"}]), "spec.hooks", "AfterFunction instead of AfterHistory"),
        ("/spec/hooks", json!([{"at": "Always", "program": "CLNLIB/HOOK", "limitSeconds": 0}]), "hooks[0].limitSeconds", "greater than or equal to 1"),
        ("/spec/after", json!({"image": "End"}), "spec.after.image", "write clone: PowerOff, or copy: { kind: Full }"),
        ("/spec/after", json!({"onFailure": "Apply"}), "spec.after", "image: End or endAfterSeconds; write one of them"),
        ("/spec/after", json!({"clone": "PowerOff", "image": "End", "endAfterSeconds": 60}), "spec.after.endAfterSeconds", "write only one of the two"),
        ("/spec/after", json!({"endAfterSeconds": -1}), "spec.after.endAfterSeconds", "greater than or equal to 0"),
        ("/spec/after", json!({"map": true}), "spec.after.map", "leave map out"),
        ("/spec/source/host/hostKeys", json!(["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]), "spec.source.host.hostKeys", "ssh-keygen -lf"),
        ("/spec/logs", json!({"ignore": ["cpf3770"]}), "spec.logs.ignore", "such as CPF3770"),
        ("/spec/history", json!({"succeeded": 0}), "spec.history.succeeded", "greater than or equal to 1"),
        ("/spec/timeouts", json!({"runSeconds": 5}), "spec.timeouts.runSeconds", "greater than or equal to 60"),
    ];
    for (pointer, value, field, remedy) in cases {
        let message = refusal(&client, &ns, pointer, value).await;
        assert!(
            message.contains(field) && message.contains(remedy),
            "{pointer}: {message}"
        );
    }
}

/// A HOLD starts no clone: what would need one is refused with the field's name.
#[apply(on_both!)]
async fn a_hold_has_no_hooks_on_the_clone_and_keeps_its_image(server: Server) {
    let (client, ns) = server.namespace().await;
    let hold = |field: &str, value: Value| {
        let mut object = environment("hold");
        set(&mut object, "/spec/function", json!("HOLD"));
        set(&mut object, "/spec/user", Value::Null);
        set(&mut object, &format!("/spec/{field}"), value);
        object
    };
    let refused = [
        (
            "hooks",
            json!([{"at": "CloneReady", "program": "CLNLIB/HOOK"}]),
            "write at: BeforeFreeze",
        ),
        ("after", json!({"clone": "PowerOff"}), "write only map"),
        (
            "after",
            json!({"clone": "PowerOff", "image": "End"}),
            "write only map",
        ),
    ];
    for (field, value, remedy) in refused {
        let Err(kube::Error::Api(status)) = create(&client, &ns, &hold(field, value)).await else {
            panic!("{field} must be refused");
        };
        assert!(status.message.contains(remedy), "{}", status.message);
    }
    let hooks = json!([
        {"at": "BeforeFreeze", "program": "CLNLIB/QUIESCE"},
        {"at": "AfterResume", "program": "CLNLIB/RESTART"},
        {"at": "Always", "program": "CLNLIB/TELL", "onError": "Continue"},
    ]);
    create(&client, &ns, &hold("hooks", hooks)).await.unwrap();
    let map = json!({"map": true, "endAfterSeconds": 3600, "onFailure": "Apply"});
    create(&client, &ns, &hold("after", map)).await.unwrap();
    let mut full = environment("full");
    let after = json!({"image": "End", "onFailure": "Apply"});
    set(&mut full, "/spec/after", after);
    set(
        &mut full,
        "/spec/storage/spectrumVirtualize/copy",
        json!({"kind": "Full"}),
    );
    create(&client, &ns, &full).await.unwrap();
}

#[apply(on_both!)]
async fn a_short_environment_gets_its_defaults_from_the_schema(server: Server) {
    let (client, ns) = server.namespace().await;
    create(&client, &ns, &environment("user")).await.unwrap();
    let mut hold = environment("hold");
    set(&mut hold, "/spec/function", json!("HOLD"));
    set(&mut hold, "/spec/user", Value::Null);
    create(&client, &ns, &hold).await.unwrap();

    let mut nightly = environment("nightly");
    let lines = json!({"cron": ["0 0 * * 1-6", "15,45 2 * * MON,FRI#2"]});
    set(&mut nightly, "/spec/schedule", lines);
    create(&client, &ns, &nightly).await.unwrap();

    let mut npiv = environment("npiv");
    set(&mut npiv, "/spec/virtualIo", json!({"npiv": {}}));
    create(&client, &ns, &npiv).await.unwrap();

    let api: Api<CloneEnvironment> = Api::namespaced(client, &ns);
    let virtual_io = api.get("npiv").await.unwrap().spec.virtual_io;
    assert!(!virtual_io.npiv.unwrap().swap_host_mappings);
    let spec = api.get("nightly").await.unwrap().spec;
    assert!(!spec.suspend);
    let schedule = spec.schedule.unwrap();
    assert_eq!(schedule.time_zone, "UTC");
    assert_eq!(schedule.starting_deadline_seconds, 900);
    assert_eq!(schedule.jitter_seconds, 0);
    let spec = api.get("user").await.unwrap().spec;
    let raw = serde_json::to_value(&spec).unwrap();
    for (pointer, value) in [
        ("/freeze/mode", json!("Suspend")),
        ("/freeze/commitBoundarySeconds", json!(60)),
        ("/freeze/maxSeconds", json!(120)),
        ("/freeze/proof", json!("Assumed")),
        ("/source/host/port", json!(22)),
        ("/clone/partition/iplSource", json!("B")),
        ("/clone/personality/varyOnAsps", json!(true)),
        (
            "/storage/spectrumVirtualize/pool/refuseAbovePercent",
            json!(85),
        ),
        ("/user/programs/0/jobQueue", json!("QSYS/QSYSNOMAX")),
        ("/timeouts/iplSeconds", json!(7200)),
        ("/logs/retainRuns", json!(5)),
    ] {
        assert_eq!(raw.pointer(pointer), Some(&value), "{pointer}");
    }
    // A default that lives only in the code would be lost on the next reader.
    let stored: Value = serde_json::to_value(
        Api::<DynamicObject>::namespaced_with(
            api.into_client(),
            &ns,
            &ApiResource::erase::<CloneEnvironment>(&()),
        )
        .get("user")
        .await
        .unwrap(),
    )
    .unwrap();
    assert_eq!(
        stored.pointer("/spec/freeze/retries"),
        Some(&json!(2)),
        "{stored}"
    );
}

#[apply(on_both!)]
async fn partition_names_are_immutable_and_managed_systems_are_not(server: Server) {
    let (client, ns) = server.namespace().await;
    create(&client, &ns, &environment("moved")).await.unwrap();
    for side in ["source", "clone"] {
        let mut renamed = environment("moved");
        set(
            &mut renamed,
            &format!("/spec/{side}/partition/name"),
            json!("OTHER"),
        );
        let error = create(&client, &ns, &renamed).await.unwrap_err();
        let wanted = format!("{side}.partition.name is immutable");
        assert!(error.to_string().contains(&wanted), "{error}");
        let mut moved = environment("moved");
        set(
            &mut moved,
            &format!("/spec/{side}/partition/managedSystem"),
            json!("P10-LYON"),
        );
        create(&client, &ns, &moved).await.unwrap();
    }
}

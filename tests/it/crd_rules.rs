//! The definitions on the real API server: what is refused at `kubectl apply`, with which words, and what is accepted.

use crate::support::kube::{namespace, shared};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, CloneRunStatus};
use ibmi_clone_operator::engine::journal::Phase;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
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

#[tokio::test]
async fn a_bad_environment_is_refused_with_field_and_remedy() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    #[rustfmt::skip]
    let cases = [
        ("/metadata/name", json!("a".repeat(41)), "metadata.name", "at most 40 characters"),
        ("/spec/function", json!("BRMS"), "spec.function", "\"HOLD\", \"USER\""),
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
        ("/spec/hooks", json!([{"at": "AfterHistory", "program": "CLNLIB/HOOK"}]), "hooks[0].at", "supported values"),
        ("/spec/hooks", json!([{"at": "Always", "program": "CLNLIB/HOOK", "limitSeconds": 0}]), "hooks[0].limitSeconds", "greater than or equal to 1"),
        ("/spec/after", json!({"image": "End"}), "spec.after.image", "write clone: PowerOff, or copy: { kind: Full }"),
        ("/spec/after", json!({"onFailure": "Apply"}), "spec.after", "write one of them, or onFailure: Keep"),
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
#[tokio::test]
async fn a_hold_has_no_hooks_on_the_clone_and_keeps_its_image() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
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
    let map = json!({"map": true});
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

#[tokio::test]
async fn a_short_environment_gets_its_defaults_from_the_schema() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
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

#[tokio::test]
async fn partition_names_are_immutable_and_managed_systems_are_not() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
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

fn run(name: &str) -> Value {
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": name}, "spec": {"environment": "nightly"},
    })
}

#[tokio::test]
async fn a_bad_run_is_refused_with_field_and_remedy() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    #[rustfmt::skip]
    let cases = [
        ("/metadata/name", json!("r".repeat(64)), "metadata.name", "at most 63 characters"),
        ("/spec/environment", json!("Nightly"), "spec.environment", "write the name of a CloneEnvironment"),
        ("/spec/environment", Value::Null, "spec.environment", "Required value"),
        ("/spec/mode", json!("Freeze"), "spec.mode", "\"Clone\", \"Preflight\", \"StartHeld\", \"ReleaseHeld\", \"End\""),
        ("/spec/mode", json!("StartHeld"), "spec.run", "write the name of the CloneRun whose image it is"),
        ("/spec/mode", json!("ReleaseHeld"), "spec.run", "write the name of the CloneRun whose image it is"),
        ("/spec/mode", json!("End"), "spec.run", "write the name of the CloneRun whose image it is"),
        ("/spec/run", json!("midday-7"), "spec.run", "no other mode takes it"),
        ("/spec/sourceIsDown", json!(true), "spec.sourceIsDown", "only with mode StartHeld"),
        ("/spec/trigger", json!("Cron"), "spec.trigger", "\"Manual\", \"External\", \"Schedule\""),
        ("/spec/trigger", json!("Schedule"), "spec.scheduledTime", "needs scheduledTime"),
        ("/spec/scheduledTime", json!("2026-11-23T00:00:00Z"), "spec.scheduledTime", "no other run may have it"),
        ("/spec/skip", json!({"reason": "DeadlineExceeded", "slots": 1}), "spec.skip", "only a run with trigger Schedule"),
        ("/spec/skip", json!({"reason": "Tired", "slots": 1}), "spec.skip.reason", "\"DeadlineExceeded\""),
        ("/spec/cancel", json!("Now"), "spec.cancel", "\"Stop\", \"Abort\""),
        ("/spec/resumedByHand", json!(false), "spec.resumedByHand", "write true, or leave it out"),
        ("/spec/forceDelete", json!(false), "spec.forceDelete", "write true, or leave it out"),
        ("/spec/cancelled", json!(true), "spec.cancelled", "field not declared"),
    ];
    for (pointer, value, field, remedy) in cases {
        let mut object = run("bad");
        set(&mut object, pointer, value);
        let message = create(&client, &ns, &object).await.unwrap_err().to_string();
        assert!(
            message.contains(field) && message.contains(remedy),
            "{pointer}: {message}"
        );
    }
}

#[tokio::test]
async fn a_scheduled_run_is_accepted_with_its_time_and_with_a_skip() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    let mut object = run("nightly-20261123t0000z");
    set(&mut object, "/spec/trigger", json!("Schedule"));
    set(
        &mut object,
        "/spec/scheduledTime",
        json!("2026-11-23T00:00:00Z"),
    );
    create(&client, &ns, &object).await.unwrap();
    set(
        &mut object,
        "/metadata/name",
        json!("nightly-20261124t0000z"),
    );
    let skip = json!({"reason": "PreviousRunActive", "slots": 3});
    set(&mut object, "/spec/skip", skip);
    create(&client, &ns, &object).await.unwrap();
}

#[tokio::test]
async fn a_run_about_an_image_is_accepted_with_its_run_and_keeps_no_image_of_its_own() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    for mode in ["StartHeld", "ReleaseHeld", "End"] {
        let mut object = run(&mode.to_lowercase());
        set(&mut object, "/spec/mode", json!(mode));
        set(&mut object, "/spec/run", json!("midday-7"));
        create(&client, &ns, &object).await.unwrap();
        let mut refused = object.clone();
        set(&mut refused, "/metadata/name", json!("refused"));
        set(
            &mut refused,
            "/spec/keepUntil",
            json!("2026-12-31T00:00:00Z"),
        );
        let error = create(&client, &ns, &refused).await.unwrap_err();
        assert!(error.to_string().contains("spec.keepUntil"), "{error}");
        let api: Api<CloneRun> = Api::namespaced(client.clone(), &ns);
        let other = json!({"spec": {"run": "midday-8"}});
        let name = object["metadata"]["name"].as_str().unwrap();
        let patched = api
            .patch(name, &PatchParams::default(), &Patch::Merge(&other))
            .await;
        let error = patched.unwrap_err().to_string();
        assert!(error.contains("run is immutable"), "{error}");
    }
    let mut held = run("down");
    set(&mut held, "/spec/mode", json!("StartHeld"));
    set(&mut held, "/spec/run", json!("midday-7"));
    set(&mut held, "/spec/sourceIsDown", json!(true));
    create(&client, &ns, &held).await.unwrap();
}

#[tokio::test]
async fn an_image_may_be_kept_later_and_once() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    create(&client, &ns, &run("kept")).await.unwrap();
    let api: Api<CloneRun> = Api::namespaced(client, &ns);
    let keep = |until: Value| json!({"spec": {"keepUntil": until}});
    let parameters = PatchParams::default();
    let mut patched = Vec::new();
    for until in [
        json!("2026-12-31T00:00:00Z"),
        json!("2027-12-31T00:00:00Z"),
        Value::Null,
    ] {
        let change = keep(until);
        let answer = api.patch("kept", &parameters, &Patch::Merge(&change)).await;
        patched.push(answer.map(drop).map_err(|e| e.to_string()));
    }
    assert_eq!(patched[0], Ok(()));
    for refused in &patched[1..] {
        let error = refused.as_ref().unwrap_err();
        assert!(error.contains("set once and never changed"), "{error}");
    }
}

#[tokio::test]
async fn the_spec_of_a_run_is_immutable() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    create(&client, &ns, &run("fixed")).await.unwrap();
    let api: Api<CloneRun> = Api::namespaced(client, &ns);
    for (field, value) in [
        ("environment", json!("other")),
        ("mode", json!("Preflight")),
        ("trigger", json!("External")),
        ("scheduledTime", json!("2026-11-23T00:00:00Z")),
        ("skip", json!({"reason": "DeadlineExceeded", "slots": 1})),
        ("requestedBy", json!("somebody else")),
    ] {
        let merged = json!({"spec": {field: value}});
        let error = api
            .patch("fixed", &PatchParams::default(), &Patch::Merge(&merged))
            .await
            .unwrap_err()
            .to_string();
        let wanted = format!("{field} is immutable: create a new CloneRun instead");
        assert!(error.contains(&wanted), "{error}");
        assert!(error.contains(&format!("spec.{field}")), "{error}");
    }
    let labelled = json!({"metadata": {"labels": {"team": "night"}}});
    api.patch("fixed", &PatchParams::default(), &Patch::Merge(&labelled))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_final_phase_never_changes_even_when_the_whole_status_is_removed() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    create(&client, &ns, &run("done")).await.unwrap();
    let api: Api<CloneRun> = Api::namespaced(client, &ns);
    let mut object = api.get("done").await.unwrap();
    for phase in [Phase::Running, Phase::Failed] {
        object.status = Some(CloneRunStatus {
            phase,
            ..CloneRunStatus::default()
        });
        object = api
            .replace_status("done", &PostParams::default(), &object)
            .await
            .unwrap();
    }
    let version = object.resource_version();
    let parameters = PatchParams::default();
    let removed = json!([{"op": "remove", "path": "/status"}]);
    for attempt in [
        api.patch_status(
            "done",
            &parameters,
            &Patch::Json::<()>(serde_json::from_value(removed).unwrap()),
        )
        .await,
        api.patch_status("done", &parameters, &Patch::Merge(&json!({"status": null})))
            .await,
        api.patch_status(
            "done",
            &parameters,
            &Patch::Merge(&json!({"status": {"phase": "Succeeded"}})),
        )
        .await,
    ] {
        let error = attempt.expect_err("a final phase is final");
        assert!(
            error.to_string().contains("a final phase never changes"),
            "{error}"
        );
    }
    assert_eq!(api.get("done").await.unwrap().resource_version(), version);
    let note = json!({"status": {"state": "END_FC"}});
    api.patch_status("done", &parameters, &Patch::Merge(&note))
        .await
        .expect("the words of a final row may still change");
}

#[tokio::test]
async fn open_runs_can_be_selected_by_phase() {
    let Some(stack) = shared().await else { return };
    let (client, ns) = namespace(stack).await;
    create(&client, &ns, &run("open")).await.unwrap();
    create(&client, &ns, &run("closed")).await.unwrap();
    let api: Api<CloneRun> = Api::namespaced(client, &ns);
    let mut closed = api.get("closed").await.unwrap();
    closed.status = Some(CloneRunStatus {
        phase: Phase::Skipped,
        ..CloneRunStatus::default()
    });
    api.replace_status("closed", &PostParams::default(), &closed)
        .await
        .unwrap();
    let fields = "spec.environment=nightly,status.phase!=Skipped,status.phase!=Failed";
    let found = api
        .list(&kube::api::ListParams::default().fields(fields))
        .await
        .unwrap();
    let names: Vec<String> = found.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["open"]);
}

//! Rules of `CloneRun`.

use super::*;
use crate::server::Server;
use macro_rules_attribute::apply;

fn run(name: &str) -> Value {
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": name}, "spec": {"environment": "nightly"},
    })
}

#[apply(on_both!)]
async fn a_bad_run_is_refused_with_field_and_remedy(server: Server) {
    let (client, ns) = server.namespace().await;
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
        ("/spec/resumedByHand", json!(true), "spec.resumedByHand", "a new run owes nothing"),
        ("/spec/releaseBackups", json!(true), "spec.releaseBackups", "a new run owes nothing"),
        ("/spec/forceDelete", json!(true), "spec.forceDelete", "a new run owes nothing"),
        ("/spec/replies", json!([{"key": "C1_1-00000220-060010", "text": "G"}]), "spec.replies", "a new run asks nothing"),
        ("/spec/replies", json!([{"key": "K", "text": "G".repeat(133)}]), "spec.replies[0].text", "may not be more than 132"),
        ("/spec/replies", json!([{"key": "", "text": "G"}]), "spec.replies[0].key", "at least 1"),
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

#[apply(on_both!)]
async fn a_scheduled_run_is_accepted_with_its_time_and_with_a_skip(server: Server) {
    let (client, ns) = server.namespace().await;
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

#[apply(on_both!)]
async fn a_run_about_an_image_is_accepted_with_its_run_and_keeps_no_image_of_its_own(
    server: Server,
) {
    let (client, ns) = server.namespace().await;
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

#[apply(on_both!)]
async fn an_image_may_be_kept_later_and_once(server: Server) {
    let (client, ns) = server.namespace().await;
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

#[apply(on_both!)]
async fn the_spec_of_a_run_is_immutable(server: Server) {
    let (client, ns) = server.namespace().await;
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

#[apply(on_both!)]
async fn a_final_phase_never_changes_even_when_the_whole_status_is_removed(server: Server) {
    let (client, ns) = server.namespace().await;
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

#[apply(on_both!)]
async fn open_runs_can_be_selected_by_phase(server: Server) {
    let (client, ns) = server.namespace().await;
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

#[apply(on_both!)]
async fn replies_are_only_added_to_and_not_to_a_run_that_is_over(server: Server) {
    let (client, ns) = server.namespace().await;
    create(&client, &ns, &run("asks")).await.unwrap();
    let api: Api<CloneRun> = Api::namespaced(client.clone(), &ns);
    let patched = async |what: Value| {
        let patch = Patch::Merge(&what);
        let done = api.patch("asks", &Default::default(), &patch).await;
        done.map(drop).map_err(|e| e.to_string())
    };
    let phase = async |phase: &str| {
        let status = json!({"status": {"phase": phase}});
        let patch = Patch::Merge(&status);
        api.patch_status("asks", &Default::default(), &patch)
            .await
            .unwrap();
    };
    let reply = |text: &str| json!({"key": "C1_1-00000220-060010", "text": text});
    let list = |texts: &[&str]| {
        let all: Vec<Value> = texts.iter().map(|t| reply(t)).collect();
        json!({"spec": {"replies": all}})
    };
    let early = patched(list(&["G"])).await.unwrap_err();
    assert!(early.contains("a new run asks nothing"), "{early}");
    phase("Running").await;
    patched(list(&["G"])).await.unwrap();
    patched(list(&["G", "C"])).await.unwrap();
    for bad in [list(&["C", "G"]), list(&["G"]), list(&["G", "D", "C"])] {
        let refused = patched(bad).await.unwrap_err();
        assert!(refused.contains("only add to the end"), "{refused}");
    }
    let refused = patched(json!({"spec": {"replies": null}}))
        .await
        .unwrap_err();
    assert!(refused.contains("only add to the end"), "{refused}");
    phase("Succeeded").await;
    let late = patched(list(&["G", "C", "D"])).await.unwrap_err();
    assert!(late.contains("this run is over"), "{late}");
    // The rest of a finished run may still be changed.
    let keep = json!({"spec": {"keepUntil": "2999-12-31T00:00:00Z"}});
    patched(keep).await.unwrap();
}

//! Fields of a run that may still be set: what follows from each, and what the API server refuses.

use super::field::{Field, Operator, phase, reason};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::controllers::locks::lease;
use ibmi_clone_operator::engine::journal::{EntryState, ObligationKind, Phase};
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::json;

/// A run `r` of one environment, held in a step.
async fn held_at(server: Server, step: &str) -> (Field, Operator) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.verified_by(step).await
}

impl Field {
    async fn verified_by(self, step: &str) -> (Field, Operator) {
        self.world.hold(step);
        let operator = self.operator();
        self.run("r", "nightly").await;
        self.at_step("r", step).await;
        (self, operator)
    }

    pub async fn gone(&self, run: &str) {
        let gone = await_condition(self.runs(), run, |r: Option<&CloneRun>| r.is_none());
        wait::finished("the run", gone).await.unwrap();
    }

    async fn refused(&self, field: &str, value: serde_json::Value) -> String {
        let error = self.set("r", field, value).await;
        error.expect_err("must be refused").to_string()
    }
}

fn state(run: &CloneRun, step: &str) -> EntryState {
    let steps = &run.status.as_ref().unwrap().steps;
    steps.iter().find(|e| e.name == step).unwrap().state
}

pub fn owes(run: &CloneRun, kind: ObligationKind) -> bool {
    let obligations = run.status.as_ref().map(|s| s.obligations.as_slice());
    let mut open = obligations.unwrap_or_default().iter();
    open.any(|o| o.kind == kind && o.met.is_none())
}

fn acknowledged(run: &CloneRun) -> bool {
    run.status.as_ref().and_then(|s| s.observed_generation) == run.metadata.generation
}

#[apply(on_both!)]
async fn stop_waits_for_the_step_under_way_and_takes_no_further_one(server: Server) {
    let (field, _operator) = held_at(server, "prepare-copy").await;
    field.set("r", "cancel", json!("Stop")).await.unwrap();
    let stopping = field.until("r", |r| phase(r) == Phase::Cancelling).await;
    assert!(acknowledged(&stopping));
    assert_eq!(reason(&stopping), "Stopping");
    assert_eq!(state(&stopping, "prepare-copy"), EntryState::Intended);
    let error = field.refused("requestedBy", json!("me")).await;
    assert!(error.contains("requestedBy is immutable"), "{error}");
    field.world.let_go("prepare-copy");
    let end = field.ended("r").await;
    assert_eq!((phase(&end), reason(&end)), (Phase::Cancelled, "Stopped"));
    assert_eq!(state(&end, "prepare-copy"), EntryState::Done);
    assert_eq!(state(&end, "suspend-source"), EntryState::Pending);
    let status = end.status.as_ref().unwrap();
    assert_eq!(status.state.as_deref(), Some("CANCELLED"));
    let message = status.message.as_deref().unwrap();
    assert!(message.contains("stopped after prepare-copy, before suspend-source"));
    assert!(!field.world.acts().contains(&"r suspend-source".to_owned()));
    let told = field.told("r", "Cancelled").await;
    assert!(told.contains(&"Cancelling".to_owned()), "{told:?}");
}

#[apply(on_both!)]
async fn abort_interrupts_a_wait_and_is_never_taken_back(server: Server) {
    let (field, _operator) = held_at(server, "await-clone").await;
    field.set("r", "cancel", json!("Stop")).await.unwrap();
    field.until("r", |r| phase(r) == Phase::Cancelling).await;
    for back in [json!(null), json!("Later")] {
        field.refused("cancel", back).await;
    }
    field.set("r", "cancel", json!("Abort")).await.unwrap();
    // It may be over before this is sent: both refusals are the API server's.
    let back = field.refused("cancel", json!("Stop")).await;
    assert!(
        back.contains("write Abort after Stop") || back.contains("this run is over"),
        "{back}"
    );
    let end = field.ended("r").await;
    assert_eq!((phase(&end), reason(&end)), (Phase::Cancelled, "Aborted"));
    assert_eq!(state(&end, "run-function"), EntryState::Pending);
    let message = end.status.as_ref().unwrap().message.clone().unwrap();
    assert!(
        message.contains("cancelled during await-clone"),
        "{message}"
    );
    assert!(message.contains("clone and image stay"), "{message}");
}

#[apply(on_both!)]
async fn a_queued_run_is_cancelled_at_once_and_gives_its_place_back(server: Server) {
    let field = Field::new(server).await;
    let partition = format!("SHARED-{}", field.namespace);
    for name in ["nightly", "other"] {
        let partition = partition.clone();
        field
            .environment(name, move |spec| {
                spec["clone"]["partition"]["name"] = json!(partition);
            })
            .await;
    }
    let (field, _operator) = field.verified_by("run-function").await;
    field.run("waits", "other").await;
    field.until("waits", |r| phase(r) == Phase::Queued).await;
    field.set("waits", "cancel", json!("Stop")).await.unwrap();
    let end = field.ended("waits").await;
    assert_eq!(phase(&end), Phase::Cancelled);
    assert_eq!(end.status.as_ref().unwrap().queue, None);
    assert_eq!(field.world.acts_of("waits"), 0);
    let uid = end.uid().unwrap();
    let leases: Api<Lease> = Api::namespaced(field.client.clone(), &field.namespace);
    for lease in leases.list(&Default::default()).await.unwrap() {
        assert_ne!(lease::holder(&lease).as_deref(), Some(uid.as_str()));
        let said = serde_json::to_string(&lease.metadata.annotations).unwrap();
        assert!(!said.contains(&uid), "it still has its place: {said}");
    }
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("r").await), Phase::Succeeded);
    let late = field.set("r", "cancel", json!("Stop")).await.unwrap_err();
    assert!(late.to_string().contains("this run is over"), "{late}");
}

#[apply(on_both!)]
async fn a_run_cancelled_before_it_is_opened_takes_no_number(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.run("r", "nightly").await;
    field.set("r", "cancel", json!("Abort")).await.unwrap();
    let _operator = field.operator();
    let end = field.ended("r").await;
    assert_eq!(phase(&end), Phase::Cancelled);
    assert_eq!(field.world.acts_of("r"), 0);
    field.run("next", "nightly").await;
    let next = field.ended("next").await;
    assert_eq!(next.status.unwrap().number, Some(1));
}

#[apply(on_both!)]
async fn a_cancelled_run_whose_devices_cannot_be_opened_ends_too(server: Server) {
    let (field, operator) = held_at(server, "await-clone").await;
    // Devices that are open stay open: the next operator finds the Secrets gone, and the wish.
    operator.ends().await;
    field.remove_secrets().await;
    field.set("r", "cancel", json!("Abort")).await.unwrap();
    let _operator = field.operator();
    let end = field.ended("r").await;
    assert_eq!(phase(&end), Phase::Cancelled);
    let message = end.status.unwrap().message.unwrap();
    assert!(message.contains("could not be used"), "{message}");
}

/// A run that is cancelled while its source does not answer any more.
async fn owing(server: Server) -> (Field, Operator) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.world.cannot_meet(super::fakes::OWED);
    let (field, operator) = field.verified_by("suspend-source").await;
    field.set("r", "cancel", json!("Abort")).await.unwrap();
    field
        .until("r", |r| {
            phase(r) == Phase::Cancelling && owes(r, ObligationKind::ResumeSource)
        })
        .await;
    (field, operator)
}

#[apply(on_both!)]
async fn a_persons_word_counts_as_the_resume_and_the_rest_is_still_tried(server: Server) {
    let (field, _operator) = owing(server).await;
    let no = field.refused("resumedByHand", json!(false)).await;
    assert!(no.contains("write true, or leave it out"), "{no}");
    field.told("r", "ObligationUnmet").await;
    field.set("r", "resumedByHand", json!(true)).await.unwrap();
    let run = field
        .until("r", |r| !owes(r, ObligationKind::ResumeSource))
        .await;
    assert_eq!(phase(&run), Phase::Cancelling);
    assert!(owes(&run, ObligationKind::RemoveParameters));
    let notes = run.status.unwrap().journal.unwrap().notes;
    assert!(
        notes.iter().any(|n| n.contains("resumed by hand")),
        "{notes:?}"
    );
    field
        .environment_until("nightly", |e| {
            let conditions = e.status.iter().flat_map(|s| &s.conditions);
            conditions
                .filter(|c| c.type_ == "SourceFrozen")
                .any(|c| c.status == "False")
        })
        .await;
    let back = field.refused("resumedByHand", json!(null)).await;
    assert!(back.contains("once true it stays"), "{back}");
    field.world.cannot_meet(&[]);
    assert_eq!(phase(&field.ended("r").await), Phase::Cancelled);
}

#[apply(on_both!)]
async fn a_persons_word_is_refused_while_no_resume_is_owed(server: Server) {
    let (field, _operator) = held_at(server, "stop-clone").await;
    let early = field.refused("resumedByHand", json!(true)).await;
    assert!(early.contains("does not owe a resume"), "{early}");
    field.set("r", "forceDelete", json!(true)).await.unwrap();
    // Nothing follows from it before the run is deleted, and it is acknowledged all the same.
    let seen = field.until("r", acknowledged).await;
    assert_eq!(phase(&seen), Phase::Running);
    field.world.let_go("stop-clone");
    assert_eq!(phase(&field.ended("r").await), Phase::Succeeded);
}

#[apply(on_both!)]
async fn a_deleted_run_stays_while_something_is_owed_and_goes_by_force(server: Server) {
    let (field, _operator) = owing(server).await;
    let early = field.refused("forceDelete", json!(true)).await;
    assert!(early.contains("resume it by hand"), "{early}");
    field.runs().delete("r", &Default::default()).await.unwrap();
    field.set("r", "resumedByHand", json!(true)).await.unwrap();
    let run = field
        .until("r", |r| !owes(r, ObligationKind::ResumeSource))
        .await;
    assert!(!run.finalizers().is_empty(), "it still owes something");
    field.set("r", "forceDelete", json!(true)).await.unwrap();
    field.gone("r").await;
    field.told("r", "Failed").await;
    let environment = field
        .environment_until("nightly", |e| {
            let last = e.status.as_ref().and_then(|s| s.last_run.as_ref());
            last.is_some_and(|l| l.name == "r")
        })
        .await;
    let last = environment.status.unwrap().last_run.unwrap();
    assert_eq!(last.phase, Phase::Failed, "what was left is no success");
}

//! One look at an environment's devices: before its first run, on change, and hourly. Changes nothing on any device.

use super::image::{self, Live};
use super::partitions::Partitions;
use super::{pins, status};
use crate::api::environment::{CloneObserved, SourceObserved, VolumesObserved};
use crate::api::options::Function;
use crate::api::{CloneEnvironment, CloneEnvironmentStatus};
use crate::controllers::conditions::{self, Truth};
use crate::controllers::context::{Caller, Context};
use crate::controllers::events::{Transition, publish};
use crate::controllers::locks::attached::KubeRecordedSets;
use crate::controllers::run::store::call;
use crate::controllers::run::target_set;
use crate::controllers::text::stable;
use crate::engine::ports::StoreError;
use crate::engine::time::Timestamp;
use crate::recipe::checks::{GUEST_KIT, SiteFacts, SiteReport, VOLUME_DRIFT};
use crate::recipe::{Pins, Plan, ResolvedFacts};
use crate::site::{CopyPhase, PartitionUuid, errand};
use kube::ResourceExt;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest message of a condition, bytes.
const MESSAGE: usize = 800;
/// Seconds for which a look that found nothing new is not written: environments that are not ready are looked at every
/// minute, and each write goes to every watch.
const NOTHING_NEW: u64 = 240;

/// What a look found, in the words of the condition `Ready`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether runs may start.
    pub ready: bool,
    /// Whether waiting alone may cure it.
    pub may_pass: bool,
    /// One word of a fixed list.
    pub reason: String,
    /// What was found, where, and what a person can do.
    pub message: String,
    report: SiteReport,
    /// Whose image is on the newest target set.
    live: Option<Live>,
}

impl Outcome {
    fn bad(may_pass: bool, reason: &str, message: impl Into<String>) -> Self {
        Self {
            ready: false,
            may_pass,
            reason: reason.to_owned(),
            message: message.into(),
            report: SiteReport::default(),
            live: None,
        }
    }
}

/// Looks, pins what was seen first, writes the status, tells of transitions. Gives the environment as it was written, if it
/// is still there.
///
/// # Errors
/// When the API server cannot be asked; devices that cannot are part of the outcome.
pub async fn verify(
    context: &Context,
    environment: &CloneEnvironment,
) -> Result<(Outcome, Option<CloneEnvironment>), StoreError> {
    let namespace = environment.namespace().unwrap_or_default();
    let api = context.environments(&namespace);
    let outcome = look(context, environment).await?;
    // What a look with a fatal finding saw may be the wrong partition: it is not pinned.
    let pinned = match outcome.report.fatal().next() {
        None => pins::add(&api, environment, &learned(&outcome.report.facts)).await?,
        Some(_) => environment.clone(),
    };
    let now = context.now();
    // Against what the write replaced: two looks at once may both have begun before the first of them was written.
    let turned = AtomicBool::new(false);
    context.gate.wait().await;
    let apart = image::apart(context);
    let lately = context.pace().seconds(NOTHING_NEW);
    let written = status::update_known(&api, &pinned, |object, status| {
        let before = status.clone();
        let was = ready_of(&before);
        turned.store(was != Some(outcome.ready), Ordering::Relaxed);
        write(object, status, &outcome, now);
        observe_image(status, &outcome, apart, now);
        if nothing_new(&before, status, lately) {
            *status = before;
        }
    })
    .await?;
    if let Some(environment) = &written
        && turned.load(Ordering::Relaxed)
    {
        let reason = if outcome.ready { "Ready" } else { "NotReady" };
        let note = format!("{}: {}", outcome.reason, outcome.message);
        let told = Transition::new(!outcome.ready, reason, "Verify", note);
        publish(&context.recorder, environment, &[told]).await;
    }
    Ok((outcome, written))
}

/// Whether a look has found what another one has written shortly before.
fn nothing_new(
    before: &CloneEnvironmentStatus,
    after: &CloneEnvironmentStatus,
    lately: Duration,
) -> bool {
    let (Some(then), Some(now)) = (before.observed_at, after.observed_at) else {
        return false;
    };
    let since = u64::try_from(now.since(then)).map(Duration::from_millis);
    let same = CloneEnvironmentStatus {
        observed_at: before.observed_at,
        ..after.clone()
    };
    since.is_ok_and(|since| since < lately) && same == *before
}

fn ready_of(status: &CloneEnvironmentStatus) -> Option<bool> {
    let ready = conditions::get(&status.conditions, "Ready")?;
    Some(ready.status == "True")
}

async fn look(context: &Context, environment: &CloneEnvironment) -> Result<Outcome, StoreError> {
    let namespace = environment.namespace().unwrap_or_default();
    let partitions = partitions(context).await?;
    if let Some(message) = partitions.forbids(environment) {
        return Ok(Outcome::bad(false, "CloneIsASource", message));
    }
    let facts = ResolvedFacts {
        namespace: namespace.clone(),
        environment: environment.name_any(),
        device_number: pins::device_number(environment).unwrap_or_default(),
        pins: pins::of(environment),
        pinned_sources: partitions.sources.clone(),
        operator_id: context.config.operator_id().to_owned(),
        recorded: Some(Arc::new(KubeRecordedSets::new(context.leases()))),
        pace: context.pace(),
        ..ResolvedFacts::default()
    };
    let newest = target_set::newest(context, environment).await?;
    let newest = newest.unwrap_or_default();
    let others = environment.spec.target_sets().into_iter();
    let others = others.filter(|set| *set != newest);
    let mut report = match look_at(context, environment, &newest, &facts, true).await {
        Ok(report) => report,
        Err(outcome) => return Ok(outcome),
    };
    let live = noted(context, environment, &newest, &report).await?;
    for set in others {
        match look_at(context, environment, &set, &facts, false).await {
            Ok(more) => {
                noted(context, environment, &set, &more).await?;
                report.join(more, &set, &newest);
            }
            Err(outcome) => return Ok(outcome),
        }
    }
    Ok(Outcome {
        live,
        ..judge(report)
    })
}

async fn noted(
    context: &Context,
    environment: &CloneEnvironment,
    set: &str,
    report: &SiteReport,
) -> Result<Option<Live>, StoreError> {
    match &report.facts.image {
        Some(seen) => image::note(context, environment, set, seen).await,
        None => Ok(None),
    }
}

/// A look at the site as a run on one target set would use it; `whole` = what does not depend on the set too.
async fn look_at(
    context: &Context,
    environment: &CloneEnvironment,
    set: &str,
    facts: &ResolvedFacts,
    whole: bool,
) -> Result<SiteReport, Outcome> {
    let (namespace, name) = (&facts.namespace, &facts.environment);
    let spec = environment.spec.with_target_set(set);
    let plan = Plan::new(&spec, facts.clone())
        .map_err(|error| Outcome::bad(false, "SpecUnusable", error.to_string()))?;
    let caller = Caller::Verify {
        environment: name,
        generation: environment.metadata.generation.unwrap_or_default(),
    };
    let opened = context
        .sites
        .open(&context.client, namespace, &spec, &facts.pins, caller)
        .await;
    let site = opened
        .map_err(|error| Outcome::bad(error.may_pass(), error.reason(), error.to_string()))?;
    let errand = context.errand("verify", namespace, name);
    let recipes = &context.recipes;
    let look = async {
        match whole {
            true => recipes.inspect(&site, &plan).await,
            false => recipes.inspect_set(&site, &plan).await,
        }
    };
    Ok(errand::on_behalf_of(&errand, look).await)
}

fn judge(report: SiteReport) -> Outcome {
    let fatal: Vec<_> = report.fatal().collect();
    let (may_pass, reason, message) = if let Some(first) = fatal.first() {
        let texts: Vec<&str> = fatal.iter().map(|f| f.message.as_str()).collect();
        (false, first.reason.to_owned(), texts.join("; "))
    } else if let Some(error) = report.unanswered.first() {
        let texts: Vec<String> = report.unanswered.iter().map(ToString::to_string).collect();
        (true, error.reason().to_owned(), texts.join("; "))
    } else {
        (false, "Verified".to_owned(), String::new())
    };
    Outcome {
        ready: report.ready(),
        may_pass,
        reason,
        message: stable(&message, MESSAGE),
        report,
        live: None,
    }
}

/// Which partitions all environments clone.
async fn partitions(context: &Context) -> Result<Arc<Partitions>, StoreError> {
    // The watches know them; a list is for the moment in which they do not yet.
    match context.partitions.get(&context.known) {
        Some(known) => Ok(known),
        None => {
            let listed = environments(context).await?;
            Ok(Arc::new(Partitions::of(listed.iter())))
        }
    }
}

/// Pinned source partitions of all environments: none of them may ever be a clone.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn pinned_sources(context: &Context) -> Result<Arc<BTreeSet<PartitionUuid>>, StoreError> {
    Ok(partitions(context).await?.sources.clone())
}

/// All environments that can be read; one that cannot never hides the others (rule 13).
async fn environments(context: &Context) -> Result<Vec<CloneEnvironment>, StoreError> {
    let scopes: Vec<kube::Api<DeserializeGuard<CloneEnvironment>>> =
        if context.config.namespaces.is_empty() {
            vec![kube::Api::all(context.client.clone())]
        } else {
            let served = context.config.namespaces.iter();
            served
                .map(|n| kube::Api::namespaced(context.client.clone(), n))
                .collect()
        };
    let mut all = Vec::new();
    for api in scopes {
        let found = call(api.list(&ListParams::default())).await?;
        all.extend(found.items.into_iter().filter_map(|guard| guard.0.ok()));
    }
    Ok(all)
}

/// What may be pinned: only seen once and consistently.
fn learned(facts: &SiteFacts) -> crate::engine::journal::Facts {
    Pins {
        source_partition: facts.source_uuid.clone(),
        clone_partition: facts.clone_uuid.clone(),
        source_identity: facts.source_identity.clone(),
        array: facts.array.clone(),
    }
    .to_facts()
}

fn write(
    environment: &CloneEnvironment,
    status: &mut CloneEnvironmentStatus,
    outcome: &Outcome,
    now: Timestamp,
) {
    status.observed_generation = environment.metadata.generation;
    status.observed_at = Some(now);
    status.pins = pins::facts(environment);
    status.device_number = pins::device_number(environment);
    observe(status, &outcome.report.facts);
    let generation = environment.metadata.generation;
    let list = &mut status.conditions;
    let mut set = |kind: &str, truth, reason: &str, message: &str| {
        conditions::set(list, kind, truth, reason, message, generation, now);
    };
    set(
        "Ready",
        Truth::of(outcome.ready),
        &outcome.reason,
        &outcome.message,
    );
    for kind in [VOLUME_DRIFT, GUEST_KIT] {
        let (truth, reason, message) = aspect(kind, &outcome.report);
        set(kind, truth, &reason, &message);
    }
    let insecure = insecure(environment);
    let why = if insecure {
        "VerificationOff"
    } else {
        "CertificatesChecked"
    };
    set("InsecureTransport", Truth::of(insecure), why, "");
    if conditions::get(&status.conditions, "SourceFrozen").is_none() {
        status::source_frozen(environment, status, "", false, now);
    }
    let saves = environment.spec.function == Function::Brms;
    if saves && conditions::get(&status.conditions, "BackupsFrozen").is_none() {
        status::backups_frozen(environment, status, "", None, now);
    }
    kstatus(environment, status, outcome, now);
}

/// kstatus: waiting for devices is Reconciling, what a person must change is Stalled.
fn kstatus(
    environment: &CloneEnvironment,
    status: &mut CloneEnvironmentStatus,
    outcome: &Outcome,
    now: Timestamp,
) {
    let generation = environment.metadata.generation;
    let wanted = [
        ("Reconciling", !outcome.ready && outcome.may_pass),
        ("Stalled", !outcome.ready && !outcome.may_pass),
    ];
    for (kind, holds) in wanted {
        let list = &mut status.conditions;
        if holds {
            let (reason, text) = (&outcome.reason, &outcome.message);
            conditions::set(list, kind, Truth::True, reason, text, generation, now);
        } else {
            conditions::clear(list, kind);
        }
    }
}

/// A condition beside Ready: what the findings about it say. Without an answer nothing is known of it.
fn aspect(kind: &str, report: &SiteReport) -> (Truth, String, String) {
    let about: Vec<_> = report
        .findings
        .iter()
        .filter(|f| f.condition == Some(kind))
        .collect();
    let drift = kind == VOLUME_DRIFT;
    if let Some(first) = about.first() {
        let texts: Vec<&str> = about.iter().map(|f| f.message.as_str()).collect();
        let text = stable(&texts.join("; "), MESSAGE);
        return (Truth::of(drift), first.reason.to_owned(), text);
    }
    if !report.unanswered.is_empty() || report.facts == SiteFacts::default() {
        return (Truth::Unknown, "NotAsked".to_owned(), String::new());
    }
    let fine = if drift { "Equal" } else { "Verified" };
    (Truth::of(!drift), fine.to_owned(), String::new())
}

fn insecure(environment: &CloneEnvironment) -> bool {
    let spec = &environment.spec;
    let consoles = [Some(&spec.console), spec.source.console.as_ref()];
    let hmcs = consoles
        .into_iter()
        .flatten()
        .filter_map(|c| c.hmc.as_ref());
    let storage = spec.storage.spectrum_virtualize.iter().map(|s| &s.tls);
    hmcs.map(|h| &h.tls)
        .chain(storage)
        .any(|tls| tls.insecure_skip_verify)
}

/// Keeps what was known of a device that did not answer now.
fn observe(status: &mut CloneEnvironmentStatus, facts: &SiteFacts) {
    if let Some(state) = &facts.clone_state {
        status.clone = Some(CloneObserved {
            state: state.clone(),
            reference_code: facts.reference_code.clone().unwrap_or_default(),
        });
    }
    if let Some(identity) = &facts.source_identity {
        status.source = Some(SourceObserved {
            identity: Some(identity.clone()),
        });
    }
    if !facts.source_volumes.is_empty() || !facts.targets.is_empty() {
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        status.volumes = Some(VolumesObserved {
            source: count(facts.source_volumes.len()),
            mapped: count(facts.targets.len()),
            drift: facts.drift.iter().take(64).cloned().collect(),
        });
    }
}

fn observe_image(
    status: &mut CloneEnvironmentStatus,
    outcome: &Outcome,
    apart: Duration,
    now: Timestamp,
) {
    let facts = &outcome.report.facts;
    let Some(phase) = facts.phase else { return };
    let seen = facts.image.as_ref().map(|i| (i, outcome.live.as_ref()));
    let word = copy_word(phase);
    let silent = !outcome.report.unanswered.is_empty();
    if let (None, true, Some(known)) = (&seen, silent, status.image.as_mut()) {
        // Nothing new is known of the image.
        known.state = word.to_owned();
        return;
    }
    image::observe(status, word, facts.copy_progress, seen, apart, now);
}

fn copy_word(phase: CopyPhase) -> &'static str {
    match phase {
        CopyPhase::Empty => "empty",
        CopyPhase::Idle => "idle or copied",
        CopyPhase::Preparing => "preparing",
        CopyPhase::Prepared => "prepared",
        CopyPhase::Copying => "copying",
        CopyPhase::Stopping => "stopping",
        CopyPhase::Stopped => "stopped",
        CopyPhase::Suspended => "suspended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, Utc};

    #[test]
    fn a_look_is_not_written_only_when_it_says_what_was_written_within_the_last_minutes() {
        let lately = Duration::from_secs(NOTHING_NEW);
        let begun = Utc::now();
        let at = |seconds: i64| Timestamp::new(begun + TimeDelta::seconds(seconds));
        let seen = |seconds: i64, message: &str| {
            let mut status = CloneEnvironmentStatus {
                observed_at: Some(at(seconds)),
                ..CloneEnvironmentStatus::default()
            };
            let list = &mut status.conditions;
            conditions::set(
                list,
                "Ready",
                Truth::False,
                "SecretMissing",
                message,
                Some(1),
                at(0),
            );
            status
        };
        let before = seen(0, "hmc");
        assert!(nothing_new(&before, &seen(60, "hmc"), lately));
        assert!(
            !nothing_new(&before, &seen(60, "array"), lately),
            "it found something else"
        );
        assert!(
            !nothing_new(&before, &seen(240, "hmc"), lately),
            "people see that it is looked at"
        );
        assert!(
            !nothing_new(&before, &seen(-1, "hmc"), lately),
            "the clock was set back"
        );
        let never = CloneEnvironmentStatus::default();
        assert!(!nothing_new(&never, &seen(0, ""), lately));
    }
}

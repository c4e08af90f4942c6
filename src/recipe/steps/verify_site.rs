//! Step 1: every check that changes nothing. It is also the whole of mode Preflight.

use super::gate;
use crate::engine::journal::{Facts, Journal};
use crate::engine::ports::every_lock;
use crate::engine::step::{
    Failure, LockKind, NOTE_FACT, Observation, Step, StepContext, WARNING_FACT,
};
use crate::recipe::checks::{Depth, Level, SiteReport, inspect};
use crate::recipe::plan::{Plan, identity_text};
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "verify-site";

/// Fact of the step: `yes` or `no`, whether a target was mapped to the clone.
pub(super) const ATTACHED: &str = "attached";

/// Whether this run, a HOLD or the end of an image, has nothing to do with the clone's partition, because none of its targets was attached to it when
/// the run decided what it locks (`product.md` § 7.7). The journal keeps the answer: from step 2 on it never changes.
pub(super) fn leaves_clone_alone(journal: &Journal, plan: &Plan) -> bool {
    !plan.uses_clone() && detached(journal)
}

/// No target was attached to the clone when the run looked.
pub(super) fn detached(journal: &Journal) -> bool {
    gate::seen(journal, ATTACHED) == Some("no")
}

/// Locks of a HOLD: the midday copy does not wait for the night's save on the same partition.
pub(in crate::recipe) fn hold_locks(journal: &Journal) -> &'static [LockKind] {
    if detached(journal) {
        &[LockKind::TargetSet, LockKind::Source]
    } else {
        every_lock(journal)
    }
}

pub(super) struct VerifySite {
    pub(super) plan: Arc<Plan>,
}

#[async_trait]
impl Step for VerifySite {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        // No lock is held yet, so the force write that would prove the authority is left to prepare-copy.
        let report = inspect(context.site, &self.plan, Depth::Look).await;
        judge(&report, self.plan.pace.silence())
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Ok(None)
    }
}

fn judge(report: &SiteReport, again: Duration) -> Observation {
    let fatal: Vec<_> = report.fatal().collect();
    if let Some(first) = fatal.first() {
        let texts: Vec<&str> = fatal.iter().map(|f| f.message.as_str()).collect();
        return Observation::Broken(Failure::new(first.reason, texts.join("; ")));
    }
    if let Some(error) = report.unanswered.first() {
        return Observation::underway(again, error.to_string());
    }
    Observation::Done(output(report))
}

/// What later steps and the status work with.
fn output(report: &SiteReport) -> Facts {
    let found = &report.facts;
    let mut facts = Facts::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.insert(key.to_owned(), value);
        }
    };
    let targets: Vec<&str> = found.targets.iter().map(|u| u.as_str()).collect();
    put("targets", Some(targets.join(",")));
    put(
        "sourcePartition",
        found.source_uuid.as_ref().map(ToString::to_string),
    );
    put(
        "clonePartition",
        found.clone_uuid.as_ref().map(ToString::to_string),
    );
    put(
        "sourceIdentity",
        found.source_identity.as_ref().map(identity_text),
    );
    put(
        "cloneIdentity",
        found.clone_identity.as_ref().map(identity_text),
    );
    put(
        ATTACHED,
        found
            .attached
            .map(|a| if a { "yes" } else { "no" }.to_owned()),
    );
    for (n, finding) in report.findings.iter().enumerate() {
        let prefix = match finding.level {
            Level::Warning => WARNING_FACT,
            Level::Note => NOTE_FACT,
            Level::Fatal => continue,
        };
        facts.insert(format!("{prefix}{n:02}"), finding.message.clone());
    }
    facts
}

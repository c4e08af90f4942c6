//! The VIOSes of the clone: every one answers, every adapter exists, nobody else maps the targets.

use super::{Finding, Level, SiteReport};
use crate::recipe::plan::{Mapping, Plan};
use crate::recipe::recorded::{self, Foreign};
use crate::recipe::steps::gate::volume_conflict;
use crate::site::{DeviceError, Site, VirtualIoState};
use std::collections::BTreeSet;

pub(super) async fn inspect(site: &Site, plan: &Plan, report: &mut SiteReport) {
    if report.facts.targets.is_empty() {
        // Nothing to look for; the group's own finding says why.
        return;
    }
    let wanted = plan.wanted(&report.facts.targets);
    let answer = site.virtual_io.observe(&wanted).await;
    if let Some(state) = report.take(answer) {
        report.facts.attached = Some(state.paths.is_empty() || !state.all_unmapped());
        judge(&state, plan, report);
        others(&state, plan, report).await;
        for remark in site.virtual_io.remarks(&wanted).await {
            report.add(Finding::new(Level::Warning, "VirtualIoRemark", remark));
        }
    }
}

fn judge(state: &VirtualIoState, plan: &Plan, report: &mut SiteReport) {
    if let Some(failure) = volume_conflict(state, plan.mapping) {
        report.add(Finding::fatal(failure.reason, failure.message));
    }
    let answered: BTreeSet<&str> = state.paths.iter().map(|p| p.vios.as_str()).collect();
    for (vios, vhost) in &plan.adapters {
        if !answered.contains(vios.as_str()) {
            report.add(Finding::fatal(
                "ViosUnknown",
                format!("VIOS {vios} told nothing of the volumes behind {vhost}: correct virtualIo.vscsi.adapters"),
            ));
        }
    }
    if plan.keep_mappings && !state.all_mapped() {
        let (setting, way_out) = plan.mapping.kept();
        report.add(Finding::fatal(
            "MappingMissing",
            format!("{setting}, but not every target is mapped to the clone everywhere: {way_out}"),
        ));
    }
}

/// What else the clone has. A run that starts the clone needs it alone: it may take away what runs of this operator have
/// mapped, and nothing else.
async fn others(state: &VirtualIoState, plan: &Plan, report: &mut SiteReport) {
    if state.foreign.is_empty() {
        return;
    }
    if !plan.uses_clone() {
        report.add(beside_hold(state, plan));
        return;
    }
    let clone = report.facts.clone_uuid.clone();
    let own = report.facts.targets.clone();
    let mut sorted = match Foreign::sort(plan, clone.as_ref(), &own, state).await {
        Ok(sorted) => sorted,
        Err(error) => {
            let silent = DeviceError::unreachable("the API server", error);
            report.unanswered.push(silent);
            return;
        }
    };
    let unusable = std::mem::take(&mut sorted.unusable);
    sorted.unknown.extend(unusable);
    if let Some(failure) = sorted.forbids(plan) {
        report.add(Finding::fatal(failure.reason, failure.message));
    }
    if !sorted.owners.is_empty() {
        let whose: Vec<&str> = sorted.owners.iter().map(String::as_str).collect();
        report.add(Finding::new(
            Level::Note,
            "TakesTurns",
            format!(
                "clone {} has volumes of {}: a run stops it and takes them away first; that image stays on the array",
                plan.clone_label(),
                whose.join(", ")
            ),
        ));
    }
}

/// A clone that is left alone may well be at work with another target set: nobody is told to take its disks away.
fn beside_hold(state: &VirtualIoState, plan: &Plan) -> Finding {
    let places: Vec<String> = state.foreign.iter().map(ToString::to_string).collect();
    if state.all_unmapped() {
        return Finding::new(
            Level::Note,
            "ForeignMapping",
            format!(
                "the clone has other devices than the targets of consistency group {} and is left alone: {}",
                plan.copy_group,
                places.join(", ")
            ),
        );
    }
    let failure = recorded::stranger(&places, plan);
    // With host mappings that stay for ever, a clone that a person starts would see them too.
    let level = match plan.mapping {
        Mapping::Npiv if plan.keep_mappings => Level::Fatal,
        Mapping::Npiv | Mapping::Vscsi => Level::Warning,
    };
    Finding::new(level, failure.reason, failure.message)
}

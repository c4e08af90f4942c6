//! The VIOSes of the clone: every one answers, every adapter exists, nobody else maps the targets.

use super::{Finding, Level, SiteReport};
use crate::recipe::plan::Plan;
use crate::recipe::steps::gate::volume_conflict;
use crate::site::{Site, VirtualIoState};
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
    }
}

fn judge(state: &VirtualIoState, plan: &Plan, report: &mut SiteReport) {
    if let Some(failure) = volume_conflict(state) {
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
    if !state.foreign.is_empty() {
        report.add(foreign(state, plan));
    }
    if plan.keep_mappings && !state.all_mapped() {
        report.add(Finding::fatal(
            "MappingMissing",
            "keepMappings is true, but not every target is mapped to the clone on every VIOS: map them once by hand, or set keepMappings: false",
        ));
    }
}

/// A clone that is left alone may well be at work with another target set: nobody is told to take its disks away.
fn foreign(state: &VirtualIoState, plan: &Plan) -> Finding {
    let devices = state.foreign.join(", ");
    if !plan.starts_clone() && state.all_unmapped() {
        return Finding::new(
            Level::Note,
            "ForeignMapping",
            format!(
                "the clone has other devices than the targets of consistency group {} and is left alone: {devices}",
                plan.copy_group
            ),
        );
    }
    let level = if plan.starts_clone() {
        Level::Fatal
    } else {
        Level::Warning
    };
    Finding::new(
        level,
        "ForeignMapping",
        format!(
            "the clone's adapters map devices that are no targets of consistency group {}: {}; remove them there (rmvdev -vtd), or add the volume to the group",
            plan.copy_group, devices
        ),
    )
}

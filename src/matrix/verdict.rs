//! What must hold at the end of a combination, whatever went wrong in it.

use super::scenario::RunUnderTest;
use crate::engine::journal::{Journal, Phase};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::{Content, Quality, World};

impl RunUnderTest {
    /// Everything that must hold at the end, whatever went wrong. Returns what does not.
    pub fn broken(&self, journal: &Journal) -> Vec<String> {
        let mut found = self.harm(journal);
        if matches!(journal.phase, Phase::Succeeded | Phase::Warning) {
            self.check_success(&self.shared.now(), journal, &mut found);
        }
        found
    }

    /// What must hold whatever the run was to do.
    pub(super) fn harm(&self, journal: &Journal) -> Vec<String> {
        self.leave_off();
        let mut found = Vec::new();
        let mut world = self.shared.now();
        if self.setting.silent || self.controls.points().is_empty() {
            // Sessions of dead processes stay open for a while on the far side when the network swallows everything.
            world.ledger.violations.clear();
        }
        let suspended = world
            .systems
            .get("PROD")
            .map(|s| s.suspended())
            .unwrap_or_default();
        if !suspended.is_empty() {
            found.push(format!("production is left suspended: {suspended:?}"));
        }
        spectrum_virtualize::check_left_behind(&mut world);
        let failed = !matches!(journal.phase, Phase::Succeeded | Phase::Warning);
        for violation in &world.ledger.violations {
            // The world resumed by itself in the instant of the copy: noticed, and the run has failed.
            if failed && violation.kind == ViolationKind::CopyWithoutSuspension {
                continue;
            }
            found.push(format!(
                "violation {:?}: {}",
                violation.kind, violation.text
            ));
        }
        if world
            .systems
            .get("PROD")
            .is_none_or(|s| s.image().is_none())
        {
            found.push("production does not run".into());
        }
        if !journal.phase.is_final() {
            found.push(format!("phase {:?} is not final", journal.phase));
        }
        if journal.open_obligations().next().is_some() {
            found.push("an obligation is open although the phase is final".into());
        }
        if self.controls.api_calls_in_freeze() > 0 {
            found.push("the API was called inside the freeze".into());
        }
        if let Some(ms) = journal.window.as_ref().and_then(|w| w.milliseconds)
            && ms > 130_000
        {
            found.push(format!("the freeze took {ms} ms"));
        }
        found
    }

    fn check_success(&self, world: &World, journal: &Journal, found: &mut Vec<String>) {
        let copies = world.ledger.effect_count("array.startfcconsistgrp");
        if copies != 1 {
            found.push(format!("a success with {copies} copies"));
        }
        let images: Vec<_> = ["CLN_0", "CLN_1"]
            .iter()
            .map(|v| {
                spectrum_virtualize::uid_of(world, v)
                    .and_then(|uid| world.contents.get(&uid).copied())
            })
            .collect();
        let [
            Some(Content::Part { image: a, index: 0 }),
            Some(Content::Part { image: b, index: 1 }),
        ] = images[..]
        else {
            found.push(format!("a success whose targets hold {images:?}"));
            return;
        };
        let origin = world.images.get(&a).and_then(|i| i.origin.clone());
        let clean = origin
            .as_ref()
            .is_some_and(|o| o.quality == Quality::Suspended && o.source == "PROD");
        if a != b || !clean || usize::try_from(a.0).unwrap() <= self.images_before {
            found.push(format!("a success with an image that is not of this run or not clean: {a:?} {b:?} {origin:?}"));
        }
        if self.setting.function == "USER" {
            let runs_it = world.systems.get("CLONE1").and_then(|s| s.image()) == Some(a);
            if !runs_it {
                found.push("a success whose clone does not run on this run's image".into());
            }
            let jobs: Vec<_> = world
                .ledger
                .effects
                .iter()
                .filter(|(k, _)| k.starts_with("ibmi.CLONE1.job."))
                .collect();
            if jobs.iter().map(|(_, n)| **n).sum::<u64>() != 1 {
                found.push(format!(
                    "the function was not submitted exactly once: {jobs:?}"
                ));
            }
        }
        if journal
            .entry("start-copy")
            .is_some_and(|e| e.output.is_empty())
        {
            found.push("a success without a recorded copy".into());
        }
    }
}

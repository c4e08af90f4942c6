//! What must hold at the end of a combination, whatever went wrong in it.

use super::scenario::RunUnderTest;
use crate::engine::journal::{EntryState, Journal, Phase};
use crate::recipe::BrmsJob;
use crate::simulators::ibmi;
use crate::simulators::ibmi::brms::BrmsState;
use crate::simulators::ledger::ViolationKind;
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::tape;
use crate::simulators::world::{Content, Quality, World};

impl RunUnderTest {
    /// Everything that must hold at the end, whatever went wrong. Returns what does not.
    pub fn broken(&self, journal: &Journal) -> Vec<String> {
        let mut found = self.harm(journal);
        self.check_jobs(&self.shared.now(), journal, &mut found);
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
        self.check_backups(&mut world, journal, &mut found);
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
        let untrue = self.store.untrue.lock();
        found.extend(untrue.iter().flat_map(|texts| texts.iter().cloned()));
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

    /// Production's BRMS works again, and knows every tape of this run or the run has failed and names it.
    fn check_backups(&self, world: &mut World, journal: &Journal, found: &mut Vec<String>) {
        let verdict = journal.verdict.as_ref();
        if let Some(v) = verdict.filter(|v| v.reason == "BackupHistoryMissing") {
            let named = ["VOL001", "VOL002"].into_iter();
            let named = named.filter(|volume| v.message.contains(volume));
            world.tapes.protected.extend(named.map(str::to_owned));
        }
        tape::check_left_behind(world);
        let state = ibmi::brms::state_of(world, "PROD");
        if state != Some(BrmsState::Normal) {
            found.push(format!("production's BRMS is left in {state:?}"));
        }
        let success = matches!(journal.phase, Phase::Succeeded | Phase::Warning);
        if self.setting.parts().0 == "BRMS" && success {
            let saved = world.ledger.effect_count("brms.CLONE1.saved");
            let home = journal.output("return-history", "history");
            if saved != 2 || !matches!(home, Some("restored" | "merged")) {
                found.push(format!("a success with {saved} saves, history {home:?}"));
            }
        }
    }

    /// How often each job of this run was submitted, on whichever system.
    fn submitted(world: &World, name: &str) -> u64 {
        let jobs = world.ledger.effects.iter();
        let suffix = format!(".job.{name}");
        jobs.filter(|(kind, _)| kind.ends_with(&suffix))
            .map(|(_, count)| *count)
            .sum()
    }

    /// No job twice, whatever went wrong; all of them in a success; and what a BeforeFreeze hook did to production is
    /// taken back by the AfterResume hook.
    fn check_jobs(&self, world: &World, journal: &Journal, found: &mut Vec<String>) {
        let success = matches!(journal.phase, Phase::Succeeded | Phase::Warning);
        let function = self.setting.parts().0;
        let least = u64::from(success && function == "USER");
        // What BRMS does besides the saves may be needed again after it ended badly; a save is never repeated.
        let names = self.plan.job_names();
        let own = |name: &String| BrmsJob::ALL.iter().all(|j| self.plan.brms_job(*j) != *name);
        for name in names.filter(own) {
            let count = Self::submitted(world, &name);
            if !(least..=1).contains(&count) {
                found.push(format!("job {name} was submitted {count} times"));
            }
        }
        if self.setting.parts().1 == "asks" {
            let replies = world.ledger.effect_count("ibmi.CLONE1.reply.G");
            let least = u64::from(success);
            if !(least..=1).contains(&replies) {
                found.push(format!("the job was answered {replies} times"));
            }
        }
        // A save is begun once, and is whole in a success: four commands on the tape.
        let saves = ["SAVSYS", "SAVLIB", "SAVDLO", "SAV"];
        let least = u64::from(success && self.setting.parts().0 == "SAVE21");
        for command in saves {
            let count = world.ledger.effect_count(&format!("ibmi.CLONE1.{command}"));
            // The simulator counts a command and what it wrote.
            if !(2 * least..=2).contains(&count) {
                found.push(format!("{command} was run {count} times"));
            }
        }
        if self.setting.parts().1 == "hooks" {
            let count = |place| Self::submitted(world, &self.plan.hook_job(place));
            if count(0) > 0 && count(1) == 0 {
                found.push("BeforeFreeze was run and AfterResume was not".into());
            }
        }
    }

    /// Nothing of the run is left on the devices: the clone is off, and its copy is stopped.
    fn check_ended(&self, world: &World, journal: &Journal, found: &mut Vec<String>) {
        if world
            .systems
            .get("CLONE1")
            .is_some_and(|s| s.image().is_some())
        {
            found.push("the clone runs although it was to be switched off".into());
        }
        let ended = journal
            .entry("end-copy")
            .is_some_and(|e| e.state == EntryState::Done);
        if !ended || world.ledger.effect_count("array.stopfcconsistgrp") != 2 {
            found.push("the copy of this run was not ended exactly once".into());
        }
    }

    fn check_success(&self, world: &World, journal: &Journal, found: &mut Vec<String>) {
        let copies = world.ledger.effect_count("array.startfcconsistgrp");
        if copies != 1 {
            found.push(format!("a success with {copies} copies"));
        }
        if self.setting.parts().1 == "end" {
            // A Warning says what could not be switched off or ended.
            if journal.phase == Phase::Succeeded {
                self.check_ended(world, journal, found);
            }
            return;
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
        if self.setting.parts().0 != "HOLD" {
            let runs_it = world.systems.get("CLONE1").and_then(|s| s.image()) == Some(a);
            if !runs_it {
                found.push("a success whose clone does not run on this run's image".into());
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

//! What the plan says of BRMS: settings, names of jobs, which groups need the restricted state.

use crate::api::saves::Brms;
use crate::engine::step::Failure;
use crate::recipe::plan::Plan;
use crate::recipe::steps::gate::Stop;

/// Jobs of a run besides its control groups, each of a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrmsJob {
    /// On production: its BRMS freezes itself.
    Freeze,
    /// On the clone: it becomes the system that saves.
    Begin,
    /// On the clone: maintenance.
    Maintain,
    /// On the clone: the saves are complete.
    End,
    /// On the clone: QUSRBRM into the save file.
    Save,
    /// On production: QUSRBRM from the save file.
    Restore,
    /// On production: QUSRBRM into a library of the run's own.
    RestoreAside,
    /// On production: history from that library.
    Merge,
    /// On production: its BRMS takes up its work.
    Release,
}

impl BrmsJob {
    pub(crate) const ALL: [BrmsJob; 9] = [
        BrmsJob::Freeze,
        BrmsJob::Begin,
        BrmsJob::Maintain,
        BrmsJob::End,
        BrmsJob::Save,
        BrmsJob::Restore,
        BrmsJob::RestoreAside,
        BrmsJob::Merge,
        BrmsJob::Release,
    ];

    /// Its place behind programs and hooks in the names of the run's jobs.
    pub(in crate::recipe) fn place(self) -> usize {
        match self {
            BrmsJob::Freeze => 0,
            BrmsJob::Begin => 1,
            BrmsJob::Maintain => 2,
            BrmsJob::End => 3,
            BrmsJob::Save => 4,
            BrmsJob::Restore => 5,
            BrmsJob::RestoreAside => 6,
            BrmsJob::Merge => 7,
            BrmsJob::Release => 8,
        }
    }

    /// Whether it runs on production; else on the clone.
    pub(super) fn on_source(self) -> bool {
        match self {
            BrmsJob::Freeze
            | BrmsJob::Restore
            | BrmsJob::RestoreAside
            | BrmsJob::Merge
            | BrmsJob::Release => true,
            BrmsJob::Begin | BrmsJob::Maintain | BrmsJob::End | BrmsJob::Save => false,
        }
    }

    /// For messages.
    pub(super) fn words(self) -> &'static str {
        match self {
            BrmsJob::Freeze => "BRMS enters its FlashCopy process",
            BrmsJob::Begin => "BRMS of the clone begins to save for production",
            BrmsJob::Maintain => "BRMS maintenance",
            BrmsJob::End => "BRMS of the clone ends its saves",
            BrmsJob::Save => "QUSRBRM is saved",
            BrmsJob::Restore => "QUSRBRM is restored",
            BrmsJob::RestoreAside => "QUSRBRM is restored beside production's",
            BrmsJob::Merge => "the history is merged",
            BrmsJob::Release => "BRMS leaves its FlashCopy process",
        }
    }
}

/// The block `brms` of the plan.
///
/// # Errors
/// A plan of another function: a fault of the operator.
pub(in crate::recipe) fn settings(plan: &Plan) -> Result<&Brms, Stop> {
    plan.brms.as_ref().ok_or_else(|| {
        Stop::Failure(Failure::new(
            "RecipeUnknown",
            "the run has no block brms: this step is not of its function",
        ))
    })
}

/// Groups that save the system unless the environment says which do (`ibmi.md` § 4.4).
const OF_THE_SYSTEM: [&str; 2] = ["*SYSGRP", "*SYSTEM"];

impl Plan {
    /// The control group at a place, counting from 0.
    pub(in crate::recipe) fn control_group(&self, place: usize) -> Option<&str> {
        let groups = &self.brms.as_ref()?.control_groups;
        groups.get(place).map(String::as_str)
    }

    /// Whether a control group needs the restricted state.
    pub(in crate::recipe) fn is_restricted(&self, group: &str) -> bool {
        let named = self
            .brms
            .as_ref()
            .and_then(|b| b.restricted_groups.as_ref());
        match named {
            Some(named) => named.iter().any(|g| g == group),
            None => OF_THE_SYSTEM.contains(&group),
        }
    }

    /// Job queues of the clone that BRMS's jobs use.
    pub(in crate::recipe) fn brms_queues(&self) -> Vec<&str> {
        let Some(brms) = &self.brms else {
            return Vec::new();
        };
        let mut queues = vec![brms.job_queue.as_str()];
        if brms.control_groups.iter().any(|g| self.is_restricted(g)) {
            queues.push(&brms.controlling_queue);
        }
        queues
    }
}

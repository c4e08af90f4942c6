//! What the engine needs from outside besides the devices: a journal store, locks, a clock, a fence.

use super::clock::usable_factor;
use super::drive::Cancel;
use super::journal::{Journal, ObligationKind, Phase, Question};
use super::step::{Failure, LockKind, Step, StepContext};
use crate::site::DeviceError;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

/// Why a journal could not be read or replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the *journal* since we read it: this pass has lost and ends without doing anything.
    #[error("the journal was changed by another writer")]
    Conflict,
    /// The run is gone.
    #[error("the run does not exist any more")]
    Gone,
    /// The store cannot be reached; whether the write happened is unknown.
    #[error("the journal cannot be written now: {0}")]
    Lost(String),
    /// The API server has answered that the operator may not do this: nothing was written. Tried again all the same,
    /// somebody may grant it.
    #[error("a permission is missing: {0}")]
    Forbidden(String),
}

/// A person's answer to a waiting message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Key of the message, as [`Question::key`].
    pub key: String,
    /// What is answered.
    pub text: String,
}

/// What a person has asked of the run since it was created (`product.md` § 3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Whether and how to end it.
    pub cancel: Cancel,
    /// A person's word that production was resumed by hand.
    pub resumed_by_hand: bool,
    /// The image of this run is to be kept, by a time that lies ahead: the run does not end it itself.
    pub keep_image: bool,
    /// A person releases production's BRMS although its history is not back.
    pub release_backups: bool,
    /// Answers to waiting messages, in the order in which they were given; the list only grows.
    pub replies: Vec<Answer>,
}

/// Keeps one run's journal.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// The journal as it is now, from the store itself, never from a cache.
    async fn load(&self) -> Result<Journal, StoreError>;
    /// Replaces `previous` by `next` if and only if the store still holds `previous` (own revision and writer). A change
    /// of anything but the journal (a label) is merged by reading again; a changed journal is `Conflict` (rule 2).
    async fn replace(&self, previous: &Journal, next: &Journal) -> Result<(), StoreError>;
    /// What is wished of the run, as of the last read or write: asks nobody, so that it may be called inside the window.
    fn wishes(&self) -> Wishes {
        Wishes::default()
    }
}

/// Outcome of taking all locks of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// All are held by this run.
    All,
    /// At least one is held by another; none was kept.
    Queued {
        /// 1 = next.
        position: i32,
        /// `namespace/run (device)`.
        blocked_by: String,
    },
    /// Waiting does not help: a device is pinned by a held image, or the image is kept. None was kept.
    Refused {
        /// One word of a fixed list, CamelCase.
        reason: &'static str,
        /// Whose it is and what a person can do.
        message: String,
    },
}

/// The run's lock Leases. Taken all or none, in the order clone partition, target set, source.
#[async_trait]
pub trait Locks: Send + Sync {
    /// Takes all locks of these kinds, or gives back those taken. One of another kind that the run holds or waits for is
    /// given back: the site was looked at again, and it is not needed any more.
    async fn acquire(&self, kinds: &[LockKind]) -> Result<Acquired, StoreError>;
    /// Whether this run holds this lock now, read from the store.
    async fn holds(&self, kind: LockKind) -> Result<bool, StoreError>;
    /// Whether another run holds this lock now: this process is late, and what it still wants to send is not its own any more.
    async fn lost(&self, kind: LockKind) -> Result<bool, StoreError>;
    /// Which other run holds this lock now: `namespace/run`, or words where only that is known.
    async fn other_holder(&self, kind: LockKind) -> Result<Option<String>, StoreError> {
        Ok(self.lost(kind).await?.then(|| "another run".to_owned()))
    }
    /// Takes one that the run has given back before, for a moment; `false` = another run holds it or is first in its
    /// queue, where this run now waits as well.
    async fn borrow(&self, kind: LockKind) -> Result<bool, StoreError>;
    /// Gives one back. Called after the journal write that ends its span, only while no obligation needs it.
    async fn release(&self, kind: LockKind) -> Result<(), StoreError>;
    /// Records in the target set's lock that the image is this run's; returns the former owner (its row turns END_FC).
    async fn own_image(&self) -> Result<Option<String>, StoreError>;
    /// Closes the row of the run whose image is being ended (step `end-image`).
    async fn close_image(&self) -> Result<(), StoreError>;
    /// Takes this run's own image out of the target set's lock: step `end-copy` has ended it. Repeated without harm.
    async fn disown_image(&self) -> Result<(), StoreError>;
    /// Pins clone partition and target set for the image the run is about: nobody takes them until it is released
    /// (step `pin-image`). Refused as `Lost` unless this run holds both.
    async fn pin_image(&self) -> Result<(), StoreError>;
    /// Removes every pin of the image the run is about (step `unpin-image`).
    async fn unpin_image(&self) -> Result<(), StoreError>;
    /// Records in the clone partition's lock which volumes this run maps to it, before it maps them; the rows of runs that
    /// were mapped there stop counting their partition. Repeated without harm; `Conflict` = the lock is another's.
    async fn own_partition(&self, journal: &Journal) -> Result<(), StoreError>;
}

/// Clocks. Wall time for the journal, boot time for deadlines: a suspended or stepped machine must not stretch a freeze.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall clock.
    fn now(&self) -> DateTime<Utc>;
    /// CLOCK_BOOTTIME: counts on while the machine sleeps, never steps.
    fn boot(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// Whether this process may still start effects.
pub trait Fence: Send + Sync {
    /// Boot time until which leadership is certain; effects are sent only before it.
    fn valid_until(&self) -> Option<Duration>;
}

/// What became of one try to meet an obligation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// Met, and how.
    Yes(String),
    /// Not yet; the text is shown.
    NotYet(String),
    /// Met, but what the run was for is lost by it: the run is Failed, whatever was decided before.
    AtACost {
        /// How it was met.
        how: String,
        /// What is lost, and what a person has to do.
        failure: Failure,
    },
    /// Not yet: a job waits until a person answers a message; the text is shown.
    Asking(String, Box<Question>),
}

/// Meets obligations, and answers what jobs of the run ask. Part of a recipe, because it knows the plan; it does not depend on
/// the journal being writable.
#[async_trait]
pub trait Settle: Send + Sync {
    /// One try. Must be harmless when repeated.
    async fn meet(
        &self,
        kind: ObligationKind,
        context: &StepContext<'_>,
    ) -> Result<Met, DeviceError>;
    /// Sends a person's answer to the message that [`Observation::Asking`](super::step::Observation::Asking) or
    /// [`Met::Asking`] of this very pass named. Looks once more whether it still waits: `NotWaiting` is the refusal then.
    async fn reply(
        &self,
        _context: &StepContext<'_>,
        question: &Question,
        _text: &str,
    ) -> Result<(), DeviceError> {
        let why = "no job of this recipe asks anybody";
        Err(DeviceError::refused(&question.system, "NoReply", why))
    }
}

/// How the window is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPlan {
    /// Suspend, or only force write.
    pub suspend: bool,
    /// SSPTIMOACN.
    pub on_boundary_timeout: crate::site::OnBoundaryTimeout,
    /// After the last refused suspend: copy after FRCWRT instead of failing.
    pub fall_back_to_force_write: bool,
    /// Further windows after a refused or timed-out suspend.
    pub retries: i32,
    /// SSPTIMO, seconds.
    pub boundary_seconds: u32,
    /// Hard cap, seconds.
    pub max_seconds: u32,
    /// Use the canary as proof.
    pub canary: bool,
    /// Wait of a take-over beyond `max_seconds` before it gives a verdict or frees a lock, seconds.
    pub margin_seconds: u32,
    /// `max_seconds` on our clock: shorter by the time scale of tests and demo, whose devices have a faster one.
    pub cap: Duration,
    /// `margin_seconds` on our clock.
    pub margin: Duration,
}

/// The line of steps of one run, built by `recipe` from the frozen environment.
pub struct Recipe {
    /// Name, frozen in the run (rule 11): `hold-overwrite-v1`.
    pub name: String,
    /// In order. The three window steps stand together.
    pub steps: Vec<Box<dyn Step>>,
    /// How steps suspend-source, start-copy, resume-source are run; `None` in recipes without them.
    pub window: Option<WindowPlan>,
    /// Meets obligations.
    pub settle: Arc<dyn Settle>,
    /// Whole run, from its start.
    pub run_limit: Duration,
    /// Index from which on locks are needed (everything before changes nothing).
    pub locks_from: usize,
    /// Which locks the run needs, told from the journal alone (what the steps before `locks_from` have found), so that a
    /// later pass and a take-over say the same.
    pub lock_set: fn(&Journal) -> &'static [LockKind],
    /// How a run ends that has done nothing and meets an image that nobody may take.
    pub refused_means: Phase,
    /// How many times faster than ours the devices' clock runs: the engine's own waits are divided by it, as polls, limits
    /// and cap are. 1 in production, the simulated clock's factor in tests and the demo.
    pub faster: f64,
}

/// What a run needs that saves with production's BRMS.
pub fn locks_and_backups(_: &Journal) -> &'static [LockKind] {
    &[
        LockKind::Clone,
        LockKind::TargetSet,
        LockKind::Source,
        LockKind::Backups,
    ]
}

/// The locks of all devices: what a run needs unless its recipe knows better.
pub fn every_lock(_: &Journal) -> &'static [LockKind] {
    &[LockKind::Clone, LockKind::TargetSet, LockKind::Source]
}

/// No paced wait is shorter, where it was longer: a thread needs real time on any clock.
const SHORTEST: Duration = Duration::from_millis(20);

impl Recipe {
    /// A wait in the devices' time as it passes on our clock. A factor that is no positive number counts as 1.
    pub fn paced(&self, real: Duration) -> Duration {
        Duration::try_from_secs_f64(real.as_secs_f64() / usable_factor(self.faster))
            .unwrap_or(real)
            .max(SHORTEST.min(real))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{build, fakes};

    #[test]
    fn the_engines_waits_follow_the_pace_of_the_plan_and_never_spin() {
        let world = fakes::world();
        let mut plan = fakes::plan("HOLD");
        let at = |plan: &crate::recipe::Plan, seconds| {
            build(plan, world.sink()).paced(Duration::from_secs(seconds))
        };
        assert_eq!(at(&plan, 5), Duration::from_secs(5));
        plan.pace = crate::recipe::Pace::new(100.0);
        assert_eq!(at(&plan, 5), Duration::from_millis(50));
        plan.pace = crate::recipe::Pace::new(1e9);
        assert_eq!(at(&plan, 5), SHORTEST);
        let mut recipe = build(&plan, world.sink());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            recipe.faster = bad;
            assert_eq!(recipe.paced(Duration::from_secs(5)).as_secs(), 5);
        }
    }
}

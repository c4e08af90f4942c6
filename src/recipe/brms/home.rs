//! The way of the history home (`ibmi.md` § 4.2), from the end of the saves on the clone to production's release. Where it
//! stands is read from the devices each time: from jobs of the run's own names, and from the file that has arrived. So
//! the step and, after a failure, the obligation walk the same way, and a restart goes on where it was.
//!
//! | leg | where | then |
//! | --- | --- | --- |
//! | end backup | clone | ENDBKU has ended well |
//! | save | clone | QUSRBRM is in the save file |
//! | fetch | both | the save file is on production, proved by its digest |
//! | restore, or restore aside and merge | production | the history is there |
//! | release | production | ENDPRC has ended well; a history that stays a save file is one before |
//! | tidy | both | nothing of it is left |

use super::carry::carry;
use super::errand::{Errand, Stands, There};
use super::plan::{BrmsJob, settings};
use super::proof::fingerprint;
use super::{FINGERPRINT, FREEZE};
use crate::api::saves::BrmsHistory;
use crate::engine::step::StepContext;
use crate::recipe::plan::Plan;
use crate::recipe::steps::doing::Doing;
use crate::recipe::steps::gate::{self, Stop};
use crate::recipe::steps::{run_group, watch_clone};
use crate::site::{ProvenClone, ProvenSource};

/// One piece of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::recipe) enum Leg {
    /// ENDBKU on the clone.
    EndBackup,
    /// QUSRBRM into the save file.
    Save,
    /// The save file to production.
    Fetch,
    /// QUSRBRM over production's.
    Restore,
    /// QUSRBRM into a library beside production's.
    RestoreAside,
    /// History from there.
    Merge,
    /// ENDPRC on production.
    Release,
    /// Save files and stream files away.
    Tidy,
}

impl Leg {
    /// For handles and messages.
    pub(in crate::recipe) fn as_str(self) -> &'static str {
        match self {
            Leg::EndBackup => "end-backup",
            Leg::Save => "save",
            Leg::Fetch => "fetch",
            Leg::Restore => "restore",
            Leg::RestoreAside => "restore-aside",
            Leg::Merge => "merge",
            Leg::Release => "release",
            Leg::Tidy => "tidy",
        }
    }
}

/// What has become of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::recipe) enum Outcome {
    /// Production's QUSRBRM is the clone's.
    Restored,
    /// Its entries are production's.
    Merged,
    /// The save file is on production, and nobody has touched its BRMS.
    Kept,
    /// It is not on production.
    Missing,
}

impl Outcome {
    /// For the step's output.
    pub(in crate::recipe) fn as_str(self) -> &'static str {
        match self {
            Outcome::Restored => "restored",
            Outcome::Merged => "merged",
            Outcome::Kept => "kept",
            Outcome::Missing => "missing",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::recipe) enum Way {
    /// A job has to end.
    Waits(Doing),
    /// This comes next; `failed` = it was tried, and why it has to be tried again.
    Next {
        /// What to send.
        leg: Leg,
        /// How it failed before.
        failed: Option<String>,
    },
    /// Production is released.
    Home(Outcome),
}

/// The way of one run.
pub(in crate::recipe) struct Homeward<'h> {
    pub(in crate::recipe) plan: &'h Plan,
    pub(in crate::recipe) context: &'h StepContext<'h>,
}

impl Homeward<'_> {
    fn errand(&self, job: BrmsJob) -> Result<Errand, Stop> {
        Errand::of(self.plan, job)
    }

    async fn source(&self) -> Result<ProvenSource, Stop> {
        gate::prove_source(self.context.site, self.plan).await
    }

    fn on_source<'s>(&'s self, proof: &'s ProvenSource) -> There<'s> {
        There {
            system: self.context.site.source.0.as_ref(),
            session: proof.session(),
        }
    }

    fn on_clone<'s>(&'s self, proof: &'s ProvenClone) -> There<'s> {
        There {
            system: self.context.site.clone.0.as_ref(),
            session: proof.session(),
        }
    }

    /// The clone, proved anew, before anything is sent to it.
    async fn clone_to_act(&self) -> Result<ProvenClone, Stop> {
        let site = self.context.site;
        let status = site.clone_partition.status().await?;
        Ok(gate::prove_clone(site, self.plan, &status.identity).await?)
    }

    /// Looks; changes nothing.
    pub(in crate::recipe) async fn look(&self) -> Result<Way, Stop> {
        let proof = self.source().await?;
        let there = self.on_source(&proof);
        let arrived = self.arrived(there).await?;
        match self.errand(BrmsJob::Release)?.look(there).await? {
            Stands::Well if arrived => return Ok(next(Leg::Tidy)),
            Stands::Well => return Ok(Way::Home(self.outcome(there).await?)),
            Stands::There(doing) => return Ok(Way::Waits(doing)),
            Stands::Badly(why) => return Ok(again(Leg::Release, why)),
            Stands::NotSeen => {}
        }
        if let Some(way) = self.on_its_way_in(there, arrived).await? {
            return Ok(way);
        }
        if arrived {
            return Ok(next(self.first_leg_in(there).await?));
        }
        self.out_of_clone().await
    }

    async fn arrived(&self, there: There<'_>) -> Result<bool, Stop> {
        let path = self.plan.arrival_path();
        Ok(there.system.exists(there.session, &path).await?)
    }

    /// What production's own jobs say, once the first of them was submitted.
    async fn on_its_way_in(&self, there: There<'_>, arrived: bool) -> Result<Option<Way>, Stop> {
        let (job, leg) = match settings(self.plan)?.history {
            BrmsHistory::Restore => (BrmsJob::Restore, Leg::Restore),
            BrmsHistory::Merge => (BrmsJob::RestoreAside, Leg::RestoreAside),
            BrmsHistory::None => return Ok(None),
        };
        Ok(match self.errand(job)?.look(there).await? {
            Stands::NotSeen => None,
            Stands::There(doing) => Some(Way::Waits(doing)),
            // What was restored in part is finished, whatever the digest of its objects says by now.
            Stands::Badly(why) if arrived => Some(again(leg, why)),
            Stands::Badly(_) => None,
            Stands::Well if leg == Leg::Restore => Some(next(Leg::Release)),
            Stands::Well => Some(match self.errand(BrmsJob::Merge)?.look(there).await? {
                Stands::NotSeen => next(Leg::Merge),
                Stands::There(doing) => Way::Waits(doing),
                Stands::Badly(why) => again(Leg::Merge, why),
                Stands::Well => next(Leg::Release),
            }),
        })
    }

    /// The file is there and nothing was done with it yet. It may replace production's library only when it is proved that
    /// nothing has changed in that since it was frozen; else it is kept beside it (`product.md` § 5.2).
    async fn first_leg_in(&self, there: There<'_>) -> Result<Leg, Stop> {
        Ok(match settings(self.plan)?.history {
            BrmsHistory::Restore if self.unchanged(there).await? => Leg::Restore,
            BrmsHistory::Restore | BrmsHistory::None => Leg::Release,
            BrmsHistory::Merge => Leg::RestoreAside,
        })
    }

    async fn unchanged(&self, there: There<'_>) -> Result<bool, Stop> {
        let Some(then) = self.context.journal.output(FREEZE, FINGERPRINT) else {
            return Ok(false);
        };
        Ok(fingerprint(there).await?.as_deref() == Some(then))
    }

    async fn out_of_clone(&self) -> Result<Way, Stop> {
        let proof = watch_clone(self.context, self.plan).await?;
        let there = self.on_clone(&proof);
        if let Some(doing) = run_group::still_saving(self.plan, self.context, there).await? {
            return Ok(Way::Waits(doing));
        }
        match self.errand(BrmsJob::Save)?.look(there).await? {
            Stands::Well => return Ok(next(Leg::Fetch)),
            Stands::There(doing) => return Ok(Way::Waits(doing)),
            Stands::Badly(why) => return Ok(again(Leg::Save, why)),
            Stands::NotSeen => {}
        }
        Ok(match self.errand(BrmsJob::End)?.look(there).await? {
            Stands::Well => next(Leg::Save),
            Stands::There(doing) => Way::Waits(doing),
            Stands::Badly(why) => again(Leg::EndBackup, why),
            Stands::NotSeen => next(Leg::EndBackup),
        })
    }

    /// What has become of the history, as production shows it.
    pub(in crate::recipe) async fn outcome(&self, there: There<'_>) -> Result<Outcome, Stop> {
        let (last, outcome) = match settings(self.plan)?.history {
            BrmsHistory::Restore => (Some(BrmsJob::Restore), Outcome::Restored),
            BrmsHistory::Merge => (Some(BrmsJob::Merge), Outcome::Merged),
            BrmsHistory::None => (None, Outcome::Kept),
        };
        if let Some(job) = last
            && self.errand(job)?.look(there).await? == Stands::Well
        {
            return Ok(outcome);
        }
        let kept = there.may(&self.plan.look_for_save_file()).await?;
        Ok(if kept.is_ok() {
            Outcome::Kept
        } else {
            Outcome::Missing
        })
    }

    /// Whether production restores or merges at this moment: it must not be released into that.
    pub(in crate::recipe) async fn busy(&self, there: There<'_>) -> Result<Option<Doing>, Stop> {
        for job in [BrmsJob::Restore, BrmsJob::RestoreAside, BrmsJob::Merge] {
            if let Stands::There(doing) = self.errand(job)?.look(there).await? {
                return Ok(Some(doing));
            }
        }
        Ok(None)
    }

    /// Sends what comes next. Every leg may be repeated: its job is looked for first, the rest is written anew.
    pub(in crate::recipe) async fn go(&self, leg: Leg) -> Result<(), Stop> {
        match leg {
            Leg::EndBackup | Leg::Save => {
                let proof = self.clone_to_act().await?;
                let there = self.on_clone(&proof);
                if leg == Leg::Save {
                    self.empty_save_file(there).await?;
                    self.errand(BrmsJob::Save)?.send(there).await?;
                } else {
                    self.errand(BrmsJob::End)?.send(there).await?;
                }
            }
            Leg::Fetch => {
                let from = self.clone_to_act().await?;
                let to = self.source().await?;
                let carried = carry(self.plan, self.on_clone(&from), self.on_source(&to)).await?;
                tracing::info!(
                    run = self.plan.run,
                    bytes = carried.bytes,
                    digest = carried.digest,
                    "QUSRBRM has arrived on production"
                );
            }
            Leg::Restore | Leg::RestoreAside | Leg::Merge | Leg::Release | Leg::Tidy => {
                let proof = self.source().await?;
                self.go_on_source(leg, self.on_source(&proof)).await?;
            }
        }
        Ok(())
    }

    async fn go_on_source(&self, leg: Leg, there: There<'_>) -> Result<(), Stop> {
        match leg {
            Leg::Restore => self.restore(there).await?,
            Leg::RestoreAside => {
                self.fill_save_file(there).await?;
                // There from an earlier try, or not to be created: the restore says which.
                let create = format!("CRTLIB LIB({})", self.plan.merge_library());
                let _ = there.may(&create).await?;
                self.errand(BrmsJob::RestoreAside)?.send(there).await?;
            }
            Leg::Merge => drop(self.errand(BrmsJob::Merge)?.send(there).await?),
            Leg::Release => self.release(there).await?,
            Leg::Tidy => self.tidy(there).await?,
            Leg::EndBackup | Leg::Save | Leg::Fetch => {}
        }
        Ok(())
    }

    async fn restore(&self, there: There<'_>) -> Result<(), Stop> {
        let errand = self.errand(BrmsJob::Restore)?;
        let begun = errand.look(there).await? != Stands::NotSeen;
        self.fill_save_file(there).await?;
        // The jobs of the BRMS network lock the library; ENDPRC starts them again (`ibmi.md` § 4.2). Where they do not run,
        // the command is refused, and nothing was to be ended.
        let _ = there.may("ENDSBS SBS(Q1ABRMNET) OPTION(*IMMED)").await?;
        if !begun && !self.unchanged(there).await? {
            return Err(Stop::Device(crate::site::DeviceError::busy(
                format!("BRMS of source {}", self.plan.source_label()),
                "QUSRBRM has changed since it was frozen: it is not replaced",
            )));
        }
        errand.send(there).await?;
        Ok(())
    }

    /// ENDPRC; a history that does not become production's own is a save file there first.
    async fn release(&self, there: There<'_>) -> Result<(), Stop> {
        if self.arrived(there).await? {
            match self.outcome(there).await? {
                Outcome::Restored | Outcome::Merged => {}
                Outcome::Kept | Outcome::Missing => self.fill_save_file(there).await?,
            }
        }
        self.errand(BrmsJob::Release)?.send(there).await?;
        Ok(())
    }

    /// What cannot be removed is left: it harms nobody. The arrived file goes last, so that a restart comes here again. What
    /// is the only copy of the history is never removed, wherever it is.
    async fn tidy(&self, there: There<'_>) -> Result<(), Stop> {
        let path = self.plan.arrival_path();
        let mut outcome = self.outcome(there).await?;
        if outcome == Outcome::Missing && self.arrived(there).await? {
            self.fill_save_file(there).await?;
            outcome = Outcome::Kept;
        }
        match outcome {
            Outcome::Restored | Outcome::Merged => {
                let _ = there.may(&self.plan.delete_save_file()).await?;
                if settings(self.plan)?.history == BrmsHistory::Merge {
                    let drop_library = format!("DLTLIB LIB({})", self.plan.merge_library());
                    let _ = there.may(&drop_library).await?;
                }
            }
            Outcome::Kept => {}
            Outcome::Missing => {
                let part = self.plan.arriving_path();
                return Ok(there.system.remove(there.session, &part).await?);
            }
        }
        if let Ok(proof) = self.clone_to_act().await {
            let _ = self
                .on_clone(&proof)
                .may(&self.plan.delete_save_file())
                .await;
        }
        there.system.remove(there.session, &path).await?;
        Ok(())
    }

    /// Whether the clone has saved its QUSRBRM, and can be asked now. Changes nothing.
    pub(in crate::recipe) async fn on_the_clone(&self) -> bool {
        let Ok(proof) = watch_clone(self.context, self.plan).await else {
            return false;
        };
        let Ok(save) = self.errand(BrmsJob::Save) else {
            return false;
        };
        matches!(save.look(self.on_clone(&proof)).await, Ok(Stands::Well))
    }

    async fn empty_save_file(&self, there: There<'_>) -> Result<(), Stop> {
        if there.may(&self.plan.create_save_file()).await?.is_err() {
            // There from an earlier try; if it is not, this says why it cannot be created.
            there.must(&self.plan.clear_save_file()).await?;
        }
        Ok(())
    }

    async fn fill_save_file(&self, there: There<'_>) -> Result<(), Stop> {
        self.empty_save_file(there).await?;
        Ok(there.must(&self.plan.fill_save_file()).await?)
    }
}

fn next(leg: Leg) -> Way {
    Way::Next { leg, failed: None }
}

fn again(leg: Leg, why: String) -> Way {
    Way::Next {
        leg,
        failed: Some(why),
    }
}

//! When production's BRMS leaves its FlashCopy process (`product.md` § 5.2): at once where no save has started; with the
//! history; else only when a person says so or the time is up, and then the run is Failed with the volumes that
//! production does not know.

use super::errand::{Errand, Stands, There};
use super::home::{Homeward, Leg, Outcome, Way};
use super::log::volumes;
use super::plan::{BrmsJob, settings};
use super::{END, FREEZE, RETURN, VOLUMES};
use crate::api::saves::BrmsHistory;
use crate::engine::journal::{Journal, ObligationKind};
use crate::engine::ports::Met;
use crate::engine::step::{Failure, StepContext};
use crate::recipe::plan::Plan;
use crate::recipe::queries::scpf_key;
use crate::recipe::steps::doing::Doing;
use crate::recipe::steps::gate::{self, Stop};
use crate::recipe::steps::{history_since, run_group, watch_clone};
use chrono::{DateTime, Utc};

/// The history gets at least this long from its first try, or from the failure before it, however long the saves took:
/// seconds of device time.
const RETURN_SECONDS: u64 = 3600;
/// A leg that has ended badly is sent again with every so many-th try of the obligation.
const AGAIN_EVERY: i32 = 4;
/// Of a release that was refused, in what is said of it.
const STILL_FROZEN: &str = "is still in its FlashCopy process";
/// Most volumes that a row and its message name: they are short.
const MOST_NAMED: usize = 24;

/// When the freeze was recorded.
pub(in crate::recipe) fn frozen_since(journal: &Journal) -> Option<DateTime<Utc>> {
    let all = journal.obligations.iter().rev();
    let mut ours = all.filter(|o| o.kind == ObligationKind::ReleaseBackups);
    ours.next().map(|o| o.since.utc())
}

/// Whether the history is waited for no longer: `brms.maxFrozenSeconds` from the freeze, but never before it was tried.
pub(in crate::recipe) fn gives_up(plan: &Plan, context: &StepContext<'_>) -> Result<bool, Stop> {
    let most = u64::from(settings(plan)?.max_frozen_seconds.unsigned_abs());
    let journal = context.journal;
    let passed = |since: Option<DateTime<Utc>>, seconds: u64| {
        let spent = since.and_then(|since| (context.now - since).to_std().ok());
        spent.unwrap_or_default() >= plan.pace.seconds(seconds)
    };
    let tried = journal.entry(RETURN).and_then(|e| e.start);
    let first = tried.or(journal.verdict.as_ref().map(|v| v.at));
    let began = first.map(|at| at.utc());
    Ok(passed(frozen_since(journal), most) && passed(began, RETURN_SECONDS))
}

/// Reason of a run whose tapes production does not know.
const MISSING: &str = "BackupHistoryMissing";

/// Whether clone and image may be all that is left of the history of this run's saves: they are not ended then, whatever
/// `after.onFailure` says.
pub(crate) fn history_is_missing(journal: &Journal) -> bool {
    let verdict = journal.verdict.as_ref();
    verdict.is_some_and(|v| v.reason == MISSING)
}

/// Failure of a run whose tapes production does not know.
pub(in crate::recipe) async fn missing_history(
    plan: &Plan,
    context: &StepContext<'_>,
    outcome: Outcome,
    why: &str,
) -> Failure {
    let volumes = match volumes_of_run(plan, context).await {
        Some(names) if names.is_empty() => "the clone's BRMS names no volume of today".to_owned(),
        Some(names) => format!("protect these volumes, production's BRMS does not know what is on them and may overwrite them: {}", first_volumes(&names)),
        None => "which volumes were written could not be read from the clone: protect all that the control groups may have used, production's BRMS does not know what is on them and may overwrite them".to_owned(),
    };
    let (save_file, source) = (plan.save_file(), plan.source_label());
    let home = Homeward { plan, context };
    let file = match outcome {
        Outcome::Kept => format!("; the history is in save file {save_file} on {source}"),
        Outcome::Missing if home.on_the_clone().await => format!(
            "; the history is in save file {save_file} on clone {} until its disks are taken: carry it to {source} by hand",
            plan.clone_label()
        ),
        Outcome::Restored | Outcome::Merged | Outcome::Missing => String::new(),
    };
    Failure::new(MISSING, format!("{why}: {volumes}{file}"))
}

/// As `end-backup` has read them, or as the clone says now.
async fn volumes_of_run(plan: &Plan, context: &StepContext<'_>) -> Option<String> {
    if let Some(known) = context.journal.output(END, VOLUMES) {
        return Some(known.to_owned());
    }
    read_volumes(plan, context).await.ok().flatten()
}

/// Between names of volumes.
const BETWEEN: &str = ", ";

/// Volumes that the clone's BRMS has written since the day of the flash, comma list, all of them.
pub(in crate::recipe) async fn read_volumes(
    plan: &Plan,
    context: &StepContext<'_>,
) -> Result<Option<String>, Stop> {
    let since = history_since(context).and_then(|time| scpf_key(&time));
    let Some(day) = since.as_deref().and_then(|key| key.get(..7)) else {
        return Ok(None);
    };
    let proof = watch_clone(context, plan).await?;
    let there = There {
        system: context.site.clone.0.as_ref(),
        session: proof.session(),
    };
    Ok(Some(volumes(there, day).await?.join(BETWEEN)))
}

/// The volumes that a run's saves have written and production's BRMS does not know: as far as the journal tells, and as many
/// as a row has room for.
pub(crate) fn volumes_to_protect(journal: &Journal) -> Option<String> {
    let known = journal.output(END, VOLUMES).filter(|v| !v.is_empty())?;
    Some(first_volumes(known))
}

fn first_volumes(all: &str) -> String {
    let names: Vec<&str> = all.split(BETWEEN).collect();
    let first = names.get(..MOST_NAMED).unwrap_or(&names).join(BETWEEN);
    match names.len().saturating_sub(MOST_NAMED) {
        0 => first,
        more => format!("{first} and {more} more (log steps has all)"),
    }
}

/// Whether production's BRMS is in the process that this run has begun.
enum Frozen {
    Yes,
    Never(String),
    Unsettled(Doing),
}

async fn frozen(plan: &Plan, context: &StepContext<'_>, there: There<'_>) -> Result<Frozen, Stop> {
    let entry = context.entry(FREEZE);
    let errand = Errand::of(plan, BrmsJob::Freeze)?;
    Ok(match errand.look(there).await? {
        Stands::Well => Frozen::Yes,
        Stands::There(doing) => Frozen::Unsettled(doing),
        // Refused: whoever has it in such a process is not undone by us.
        Stands::Badly(why) => Frozen::Never(format!("BRMS was not frozen by this run: {why}")),
        Stands::NotSeen if gate::unsent(&entry) => {
            Frozen::Never("BRMS was not frozen: nothing was sent".to_owned())
        }
        Stands::NotSeen if gate::given(&entry).is_some() => Frozen::Yes,
        Stands::NotSeen => {
            let tried = context.journal.open_obligations();
            let mut tried = tried.filter(|o| o.kind == ObligationKind::ReleaseBackups);
            let looked = tried.any(|o| o.attempts > 0);
            let fresh = gate::elapsed(&entry, context.now) < plan.pace.short_retry();
            if looked && !fresh {
                Frozen::Never(format!("BRMS was not frozen: no job {} came", errand.name))
            } else {
                let what = format!(
                    "job {} may have been submitted and is not to be seen yet",
                    errand.name
                );
                Frozen::Unsettled(what.into())
            }
        }
    })
}

/// One try of the obligation. Harmless when repeated.
pub(in crate::recipe) async fn meet_release(
    plan: &Plan,
    context: &StepContext<'_>,
) -> Result<Met, Stop> {
    let home = Homeward { plan, context };
    let proof = gate::prove_source(context.site, plan).await?;
    let there = There {
        system: context.site.source.0.as_ref(),
        session: proof.session(),
    };
    match frozen(plan, context, there).await? {
        Frozen::Yes => {}
        Frozen::Never(how) => return Ok(Met::Yes(how)),
        Frozen::Unsettled(doing) => return Ok(doing.owed()),
    }
    let started = run_group::any_sent(plan, context.journal);
    match Errand::of(plan, BrmsJob::Release)?.look(there).await? {
        Stands::Well => return released(&home, there, started, None).await,
        Stands::There(doing) => return Ok(doing.owed()),
        Stands::Badly(why) if context.release_backups && refused_before(context, &why) => {
            return released(&home, there, started, Some(&why)).await;
        }
        Stands::Badly(why) => return resend(&home, Leg::Release, &why).await,
        Stands::NotSeen => {}
    }
    if !started {
        home.go(Leg::Release).await?;
        return Ok(Met::NotYet(
            "no save has started: ENDPRC was submitted".to_owned(),
        ));
    }
    if context.release_backups || gives_up(plan, context)? {
        if let Some(busy) = home.busy(there).await? {
            return Ok(busy.owed());
        }
        home.go(Leg::Release).await?;
        return Ok(Met::NotYet(
            "ENDPRC was submitted without the history".to_owned(),
        ));
    }
    let doing = match home.look().await {
        Ok(Way::Waits(doing)) => doing,
        Ok(Way::Next { leg, failed: None }) => match home.go(leg).await {
            Ok(()) => format!("{} was sent", leg.as_str()).into(),
            Err(stop) => words(stop).into(),
        },
        Ok(Way::Next {
            leg,
            failed: Some(why),
        }) => return resend(&home, leg, &why).await,
        Ok(Way::Home(_)) => "it is back".to_owned().into(),
        Err(stop) => words(stop).into(),
    };
    Ok(doing.told(|what| waiting(plan, what)).owed())
}

/// Whether an ENDPRC before the one that has ended like this was refused too: its job is named in what was said last. BRMS
/// refuses it as well when somebody has ended the process by hand, and no page tells how that is read; so a person's word
/// counts then, and not before.
fn refused_before(context: &StepContext<'_>, why: &str) -> bool {
    let mut open = context.journal.open_obligations();
    let ours = open.find(|o| o.kind == ObligationKind::ReleaseBackups);
    let said = ours.and_then(|o| o.message.as_deref());
    said.is_some_and(|said| said.contains(STILL_FROZEN) && !said.contains(why))
}

/// What a person reads while the history is waited for.
fn waiting(plan: &Plan, what: &str) -> String {
    format!(
        "BRMS of {} stays in its FlashCopy process until the history of this run's saves is back: {what}. It is released without it after brms.maxFrozenSeconds, or at once with spec.releaseBackups: true",
        plan.source_label()
    )
}

fn words(stop: Stop) -> String {
    match stop {
        Stop::Device(error) => error.to_string(),
        Stop::Failure(failure) => failure.message,
    }
}

async fn resend(home: &Homeward<'_>, leg: Leg, why: &str) -> Result<Met, Stop> {
    let open = home.context.journal.open_obligations();
    let mut ours = open.filter(|o| o.kind == ObligationKind::ReleaseBackups);
    if ours.any(|o| o.attempts % AGAIN_EVERY == 0) {
        home.go(leg).await?;
    }
    let text = format!("{why}; it is tried again");
    Ok(Met::NotYet(match leg {
        Leg::Release => format!(
            "BRMS of {} {STILL_FROZEN}: {text}; if it stays so, type INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC) there. Where somebody has ended the process, it is refused for that: spec.releaseBackups: true is your word for it",
            home.plan.source_label()
        ),
        Leg::EndBackup
        | Leg::Save
        | Leg::Fetch
        | Leg::Restore
        | Leg::RestoreAside
        | Leg::Merge
        | Leg::Tidy => waiting(home.plan, &text),
    }))
}

/// ENDPRC has ended well, or by a person's word it need not, refused as it is: at which price?
async fn released(
    home: &Homeward<'_>,
    there: There<'_>,
    started: bool,
    refused: Option<&str>,
) -> Result<Met, Stop> {
    let source = home.plan.source_label();
    let (how, more) = match refused {
        None => (format!("BRMS of {source} was released"), String::new()),
        Some(why) => (
            format!("BRMS of {source} counts as released by spec.releaseBackups"),
            format!("; ENDPRC was refused there ({why})"),
        ),
    };
    let yes = |text: &str| Ok(Met::Yes(format!("{how}: {text}{more}")));
    if !started {
        return yes("no save had started");
    }
    // The copies that are left harm nobody; one that has just arrived is made a save file.
    let _ = home.go(Leg::Tidy).await;
    let outcome = home.outcome(there).await?;
    let kept_as_wanted = settings(home.plan)?.history == BrmsHistory::None;
    match outcome {
        Outcome::Restored => yes("its history is back"),
        Outcome::Merged => yes("its history is merged"),
        Outcome::Kept if kept_as_wanted => {
            yes(&format!("the history is in {}", home.plan.save_file()))
        }
        Outcome::Kept | Outcome::Missing => {
            let why = format!("{how} without its history");
            let failure = missing_history(home.plan, home.context, outcome, &why).await;
            let how = format!("{why}{more}");
            Ok(Met::AtACost { how, failure })
        }
    }
}

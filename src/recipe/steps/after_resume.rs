//! The AfterResume hooks, which undo what BeforeFreeze hooks did on production: they wait for those to end, and are owed when
//! no step runs them any more.

use super::doing::Doing;
use super::gate::{self, Stop};
use super::hook::sent_without_end;
use super::job::{Call, JOB, OK, RESULT, Stands};
use super::prepare_copy;
use crate::api::surroundings::HookPoint;
use crate::engine::journal::{Journal, ObligationKind};
use crate::engine::ports::Met;
use crate::engine::step::StepContext;
use crate::recipe::plan::Plan;
use crate::recipe::queries::since_ipl;
use crate::recipe::surroundings::hooks_at;
use crate::site::{DeviceError, IbmI, JobName, JobState, Session};

/// SBMJOB is not idempotent: the job is looked for once more on this very connection.
pub(super) async fn submit_once(
    system: &dyn IbmI,
    session: &Session,
    call: &Call<'_>,
) -> Result<JobName, DeviceError> {
    if let Some(job) = system.job(session, &call.name).await? {
        return Ok(job.name);
    }
    system.submit(session, &call.submission()).await
}

/// What a BeforeFreeze hook that has not ended does: an AfterResume hook that overtook it would be undone by it.
pub(super) async fn still_freezing(
    plan: &Plan,
    context: &StepContext<'_>,
    session: &Session,
) -> Result<Option<Doing>, DeviceError> {
    let source = &context.site.source.0;
    for (step, place) in hooks_at(plan, HookPoint::BeforeFreeze) {
        if !sent_without_end(context.journal, step) {
            continue;
        }
        let Some((call, _)) = Call::of_hook(plan, place) else {
            continue;
        };
        let found = source.job(session, &call.name).await?;
        let doing = match &found {
            // In no job table any more: it undoes nothing.
            Some(job) if job.state == JobState::Vanished => continue,
            Some(job) => match call.judge(job, None) {
                Stands::There(doing) => doing,
                Stands::Over(_) => continue,
            },
            // Its SBMJOB may still be on its way.
            None if just_sent(plan, context, step) => {
                format!("job {} was submitted and is not to be seen yet", call.name).into()
            }
            None => continue,
        };
        return Ok(Some(doing.told(|what| {
            format!(
                "the AfterResume hooks wait for hook BeforeFreeze {} to end: {what}; end it on {} if it hangs",
                call.program, call.system
            )
        })));
    }
    Ok(None)
}

fn just_sent(plan: &Plan, context: &StepContext<'_>, step: &str) -> bool {
    let entry = context.entry(step);
    entry.handle.is_none() && gate::elapsed(&entry, context.now) < plan.pace.short_retry()
}

/// Runs the AfterResume hooks that a run owes after its failure, and no step runs any more. Every try looks for the jobs by their names first, so that it
/// is harmless when repeated.
pub(in crate::recipe) async fn meet_after_resume(
    plan: &Plan,
    context: &StepContext<'_>,
) -> Result<Met, Stop> {
    let journal = context.journal;
    if journal.owes(ObligationKind::ResumeSource) || journal.window_open() {
        let what = "production has to be resumed first".to_owned();
        return Ok(Met::NotYet(what));
    }
    let begun = hooks_at(plan, HookPoint::BeforeFreeze)
        .into_iter()
        .any(|(step, _)| journal.entry(step).is_some_and(|e| !gate::unsent(e)));
    if !begun {
        return Ok(Met::Yes("no BeforeFreeze hook was started".to_owned()));
    }
    let proof = gate::prove_source(context.site, plan).await?;
    let session = proof.session();
    if let Some(busy) = still_freezing(plan, context, session).await? {
        return Ok(busy.owed());
    }
    let said = journal
        .open_obligations()
        .find(|o| o.kind == ObligationKind::RunAfterResume)
        .and_then(|o| o.message.as_deref());
    let mut ended = Vec::new();
    for (step, place) in hooks_at(plan, HookPoint::AfterResume) {
        let Some((call, _)) = Call::of_hook(plan, place) else {
            continue;
        };
        let source = context.site.source.0.as_ref();
        let out = match source.job(session, &call.name).await? {
            Some(job) => match call.judge(&job, said) {
                Stands::Over(out) => out,
                Stands::There(doing) => {
                    let hook = |what: &str| format!("hook AfterResume {}: {what}", call.program);
                    return Ok(doing.told(hook).owed());
                }
            },
            None => {
                let owed = journal.obligations.iter().rev();
                let tried = owed
                    .filter(|o| o.kind == ObligationKind::RunAfterResume)
                    .any(|o| o.attempts > 0);
                let sent = tried || journal.entry(step).is_some_and(|e| !gate::unsent(e));
                let traces = match sent {
                    true => {
                        call.in_history(source, session, clock_of(plan, journal, session))
                            .await?
                    }
                    false => None,
                };
                let Some(out) = traces else {
                    let name = submit_once(source, session, &call).await?;
                    let what = format!(
                        "hook AfterResume {}: job {name} was submitted",
                        call.program
                    );
                    return Ok(Met::NotYet(what));
                };
                out
            }
        };
        let said = |key: &str| out.get(key).map_or("?", String::as_str);
        ended.push(match said(RESULT) {
            OK => format!("job {} ended", said(JOB)),
            _ => format!("job {} did not end well: read its job log there", said(JOB)),
        });
    }
    Ok(Met::Yes(ended.join(", ")))
}

/// Production's own time just before the first BeforeFreeze hook.
fn clock_of(plan: &Plan, journal: &Journal, session: &Session) -> String {
    let first = hooks_at(plan, HookPoint::BeforeFreeze).into_iter().next();
    let clock = first
        .and_then(|(step, _)| journal.entry(step))
        .and_then(|e| e.baseline.get(prepare_copy::SOURCE_CLOCK).cloned());
    clock.unwrap_or_else(|| since_ipl(&session.system))
}

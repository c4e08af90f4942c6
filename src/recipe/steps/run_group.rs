//! Step 14 of BRMS: one control group after another, each a step of its own (`run-function`, `run-function-2` …).
//!
//! A group is saved in a job of the run's own name. One that saves the system needs the restricted state: BRMS submits its
//! job to the controlling subsystem, under a name of BRMS's own, and the network goes away until it is over. That job is
//! known by the answer to the command, else by the BRMS log; where neither names it, nothing is sent twice.
//!
//! What a save did is told by the job's end and the BRMS log together (`ibmi.md` § 4.4). As with programs, one that
//! ended badly is `Done`: its media are written, so its history must come home; `settle` fails the run.

use super::collect_logs;
use super::doing::Doing;
use super::gate::{self, Stop, facts};
use super::job::{
    self, END_SEVERITY, FAILED, JOB, LAST_SEEN, LEFT, MILLISECONDS, NOT_STARTED, OK, OVERRUN,
    RESULT, Stands, VANISHED,
};
use super::seen::cut;
use super::{live_log, restricted, run_function};
use crate::engine::journal::{Entry, Facts, Journal};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::brms::{
    Errand, Log, NO_MEDIA, There, flash_time, group_restricted, is_error, settings,
};
use crate::recipe::log_sink::LogSink;
use crate::recipe::plan::Plan;
use crate::recipe::queries::scpf_key;
use crate::recipe::surroundings::program_steps;
use crate::site::{DeviceError, JobStatus, Message};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Output of a group that failed: a word for the verdict.
pub(super) const REASON: &str = "reason";
/// Output of a group that failed: what happened.
pub(super) const SAID: &str = "said";
/// Begins a handle that is no job: BRMS refused to start the group.
const REFUSED: &str = "refused: ";
/// Messages of the BRMS log that are told of a group.
const TOLD: usize = 3;

pub(super) struct RunGroup {
    pub(super) plan: Arc<Plan>,
    /// Place in `brms.controlGroups`, counting from 0.
    pub(super) place: usize,
    pub(super) sink: Arc<dyn LogSink>,
}

/// Step and control group of every place, in order.
pub(super) fn groups(plan: &Plan) -> impl Iterator<Item = (&'static str, &str)> {
    let steps = program_steps(plan).iter().copied().enumerate();
    steps.filter_map(|(place, step)| Some((step, plan.control_group(place)?)))
}

/// Whether a save may have written: its start was sent, whatever came of it.
pub(in crate::recipe) fn any_sent(plan: &Plan, journal: &Journal) -> bool {
    groups(plan).any(|(step, _)| journal.entry(step).is_some_and(|e| !gate::unsent(e)))
}

/// What a save that was started and whose end is not in the journal does on the clone now.
pub(in crate::recipe) async fn still_saving(
    plan: &Plan,
    context: &StepContext<'_>,
    there: There<'_>,
) -> Result<Option<Doing>, Stop> {
    for (place, (step, group)) in groups(plan).enumerate() {
        let entry = context.entry(step);
        let result = context.journal.output(step, RESULT);
        let over = matches!(result, Some(OK | FAILED | VANISHED | NOT_STARTED));
        if gate::unsent(&entry) || over {
            continue;
        }
        let errand = Errand::of_group(plan, place, group)?;
        let found = match job_name(plan, place, context, there, &entry).await? {
            Some(name) => find(there, &name).await?,
            None => None,
        };
        if let Some(job) = found.filter(|job| job.state.ended().is_none()) {
            let doing = errand.doing(&job);
            return Ok(Some(
                doing.told(|what| format!("the save is not over: {what}")),
            ));
        }
    }
    Ok(None)
}

/// Name of the job that saves the group at a place: ours, or as BRMS gave it.
async fn job_name(
    plan: &Plan,
    place: usize,
    context: &StepContext<'_>,
    there: There<'_>,
    entry: &Entry,
) -> Result<Option<String>, Stop> {
    let Some(group) = plan.control_group(place).filter(|g| plan.is_restricted(g)) else {
        return Ok(Some(plan.program_job(place)));
    };
    if let Some(given) = gate::given(entry).filter(|g| !g.starts_with(REFUSED)) {
        return Ok(Some(given.to_owned()));
    }
    let Some(since) = collect_logs::history_since(context) else {
        return Ok(None);
    };
    Ok(match Log::open(there).await? {
        Some(log) => log.job_of_group(there, group, &since).await?,
        None => None,
    })
}

/// The newest job of the last part of a name, if it is that very job or no qualified name was given.
async fn find(there: There<'_>, name: &str) -> Result<Option<JobStatus>, DeviceError> {
    let short = name.rsplit('/').next().unwrap_or(name);
    let found = there.system.job(there.session, short).await?;
    Ok(found.filter(|job| !name.contains('/') || job.name.as_str() == name))
}

impl RunGroup {
    fn id(&self) -> &'static str {
        run_function::step_at(&self.plan, self.place)
    }

    fn group(&self) -> Result<&str, Stop> {
        self.plan.control_group(self.place).ok_or_else(|| {
            Stop::Failure(Failure::new(
                "RecipeUnknown",
                "the control group of this step is not in the environment as it was when the run opened",
            ))
        })
    }

    fn errand(&self) -> Result<Errand, Stop> {
        Errand::of_group(&self.plan, self.place, self.group()?)
    }

    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(self.id());
        let group = self.group()?;
        if gate::unsent(&entry)
            && let Some(settled) = self.forestalled(context)?
        {
            return Ok(settled);
        }
        if let Some(why) = gate::given(&entry).and_then(|g| g.strip_prefix(REFUSED)) {
            let said = format!("control group {group} was not started: {why}");
            return Ok(self.failed(Facts::new(), "BackupFailed", said));
        }
        let proof = match job::watch_clone(context, &self.plan).await {
            Ok(proof) => proof,
            Err(Stop::Device(error)) if !gate::unsent(&entry) && self.plan.is_restricted(group) => {
                return self.silent(context, &entry, group, &error).await;
            }
            Err(stop) => return Err(stop),
        };
        let there = There {
            system: context.site.clone.0.as_ref(),
            session: proof.session(),
        };
        let name = match gate::unsent(&entry) && self.plan.is_restricted(group) {
            true => None,
            false => job_name(&self.plan, self.place, context, there, &entry).await?,
        };
        let found = match &name {
            Some(name) => find(there, name).await?,
            None => None,
        };
        match found {
            Some(found) => self.judge(context, there, &entry, &found).await,
            None if gate::unsent(&entry) => Ok(Observation::Absent),
            None => self.not_seen(context, &entry, group, name.as_deref()),
        }
    }

    /// In the restricted state there is no network: only the console tells that the clone lives (`ibmi.md` § 5.3).
    async fn silent(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        group: &str,
        error: &DeviceError,
    ) -> Result<Observation, Stop> {
        let status = context.site.clone_partition.status().await?;
        let code = status.reference_code.trim();
        let text = format!(
            "control group {group} in the restricted state: the console shows clone {} with code {code} ({} is the save at work), no network is normal until it is over ({error})",
            self.plan.clone_label(),
            restricted::SAVING
        );
        if run_function::in_time(&self.plan, context) {
            let poll = self.plan.pace.ipl(gate::elapsed(entry, context.now));
            return Ok(Observation::underway(poll, text));
        }
        // Nothing can be asked of it, its logs neither. It may be saving: it is left as it is.
        Ok(Observation::Broken(Failure::new(
            "OutcomeUnknown",
            format!(
                "the save did not end within timeouts.functionSeconds ({}), and the clone is left as it is: {text}; look at its console",
                self.plan.function_seconds
            ),
        )))
    }

    fn not_seen(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        group: &str,
        name: Option<&str>,
    ) -> Result<Observation, Stop> {
        let wait = self.plan.pace.short_retry();
        if !self.plan.is_restricted(group) {
            let name = self.plan.program_job(self.place);
            return Ok(gate::retry_gate(entry, context.now, wait, wait, || {
                format!("job {name} was submitted and is not to be seen yet")
            }));
        }
        // Its job has no name of ours: what was sent once is never sent again.
        if gate::elapsed(entry, context.now) < self.plan.pace.retry() {
            let text = format!("control group {group} was submitted and is not to be seen yet");
            return Ok(Observation::underway(wait, text));
        }
        let what = match name {
            Some(name) => format!("job {name} of control group {group} is in no job table"),
            None => format!(
                "whether control group {group} was submitted is not known: its answer was lost, and the BRMS log names no job"
            ),
        };
        Ok(Observation::Done(self.told(
            facts([
                (JOB, name.unwrap_or("?").to_owned()),
                (RESULT, VANISHED.to_owned()),
            ]),
            "FunctionVanished",
            format!(
                "{what}; it was not started again, look on clone {}",
                self.plan.clone_label()
            ),
        )))
    }

    /// What keeps a group from being started at all: a save before it that may still run, or the time. One that ended
    /// badly does not: whatever can be saved is.
    fn forestalled(&self, context: &StepContext<'_>) -> Result<Option<Observation>, Stop> {
        let group = self.group()?;
        for (step, other) in groups(&self.plan).take(self.place) {
            match context.journal.output(step, RESULT) {
                Some(OK | FAILED) => {}
                None | Some(_) => {
                    return Ok(Some(Observation::NotNeeded(format!(
                        "control group {group} was not started: {other} before it may still run"
                    ))));
                }
            }
        }
        if self.place == 0 || run_function::in_time(&self.plan, context) {
            return Ok(None);
        }
        let name = self.plan.program_job(self.place);
        Ok(Some(run_function::not_started(&name)))
    }

    async fn judge(
        &self,
        context: &StepContext<'_>,
        there: There<'_>,
        entry: &Entry,
        found: &JobStatus,
    ) -> Result<Observation, Stop> {
        let name = found.name.as_str();
        let Some((normal, severity)) = found.state.ended() else {
            if run_function::in_time(&self.plan, context) {
                live_log::tell(context, there.session, found, self.sink.as_ref()).await;
            }
            let doing = self.errand()?.doing(found);
            let stands = job::not_ended(found, doing, entry.message.as_deref());
            return self.goes_on(context, entry, name, stands);
        };
        let mut out = facts([(JOB, name.to_owned()), (END_SEVERITY, severity.to_string())]);
        if let Some(time) = found.active_milliseconds {
            out.insert(MILLISECONDS.to_owned(), time.to_string());
        }
        let log = match Log::open(there).await? {
            Some(log) => Some(log.of_job(there, name).await?),
            None => None,
        };
        self.result(out, normal, log)
    }

    /// A save whose end is not known.
    fn goes_on(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        name: &str,
        stands: Stands,
    ) -> Result<Observation, Stop> {
        Ok(match stands {
            Stands::There(doing) if run_function::in_time(&self.plan, context) => {
                doing.observed(self.plan.pace.job(gate::elapsed(entry, context.now)))
            }
            Stands::There(doing) => Observation::Done(facts([
                (JOB, name.to_owned()),
                (RESULT, OVERRUN.to_owned()),
                (LAST_SEEN, doing.what),
            ])),
            Stands::Over(out) => {
                let said = format!(
                    "job {name} of control group {} started and is gone without an end in the history log; it was not started again, look on clone {}",
                    self.group()?,
                    self.plan.clone_label()
                );
                Observation::Done(self.told(out, "FunctionVanished", said))
            }
        })
    }

    /// The job's end and the log together.
    fn result(
        &self,
        mut out: Facts,
        normal: bool,
        log: Option<Vec<Message>>,
    ) -> Result<Observation, Stop> {
        let brms = settings(&self.plan)?;
        let group = self.group()?;
        let known = log.is_some();
        let log = log.unwrap_or_default();
        let errors: Vec<&Message> = log.iter().filter(|m| is_error(brms, m)).collect();
        let no_media = log
            .iter()
            .find(|m| m.id == NO_MEDIA && !brms.ignore.contains(&m.id));
        if let Some(m) = no_media {
            let said = format!(
                "control group {group}: {} {}; give BRMS an expired volume of that media class that the clone's drives can reach",
                m.id,
                cut(&m.text)
            );
            return Ok(self.failed(out, "MediaUnavailable", said));
        }
        let listed = || {
            let last = errors.iter().rev().take(TOLD).rev();
            let texts: Vec<String> = last.map(|m| format!("{} {}", m.id, cut(&m.text))).collect();
            texts.join("; ")
        };
        match (normal, errors.is_empty()) {
            (true, true) => {}
            (true, false) => {
                let text = format!(
                    "control group {group} ended, and the BRMS log has {} messages at or above brms.errorSeverity ({}): {}; read log brms of this run",
                    errors.len(),
                    brms.error_severity,
                    listed()
                );
                out.insert(format!("{WARNING_FACT}group"), text);
            }
            // The job's end says that something was wrong, the log that nothing was lost that counts here.
            (false, true) if known && !log.is_empty() => {
                let text = format!(
                    "control group {group} ended abnormally, but the BRMS log has no message at or above brms.errorSeverity ({}): read log brms of this run",
                    brms.error_severity
                );
                out.insert(format!("{WARNING_FACT}group"), text);
            }
            (false, _) => {
                let what = match (known, errors.is_empty()) {
                    (true, false) => listed(),
                    (true, true) => "the BRMS log has nothing of it".to_owned(),
                    (false, _) => "the BRMS log cannot be read by SQL there".to_owned(),
                };
                let said = format!(
                    "control group {group} ended abnormally: {what}; read logs brms and joblog of this run"
                );
                return Ok(self.failed(out, "BackupFailed", said));
            }
        }
        out.insert(RESULT.to_owned(), OK.to_owned());
        Ok(Observation::Done(out))
    }

    fn failed(&self, mut out: Facts, reason: &str, said: String) -> Observation {
        out.insert(RESULT.to_owned(), FAILED.to_owned());
        out.entry(JOB.to_owned())
            .or_insert_with(|| self.plan.program_job(self.place));
        Observation::Done(self.told(out, reason, said))
    }

    fn told(&self, mut out: Facts, reason: &str, said: String) -> Facts {
        out.insert(REASON.to_owned(), reason.to_owned());
        out.insert(SAID.to_owned(), said);
        out
    }

    async fn send(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let group = self.group()?;
        let status = context.site.clone_partition.status().await?;
        let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
        let there = There {
            system: context.site.clone.0.as_ref(),
            session: proof.session(),
        };
        if settings(&self.plan)?.flash_time
            && let Some(time) = collect_logs::history_since(context).and_then(|t| scpf_key(&t))
        {
            for command in flash_time(&time) {
                there.must(&command).await?;
            }
        }
        if !self.plan.is_restricted(group) {
            let job = self.errand()?.send(there).await?;
            return Ok(Some(gate::handle(job.as_str(), context.now)));
        }
        let given = match there.submitted(&group_restricted(group)).await? {
            Ok(job) => job,
            Err((code, text)) => format!("{REFUSED}{code} {text}"),
        };
        Ok(Some(gate::handle(&given, context.now)))
    }
}

#[async_trait]
impl Step for RunGroup {
    fn id(&self) -> &'static str {
        self.id()
    }
    fn limit(&self) -> Duration {
        run_function::limit(&self.plan)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
    }
    /// The save is left: one that is cut off leaves a tape nobody can read, and its history is waited for.
    fn aborted(&self, entry: &Entry) -> Option<(Facts, String)> {
        let job =
            gate::given(entry).map_or_else(|| self.plan.program_job(self.place), str::to_owned);
        let words = format!(
            "job {job} on clone {} was left as it is, nobody ended it; production's BRMS is released when its history is back, or after brms.maxFrozenSeconds",
            self.plan.clone_label()
        );
        Some((facts([(JOB, job), (RESULT, LEFT.to_owned())]), words))
    }
    fn forgone(&self) -> bool {
        self.place > 0
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.send(context).await.map_err(Stop::refused)
    }
}

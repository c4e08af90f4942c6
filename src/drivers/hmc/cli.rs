//! CLIRunner: a VIOS command through the console's own command line (`hmc.md` § 2.1). No SSH to a VIOS is needed, and
//! the console's RMC connection carries it.

use super::inventory::{ANY, ATOM, SHORT, System, ViosPartition};
use super::job::{self, Job};
use super::session::Call;
use super::{Console, errors};
use crate::drivers::transport::http::Intent;
use crate::site::DeviceError;
use reqwest::Method;
use std::time::{Duration, Instant};

pub(super) const JOB_REQUEST: &str = "application/vnd.ibm.powervm.web+xml; type=JobRequest";

/// First wait for a job: a VIOS command takes about 80 ms (`hmc.md` § 1.11).
const FIRST_WAIT: Duration = Duration::from_millis(15);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What happened to a polled job.
pub(super) enum Polled {
    Known(Job),
    /// The console has no such job, or another console answers, whose job of that number would be a stranger's.
    Unknown,
}

impl Console {
    /// Submits a job once. A lost answer is `Indeterminate`. Returns the job and the console that has it.
    pub(super) async fn submit(
        &self,
        path: &str,
        body: String,
        label: String,
        intent: Intent,
    ) -> Result<(Job, String), DeviceError> {
        let call = Call {
            method: Method::PUT,
            path: path.to_owned(),
            accept: ATOM,
            content_type: Some(JOB_REQUEST),
            body,
            intent,
            label: label.clone(),
            timeout: SHORT,
        };
        let reply = self.sessions.call(&call).await?;
        let answer = &reply.answer;
        if !matches!(answer.status, 200..=299) {
            return Err(errors::failed(
                &reply.device,
                answer.status,
                &answer.body,
                intent,
            ));
        }
        let job = Job::parse(&answer.body)
            .ok_or_else(|| errors::unreadable(&reply.device, &label, &answer.body, intent))?;
        Ok((job, reply.place))
    }

    /// Asks for a job by its number at the console that has it.
    pub(super) async fn poll(&self, id: &str, place: &str) -> Result<Polled, DeviceError> {
        let path = format!("/rest/api/uom/jobs/{id}");
        let reply = match self.get(&path, ATOM, SHORT).await {
            Ok(reply) => reply,
            Err(error) if is_gone(&error) => return Ok(Polled::Unknown),
            Err(error) => return Err(error),
        };
        if reply.place != place {
            return Ok(Polled::Unknown);
        }
        Ok(Job::parse(&reply.answer.body).map_or(Polled::Unknown, Polled::Known))
    }

    /// Removes an ended job from the console's list; it goes by itself later, so a failure does not matter.
    pub(super) async fn delete_job(&self, id: &str) {
        let call = Call {
            method: Method::DELETE,
            path: format!("/rest/api/uom/jobs/{id}"),
            accept: ANY,
            content_type: None,
            body: String::new(),
            intent: Intent::Read,
            label: format!("DELETE /jobs/{id}"),
            timeout: SHORT,
        };
        if let Err(error) = self.sessions.call(&call).await {
            tracing::debug!(%error, job = id, "ended job not deleted");
        }
    }

    /// Runs one command on a VIOS and returns what it printed.
    ///
    /// # Errors
    /// `Busy`, `Unreachable` (no RMC) and `Refused` with the VIOS's or AIX's code; when the outcome of an effect is not
    /// known, `Indeterminate`.
    pub(crate) async fn vios_command(
        &self,
        system: &System,
        vios: &ViosPartition,
        command: &str,
        intent: Intent,
        limit: Duration,
    ) -> Result<String, DeviceError> {
        let device = format!("VIOS {} at {}", vios.name, self.device());
        let job = self
            .run_to_end(system, vios, command, limit, intent)
            .await
            .map_err(|error| own_words(error, &device, command, intent))?;
        if job.succeeded() {
            return Ok(job.text);
        }
        Err(command_failed(&device, command, &job))
    }

    async fn run_to_end(
        &self,
        system: &System,
        vios: &ViosPartition,
        command: &str,
        limit: Duration,
        intent: Intent,
    ) -> Result<Job, Failure> {
        let (mut job, place) = self.start(system, vios, command, intent).await?;
        let id = job.id.clone();
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        while !job.is_terminal() {
            if begun.elapsed() > limit {
                let text = format!("job {id} still runs after {} s", limit.as_secs());
                return Err(Failure::After(text));
            }
            tokio::time::sleep(wait).await;
            wait = (begun.elapsed() / 4).clamp(FIRST_WAIT, LONGEST_WAIT);
            job = match self.poll(&id, &place).await {
                Ok(Polled::Known(job)) => job,
                Ok(Polled::Unknown) => {
                    return Err(Failure::After(format!(
                        "the console has forgotten job {id}"
                    )));
                }
                Err(error) => return Err(Failure::After(error.to_string())),
            };
        }
        self.delete_job(&id).await;
        Ok(job)
    }

    async fn start(
        &self,
        system: &System,
        vios: &ViosPartition,
        command: &str,
        intent: Intent,
    ) -> Result<(Job, String), Failure> {
        let line = format!(
            "viosvrcmd -m \"{}\" --id {} -c \"{command}\"",
            system.mtms, vios.id
        );
        let body = job::request(
            "ManagementConsole",
            "CLIRunner",
            &[
                ("cmd", line.as_str()),
                ("acknowledgeThisAPIMayGoAwayInTheFuture", "true"),
            ],
        );
        let (_, own) = self.own_uuid().await.map_err(Failure::Before)?;
        let path = format!("/rest/api/uom/ManagementConsole/{own}/do/CLIRunner");
        let label = format!("PUT CLIRunner {}: {command}", vios.name);
        let submitted = self.submit(&path, body, label, intent).await;
        if submitted.as_ref().is_err_and(is_gone) {
            // The UUID belongs to the console that answered before a failover. Nothing was done.
            self.forget_own_uuid();
            return Err(Failure::Before(DeviceError::busy(
                self.device(),
                "another console answers now; asked again at the next look",
            )));
        }
        submitted.map_err(Failure::Before)
    }
}

enum Failure {
    /// The console's answer to the submission, or none.
    Before(DeviceError),
    /// Submitted, and its end was not seen.
    After(String),
}

fn own_words(failure: Failure, device: &str, command: &str, intent: Intent) -> DeviceError {
    match (failure, intent) {
        (Failure::Before(error), _) => error,
        (Failure::After(text), Intent::Read) => {
            DeviceError::unreachable(device, format!("{command}: {text}"))
        }
        (Failure::After(text), Intent::Effect) => {
            DeviceError::indeterminate(device, format!("{command}: {text}"))
        }
    }
}

/// Whether the console says that it does not know the object.
pub(super) fn is_gone(error: &DeviceError) -> bool {
    matches!(error.code(), Some("HTTP404" | "REST000B"))
}

fn command_failed(device: &str, command: &str, job: &Job) -> DeviceError {
    let text = job.text.trim();
    let shown = format!("{command}: {text}");
    if errors::is_busy(text) {
        return DeviceError::busy(device, shown);
    }
    if errors::is_without_rmc(text) {
        return DeviceError::unreachable(device, format!("{shown}; {}", errors::RMC_ADVICE));
    }
    let mut advice = "";
    if text.contains("0514-548") {
        advice = "; the root file system of the VIOS is full: make space there";
    } else if text.contains("Unsupported command") || text.contains("Unsupported commmand") {
        advice = "; this console does not allow viosvrcmd through CLIRunner";
    }
    DeviceError::refused(device, vios_code(job), format!("{shown}{advice}"))
}

/// The VIOS's or AIX's own number says more than the console's HSCL2970 around it.
fn vios_code(job: &Job) -> String {
    let inner = job
        .text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    inner
        .filter_map(errors::code_in)
        .find(|code| code.starts_with("0514-") || code.starts_with("VIOS"))
        .map_or_else(|| job.code(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Job {
        Job {
            id: "1".into(),
            target: None,
            status: "COMPLETED_OK".into(),
            return_code: Some(1),
            text: text.into(),
        }
    }

    #[test]
    fn the_number_inside_hscl2970_is_the_code() {
        let text = "HSCL2970 The IOServer command has failed because of the following reason:\nmkdev: 0514-548 no space\nrc=1";
        let error = command_failed("VIOS V", "mkvdev", &job(text));
        assert_eq!(error.code(), Some("0514-548"));
        assert!(error.to_string().contains("file system"), "{error}");
    }

    #[test]
    fn busy_and_missing_rmc_are_no_refusals() {
        for (text, reason) in [
            ("HSCL3205 busy", "Busy"),
            ("HSCL2970 VIOS0014 x", "Busy"),
            ("HSCL294C there is no RMC connection", "Unreachable"),
            (
                "\"hdisk7\" is already being used as a backing device.",
                "Refused",
            ),
        ] {
            assert_eq!(
                command_failed("V", "c", &job(text)).reason(),
                reason,
                "{text}"
            );
        }
    }
}

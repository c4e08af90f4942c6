//! Opening the window's helper, and resuming by whatever way works.

use super::freeze_session::{OpenFreeze, disarm};
use super::helper::{ARM_LIMIT, Helper, Part, RESUME_LIMIT, wrong_identity};
use super::host::{IbmiHost, send};
use super::probe;
use super::query::column;
use crate::site::{
    AspName, ClCommand, DeviceError, FreezePlan, FreezeSession, IbmI, Identity, SourceFreeze,
    Watchdog, cl_quote,
};
use crate::wire::ibmi::Exec;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The whole system's pool; always suspended last and resumed first.
const SYSBAS: &str = "*SYSBAS";
/// Token of a helper that only resumes or disarms, when the run's is not known.
const RESUME_TOKEN: &str = "RESUMEANYWAY";
/// A watchdog of an earlier attempt is still alive (`ibmi/CONTRACT.md` § 9).
const WATCHDOG_ALIVE: &str = "CLN0023";
/// Disk pools of the system (`ibmi.md` § 2.1; column names [I]).
const ASPS: &str = "SELECT DEVICE_DESCRIPTION_NAME, ASP_STATE, ASP_TYPE FROM QSYS2.ASP_INFO WHERE ASP_TYPE = 'PRIMARY'";

/// Where the spare helper waits: the session uses it to close, the obligation to resume.
pub(super) type SpareSlot = Arc<Mutex<Option<Helper>>>;

/// Suspends and resumes one production system through its guest kit.
#[derive(Debug)]
pub struct IbmiFreeze {
    host: Arc<IbmiHost>,
    /// Every pair of production; nothing is sent to a system that answers otherwise.
    identities: Vec<Identity>,
    spare: SpareSlot,
}

impl IbmiFreeze {
    /// `identities` are production's pairs; empty = nothing can be opened or resumed.
    pub fn new(host: Arc<IbmiHost>, identities: Vec<Identity>) -> Self {
        Self {
            host,
            identities,
            spare: SpareSlot::default(),
        }
    }

    fn device(&self) -> &str {
        self.host.device()
    }

    /// A helper on a connection of its own. The main one's connection is proved by the identity probe as well, before
    /// anything is started there.
    async fn helper(&self, token: &str, part: Part) -> Result<Helper, DeviceError> {
        let session = match part {
            Part::Main => self.host.ssh().connect().await?,
            // Never behind the bound: it may be needed for a RESUME.
            Part::Spare => self.host.ssh().connect_at_once().await?,
        };
        if part == Part::Main {
            let limit = self.host.deadlines().read;
            let system = probe::run(&session, self.device(), limit).await?;
            if !self.identities.contains(&system.identity) {
                return Err(wrong_identity(
                    self.device(),
                    Some(&system.identity),
                    &self.identities,
                ));
            }
        }
        Helper::start(session, self.device(), token, part, &self.identities).await
    }

    async fn arm(&self, main: &Helper, plan: &FreezePlan) -> Result<(), DeviceError> {
        // In the order of resuming.
        let asps: Vec<&str> = plan.asps.iter().rev().map(AspName::as_str).collect();
        let request = format!("WATCHDOG ARM {} {}", plan.watchdog_seconds, asps.join(","));
        let armed = match main.ask(&request, ARM_LIMIT).await {
            // Left by an earlier attempt: this run holds the lock of the source, so it is nobody else's.
            Err(error) if error.code() == Some(WATCHDOG_ALIVE) => {
                disarm(self.device(), main).await?;
                main.ask(&request, ARM_LIMIT).await?
            }
            answer => answer?,
        };
        if armed.number("beats").unwrap_or_default() < 1 {
            let text = "the watchdog was submitted but did not beat; nothing was suspended";
            return Err(DeviceError::refused(
                self.device(),
                "WatchdogNotActive",
                text,
            ));
        }
        Ok(())
    }

    /// RESUME through a helper; gives back what it could not resume, with the reason.
    async fn resume_with(helper: &Helper, asps: &[AspName]) -> Vec<(AspName, DeviceError)> {
        let mut failed = Vec::new();
        for asp in asps {
            if let Err(error) = helper.resume(asp).await {
                failed.push((asp.clone(), error));
            }
        }
        failed
    }

    /// Without a helper: one command per ASP on a connection of its own. It may hang while the source is suspended
    /// (`ibmi.md` § 1.8), so it comes last. Who answered is proved afterwards, when SQL works again: a RESUME harms
    /// nobody, but one on another system must not count.
    async fn resume_plainly(&self, asps: &[AspName]) -> Vec<(AspName, DeviceError)> {
        let all = |error: &DeviceError| asps.iter().map(|a| (a.clone(), error.clone())).collect();
        let session = match self.host.ssh().connect_at_once().await {
            Ok(session) => session,
            Err(error) => return all(&error),
        };
        let mut failed = Vec::new();
        for asp in asps {
            if let Err(error) = self.resume_command(&session, asp).await {
                failed.push((asp.clone(), error));
            }
        }
        if failed.len() == asps.len() {
            return failed;
        }
        let limit = self.host.deadlines().read;
        match probe::run(&session, self.device(), limit).await {
            Ok(system) if self.identities.contains(&system.identity) => failed,
            Ok(system) => all(&wrong_identity(
                self.device(),
                Some(&system.identity),
                &self.identities,
            )),
            Err(error) => all(&error),
        }
    }

    async fn resume_command(
        &self,
        session: &crate::drivers::transport::ssh::SshSession,
        asp: &AspName,
    ) -> Result<(), DeviceError> {
        let command = resume_command(asp);
        let exec = Exec::Cl(command.as_str().to_owned());
        let done = send(session, &exec, command.as_str(), &[], RESUME_LIMIT).await?;
        if done.status == 0 {
            return Ok(());
        }
        let text = format!(
            "{}: status {}: {} {}",
            command.as_str(),
            done.status,
            done.text().trim(),
            done.error_text().trim()
        );
        Err(DeviceError::refused(self.device(), "ResumeFailed", text))
    }

    /// The spare of the last window, or a fresh one.
    async fn resuming_helper(&self, token: &str) -> Result<Helper, DeviceError> {
        let fresh = self.helper(token, Part::Spare);
        // A suspended system may let a login hang for ever; the caller has another way.
        tokio::time::timeout(RESUME_LIMIT, fresh)
            .await
            .unwrap_or_else(|_| {
                let text = format!("no helper was started within {} s", RESUME_LIMIT.as_secs());
                Err(DeviceError::unreachable(self.device(), text))
            })
    }
}

/// `CHGASPACT … *RESUME` of one ASP.
fn resume_command(asp: &AspName) -> ClCommand {
    let name = if asp.as_str() == SYSBAS {
        SYSBAS.to_owned()
    } else {
        cl_quote(asp.as_str())
    };
    ClCommand::new(format!("CHGASPACT ASPDEV({name}) OPTION(*RESUME)"))
}

/// Independent pools in the order of their names, `*SYSBAS` last.
fn in_order(names: BTreeSet<String>) -> Vec<AspName> {
    names
        .iter()
        .map(AspName::new)
        .chain([AspName::new(SYSBAS)])
        .collect()
}

#[async_trait]
impl SourceFreeze for IbmiFreeze {
    async fn open(&self, plan: &FreezePlan) -> Result<Box<dyn FreezeSession>, DeviceError> {
        // A spare that an earlier window left behind belongs to that window.
        let left = self.spare.lock().await.take();
        if let Some(left) = left {
            left.quit().await;
        }
        let (main, spare) = tokio::join!(
            self.helper(&plan.run_token, Part::Main),
            self.helper(&plan.run_token, Part::Spare)
        );
        let (main, spare) = (main?, spare?);
        self.arm(&main, plan).await?;
        *self.spare.lock().await = Some(spare);
        Ok(Box::new(OpenFreeze::new(
            self.device(),
            main,
            self.spare.clone(),
            plan.canary,
        )))
    }

    async fn asps(&self) -> Result<Vec<AspName>, DeviceError> {
        let session = self.host.connect().await?;
        if !self.identities.contains(&session.system.identity) {
            return Err(wrong_identity(
                self.device(),
                Some(&session.system.identity),
                &self.identities,
            ));
        }
        let rows = self.host.query(&session, ASPS).await?;
        let names: BTreeSet<String> = rows
            .iter()
            .filter(|r| matches!(column(r, "ASP_STATE"), "AVAILABLE" | "ACTIVE"))
            .map(|r| column(r, "DEVICE_DESCRIPTION_NAME").to_owned())
            .filter(|n| !n.is_empty())
            .collect();
        Ok(in_order(names))
    }

    async fn resume_anyway(&self, asps: &[AspName]) -> Result<(), DeviceError> {
        // In reverse, `*SYSBAS` first: everybody waits for it.
        let mut owed: Vec<AspName> = asps.iter().rev().cloned().collect();
        if owed.is_empty() {
            owed.push(AspName::new(SYSBAS));
        }
        let spare = self.spare.lock().await.take();
        if let Some(spare) = spare {
            let failed = Self::resume_with(&spare, &owed).await;
            if failed.is_empty() {
                // Kept: closing the window uses it to disarm.
                *self.spare.lock().await = Some(spare);
                return Ok(());
            }
            owed = failed.into_iter().map(|(asp, _)| asp).collect();
        }
        if let Ok(fresh) = self.resuming_helper(RESUME_TOKEN).await {
            let failed = Self::resume_with(&fresh, &owed).await;
            fresh.quit().await;
            owed = failed.into_iter().map(|(asp, _)| asp).collect();
        }
        if owed.is_empty() {
            return Ok(());
        }
        match self.resume_plainly(&owed).await.into_iter().next() {
            None => Ok(()),
            Some((_, error)) => Err(error),
        }
    }

    async fn disarm_watchdog(&self, run_token: &str) -> Result<Watchdog, DeviceError> {
        let spare = self.spare.lock().await.take();
        if let Some(spare) = spare {
            let ended = disarm(self.device(), &spare).await;
            spare.quit().await;
            if ended.is_ok() {
                return ended;
            }
        }
        let helper = self.resuming_helper(run_token).await?;
        let ended = disarm(self.device(), &helper).await;
        helper.quit().await;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysbas_is_suspended_last() {
        let names = ["IASP2", "IASP1"].map(str::to_owned).into();
        let order: Vec<String> = in_order(names).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["IASP1", "IASP2", "*SYSBAS"]);
    }

    #[test]
    fn a_resume_without_helper_names_one_asp() {
        assert_eq!(
            resume_command(&AspName::new("*SYSBAS")).as_str(),
            "CHGASPACT ASPDEV(*SYSBAS) OPTION(*RESUME)"
        );
        assert_eq!(
            resume_command(&AspName::new("IASP1) X(")).as_str(),
            "CHGASPACT ASPDEV('IASP1) X(') OPTION(*RESUME)"
        );
    }
}

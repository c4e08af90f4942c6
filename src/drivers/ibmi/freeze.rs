//! The role `SourceFreeze`: opens helper, spare and watchdog before the window, and resumes by whatever way works.

use super::exec::{new_mark, unwrap};
use super::helper::{Helper, HelperSession, Spare, arm};
use super::jobs::last_error;
use super::link::{Connection, Link};
use super::messages::parse_messages;
use super::system::IbmIDriver;
use crate::site::{
    AspName, ClCommand, DeviceError, FreezePlan, FreezeSession, IbmI, Identity, SourceFreeze,
    Watchdog,
};
use crate::wire;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// RESUME is a matter of a second or two (`ibmi.md` § 9).
const RESUME_LIMIT: Duration = Duration::from_secs(30);

/// How the freeze is set up.
#[derive(Debug, Clone)]
pub struct FreezeOptions {
    /// Every pair that is production. Empty: nothing is suspended.
    pub sources: Vec<Identity>,
    /// How long one answer of the helper may take, beyond what the command itself is allowed.
    pub answer: Duration,
}

/// Suspends and resumes one source.
pub struct IbmIFreeze {
    link: Arc<dyn Link>,
    system: Arc<IbmIDriver>,
    options: FreezeOptions,
    spare: Spare,
}

impl IbmIFreeze {
    /// A freeze over connections of its own: the helper's, and the spare's. `system` is used for reading only, and for the
    /// last way to resume.
    pub fn new(link: Arc<dyn Link>, system: Arc<IbmIDriver>, options: FreezeOptions) -> Self {
        Self {
            link,
            system,
            options,
            spare: Arc::new(Mutex::new(None)),
        }
    }

    async fn start(&self) -> Result<Helper, DeviceError> {
        let connection = self.link.open_at_once().await?;
        let channel = connection.start(wire::ibmi::HELPER_START).await?;
        Ok(Helper::new(
            self.system.device(),
            channel,
            self.options.answer,
        ))
    }

    /// A helper that may only resume and disarm.
    async fn start_spare(&self, token: &str) -> Result<Helper, DeviceError> {
        let mut helper = self.start().await?;
        helper.hello(token, true, &self.options.sources).await?;
        Ok(helper)
    }

    /// Every ASP is tried, whatever became of the ones before.
    async fn resume_through(helper: &mut Helper, asps: &[AspName]) -> Result<(), DeviceError> {
        let mut first = Ok(());
        for asp in asps {
            let outcome = helper.resume(asp).await.map(drop);
            if first.is_ok() {
                first = outcome;
            }
        }
        first
    }

    /// CHGASPACT as a plain command, on a connection of its own: the last way, because on a suspended system it may hang.
    ///
    /// The RESUME comes before the proof of who answers: the proof needs SQL, which hangs while the source is suspended,
    /// and a RESUME harms nobody. But one that ended on another system does not count.
    async fn resume_by_command(&self, asps: &[AspName]) -> Result<(), DeviceError> {
        let connection = self.link.open_at_once().await?;
        let mut first = Ok(());
        for asp in asps {
            let command = ClCommand::new(format!("CHGASPACT ASPDEV({asp}) OPTION(*RESUME)"));
            let outcome = self.resume_command(connection.as_ref(), &command).await;
            if first.is_ok() {
                first = outcome;
            }
        }
        connection.close().await;
        first?;
        let session = self.system.connect().await?;
        if self.options.sources.contains(&session.system.identity) {
            return Ok(());
        }
        Err(DeviceError::refused(
            self.system.device(),
            "IdentityUnexpected",
            format!(
                "{} answers, which is not production: its RESUME does not count",
                session.system.identity
            ),
        ))
    }

    async fn resume_command(
        &self,
        connection: &dyn Connection,
        command: &ClCommand,
    ) -> Result<(), DeviceError> {
        let mark = new_mark();
        let line = wire::ibmi::marked(&mark, &wire::ibmi::cl(command.as_str()));
        let output = connection.exec(&line, b"", RESUME_LIMIT).await?;
        let done = unwrap(output, &mark)
            .map_err(|why| DeviceError::indeterminate(self.system.device(), why))?;
        if done.status == 0 {
            return Ok(());
        }
        let both = [done.stdout, done.stderr].concat();
        let (messages, _) = parse_messages(&String::from_utf8_lossy(&both));
        let (code, text) = last_error(&messages);
        Err(DeviceError::refused(
            self.system.device(),
            code,
            format!("{}: {text}", command.as_str()),
        ))
    }

    fn need_sources(&self) -> Result<(), DeviceError> {
        if self.options.sources.is_empty() {
            return Err(DeviceError::refused(
                self.system.device(),
                "IdentityUnknown",
                "production's serial number and partition id are not known yet, so nothing is suspended",
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl SourceFreeze for IbmIFreeze {
    async fn open(&self, plan: &FreezePlan) -> Result<Box<dyn FreezeSession>, DeviceError> {
        self.need_sources()?;
        let mut helper = self.start().await?;
        let hello = helper
            .hello(&plan.run_token, false, &self.options.sources)
            .await?;
        let canary_milliseconds = hello.text("canaryMs").parse().unwrap_or(10);
        let spare = self.start_spare(&plan.run_token).await?;
        let beat = arm(&mut helper, plan).await?;
        *self.spare.lock().await = Some(spare);
        Ok(Box::new(HelperSession {
            helper,
            spare: Arc::clone(&self.spare),
            uses_canary: plan.canary,
            canary_started: false,
            canary_milliseconds,
            beat,
        }))
    }

    async fn asps(&self) -> Result<Vec<AspName>, DeviceError> {
        let session = self.system.connect().await?;
        let rows = self
            .system
            .query(
                &session,
                "SELECT DEVICE_DESCRIPTION_NAME, ASP_STATE, ASP_TYPE FROM QSYS2.ASP_INFO ORDER BY ASP_NUMBER",
            )
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            let cell = |name: &str| {
                row.get(name)
                    .and_then(|v| v.as_deref())
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            };
            // Secondary ASPs are suspended with their primary; pools 1 to 32 are *SYSBAS.
            if !["PRIMARY", "UDFS"].contains(&cell("ASP_TYPE").as_str()) {
                continue;
            }
            match cell("ASP_STATE").as_str() {
                "AVAILABLE" | "ACTIVE" => found.push(AspName::new(cell("DEVICE_DESCRIPTION_NAME"))),
                "VARIED OFF" | "VARIED ON" | "NONE" => {}
                // An ASP forgotten here would be copied without being suspended.
                other => {
                    return Err(DeviceError::refused(
                        self.system.device(),
                        "AspStateUnknown",
                        format!(
                            "independent ASP {} is {other}: wait until it is available or varied off, or name the ASPs in freeze.asps",
                            cell("DEVICE_DESCRIPTION_NAME")
                        ),
                    ));
                }
            }
        }
        found.push(AspName::new("*SYSBAS"));
        Ok(found)
    }

    async fn resume_anyway(&self, asps: &[AspName]) -> Result<(), DeviceError> {
        self.need_sources()?;
        let spare = self.spare.lock().await.take();
        if let Some(mut spare) = spare {
            let outcome = Self::resume_through(&mut spare, asps).await;
            match outcome {
                Ok(()) | Err(DeviceError::Refused { .. }) => {
                    // Still good, and a next try may need it.
                    *self.spare.lock().await = Some(spare);
                    return outcome;
                }
                Err(_) => {}
            }
        }
        let fresh = self.start_spare(&resume_token()).await;
        let by_helper = match fresh {
            Ok(mut helper) => {
                let outcome = Self::resume_through(&mut helper, asps).await;
                let _ = helper.ask("QUIT", Duration::ZERO).await;
                outcome
            }
            Err(error) => Err(error),
        };
        match by_helper {
            Ok(()) => Ok(()),
            Err(DeviceError::Refused { ref code, .. }) if code == "IdentityUnexpected" => by_helper,
            // The system said no to the very command; saying it again by another way changes nothing.
            Err(DeviceError::Refused { ref code, .. })
                if !code.starts_with("CLN") && !is_login(code) =>
            {
                by_helper
            }
            Err(_) => match self.resume_by_command(asps).await {
                Ok(()) => Ok(()),
                Err(DeviceError::Unreachable { .. }) => by_helper,
                Err(error) => Err(error),
            },
        }
    }

    async fn disarm_watchdog(&self, run_token: &str) -> Result<Watchdog, DeviceError> {
        self.need_sources()?;
        let spare = self.spare.lock().await.take();
        let mut helper = match spare {
            Some(helper) => helper,
            None => self.start_spare(run_token).await?,
        };
        let state = match helper.disarm().await {
            Err(DeviceError::Unreachable { .. } | DeviceError::Indeterminate { .. }) => {
                helper = self.start_spare(run_token).await?;
                helper.disarm().await?
            }
            other => other?,
        };
        let _ = helper.ask("QUIT", Duration::ZERO).await;
        if state == Watchdog::Fired && self.fired_for_another(run_token).await {
            return Ok(Watchdog::Ended);
        }
        Ok(state)
    }
}

impl IbmIFreeze {
    /// FIRED stays in the kit's user space until the next ARM: only the record says whose it was. In doubt it was ours.
    async fn fired_for_another(&self, run_token: &str) -> bool {
        let Ok(session) = self.system.connect().await else {
            return false;
        };
        let Ok(Some(bytes)) = self.system.get(&session, "/ibmiclone/watchdog.fired").await else {
            return false;
        };
        let text = String::from_utf8_lossy(&bytes);
        text.lines()
            .find_map(|l| l.strip_prefix("runToken="))
            .is_some_and(|token| token != run_token)
    }
}

fn is_login(code: &str) -> bool {
    [
        "LoginFailed",
        "HostKeyNotPinned",
        "HostKeyChanged",
        "KeyNotReadable",
        "NoCommonAlgorithm",
    ]
    .contains(&code)
}

fn resume_token() -> String {
    format!("RESUME{}", new_mark())
}

//! Sends a plan, step by step. What changes production's start-up is only sent when the kit proved itself complete.

use super::observe::{Observed, check, observe, said};
use super::plan::{Action, PlanError, Send, Wanted, pair_text, plan};
use crate::recipe::records::{KIT_VERSION, Record};
use crate::site::{ClCommand, DeviceError, IbmI, Session};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Shows the plan only.
    DryRun,
    /// Sends what does not change production's start-up.
    Careful,
    /// `--yes`: sends everything.
    Everything,
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Only shown.
    Shown,
    /// Sent and ended well.
    Sent,
    /// Needs `--yes`.
    Asks,
}

/// Why the installation stopped.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Nothing was sent.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A device did not answer, or its outcome is unknown. Every step may be repeated: start again.
    #[error("{0}; every step may be repeated: run guest install again")]
    Device(#[from] DeviceError),
    /// The system said no.
    #[error("step {id} failed: {text}; sent was: {sent}")]
    Step {
        /// Id of § 11.
        id: &'static str,
        /// The system's words.
        text: String,
        /// What was sent.
        sent: String,
    },
    /// The guard must not become the start-up program of a system whose kit is not whole.
    #[error(
        "production's start-up was not changed, because the kit is not complete: {0}; mend it and run guest install again"
    )]
    NotProved(String),
}

/// Installs, or shows what would be done. `tell` is called for every step after it.
///
/// # Errors
/// As [`InstallError`]; steps that were sent stay, and a second call goes on from there.
pub async fn install(
    system: &dyn IbmI,
    session: &Session,
    wanted: &Wanted,
    mode: Mode,
    tell: &mut (dyn FnMut(&Action, Done) + std::marker::Send),
) -> Result<Observed, InstallError> {
    let mut told: Vec<Action> = Vec::new();
    loop {
        let observed = observe(system, session).await?;
        let mut sent = 0;
        for action in plan(&observed, wanted)? {
            if told.contains(&action) {
                // Sent and still missing, or waiting for a yes: a second time would not help.
                continue;
            }
            let done = match mode {
                Mode::DryRun => Done::Shown,
                Mode::Careful if action.needs_yes => Done::Asks,
                Mode::Careful | Mode::Everything => {
                    if action.needs_yes {
                        proved(system, session, wanted).await?;
                    }
                    send(system, session, &action).await?;
                    sent += 1;
                    Done::Sent
                }
            };
            tell(&action, done);
            told.push(action);
        }
        // What CHECK says of authorities is only known once it runs: look again after a change.
        if sent == 0 {
            return Ok(observed);
        }
    }
}

pub(super) async fn send(
    system: &dyn IbmI,
    session: &Session,
    action: &Action,
) -> Result<(), InstallError> {
    let (succeeded, text) = match &action.send {
        Send::Cl(command) => {
            let done = system.run(session, &ClCommand::new(command)).await?;
            (done.succeeded, said(&done))
        }
        Send::Shell(line, input) => {
            let done = system.shell(session, line, input).await?;
            (done.succeeded, done.error)
        }
    };
    if succeeded {
        return Ok(());
    }
    Err(InstallError::Step {
        id: action.id,
        text,
        sent: action.shown().to_owned(),
    })
}

/// With the guard as start-up program and a pair that is not listed, production would start nothing at its next IPL.
async fn proved(system: &dyn IbmI, session: &Session, wanted: &Wanted) -> Result<(), InstallError> {
    let record = check(system, session)
        .await?
        .map_err(InstallError::NotProved)?;
    match lacks(&record, wanted) {
        None => Ok(()),
        Some(what) => Err(InstallError::NotProved(what)),
    }
}

fn lacks(record: &Record, wanted: &Wanted) -> Option<String> {
    let pair = pair_text(&wanted.identity);
    let listed = record
        .text("identities")
        .split(',')
        .any(|p| p.trim() == pair);
    if record.text("kit") != KIT_VERSION {
        return Some(format!("version {:?}", record.text("kit")));
    }
    if !record.text("missing").is_empty() {
        return Some(format!("missing {}", record.text("missing")));
    }
    if !listed {
        return Some(format!("production's pair {pair} is not in its list"));
    }
    if matches!(record.text("original"), "" | "QGPL/CLNSTRUP") {
        return Some("the original start-up program is not known".to_owned());
    }
    None
}

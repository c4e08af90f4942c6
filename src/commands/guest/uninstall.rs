//! Takes the guest kit off production (`ibmi/CONTRACT.md` § 11). The original start-up program comes first, and is read back,
//! before anything that production's start-up needs is deleted. May be repeated: a half uninstalled kit is finished.

use super::install::{InstallError, send};
use super::plan::{Action, PlanError};
use super::remains::{Remains, StartUp, remains, start_up};
use crate::recipe::operator_lock::Lock;
use crate::site::{DeviceError, IbmI, Identity, Session};

/// Who uninstalls what.
#[derive(Debug, Clone)]
pub struct Leaving {
    /// Production's pair, as the console shows it.
    pub identity: Identity,
    /// Id of this operator, for the lock.
    pub operator: String,
}

/// Why nothing, or not everything, was removed.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// Another system answers, or another operator owns the source. Nothing was sent.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Nothing was sent: production would not start any more.
    #[error(
        "QSTRUPPGM is the guard, and the original start-up program is not known ({0}): nothing was changed; set QSTRUPPGM to production's own program (CHGSYSVAL), then run guest uninstall again"
    )]
    NoOriginal(String),
    /// Sent, and not believed.
    #[error(
        "QSTRUPPGM still says {0} after CHGSYSVAL: nothing was deleted; look at it (DSPSYSVAL QSTRUPPGM), then run guest uninstall again"
    )]
    NotRestored(String),
    /// A step failed.
    #[error("{0}; what was removed stays removed: run guest uninstall again")]
    Step(InstallError),
    /// A device did not answer.
    #[error("{0}; every step may be repeated: run guest uninstall again")]
    Device(#[from] DeviceError),
}

/// The steps, in the order of sending.
///
/// # Errors
/// Another system, another operator, or an original start-up program that is not there.
pub fn plan(found: &Remains, leaving: &Leaving) -> Result<Vec<Action>, UninstallError> {
    if found.identity != leaving.identity {
        let (found, expected) = (found.identity.clone(), leaving.identity.clone());
        return Err(PlanError::NotTheSource { found, expected }.into());
    }
    if let Some(owner) = found.lock.other_than(&leaving.operator) {
        let (owner, operator) = (owner.to_owned(), leaving.operator.clone());
        return Err(PlanError::OtherOperator { owner, operator }.into());
    }
    let mut actions = Vec::new();
    if found.start_up.as_ref().is_some_and(StartUp::is_guard) {
        let original = original(found)?;
        let command = format!("CHGSYSVAL SYSVAL(QSTRUPPGM) VALUE('{}')", original.value());
        actions.push(Action::cl("restore-start-up", command).asks(
            "from the next IPL on, production's start-up program is called without the guard: copies of this system must not be started any more",
        ));
    }
    let steps = [
        (found.stub, "remove-stub", "DLTPGM PGM(QGPL/CLNSTRUP)"),
        (
            found.original_area,
            "remove-original",
            "DLTDTAARA DTAARA(QGPL/CLNORIG)",
        ),
        (found.library, "remove-library", "DLTLIB LIB(IBMICLONE)"),
    ];
    for (there, id, command) in steps {
        if there {
            actions.push(Action::cl(id, command).asks(""));
        }
    }
    if found.directory {
        let action = Action::shell("remove-directory", "rm -rf /ibmiclone", b"");
        actions.push(action.asks(""));
    }
    Ok(actions)
}

fn original(found: &Remains) -> Result<&StartUp, UninstallError> {
    let lost = |why: String| UninstallError::NoOriginal(why);
    match &found.original {
        None => Err(lost("data area QGPL/CLNORIG is lost or blank".to_owned())),
        Some(program) if program.is_guard() => {
            Err(lost("data area QGPL/CLNORIG names the guard".to_owned()))
        }
        Some(program) if !found.original_exists => {
            Err(lost(format!("program {program} does not exist")))
        }
        Some(program) => Ok(program),
    }
}

/// Sends the plan; `tell` is called for every step after it.
///
/// # Errors
/// As [`UninstallError`]; what was sent stays, and a second call goes on from there.
pub async fn uninstall(
    system: &dyn IbmI,
    session: &Session,
    leaving: &Leaving,
    tell: &mut (dyn FnMut(&Action) + std::marker::Send),
) -> Result<(), UninstallError> {
    let found = remains(system, session).await?;
    for action in plan(&found, leaving)? {
        send(system, session, &action)
            .await
            .map_err(UninstallError::Step)?;
        if action.id == "restore-start-up" {
            restored(system, session).await?;
        }
        tell(&action);
    }
    Ok(())
}

/// The stub is only deleted when nobody calls it any more.
async fn restored(system: &dyn IbmI, session: &Session) -> Result<(), UninstallError> {
    match start_up(system, session).await? {
        Some(program) if !program.is_guard() => Ok(()),
        other => {
            let said = other.map_or_else(|| "nothing".to_owned(), |p| p.to_string());
            Err(UninstallError::NotRestored(said))
        }
    }
}

/// What is left for a person to decide.
pub fn left_over(strtcp: &str, lock: &Lock) -> String {
    let strtcp = match strtcp {
        "Yes" => "IPL attribute STRTCP is *YES.".to_owned(),
        "No" => "IPL attribute STRTCP is *NO and stays so: the start-up program has to start TCP/IP. To let it start by itself at IPL again: CHGIPLA STRTCP(*YES).".to_owned(),
        _ => "IPL attribute STRTCP was not changed; when it is *NO, the start-up program has to start TCP/IP, or CHGIPLA STRTCP(*YES).".to_owned(),
    };
    match lock {
        Lock::Free => strtcp,
        Lock::Held(_) | Lock::Unreadable => {
            format!(
                "{strtcp} The operator's lock went with /ibmiclone: another operator may use this system now."
            )
        }
    }
}

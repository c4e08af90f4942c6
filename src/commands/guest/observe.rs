//! What is there of the guest kit on a source: the probes of `ibmi/CONTRACT.md` §§ 11 and 12. Changes nothing.

use super::sources::SOURCES;
use crate::recipe::operator_lock::{Lock, read_lock};
use crate::recipe::records::{Record, VERSION_PATH};
use crate::site::{ClCommand, CommandOutput, DeviceError, IbmI, Identity, Session};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Everything the plan and the verdict are made from.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Who answered the probe.
    pub identity: Identity,
    /// The source's clock when it was asked.
    pub clock: DateTime<Utc>,
    /// Ours, at the same moment.
    pub ours: DateTime<Utc>,
    /// `IBMICLONE` exists.
    pub library: bool,
    /// `/ibmiclone/src` exists.
    pub directory: bool,
    /// Profile that owns `/ibmiclone`, upper case.
    pub owner: Option<String>,
    /// `IBMICLONE/QSRC` exists.
    pub source_file: bool,
    /// Sources that lie there exactly as they are here.
    pub uploaded: BTreeSet<&'static str>,
    /// `/ibmiclone/version`.
    pub version_file: Option<String>,
    /// Record of CHECK; `None` = it did not run or gave none.
    pub check: Option<Record>,
    /// What CHECK said instead of a record.
    pub check_said: String,
    /// The operator's lock.
    pub lock: Lock,
}

impl Observed {
    /// A value of the check record, empty for `-` and for no record.
    pub fn checked(&self, key: &str) -> &str {
        self.check.as_ref().map_or("", |r| r.text(key))
    }
}

/// Runs CHECK: its record, or what it said.
pub(super) async fn check(
    system: &dyn IbmI,
    session: &Session,
) -> Result<Result<Record, String>, DeviceError> {
    let done = system
        .run(session, &ClCommand::new("CALL PGM(IBMICLONE/CHECK)"))
        .await?;
    if !done.succeeded {
        return Ok(Err(said(&done)));
    }
    Ok(Record::find(&done.text).map_err(|why| why.to_string()))
}

pub(super) fn said(done: &CommandOutput) -> String {
    let list: Vec<String> = done
        .messages
        .iter()
        .map(|m| format!("{} {}", m.id, m.text))
        .collect();
    list.join("; ")
}

/// Whether a line of the shell that only looks ends well.
pub(super) async fn probe_shell(
    system: &dyn IbmI,
    session: &Session,
    line: &str,
) -> Result<bool, DeviceError> {
    Ok(system.shell(session, line, b"").await?.succeeded)
}

/// Whether an object exists. Only the ids that say so count as "no".
pub(super) async fn exists(
    system: &dyn IbmI,
    session: &Session,
    object: &str,
    kind: &str,
) -> Result<bool, DeviceError> {
    let command = ClCommand::new(format!("CHKOBJ OBJ({object}) OBJTYPE({kind})"));
    let done = system.run(session, &command).await?;
    let absent = done
        .messages
        .iter()
        .any(|m| ["CPF9801", "CPF9810", "CPF2110"].contains(&m.id.as_str()));
    match (done.succeeded, absent) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => Err(DeviceError::refused(
            system.address(),
            done.messages
                .last()
                .map_or("CommandFailed", |m| m.id.as_str()),
            format!("CHKOBJ {object} {kind}: {}", said(&done)),
        )),
    }
}

/// Reads everything.
///
/// # Errors
/// A device that does not answer, or a probe that neither says yes nor no.
pub async fn observe(system: &dyn IbmI, session: &Session) -> Result<Observed, DeviceError> {
    let ours = Utc::now();
    let library = exists(system, session, "QSYS/IBMICLONE", "*LIB").await?;
    let source_file = library && exists(system, session, "IBMICLONE/QSRC", "*FILE").await?;
    let directory = probe_shell(system, session, "ls -d /ibmiclone/src").await?;
    let mut uploaded = BTreeSet::new();
    let mut owner = None;
    if directory {
        for (name, text) in SOURCES {
            let there = system
                .get(session, &format!("/ibmiclone/src/{name}"))
                .await?;
            if there.as_deref() == Some(text.as_bytes()) {
                uploaded.insert(name);
            }
        }
        let listed = system.shell(session, "ls -ld /ibmiclone", b"").await?;
        // drwx------  2 owner group …
        owner = String::from_utf8_lossy(&listed.output)
            .split_whitespace()
            .nth(2)
            .map(str::to_ascii_uppercase);
    }
    let version_file = system.get(session, VERSION_PATH).await?;
    let lock = read_lock(system, session).await?;
    let (record, check_said) = match library {
        true => match check(system, session).await? {
            Ok(record) => (Some(record), String::new()),
            Err(text) => (None, text),
        },
        false => (None, "library IBMICLONE does not exist".to_owned()),
    };
    Ok(Observed {
        identity: session.system.identity.clone(),
        clock: session.system.now,
        ours,
        library,
        directory,
        owner,
        source_file,
        uploaded,
        version_file: version_file.map(|b| String::from_utf8_lossy(&b).trim().to_owned()),
        check: record,
        check_said,
        lock,
    })
}

//! The operator's lock on a source (`ibmi/CONTRACT.md` § 10): two operators, in two clusters or two namespaces of one, do not
//! see each other's Leases. The file on production is what they both see.

use super::records::{LOCK_PATH, RecordError, RecordText, digest};
use crate::site::{DeviceError, IbmI, Session};

/// Writes the lock under its temporary name, from standard input.
pub const LOCK_WRITE: &str = "umask 077; cat > /ibmiclone/operator.lock.new";
/// Takes it: `ln` fails when the lock exists, so of two operators one wins. Prints whose it is then.
pub const LOCK_TAKE: &str = "ln /ibmiclone/operator.lock.new /ibmiclone/operator.lock; rm -f /ibmiclone/operator.lock.new; cat /ibmiclone/operator.lock";
/// Gives it up, or takes it away from another one.
pub const LOCK_DROP: &str = "rm -f /ibmiclone/operator.lock";

/// What the lock file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// Not there.
    Free,
    /// An operator's: its id.
    Held(String),
    /// There, but its checksum is wrong: counts as another operator's.
    Unreadable,
}

impl Lock {
    /// From the file's bytes.
    pub fn read(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else {
            return Self::Free;
        };
        let text = String::from_utf8_lossy(bytes);
        let proved = text.find("checksum=").and_then(|at| {
            let (body, sum) = text.split_at(at);
            let sum = sum.strip_prefix("checksum=")?.trim_end();
            (sum == digest(body.as_bytes())).then(|| body.lines().next().unwrap_or_default())
        });
        match proved.and_then(|line| line.strip_prefix("operator=")) {
            Some(id) => Self::Held(id.to_owned()),
            None => Self::Unreadable,
        }
    }

    /// The owner's name when that is not `operator`; `None` = free or its own.
    pub fn other_than(&self, operator: &str) -> Option<&str> {
        match self {
            Self::Free => None,
            Self::Held(id) if id == operator => None,
            Self::Held(id) => Some(id),
            Self::Unreadable => Some("(an unreadable lock)"),
        }
    }
}

/// The file of an operator.
///
/// # Errors
/// An id with characters that the kit cannot take.
pub fn lock_text(operator: &str) -> Result<String, RecordError> {
    let mut text = RecordText::default();
    text.line("operator", operator);
    text.close()
}

/// Reads whose a source is.
///
/// # Errors
/// A device that does not answer.
pub async fn read_lock(source: &dyn IbmI, session: &Session) -> Result<Lock, DeviceError> {
    let found = source.get(session, LOCK_PATH).await?;
    Ok(Lock::read(found.as_deref()))
}

/// Takes the lock where it is free, and says whose it is then: only [`Lock::Held`] with the own id is a success. It stays
/// until `guest uninstall` or another operator's `guest install --take-over`.
///
/// # Errors
/// A device that does not answer, or a directory that cannot be written.
pub async fn take_lock(
    source: &dyn IbmI,
    session: &Session,
    operator: &str,
) -> Result<Lock, DeviceError> {
    let found = read_lock(source, session).await?;
    if found != Lock::Free {
        return Ok(found);
    }
    let text = lock_text(operator).map_err(|why| {
        DeviceError::refused(
            "the operator",
            "OperatorIdUnusable",
            format!("the operator's id {operator:?} cannot be written to {LOCK_PATH}: {why}"),
        )
    })?;
    let written = source.shell(session, LOCK_WRITE, text.as_bytes()).await?;
    if !written.succeeded {
        return Err(DeviceError::refused(
            source.address(),
            "LockNotWritten",
            format!(
                "{LOCK_PATH}.new cannot be written ({}): run guest install",
                written.error
            ),
        ));
    }
    let taken = source.shell(session, LOCK_TAKE, b"").await?;
    if !taken.succeeded {
        // Another operator removed the temporary file in between: whose it is shows the next look.
        return Err(DeviceError::busy(
            source.address(),
            format!("{LOCK_PATH} was not taken: {}", taken.error),
        ));
    }
    Ok(Lock::read(Some(&taken.output)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_its_writers_and_a_damaged_one_is_anothers() {
        let text = lock_text("cluster-1.ops").expect("plain characters");
        let lock = Lock::read(Some(text.as_bytes()));
        assert_eq!(lock, Lock::Held("cluster-1.ops".to_owned()));
        assert_eq!(lock.other_than("cluster-1.ops"), None);
        assert_eq!(lock.other_than("cluster-2.ops"), Some("cluster-1.ops"));
        let damaged = text.replace("cluster-1", "cluster-3");
        let lock = Lock::read(Some(damaged.as_bytes()));
        assert_eq!(lock, Lock::Unreadable);
        assert!(lock.other_than("cluster-3.ops").is_some());
        assert_eq!(Lock::read(None).other_than("cluster-1.ops"), None);
    }
}

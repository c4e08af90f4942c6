//! One process at a time uses a directory. The lock ends with its process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::OpenError;
use super::file::DATABASE;

const NAME: &str = "lock";

/// Held while it lives.
pub(super) struct Lock(pub(super) File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started holds a copy of the open file for a moment.
        let _ = self.0.unlock();
    }
}

impl Lock {
    /// Takes the lock of a directory, or says who has it.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(NAME);
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false);
        let file = open.mode(0o600).open(&path);
        let mut file = file.map_err(|e| OpenError::io("open", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message; the holder may be just writing it.
                let _ = file.read_to_string(&mut holder);
                return Err(OpenError::InUse {
                    file: dir.join(DATABASE),
                    pid: holder.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(OpenError::io("lock", &path, e)),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(|e| OpenError::io("write", &path, e))?;
        Ok(Self(file))
    }
}

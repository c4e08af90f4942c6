//! A copy of the store as of one moment, while it is in use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::StoreError;
use super::error::BackupError;

/// Writes the copy. It appears under its name complete and on the disk; until then the name is taken by an empty file, and the
/// copy grows beside it.
pub(super) fn write(connection: &Connection, target: &Path) -> Result<(), BackupError> {
    let io = |source| BackupError::Io {
        path: target.to_owned(),
        source,
    };
    let target = std::path::absolute(target).map_err(io)?;
    let mut partial = target.clone().into_os_string();
    partial.push(".partial");
    let mut made = Made(Vec::new());
    made.create(&target)?;
    let copy = made.create(Path::new(&partial))?;
    let name = partial
        .to_str()
        .ok_or_else(|| BackupError::Name(target.clone()))?;
    let copied = connection.execute("VACUUM INTO ?1", [name]);
    copied.map_err(StoreError::from)?;
    let publish = || {
        copy.sync_all()?;
        fs::rename(&partial, &target)?;
        match target.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    publish().map_err(io)?;
    made.0.clear();
    Ok(())
}

/// Files of an unfinished backup: removed, unless it was finished.
struct Made(Vec<PathBuf>);

impl Made {
    fn create(&mut self, path: &Path) -> Result<File, BackupError> {
        let mut open = OpenOptions::new();
        open.write(true).create_new(true).mode(0o600);
        match open.open(path) {
            Ok(file) => {
                self.0.push(path.to_owned());
                Ok(file)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackupError::Exists(path.to_owned()))
            }
            Err(source) => Err(BackupError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

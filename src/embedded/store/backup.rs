//! A copy of the store as of one moment, while it is in use: by the process that uses it, or by another one beside it.
//!
//! The copy knows that it is one. A store that was restored from it shows runs as they were at that moment, some of them under
//! way; they have gone on since, and must never go on from there (rule 14 of `architecture.md` § 4). Whoever opens it is told.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{BackupError, OpenError};
use super::file::{self, DATABASE};
use super::{StoreError, format};

/// What is done with a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and there is no backup.
    Refuse,
    /// The backup takes its place once it is whole and was checked.
    Replace,
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Objects, their history not counted.
    pub objects: u64,
    /// The newest revision in it.
    pub revision: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Backs up the store of a directory, whether a process uses it or not: as one more reader, which the write-ahead log allows.
///
/// # Errors
/// [`BackupError`]; then no new file stays behind, and nothing in the directory has been changed.
pub fn of_directory(
    dir: &Path,
    target: &Path,
    existing: Existing,
    now: DateTime<Utc>,
) -> Result<Saved, BackupError> {
    let absolute = std::path::absolute(dir);
    let dir = absolute.map_err(|e| OpenError::io("look at", dir, e))?;
    let database = dir.join(DATABASE);
    match fs::symlink_metadata(&database) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(BackupError::NoStore(dir)),
        Err(e) => return Err(OpenError::io("look at", &database, e).into()),
    }
    let io = |source| BackupError::Io {
        path: target.to_owned(),
        source,
    };
    let target = std::path::absolute(target).map_err(io)?;
    let parent = fs::canonicalize(target.parent().unwrap_or(&target)).map_err(io)?;
    // It could take the store's own place; and what takes the disk takes both.
    let own = fs::canonicalize(&dir).map_err(|e| OpenError::io("look at", &dir, e))?;
    if parent.starts_with(own) {
        return Err(BackupError::Inside { target, dir });
    }
    let connection = file::beside_its_process(&database)?;
    write(&connection, &target, existing, now)
}

/// Writes the copy. It appears under its name complete, checked and on the disk; until then it grows beside it, and a name that
/// was free is taken by an empty file.
pub(super) fn write(
    connection: &Connection,
    target: &Path,
    existing: Existing,
    now: DateTime<Utc>,
) -> Result<Saved, BackupError> {
    let io = |source| BackupError::Io {
        path: target.to_owned(),
        source,
    };
    let target = std::path::absolute(target).map_err(io)?;
    let mut partial = target.clone().into_os_string();
    partial.push(".partial");
    let mut made = Made(Vec::new());
    match existing {
        Existing::Refuse => drop(made.create(&target)?),
        Existing::Replace => {}
    }
    let copy = made.create(Path::new(&partial))?;
    let name = partial
        .to_str()
        .ok_or_else(|| BackupError::Name(target.clone()))?;
    let copied = connection.execute("VACUUM INTO ?1", [name]);
    copied.map_err(|e| failed(&target, e))?;
    let (objects, revision) =
        marked(Path::new(&partial), now).map_err(|e| failed(&target, e))??;
    let publish = || {
        copy.sync_all()?;
        let bytes = copy.metadata()?.len();
        fs::rename(&partial, &target)?;
        if let Some(dir) = target.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(bytes)
    };
    let bytes = publish().map_err(io)?;
    made.0.clear();
    Ok(Saved {
        objects,
        revision,
        bytes,
    })
}

pub(super) fn failed(target: &Path, error: rusqlite::Error) -> BackupError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => BackupError::Full(target.to_owned()),
        Some(_) | None => StoreError::from(error).into(),
    }
}

type Checked = Result<(u64, u64), BackupError>;

/// Notes in the copy that it is one, and reads it from end to end. Objects and newest revision.
fn marked(copy: &Path, now: DateTime<Utc>) -> rusqlite::Result<Checked> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(copy, flags)?;
    // Nobody but us knows the file yet: no file beside it, and it is flushed as a whole.
    connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    format::mark_backup(&connection, now)?;
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let known: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != "ok" || known != format::FORMAT {
        let what = if found == "ok" { "its format" } else { &found };
        return Ok(Err(BackupError::Wrong(what.to_owned())));
    }
    let count = "SELECT count(*) FROM objects";
    let objects: i64 = connection.query_row(count, [], |row| row.get(0))?;
    Ok(Ok((
        objects.cast_unsigned(),
        format::revision(&connection)?,
    )))
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

//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Key;

/// Why a read or a write was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Create: the object is there already.
    #[error("it exists already")]
    Exists,
    /// The object is not at the expected revision.
    #[error("it is not at the expected revision")]
    Conflict {
        /// Its newest revision; none when it is not there.
        found: Option<u64>,
    },
    /// The revision is older than history reaches.
    #[error("history before revision {oldest} was given up")]
    Compacted {
        /// The oldest revision that can be asked for.
        oldest: u64,
    },
    /// The revision is yet to come: the client saw another store, or this one before it was restored from a backup.
    #[error("revision {newest} is the newest")]
    Ahead {
        /// The newest revision.
        newest: u64,
    },
    /// What is stored cannot be read.
    #[error("{key}, as of revision {revision}, cannot be read from the store: {why}")]
    Damaged {
        /// Of the object.
        key: Key,
        /// Of its state.
        revision: u64,
        /// Never the content.
        why: &'static str,
    },
    /// An object cannot be turned into what is stored.
    #[error("{key} cannot be stored: {why}")]
    Unstorable {
        /// Of the object.
        key: Key,
        /// Never the content.
        why: &'static str,
    },
    /// SQLite or the disk below it. A write with this answer is not done as far as reads show; after a crash it may be.
    #[error("the store failed: {0}; look at the disk and its free space")]
    Failed(#[source] Arc<rusqlite::Error>),
    /// The system starts no more threads, or one has failed.
    #[error("no thread could be had for a long list; look at the limits of the process")]
    NoThread,
    /// The store's threads have ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// From a fixed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Exists => "Exists",
            Self::Conflict { .. } => "Conflict",
            Self::Compacted { .. } => "Compacted",
            Self::Ahead { .. } => "Ahead",
            Self::Damaged { .. } => "Damaged",
            Self::Unstorable { .. } => "Unstorable",
            Self::Failed(_) => "Failed",
            Self::NoThread => "NoThread",
            Self::Closed => "Closed",
        }
    }

    pub(super) fn damaged(key: &Key, revision: u64, why: &'static str) -> Self {
        let key = key.clone();
        Self::Damaged { key, revision, why }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// Why a store was not opened. What was there before has not been changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error("{} is in use{}; stop that process, or choose another directory", file.display(), pid.map(|p| format!(" by process {p}")).unwrap_or_default())]
    InUse {
        /// The database file.
        file: PathBuf,
        /// Of the other process, when it is known.
        pid: Option<u32>,
    },
    /// Others than the owner may read a directory or a file.
    #[error("{} has mode {mode:04o}; others must not read it: chmod {wanted:04o} {0}", path.display())]
    Exposed {
        /// Of the directory or file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// The permissions it needs.
        wanted: u32,
    },
    /// The file is no SQLite database.
    #[error("{} is not a SQLite database; move it away, or restore it from a backup", .0.display())]
    NotDatabase(PathBuf),
    /// The file is a SQLite database of another program.
    #[error("{} is a SQLite database of another program (application id {application:#010x}); choose another directory", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it says of its program.
        application: u32,
    },
    /// The file was written by a later version.
    #[error("{} has format {found}, and this version knows up to {known}; use the version that wrote it, or a later one", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// The file is damaged.
    #[error("{} is damaged ({what}); it was left as it is: restore it from a backup into an empty directory", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What was found.
        what: String,
    },
    /// A write-ahead log lies beside a database that it does not belong to.
    #[error("{} lies beside {}, to which it does not belong ({why}); restore backups into an empty directory", log.display(), file.display())]
    StrayLog {
        /// The database.
        file: PathBuf,
        /// The log.
        log: PathBuf,
        /// How that is known.
        why: &'static str,
    },
    /// The key file is missing, and the database has been written under a key.
    #[error("{} is missing; without it the Secrets in {} cannot be read: put it back from where it was kept", key.display(), file.display())]
    KeyMissing {
        /// The key file.
        key: PathBuf,
        /// The database.
        file: PathBuf,
    },
    /// The key file is of another database.
    #[error("{} is not the key under which {} was written; put the right one back", key.display(), file.display())]
    KeyWrong {
        /// The key file.
        key: PathBuf,
        /// The database.
        file: PathBuf,
    },
    /// The key file is no key.
    #[error("{} does not hold a key (64 hexadecimal digits); put the right one back", .0.display())]
    KeyDamaged(PathBuf),
    /// No random numbers.
    #[error("the system gives no random numbers for {}", .0.display())]
    NoKey(PathBuf),
    /// The file system.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// A verb with what belongs to it.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite.
    #[error("cannot {doing} {}: {source}", file.display())]
    Sqlite {
        /// A verb with what belongs to it.
        doing: &'static str,
        /// The database.
        file: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// From a fixed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "InUse",
            Self::Exposed { .. } => "Exposed",
            Self::NotDatabase(_) => "NotDatabase",
            Self::Foreign { .. } => "Foreign",
            Self::Newer { .. } => "Newer",
            Self::Corrupt { .. } => "Corrupt",
            Self::StrayLog { .. } => "StrayLog",
            Self::KeyMissing { .. } => "KeyMissing",
            Self::KeyWrong { .. } => "KeyWrong",
            Self::KeyDamaged(_) => "KeyDamaged",
            Self::NoKey(_) => "NoKey",
            Self::Io { .. } => "Io",
            Self::Sqlite { .. } => "Sqlite",
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(super) fn sqlite(doing: &'static str, file: &Path, source: rusqlite::Error) -> Self {
        let file = file.to_owned();
        Self::Sqlite {
            doing,
            file,
            source,
        }
    }
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file is there; backups overwrite nothing.
    #[error("{} exists already; choose another name, or remove it", .0.display())]
    Exists(PathBuf),
    /// SQLite takes only names of Unicode.
    #[error("{} is not a name of a file in UTF-8; choose another one", .0.display())]
    Name(PathBuf),
    /// The file system.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing in the directory is a store.
    #[error("there is no store in {}: give the directory that `standalone --data` was given", .0.display())]
    NoStore(PathBuf),
    /// The backup would lie in the directory of the store.
    #[error("{} would lie in the directory of the store ({}), and be lost with it: choose another directory", target.display(), dir.display())]
    Inside {
        /// The backup.
        target: PathBuf,
        /// The store's directory.
        dir: PathBuf,
    },
    /// The store is none that this version reads.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No room for the backup.
    #[error("cannot write {}: its disk is full", .0.display())]
    Full(PathBuf),
    /// The copy is not what it should be; it was removed.
    #[error(
        "the copy is not whole ({0}), so the store may be damaged: no backup was made, look at the disk"
    )]
    Wrong(String),
    /// The store, or the disk of the backup.
    #[error("cannot write the backup: {0}")]
    Store(#[from] StoreError),
}

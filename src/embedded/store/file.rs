//! Opens the file. All that can be wrong with it is looked for before anything is written to it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::OpenError;
use super::key_file::{self, remove_if_there};
use super::vault::Vault;
use super::{Options, format};

/// Name of the database in its directory.
pub(super) const DATABASE: &str = "store.db";

/// Size to which the write-ahead log is cut when it has grown beyond it, during a long read.
const LOG_LIMIT: i64 = 64 << 20;
/// Only a person with another program at the file makes us wait.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// An open store.
pub(super) struct Opened {
    /// Empty without a file.
    pub(super) file: PathBuf,
    /// The connection that writes.
    pub(super) writer: Connection,
    /// Empty without a file: then all use the writer's.
    pub(super) readers: Vec<Connection>,
    /// Seals and opens Secrets.
    pub(super) vault: Vault,
    /// The newest revision.
    pub(super) revision: u64,
    /// When the backup was made that this store was restored from; none once that has been seen to.
    pub(super) restored: Option<DateTime<Utc>>,
}

/// Creates the directory when it is missing, and refuses one that others may read.
pub(super) fn directory(dir: &Path) -> Result<(), OpenError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.map_err(|e| OpenError::io("create the directory", dir, e))?;
    let found = fs::metadata(dir).map_err(|e| OpenError::io("look at", dir, e))?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let (path, wanted) = (dir.to_owned(), 0o700);
        return Err(OpenError::Exposed { path, mode, wanted });
    }
    Ok(())
}

/// Opens or creates the database of a directory whose lock is held.
pub(super) fn open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    // Absolute: SQLite would take a name that begins with `file:` for a URI.
    let dir = std::path::absolute(dir).map_err(|e| OpenError::io("look at", dir, e))?;
    let file = dir.join(DATABASE);
    // Not `exists`: a link to a disk that is not mounted must not become a new, empty database.
    let vault = match fs::symlink_metadata(&file) {
        Ok(_) => existing(&dir, &file)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(&dir, &file)?,
        Err(e) => return Err(OpenError::io("look at", &file, e)),
    };
    let private = fs::set_permissions(&file, Permissions::from_mode(0o600));
    private.map_err(|e| OpenError::io("set the mode of", &file, e))?;
    let sqlite = |e| OpenError::sqlite("open", &file, e);
    let writer = writer(&file, options).map_err(sqlite)?;
    let readers = (0..options.readers.max(1)).map(|_| reader(&file, options));
    Ok(Opened {
        readers: readers.collect::<Result<_, _>>().map_err(sqlite)?,
        revision: format::revision(&writer).map_err(sqlite)?,
        restored: format::backup(&writer).map_err(sqlite)?,
        writer,
        vault,
        file,
    })
}

/// A store that ends with its connection.
pub(super) fn in_memory(options: &Options) -> Result<Opened, OpenError> {
    let nowhere = Path::new("");
    let (_, vault) = key_file::random(nowhere)?;
    let check = vault
        .check()
        .map_err(|_| OpenError::NoKey(nowhere.to_owned()))?;
    let open = || {
        let mut writer = Connection::open_in_memory()?;
        tune(&writer, options)?;
        format::create(&mut writer, &check)?;
        Ok((format::revision(&writer)?, writer))
    };
    let opened = open();
    let (revision, writer) = opened.map_err(|e| OpenError::sqlite("open in memory", nowhere, e))?;
    Ok(Opened {
        file: PathBuf::new(),
        readers: Vec::new(),
        revision,
        restored: None,
        writer,
        vault,
    })
}

/// Under another name first, so that it is there whole or not at all.
fn create(dir: &Path, file: &Path) -> Result<Vault, OpenError> {
    if let Some(log) = log_of(file)? {
        return Err(OpenError::StrayLog {
            file: file.to_owned(),
            log,
            why: "there is no database",
        });
    }
    // A key without a database: the first start was interrupted between the two.
    let vault = match key_file::load(dir)? {
        Some(vault) => vault,
        None => key_file::create(dir)?,
    };
    let check = vault
        .check()
        .map_err(|_| OpenError::NoKey(file.to_owned()))?;
    let new = dir.join(format!("{DATABASE}.new"));
    let io = |e| OpenError::io("create", &new, e);
    let sqlite = |e| OpenError::sqlite("create", &new, e);
    remove_if_there(&new).map_err(io)?;
    remove_if_there(&beside(&new, "-journal")).map_err(io)?;
    let mut private = OpenOptions::new();
    private.write(true).create_new(true).mode(0o600);
    let handle = private.open(&new).map_err(io)?;
    let mut connection =
        Connection::open_with_flags(&new, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))
            .map_err(sqlite)?;
    format::create(&mut connection, &check).map_err(sqlite)?;
    connection.close().map_err(|(_, e)| sqlite(e))?;
    let publish = || {
        handle.sync_all()?;
        fs::rename(&new, file)?;
        File::open(dir)?.sync_all()
    };
    publish().map_err(io)?;
    Ok(vault)
}

fn existing(dir: &Path, file: &Path) -> Result<Vault, OpenError> {
    let check = inspect(file)?;
    let (key, file) = (dir.join(key_file::NAME), file.to_owned());
    match key_file::load(dir)? {
        None => Err(OpenError::KeyMissing { key, file }),
        Some(vault) if vault.knows(check.clone()) => Ok(vault),
        Some(_) => Err(OpenError::KeyWrong { key, file }),
    }
}

/// Looks for all that can be wrong, without writing. Returns what recognises the key.
fn inspect(file: &Path) -> Result<Vec<u8>, OpenError> {
    let corrupt = |what: String| OpenError::Corrupt {
        file: file.to_owned(),
        what,
    };
    let header = header(file)?;
    let word = |at: usize| {
        let bytes = header[at..at + 4].try_into().unwrap_or_default();
        u32::from_be_bytes(bytes)
    };
    known(file, word(68), word(60))?;
    let log = log_of(file)?;
    // Bytes 18 and 19 are 2 in a database with a write-ahead log, 1 in a backup. SQLite would play the log of the old one into it.
    if let (Some(log), false) = (&log, header[18..20] == [2, 2]) {
        return Err(OpenError::StrayLog {
            file: file.to_owned(),
            log: log.clone(),
            why: "the database never had one",
        });
    }
    let look = || {
        let connection = unchanging(file, log.is_some())?;
        let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let found: String = found;
        let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let newest = format::revision(&connection)?;
        let last = format::last_in_history(&connection)?;
        Ok((found, format, newest, last, format::key_check(&connection)?))
    };
    let (found, format, newest, last, check) = look().map_err(|e: rusqlite::Error| {
        match e.sqlite_error_code() {
            // Unknown: a table is missing. None: a value is missing or is none of ours.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
            | None => corrupt(e.to_string()),
            Some(_) => OpenError::sqlite("check", file, e),
        }
    })?;
    if found != "ok" {
        return Err(corrupt(found));
    }
    known(file, format::APPLICATION, format)?;
    match last {
        Some(last) if last > newest => Err(corrupt(format!(
            "history has revision {last}, and the newest is said to be {newest}"
        ))),
        Some(_) | None => Ok(check),
    }
}

fn known(file: &Path, application: u32, format: u32) -> Result<(), OpenError> {
    let file = file.to_owned();
    if application != format::APPLICATION {
        return Err(OpenError::Foreign { file, application });
    }
    match format {
        format::FORMAT => Ok(()),
        found if found > format::FORMAT => Err(OpenError::Newer {
            file,
            found,
            known: format::FORMAT,
        }),
        found => Err(OpenError::Corrupt {
            file,
            what: format!("there is no format {found}"),
        }),
    }
}

fn header(file: &Path) -> Result<[u8; 100], OpenError> {
    let mut header = [0; 100];
    let read = File::open(file).and_then(|mut f| f.read_exact(&mut header));
    match read {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Err(OpenError::NotDatabase(file.to_owned()))
        }
        Err(e) => Err(OpenError::io("read", file, e)),
        Ok(()) if !header.starts_with(b"SQLite format 3\0") => {
            Err(OpenError::NotDatabase(file.to_owned()))
        }
        Ok(()) => Ok(header),
    }
}

/// The write-ahead log of a database, when there is something in it.
fn log_of(file: &Path) -> Result<Option<PathBuf>, OpenError> {
    let log = beside(file, "-wal");
    match fs::metadata(&log) {
        Ok(found) => Ok((found.len() > 0).then_some(log)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(OpenError::io("look at", &log, e)),
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A connection that writes nothing, not even files beside the database where it can do without.
fn unchanging(file: &Path, log: bool) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    if !log {
        uri.push_str("?immutable=1");
    }
    let read = flags(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI);
    let connection = Connection::open_with_flags(uri, read)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn writer(file: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    tune(&connection, options)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // An answer means that the write is on the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Done after the answers, not before: `writer::carry_over`.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |_| Ok(()))?;
    Ok(connection)
}

fn reader(file: &Path, options: &Options) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    tune(&connection, options)?;
    Ok(connection)
}

/// One more reader of a database that another process may have open. Its header is asked for through SQLite: to open and close
/// the file itself would take away the locks that a store in this very process has on it.
pub(super) fn beside_its_process(file: &Path) -> Result<Connection, OpenError> {
    let look = || {
        let connection = reader(file, &Options::default())?;
        // Read only, it leaves the log to the process that writes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let (application, format) = (number("application_id")?, number("user_version")?);
        Ok((connection, application, format))
    };
    let looked: rusqlite::Result<_> = look();
    let (connection, application, format) = looked.map_err(|e| match e.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotDatabase(file.to_owned()),
        Some(_) | None => OpenError::sqlite("read", file, e),
    })?;
    known(file, application, format)?;
    Ok(connection)
}

fn tune(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Negative: KiB.
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

fn flags(mode: OpenFlags) -> OpenFlags {
    // Each connection is used by one thread at a time.
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

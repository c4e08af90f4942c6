//! What is in the file.

use chrono::{DateTime, Utc};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, params};

/// `application_id` of the file: "ibmi".
pub(super) const APPLICATION: u32 = 0x6962_6d69;
/// `user_version` of the file. Rises with every change that an older version would misread.
pub(super) const FORMAT: u32 = 1;

/// Revision of a store nothing was written to: clients give 0 another meaning.
const FIRST: u64 = 1;

// `history` holds the states: `objects` names the newest of each object, `previous` the one before it. Without gaps after revision
// `compacted`; of what is before, only the states that were current then. `body` comes last: what does not need it does not read it.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE objects (
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    revision INTEGER PRIMARY KEY,
    resource TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    verb INTEGER NOT NULL,
    previous INTEGER,
    written INTEGER NOT NULL,
    form INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX history_of_object ON history (resource, namespace, name, revision, verb);
CREATE INDEX history_of_resource ON history (resource, revision);
";

/// Makes the tables, all or none of them. `check` recognises the key.
pub(super) fn create(connection: &mut Connection, check: &[u8]) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.execute_batch(TABLES)?;
    let insert = "INSERT INTO meta (name, value) VALUES (?1, ?2)";
    tx.execute(insert, params![REVISION, FIRST.cast_signed()])?;
    tx.execute(insert, params![COMPACTED, FIRST.cast_signed()])?;
    tx.execute(insert, params![CHECK, check])?;
    tx.commit()
}

/// Notes that this is a copy, made at this time.
pub(super) fn mark_backup(connection: &Connection, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
    connection.execute(insert, params![BACKUP, at.timestamp_millis()])?;
    Ok(())
}

/// When the copy was made that this store began as; none once that has been seen to.
pub(super) fn backup(connection: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let at = meta::<i64>(connection, BACKUP).optional()?;
    Ok(at.map(|at| DateTime::from_timestamp_millis(at).unwrap_or_default()))
}

/// The store is no copy any more.
pub(super) fn forget_backup(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE name = ?1", [BACKUP])?;
    Ok(())
}

const BACKUP: &str = "backup";
const REVISION: &str = "revision";
const COMPACTED: &str = "compacted";
const CHECK: &str = "key_check";

/// The newest revision.
pub(super) fn revision(connection: &Connection) -> rusqlite::Result<u64> {
    meta::<i64>(connection, REVISION).map(i64::cast_unsigned)
}

/// Sets the newest revision.
pub(super) fn set_revision(connection: &Connection, revision: u64) -> rusqlite::Result<()> {
    set(connection, REVISION, revision)
}

/// The oldest revision that can be asked for.
pub(super) fn compacted(connection: &Connection) -> rusqlite::Result<u64> {
    meta::<i64>(connection, COMPACTED).map(i64::cast_unsigned)
}

/// Sets the oldest revision that can be asked for.
pub(super) fn set_compacted(connection: &Connection, revision: u64) -> rusqlite::Result<()> {
    set(connection, COMPACTED, revision)
}

/// What recognises the key.
pub(super) fn key_check(connection: &Connection) -> rusqlite::Result<Vec<u8>> {
    meta(connection, CHECK)
}

/// The last revision that history has.
pub(super) fn last_in_history(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let query = "SELECT revision FROM history ORDER BY revision DESC LIMIT 1";
    let last = connection.query_row(query, [], |row| row.get::<_, i64>(0));
    Ok(last.optional()?.map(i64::cast_unsigned))
}

fn meta<T: FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}

fn set(connection: &Connection, name: &str, revision: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?
        .execute(params![name, revision.cast_signed()])?;
    Ok(())
}

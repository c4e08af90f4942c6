//! Gives up old history. A state goes when a later one of the same object is at or before the new beginning, so that what was
//! current at the beginning can still be read, and the state before every change that stays.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Keep, format};

/// Up to which revision history goes.
pub(super) fn target(
    connection: &Connection,
    keep: Keep,
    now: DateTime<Utc>,
) -> rusqlite::Result<u64> {
    let (oldest, newest) = (
        format::compacted(connection)?,
        format::revision(connection)?,
    );
    let by_count = newest.saturating_sub(keep.changes);
    let by_age = match before(now, keep.age) {
        None => oldest,
        Some(limit) => {
            let first_young = "SELECT revision FROM history WHERE revision > ?1 AND written > ?2
                ORDER BY revision LIMIT 1";
            let bounds = params![oldest.cast_signed(), limit];
            let found = connection.query_row(first_young, bounds, |row| row.get::<_, i64>(0));
            let found = found.optional()?.map(i64::cast_unsigned);
            found.map_or(newest, |young| young - 1)
        }
    };
    Ok(oldest.max(by_count).max(by_age))
}

/// One step towards the target, in a transaction of its own. Returns where history begins now.
pub(super) fn step(
    connection: &mut Connection,
    target: u64,
    changes: u64,
) -> rusqlite::Result<u64> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let oldest = format::compacted(&tx)?;
    let beginning = target.min(oldest.saturating_add(changes.max(1)));
    if beginning <= oldest {
        return Ok(oldest);
    }
    let range = params![oldest.cast_signed(), beginning.cast_signed()];
    tx.prepare_cached(
        "DELETE FROM history WHERE revision IN (SELECT previous FROM history
         WHERE revision > ?1 AND revision <= ?2 AND previous IS NOT NULL)",
    )?
    .execute(range)?;
    // 2: deleted.
    tx.prepare_cached("DELETE FROM history WHERE revision > ?1 AND revision <= ?2 AND verb = 2")?
        .execute(range)?;
    format::set_compacted(&tx, beginning)?;
    tx.commit()?;
    Ok(beginning)
}

/// Milliseconds; None when nothing can be so old.
fn before(now: DateTime<Utc>, age: Duration) -> Option<i64> {
    let age = chrono::Duration::from_std(age).ok()?;
    Some(now.checked_sub_signed(age)?.timestamp_millis())
}

//! What is read. Every function gets a transaction, so that what it reads first belongs to what it reads last.

use std::thread;

use rusqlite::{OptionalExtension, Row, Statement, Transaction, named_params, params};

use super::codec::{Body, Codec, Form};
use super::{Change, Key, ListQuery, Page, StoreError, Stored, Unreadable, Verb, format};

/// An object.
pub(super) fn get(
    tx: &Transaction<'_>,
    codec: &Codec,
    key: Key,
) -> Result<Option<Stored>, StoreError> {
    let mut find = tx.prepare_cached(
        "SELECT o.revision, h.form, h.body FROM objects o JOIN history h ON h.revision = o.revision
         WHERE o.resource = ?1 AND o.namespace = ?2 AND o.name = ?3",
    )?;
    let found = find.query_row(params![key.resource, key.namespace, key.name], |row| {
        Ok((revision(row, 0)?, packed(row, 1)?))
    });
    let Some((revision, packed)) = found.optional()? else {
        return Ok(None);
    };
    let object = codec.decode(&key, revision, packed.known(&key, revision)?)?;
    Ok(Some(Stored {
        key,
        revision,
        object,
    }))
}

/// Objects of a resource, each as `read` makes it from its text.
pub(super) fn list<T, F>(
    tx: &Transaction<'_>,
    codec: &Codec,
    query: &ListQuery,
    read: &F,
) -> Result<Page<T>, StoreError>
where
    T: Send,
    F: Fn(&Key, u64, &[u8]) -> Result<T, Unreadable> + Sync,
{
    let newest = format::revision(tx)?;
    let at = query.at.unwrap_or(newest);
    readable(tx, at, newest)?;
    // Pages after the first ask as of the first one's revision; mostly nothing has happened since.
    let view = if at == newest || !changed_since(tx, &query.resource, at)? {
        NOW
    } else {
        THEN
    };
    let found = keys(tx, query, view, at)?;
    let remaining = match (query.limit, query.left, found.last()) {
        (None, _, _) => 0,
        (Some(limit), _, _) if found.len() < limit => 0,
        (Some(_), Some(left), _) => left.saturating_sub(found.len()),
        (Some(_), None, last) => count(tx, query, view, at, last)?,
    };
    let mut find = tx.prepare_cached(BODY)?;
    let packed = found.into_iter().map(|(key, revision)| {
        let body = body_by(&mut find, &key, revision)?;
        Ok((key, revision, body))
    });
    let packed = packed.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Page {
        items: unpack(codec, packed, read)?,
        revision: at,
        remaining,
    })
}

type Unread = (Key, u64, Body);

/// Fewer are read faster than a thread starts.
const PART: usize = 100;
/// Lists come several at a time; one does not take all cores of a large machine.
const THREADS: usize = 4;

/// Decompressing and reading is nearly all of a long list's time, so all cores take part.
fn unpack<T, F>(codec: &Codec, mut rest: Vec<Unread>, read: &F) -> Result<Vec<(Key, T)>, StoreError>
where
    T: Send,
    F: Fn(&Key, u64, &[u8]) -> Result<T, Unreadable> + Sync,
{
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let part = rest.len().div_ceil(cores.min(THREADS)).max(PART);
    let mut parts = Vec::new();
    while rest.len() > part {
        let next = rest.split_off(rest.len() - part);
        parts.push(next);
    }
    let decode = |part: Vec<Unread>| {
        let decoded = part.into_iter().map(|(key, revision, body)| {
            let text = codec.text(&key, revision, body)?;
            let item = read(&key, revision, &text);
            let item = item.map_err(|Unreadable(why)| StoreError::damaged(&key, revision, why))?;
            Ok((key, item))
        });
        decoded.collect::<Result<Vec<_>, StoreError>>()
    };
    thread::scope(|scope| {
        let mut started = Vec::new();
        for part in parts {
            let thread = thread::Builder::new().name("store-unpack".to_owned());
            let thread = thread.spawn_scoped(scope, || decode(part));
            started.push(thread.map_err(|_| StoreError::NoThread)?);
        }
        // What was split off first is the end.
        let mut all = decode(rest)?;
        for thread in started.into_iter().rev() {
            all.extend(thread.join().map_err(|_| StoreError::NoThread)??);
        }
        Ok(all)
    })
}

/// Changes of a resource.
pub(super) fn changes(
    tx: &Transaction<'_>,
    codec: &Codec,
    resource: &str,
    namespace: Option<&str>,
    after: u64,
    limit: usize,
) -> Result<Vec<Change>, StoreError> {
    readable(tx, after, format::revision(tx)?)?;
    let mut find = tx.prepare_cached(
        "SELECT revision, namespace, name, verb, previous, form, body
         FROM history INDEXED BY history_of_resource
         WHERE resource = ?1 AND revision > ?2 AND (?3 IS NULL OR namespace = ?3)
         ORDER BY revision LIMIT ?4",
    )?;
    let mut rows = find.query(params![
        resource,
        after.cast_signed(),
        namespace,
        bound(limit)
    ])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let revision = revision(row, 0)?;
        let key = Key {
            resource: resource.to_owned(),
            namespace: row.get(1)?,
            name: row.get(2)?,
        };
        let verb = Verb::from_number(row.get(3)?);
        let verb =
            verb.ok_or_else(|| StoreError::damaged(&key, revision, "its verb is unknown"))?;
        let previous: Option<i64> = row.get(4)?;
        let previous = previous.map(|p| state(tx, codec, &key, p.cast_unsigned()));
        let body = packed(row, 5)?.known(&key, revision)?;
        changes.push(Change {
            object: codec.decode(&key, revision, body)?,
            previous: previous.transpose()?,
            revision,
            verb,
            key,
        });
    }
    Ok(changes)
}

impl Verb {
    fn from_number(number: i64) -> Option<Self> {
        let all = [Self::Added, Self::Modified, Self::Deleted];
        all.into_iter().find(|verb| *verb as i64 == number)
    }
}

/// Keys and revisions of the newest states; `:at` plays no part.
const NOW: &str = "SELECT namespace, name, revision FROM objects
    WHERE resource = :resource AND (namespace, name) > (:namespace, :name)
    AND (:only IS NULL OR namespace = :only) AND :at IS NOT NULL";

/// The same as of a revision. SQLite takes the verb from the row that has the highest revision. 2: deleted. In the order of the
/// index, so that a page ends the search.
const THEN: &str = "SELECT namespace, name, max(revision) AS revision
    FROM history INDEXED BY history_of_object
    WHERE resource = :resource AND (namespace, name) > (:namespace, :name)
    AND (:only IS NULL OR namespace = :only) AND revision <= :at
    GROUP BY namespace, name HAVING verb <> 2";

const BODY: &str = "SELECT form, body FROM history WHERE revision = ?1";

fn keys(
    tx: &Transaction<'_>,
    query: &ListQuery,
    view: &str,
    at: u64,
) -> Result<Vec<(Key, u64)>, StoreError> {
    let (namespace, name) = start(query);
    let sql = format!("{view} ORDER BY namespace, name LIMIT :limit");
    let mut find = tx.prepare_cached(&sql)?;
    let named = named_params! {
        ":resource": query.resource,
        ":namespace": namespace,
        ":name": name,
        ":only": query.namespace,
        ":at": at.cast_signed(),
        ":limit": query.limit.map_or(-1, bound),
    };
    let found = find.query_map(named, |row| {
        let key = Key {
            resource: query.resource.clone(),
            namespace: row.get(0)?,
            name: row.get(1)?,
        };
        Ok((key, revision(row, 2)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// How many come after the last one of a page.
fn count(
    tx: &Transaction<'_>,
    query: &ListQuery,
    view: &str,
    at: u64,
    last: Option<&(Key, u64)>,
) -> Result<usize, StoreError> {
    let (namespace, name) = match last {
        Some((key, _)) => (key.namespace.as_str(), key.name.as_str()),
        None => start(query),
    };
    let mut count = tx.prepare_cached(&format!("SELECT count(*) FROM ({view})"))?;
    let named = named_params! {
        ":resource": query.resource,
        ":namespace": namespace,
        ":name": name,
        ":only": query.namespace,
        ":at": at.cast_signed(),
    };
    let count: i64 = count.query_row(named, |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// After which namespace and name to begin. No name is empty, so the empty one is before all; a page of one namespace begins there.
fn start(query: &ListQuery) -> (&str, &str) {
    let first = (query.namespace.as_deref().unwrap_or_default(), "");
    let after = query.after.as_ref();
    let after = after.map(|(namespace, name)| (namespace.as_str(), name.as_str()));
    after.map_or(first, |after| after.max(first))
}

fn changed_since(tx: &Transaction<'_>, resource: &str, at: u64) -> Result<bool, StoreError> {
    let mut find = tx.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM history INDEXED BY history_of_resource
         WHERE resource = ?1 AND revision > ?2)",
    )?;
    Ok(find.query_row(params![resource, at.cast_signed()], |row| row.get(0))?)
}

/// Whether history reaches to a revision.
fn readable(tx: &Transaction<'_>, at: u64, newest: u64) -> Result<(), StoreError> {
    if at > newest {
        return Err(StoreError::Ahead { newest });
    }
    let oldest = format::compacted(tx)?;
    if at < oldest {
        return Err(StoreError::Compacted { oldest });
    }
    Ok(())
}

fn state(
    tx: &Transaction<'_>,
    codec: &Codec,
    key: &Key,
    at: u64,
) -> Result<serde_json::Value, StoreError> {
    codec.decode(key, at, body(tx, key, at)?)
}

fn body(tx: &Transaction<'_>, key: &Key, at: u64) -> Result<Body, StoreError> {
    let mut find = tx.prepare_cached(BODY)?;
    body_by(&mut find, key, at)
}

fn body_by(find: &mut Statement<'_>, key: &Key, at: u64) -> Result<Body, StoreError> {
    let found = find.query_row([at.cast_signed()], |row| packed(row, 0));
    let packed = found.optional()?;
    let packed = packed.ok_or_else(|| StoreError::damaged(key, at, "it is missing"))?;
    packed.known(key, at)
}

/// A body whose form may be none that is known.
struct Packed {
    form: i64,
    bytes: Vec<u8>,
}

impl Packed {
    fn known(self, key: &Key, revision: u64) -> Result<Body, StoreError> {
        let form = Form::from_number(self.form);
        let form = form.ok_or_else(|| StoreError::damaged(key, revision, "its form is unknown"))?;
        let bytes = self.bytes;
        Ok(Body { form, bytes })
    }
}

fn packed(row: &Row<'_>, first: usize) -> rusqlite::Result<Packed> {
    let (form, bytes) = (row.get(first)?, row.get(first + 1)?);
    Ok(Packed { form, bytes })
}

fn revision(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

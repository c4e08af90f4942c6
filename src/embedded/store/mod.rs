//! Objects and their history in one SQLite file. Knows resources, namespaces and names, and nothing else of Kubernetes: what an
//! object means is the registry's.
//!
//! A directory holds a store:
//!
//! - `store.db`, with `store.db-wal` and `store.db-shm` while it is open: the objects, their history, the revision
//! - `secrets.key`: the key under which Secrets are sealed; a copy of the database alone does not open them
//! - `lock`: held by the process that uses the directory
//!
//! Every write appends the object's new state to the history under the next revision; the table of objects says which revision is
//! the newest of each. So one row serves reads, lists as of a revision and watches. Objects are never kept in memory.
//!
//! One thread writes. The writes that wait while it works go into its next transaction together (group commit), each with its own
//! precondition and its own answer. An answer is given after the commit has reached the disk (`synchronous=FULL`), and no earlier.
//!
//! The directory must be on a disk of this machine: SQLite's write-ahead log does not work over network file systems.

mod backup;
mod codec;
mod compaction;
mod error;
mod file;
mod format;
mod key_file;
mod lock;
mod query;
mod reader;
#[cfg(test)]
mod tests;
mod vault;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::watch;

pub use backup::{Existing, Saved, of_directory as backup_of_directory};
pub use error::{BackupError, OpenError, StoreError};

use codec::Codec;
use reader::{Readers, held};
use writer::{Intent, Writer};

/// What identifies an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// [`super::kind::Kind::resource`], like `cloneruns.ibmiclone.dev`.
    pub resource: String,
    /// Empty for what belongs to no namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.resource, self.name)
        } else {
            write!(f, "{} {}/{}", self.resource, self.namespace, self.name)
        }
    }
}

/// An object as it is stored.
#[derive(Clone, PartialEq)]
pub struct Stored {
    /// Which object.
    pub key: Key,
    /// Of the write that made this state.
    pub revision: u64,
    /// The state, without `metadata.resourceVersion`.
    pub object: Value,
}

// Not derived: an object may be a Secret.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({} @ {})", self.key, self.revision)
    }
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// The object was not there before.
    Added,
    /// It was there, and is.
    Modified,
    /// It is no longer there.
    Deleted,
}

/// One write, as history keeps it.
#[derive(Clone, PartialEq)]
pub struct Change {
    /// Every write has its own, rising.
    pub revision: u64,
    /// What it did.
    pub verb: Verb,
    /// To which object.
    pub key: Key,
    /// The state after it; the last one for a deletion.
    pub object: Value,
    /// The state before it; none for an addition.
    pub previous: Option<Value>,
}

// Not derived: an object may be a Secret.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Change({:?} {} @ {})",
            self.verb, self.key, self.revision
        )
    }
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// [`Key::resource`].
    pub resource: String,
    /// None: of all namespaces.
    pub namespace: Option<String>,
    /// Only what comes after this namespace and name.
    pub after: Option<(String, String)>,
    /// At most so many; None: all. A page of 500 objects of 4 KB takes about 10 MB as JSON values, a list of 20,000 some 400 MB:
    /// whoever can, reads by pages.
    pub limit: Option<usize>,
    /// As of this revision; None: now.
    pub at: Option<u64>,
    /// How many there are after [`ListQuery::after`], where the page before has told it: counting them anew for every page takes
    /// longer than reading the page.
    pub left: Option<usize>,
}

/// An answer to a [`ListQuery`], in the order of namespace and name.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// The objects.
    pub items: Vec<Stored>,
    /// As of which revision: that of the query, or the newest.
    pub revision: u64,
    /// How many more come after the last item.
    pub remaining: usize,
}

/// A [`List`] whose objects are something that was made of their texts.
#[derive(Debug)]
pub struct Page<T> {
    /// The objects.
    pub items: Vec<(Key, T)>,
    /// As of which revision: that of the query, or the newest.
    pub revision: u64,
    /// How many more come after the last item.
    pub remaining: usize,
}

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

impl From<serde_json::Error> for Unreadable {
    fn from(_: serde_json::Error) -> Self {
        Self("it is not JSON")
    }
}

/// How much history stays; what is older is given up by [`Store::compact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// At most so many changes.
    pub changes: u64,
    /// None that is older.
    pub age: Duration,
}

impl Default for Keep {
    /// 10,000 changes, 30 minutes: far more than a client needs to come back after a lost connection, and about 15 MB.
    fn default() -> Self {
        let age = Duration::from_secs(30 * 60);
        Self {
            changes: 10_000,
            age,
        }
    }
}

/// The wall clock of a store.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Knobs of a store.
#[derive(Clone)]
pub struct Options {
    /// Threads that read, each with a connection. 3.
    pub readers: usize,
    /// Page cache of each connection in KiB. 2,048.
    pub cache_kib: u32,
    /// Most writes of one transaction. 256.
    pub group: usize,
    /// Objects of at least so many bytes are compressed in the file; Secrets never are, their length would tell of their content. 512.
    pub compress_from: usize,
    /// Bytes of the write-ahead log after which it is carried over into the file. 4 MiB.
    pub checkpoint: u64,
    /// Changes that compaction gives up in one transaction; writes wait for it so long. 500.
    pub compact_step: u64,
    /// Tells the age of changes.
    pub now: Now,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 3,
            cache_kib: 2_048,
            group: 256,
            compress_from: 512,
            checkpoint: 4 << 20,
            compact_step: 500,
            now: Arc::new(Utc::now),
        }
    }
}

/// Objects and their history. Cheap to clone. The last clone that goes away waits for the threads and gives the directory free.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// The newest revision of each resource that was written to.
type Last = Arc<Mutex<HashMap<String, u64>>>;

// The order matters: readers end before the writer, whose connection tidies the files up as the last one; then the lock goes.
struct Inner {
    readers: Readers,
    writer: Writer,
    newest: watch::Receiver<u64>,
    /// The newest revision when it was opened, and the last one of each resource since.
    opened_at: u64,
    last: Last,
    codec: Arc<Codec>,
    file: PathBuf,
    restored: Option<DateTime<Utc>>,
    _lock: Option<lock::Lock>,
}

impl Store {
    /// Opens the store of a directory; both are created when missing. Blocks: the whole file is checked.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing that was there has been changed.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        file::directory(dir)?;
        let lock = lock::Lock::take(dir)?;
        let opened = file::open(dir, &options)?;
        Self::start(opened, Some(lock), options)
    }

    /// A store without a file, which ends with its last clone.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn in_memory(options: Options) -> Result<Self, OpenError> {
        Self::start(file::in_memory(&options)?, None, options)
    }

    fn start(
        opened: file::Opened,
        lock: Option<lock::Lock>,
        options: Options,
    ) -> Result<Self, OpenError> {
        let codec = Arc::new(Codec::new(opened.vault, options.compress_from));
        let (file, restored) = (opened.file, opened.restored);
        let thread = |source| OpenError::io("start a thread for", &file, source);
        let (sender, newest) = watch::channel(opened.revision);
        let last = Last::default();
        let writer = Arc::new(Mutex::new(opened.writer));
        // Without a file there is one connection for all: others could not see its memory.
        let connections = if opened.readers.is_empty() {
            vec![Arc::clone(&writer)]
        } else {
            let own = opened.readers.into_iter();
            own.map(|c| Arc::new(Mutex::new(c))).collect()
        };
        Ok(Self {
            inner: Arc::new(Inner {
                readers: Readers::start(connections).map_err(thread)?,
                writer: Writer::start(writer, sender, Arc::clone(&last), options)
                    .map_err(thread)?,
                newest,
                opened_at: opened.revision,
                last,
                codec,
                file,
                restored,
                _lock: lock,
            }),
        })
    }

    /// An object.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let (codec, key) = (Arc::clone(&self.inner.codec), key.clone());
        self.inner
            .readers
            .read(move |tx| query::get(tx, &codec, key))
            .await
    }

    /// Objects of one resource.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] and [`StoreError::Ahead`] for a revision that is no longer or not yet there.
    pub async fn list(&self, query: &ListQuery) -> Result<List, StoreError> {
        let page = self
            .read(query, |key, revision, text| {
                Ok(Stored {
                    key: key.clone(),
                    revision,
                    object: serde_json::from_slice(text)?,
                })
            })
            .await?;
        Ok(List {
            items: page.items.into_iter().map(|(_, stored)| stored).collect(),
            revision: page.revision,
            remaining: page.remaining,
        })
    }

    /// The same, with `read` in the place of parsing: it gets the key, the revision and the JSON text of each object, in no
    /// order and on several threads.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn read<T, F>(&self, query: &ListQuery, read: F) -> Result<Page<T>, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Key, u64, &[u8]) -> Result<T, Unreadable> + Send + Sync + 'static,
    {
        let (codec, query) = (Arc::clone(&self.inner.codec), query.clone());
        self.inner
            .readers
            .read(move |tx| query::list(tx, &codec, &query, &read))
            .await
    }

    /// Changes of a resource after a revision, oldest first. Those of [`Store::subscribe`]'s value and before are all there.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] and [`StoreError::Ahead`] for a revision that is no longer or not yet there.
    pub async fn changes(
        &self,
        resource: &str,
        namespace: Option<&str>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let codec = Arc::clone(&self.inner.codec);
        let (resource, namespace) = (resource.to_owned(), namespace.map(str::to_owned));
        self.inner
            .readers
            .read(move |tx| {
                query::changes(tx, &codec, &resource, namespace.as_deref(), after, limit)
            })
            .await
    }

    /// Stores a new object. As all writes, it may go on when the future is dropped.
    ///
    /// # Errors
    /// [`StoreError::Exists`].
    pub async fn create(&self, key: Key, object: Value) -> Result<Stored, StoreError> {
        let revision = self.write(key.clone(), Intent::Create, &object).await?;
        Ok(Stored {
            key,
            revision,
            object,
        })
    }

    /// Stores a new state of an object.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its newest revision is not the expected one.
    pub async fn replace(
        &self,
        key: &Key,
        expected: u64,
        object: Value,
    ) -> Result<Stored, StoreError> {
        let key = key.clone();
        let intent = Intent::Replace { expected };
        let revision = self.write(key.clone(), intent, &object).await?;
        Ok(Stored {
            key,
            revision,
            object,
        })
    }

    /// Deletes an object; `last` is the state that watches are told. Returns the revision of the deletion.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not there, or its newest revision is not the expected one.
    pub async fn delete(
        &self,
        key: &Key,
        expected: Option<u64>,
        last: Value,
    ) -> Result<u64, StoreError> {
        self.write(key.clone(), Intent::Delete { expected }, &last)
            .await
    }

    async fn write(&self, key: Key, intent: Intent, object: &Value) -> Result<u64, StoreError> {
        let body = self.inner.codec.encode(&key, object)?;
        self.inner.writer.write(key, intent, body).await
    }

    /// The newest revision that is committed; 1 for a store nothing was ever written to.
    pub fn revision(&self) -> u64 {
        *self.inner.newest.borrow()
    }

    /// After this revision nothing of the resource was written up to a [`Store::revision`] that was asked for before. Not always the
    /// revision of its last write: what was written before the store was opened is not told apart.
    pub fn last_of(&self, resource: &str) -> u64 {
        let last = held(&self.inner.last).get(resource).copied();
        last.unwrap_or(self.inner.opened_at)
    }

    /// Follows [`Store::revision`]: changes after each commit.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.newest.clone()
    }

    /// Gives up older history, in steps between which writes go on. Returns the oldest revision that can still be asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn compact(&self, keep: Keep) -> Result<u64, StoreError> {
        self.inner.writer.compact(keep).await
    }

    /// Writes all of one moment to a new file of mode 0600, while reads and writes go on. To restore it, it becomes `store.db` of
    /// an empty directory of mode 0700, together with a copy of `secrets.key`, which is not in it.
    ///
    /// # Errors
    /// [`BackupError`]; then no new file stays behind.
    pub async fn backup(&self, target: &Path) -> Result<Saved, BackupError> {
        let target = target.to_owned();
        let job = move |connection: &mut rusqlite::Connection| {
            backup::write(connection, &target, Existing::Refuse, Utc::now())
        };
        self.inner.readers.run(job).await?
    }

    /// When the backup was made that this store was restored from, until [`Store::settle_restored`]: what it shows as under way
    /// is not.
    pub fn restored(&self) -> Option<DateTime<Utc>> {
        self.inner.restored
    }

    /// Nothing in the store is shown as under way any more: it is no copy now.
    ///
    /// # Errors
    /// [`StoreError`]; then the next one that opens it is told again.
    pub async fn settle_restored(&self) -> Result<(), StoreError> {
        self.inner.writer.forget_backup().await.map(drop)
    }

    /// The database file; empty without one.
    pub fn file(&self) -> &Path {
        &self.inner.file
    }
}

//! The store on real files.

mod backup;
mod codec;
mod crash;
mod history;
mod measure;
mod opening;
mod secrets;
mod writes;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Key, ListQuery, Options, Store, Stored};

pub(super) const RUNS: &str = "cloneruns.ibmiclone.dev";

/// A directory of mode 0700.
pub(super) fn directory() -> TempDir {
    let private = Permissions::from_mode(0o700);
    let mut builder = tempfile::Builder::new();
    builder.permissions(private).tempdir().unwrap()
}

pub(super) fn open(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap()
}

pub(super) fn memory() -> Store {
    Store::in_memory(Options::default()).unwrap()
}

pub(super) fn key(namespace: &str, name: &str) -> Key {
    Key {
        resource: RUNS.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

pub(super) fn object(n: u64) -> Value {
    json!({"metadata": {"name": "night"}, "status": {"n": n}})
}

pub(super) fn all(at: Option<u64>) -> ListQuery {
    ListQuery {
        resource: RUNS.to_owned(),
        at,
        ..ListQuery::default()
    }
}

/// Names of items, with their namespaces.
pub(super) fn names(items: &[Stored]) -> Vec<String> {
    let name = |s: &Stored| format!("{}/{}", s.key.namespace, s.key.name);
    items.iter().map(name).collect()
}

/// Options with a clock that stands at 0 until it is set, in milliseconds.
pub(super) fn with_clock() -> (Options, Arc<AtomicI64>) {
    let time = Arc::new(AtomicI64::new(0));
    let read = Arc::clone(&time);
    let now = move || DateTime::from_timestamp_millis(read.load(Ordering::SeqCst)).unwrap();
    let options = Options {
        now: Arc::new(now),
        ..Options::default()
    };
    (options, time)
}

/// All files of a directory but the lock, which every attempt to open may write to.
pub(super) fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|f| f.unwrap());
    let files = files.filter(|f| f.file_name() != "lock");
    let content = |f: fs::DirEntry| {
        let name = f.file_name().into_string().unwrap();
        (name, fs::read(f.path()).unwrap())
    };
    files.map(content).collect()
}

/// Another connection to the file, as a person's `sqlite3` would have it.
pub(super) fn sqlite(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("store.db")).unwrap()
}

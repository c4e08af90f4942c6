use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::super::{BackupError, Existing, backup_of_directory};
use super::*;
use chrono::{DateTime, Utc};

fn restore(from: &Path, key: PathBuf) -> (TempDir, Store) {
    let dir = directory();
    fs::copy(from, dir.path().join("store.db")).unwrap();
    fs::copy(key, dir.path().join("secrets.key")).unwrap();
    let store = open(dir.path());
    (dir, store)
}

#[tokio::test]
async fn a_backup_while_writes_go_on_is_of_one_moment() {
    let dir = directory();
    let store = open(dir.path());
    let secret = Key {
        resource: "secrets".to_owned(),
        ..key("a", "x")
    };
    store.create(secret.clone(), object(7)).await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        // One pair after the other: a copy between the two writes has one more of the first.
        let mut pairs = 0;
        while !*stopped.borrow() {
            let name = pairs.to_string();
            writer.create(key("a", &name), object(pairs)).await.unwrap();
            writer.create(key("b", &name), object(pairs)).await.unwrap();
            pairs += 1;
        }
        pairs
    });
    let target = directory();
    for n in 0..5 {
        let mut newest = store.subscribe();
        let from = store.revision();
        newest.wait_for(|r| *r > from + 20).await.unwrap();
        let file = target.path().join(format!("{n}.db"));
        store.backup(&file).await.unwrap();
        let upto = store.revision();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (_dir, copy) = restore(&file, dir.path().join("secrets.key"));
        let revision = copy.revision();
        assert!((from + 20..=upto).contains(&revision), "{revision}");
        let list = copy.list(&all(None)).await.unwrap();
        assert_eq!(list.items.len() as u64, revision - 2);
        let of_a = list.items.iter().filter(|s| s.key.namespace == "a");
        assert_eq!(of_a.count() as u64, (revision - 1) / 2);
        let secret = copy.get(&secret).await.unwrap().unwrap();
        assert_eq!(secret.object, object(7));
        // It goes on as a store of its own.
        copy.create(key("c", "new"), object(1)).await.unwrap();
    }
    stop.send(true).unwrap();
    let pairs = writing.await.unwrap();
    assert_eq!(store.revision(), 2 + 2 * pairs);
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_half_done() {
    let dir = directory();
    let store = open(dir.path());
    let target = directory();
    let file = target.path().join("saved.db");
    fs::write(&file, "precious").unwrap();
    let refusal = store.backup(&file).await.unwrap_err();
    assert!(matches!(refusal, BackupError::Exists(_)), "{refusal}");
    assert!(refusal.to_string().contains("saved.db"), "{refusal}");
    fs::remove_file(&file).unwrap();
    fs::write(target.path().join("saved.db.partial"), "precious").unwrap();
    let refusal = store.backup(&file).await.unwrap_err();
    assert!(
        refusal.to_string().contains("saved.db.partial"),
        "{refusal}"
    );
    assert_eq!(contents(target.path()).len(), 1);
    assert!(contents(target.path()).values().all(|c| c == b"precious"));
    let nowhere = target.path().join("missing/saved.db");
    let refusal = store.backup(&nowhere).await.unwrap_err();
    assert!(matches!(refusal, BackupError::Io { .. }), "{refusal}");
}

#[tokio::test]
async fn a_store_in_memory_can_be_saved() {
    let store = memory();
    store.create(key("a", "x"), object(1)).await.unwrap();
    let target = directory();
    store.backup(&target.path().join("saved.db")).await.unwrap();
    assert_eq!(contents(target.path()).len(), 1);
}

fn noon() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_store_knows_that_it_was_restored_until_that_is_settled() {
    let dir = directory();
    let store = open(dir.path());
    store.create(key("a", "x"), object(1)).await.unwrap();
    let target = directory();
    let file = target.path().join("saved.db");
    let saved = backup_of_directory(dir.path(), &file, Existing::Refuse, noon()).unwrap();
    assert_eq!((saved.objects, saved.revision), (1, store.revision()));
    assert_eq!(saved.bytes, fs::metadata(&file).unwrap().len());
    assert_eq!(store.restored(), None, "the store itself is no copy");
    let (dir, copy) = restore(&file, dir.path().join("secrets.key"));
    assert_eq!(copy.restored(), Some(noon()));
    drop(copy);
    let copy = open(dir.path());
    assert_eq!(copy.restored(), Some(noon()), "nobody has seen to it");
    copy.settle_restored().await.unwrap();
    drop(copy);
    assert_eq!(open(dir.path()).restored(), None);
}

#[tokio::test]
async fn a_backup_takes_the_place_of_another_one_only_when_asked_and_whole() {
    let dir = directory();
    let store = open(dir.path());
    store.create(key("a", "x"), object(1)).await.unwrap();
    let target = directory();
    let file = target.path().join("saved.db");
    fs::write(&file, "precious").unwrap();
    let refused = backup_of_directory(dir.path(), &file, Existing::Refuse, noon());
    assert!(matches!(refused, Err(BackupError::Exists(_))));
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    let inside = dir.path().join("store.db");
    let refused = backup_of_directory(dir.path(), &inside, Existing::Replace, noon());
    assert!(matches!(refused, Err(BackupError::Inside { .. })));
    backup_of_directory(dir.path(), &file, Existing::Replace, noon()).unwrap();
    assert_eq!(contents(target.path()).len(), 1);
    let refused = backup_of_directory(target.path(), &file, Existing::Replace, noon());
    assert!(matches!(refused, Err(BackupError::NoStore(_))));
    // The store goes on, with its lock and its log.
    store.create(key("a", "y"), object(2)).await.unwrap();
}

#[test]
fn a_full_disk_is_told_as_one() {
    let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    let error = rusqlite::Error::SqliteFailure(full, None);
    let error = super::super::backup::failed(Path::new("/b/x.db"), error);
    assert_eq!(error.to_string(), "cannot write /b/x.db: its disk is full");
}

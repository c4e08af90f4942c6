use std::fs;
use std::path::Path;

use futures::future::join_all;

use super::super::{Keep, Options, StoreError, file};
use super::*;

#[tokio::test]
async fn what_is_there_is_not_created_again() {
    let store = memory();
    let first = store.create(key("a", "x"), object(1)).await.unwrap();
    let again = store.create(key("a", "x"), object(2)).await;
    assert!(matches!(again, Err(StoreError::Exists)), "{again:?}");
    assert_eq!(store.get(&key("a", "x")).await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_write_needs_the_newest_revision() {
    let store = memory();
    let x = key("a", "x");
    let first = store.create(x.clone(), object(1)).await.unwrap().revision;
    let second = store.replace(&x, first, object(2)).await.unwrap().revision;
    let stale = |answer: Result<u64, StoreError>, newest| match answer {
        Err(StoreError::Conflict { found }) => assert_eq!(found, newest),
        other => panic!("{other:?}"),
    };
    let replaced = store.replace(&x, first, object(3)).await;
    stale(replaced.map(|s| s.revision), Some(second));
    stale(store.delete(&x, Some(first), object(3)).await, Some(second));
    store.delete(&x, Some(second), object(3)).await.unwrap();
    let replaced = store.replace(&x, second, object(4)).await;
    stale(replaced.map(|s| s.revision), None);
    stale(store.delete(&x, None, object(4)).await, None);
    assert_eq!(store.get(&x).await.unwrap(), None);
}

#[tokio::test]
async fn a_revision_never_comes_again() {
    let dir = directory();
    let keep = Keep {
        changes: 0,
        ..Keep::default()
    };
    let mut last = 1;
    for round in 0..3 {
        let store = open(dir.path());
        assert_eq!(store.revision(), last, "round {round}");
        let x = key("a", "x");
        let made = store.create(x.clone(), object(round)).await.unwrap();
        // What had the newest revision is gone from the file: it must not be counted from what is left.
        last = store.delete(&x, None, object(round)).await.unwrap();
        assert_eq!((made.revision, last), (2 * round + 2, 2 * round + 3));
        assert_eq!(store.compact(keep).await.unwrap(), last);
        assert_eq!(store.revision(), last);
    }
}

#[tokio::test]
async fn what_is_announced_can_be_read() {
    let store = memory();
    let mut newest = store.subscribe();
    let writes = store.clone();
    let writing = tokio::spawn(async move {
        for n in 0..200 {
            let key = key("a", &n.to_string());
            writes.create(key, object(n)).await.unwrap();
        }
    });
    let mut seen = 1;
    while seen < 201 {
        newest.changed().await.unwrap();
        let announced = *newest.borrow_and_update();
        let changes = store.changes(RUNS, None, seen, 1_000).await.unwrap();
        // Later commits may be among them already, or all that is announced was read before.
        let last = changes.last().map_or(seen, |c| c.revision);
        assert!(last >= announced, "{last} < {announced}");
        let revisions: Vec<u64> = changes.iter().map(|c| c.revision).collect();
        assert_eq!(revisions, (seen + 1..=last).collect::<Vec<_>>());
        seen = last;
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn waiting_writes_share_a_commit_and_fail_alone() {
    let dir = directory();
    let store = open(dir.path());
    store.create(key("a", "old"), object(0)).await.unwrap();
    let before = commits(dir.path());
    let other = sqlite(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writes = (0..40).map(|n| {
        let name = if n % 4 == 0 {
            "old".to_owned()
        } else {
            format!("new-{n}")
        };
        store.create(key("a", &name), object(n))
    });
    let mut all = Box::pin(join_all(writes));
    // Polled once, all of them wait behind the other connection's lock.
    assert!(futures::poll!(all.as_mut()).is_pending());
    other.execute_batch("ROLLBACK").unwrap();
    for (n, answer) in all.await.into_iter().enumerate() {
        match answer {
            Err(StoreError::Exists) => assert_eq!(n % 4, 0),
            Ok(stored) => {
                assert_ne!(n % 4, 0);
                let found = store.get(&stored.key).await.unwrap().unwrap();
                assert_eq!(found.revision, stored.revision);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(store.revision(), 2 + 30);
    let used = commits(dir.path()) - before;
    assert!((1..=2).contains(&used), "{used} commits");
}

#[tokio::test]
async fn a_group_that_cannot_be_written_is_not_acknowledged() {
    let dir = directory();
    let store = open(dir.path());
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON history WHEN new.name = 'bad'
        BEGIN SELECT raise(ABORT, 'the disk is full'); END";
    sqlite(dir.path()).execute_batch(trigger).unwrap();
    let answer = store.create(key("a", "bad"), object(1)).await;
    let text = answer.unwrap_err().to_string();
    assert!(text.contains("the disk is full"), "{text}");
    assert_eq!(store.get(&key("a", "bad")).await.unwrap(), None);
    let good = store.create(key("a", "good"), object(1)).await.unwrap();
    assert_eq!(good.revision, 2);
}

#[test]
fn an_answer_means_that_the_write_is_on_the_disk() {
    let dir = directory();
    let opened = file::open(dir.path(), &Options::default()).unwrap();
    let pragma = |name: &str| {
        let value = opened
            .writer
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        format!("{:?}", value.unwrap())
    };
    // 2: FULL, which flushes the log at every commit.
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
}

#[tokio::test]
async fn the_log_does_not_grow_without_bound() {
    let dir = directory();
    let options = Options {
        checkpoint: 256 << 10,
        ..Options::default()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let x = key("a", "x");
    let mut revision = store.create(x.clone(), object(0)).await.unwrap().revision;
    for n in 0..1_000 {
        revision = store
            .replace(&x, revision, object(n))
            .await
            .unwrap()
            .revision;
    }
    let log = fs::metadata(dir.path().join("store.db-wal")).unwrap().len();
    assert!(log < 1 << 20, "{log}");
}

/// Commits in the write-ahead log: frames that say how large the database is after them.
fn commits(dir: &Path) -> usize {
    let log = fs::read(dir.join("store.db-wal")).unwrap();
    let frames = log[32..].chunks(24 + 4_096);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::super::OpenError;
use super::super::lock::Lock;
use super::*;

fn refused(dir: &Path) -> OpenError {
    match Store::open(dir, Options::default()) {
        Ok(_) => panic!("it opened"),
        Err(refusal) => refusal,
    }
}

/// Opening is refused, and changes nothing.
fn untouched(dir: &Path) -> OpenError {
    let before = contents(dir);
    let refusal = refused(dir);
    let after = contents(dir);
    assert!(before == after, "changed by {refusal}");
    refusal
}

/// A directory with a store that has been closed; large enough for several pages of each tree.
async fn closed() -> TempDir {
    let dir = directory();
    let store = open(dir.path());
    for n in 0..200 {
        let key = key("a", &format!("night-{n}"));
        store.create(key, object(n)).await.unwrap();
    }
    drop(store);
    assert_eq!(contents(dir.path()).len(), 2, "database and key");
    dir
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_file() {
    let dir = directory();
    let store = open(dir.path());
    let text = refused(dir.path()).to_string();
    let file = dir.path().join("store.db");
    assert!(text.contains(file.to_str().unwrap()), "{text}");
    let pid = format!("process {}", std::process::id());
    assert!(text.contains(&pid), "{text}");
    store.create(key("a", "x"), object(1)).await.unwrap();
    drop(store);
    let store = open(dir.path());
    assert!(store.get(&key("a", "x")).await.unwrap().is_some());
}

#[test]
fn a_closed_store_can_be_opened_though_a_child_has_a_copy_of_the_lock() {
    let dir = directory();
    let lock = Lock::take(dir.path()).unwrap();
    let copy = lock.0.try_clone().unwrap();
    drop(lock);
    Lock::take(dir.path()).unwrap();
    drop(copy);
}

#[tokio::test]
async fn nobody_else_may_read_what_is_created() {
    let parent = directory();
    let dir = parent.path().join("new/data");
    let store = Store::open(&dir, Options::default()).unwrap();
    store.create(key("a", "x"), object(1)).await.unwrap();
    assert_eq!(mode(dir.clone()), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let expected = [
        "lock",
        "secrets.key",
        "store.db",
        "store.db-shm",
        "store.db-wal",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_damaged_file_is_left_as_it_is() {
    let dir = closed().await;
    let file = dir.path().join("store.db");
    let good = fs::read(&file).unwrap();
    let pages = good.len() / 4_096;
    assert!(pages > 10);
    for page in 1..pages {
        let mut bad = good.clone();
        bad[page * 4_096..page * 4_096 + 64].fill(0xa5);
        fs::write(&file, &bad).unwrap();
        let refusal = untouched(dir.path());
        assert!(
            matches!(refusal, OpenError::Corrupt { .. }),
            "page {page}: {refusal}"
        );
        let text = refusal.to_string();
        assert!(text.contains(file.to_str().unwrap()), "{text}");
    }
    for length in [4_096, good.len() / 2, good.len() - 1_000] {
        fs::write(&file, &good[..length]).unwrap();
        let refusal = untouched(dir.path());
        assert!(
            matches!(refusal, OpenError::Corrupt { .. }),
            "{length}: {refusal}"
        );
    }
    fs::write(&file, &good).unwrap();
    assert_eq!(open(dir.path()).revision(), 201);
}

#[tokio::test]
async fn what_is_no_database_is_left_as_it_is() {
    let dir = closed().await;
    let file = dir.path().join("store.db");
    for content in [
        "",
        "SQLite format 3\0",
        &"notes of a person\n".repeat(1_000),
    ] {
        fs::write(&file, content).unwrap();
        let refusal = untouched(dir.path());
        assert!(matches!(refusal, OpenError::NotDatabase(_)), "{refusal}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is() {
    let dir = directory();
    let other = sqlite(dir.path());
    other
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    drop(other);
    let refusal = untouched(dir.path());
    assert!(
        matches!(refusal, OpenError::Foreign { application: 0, .. }),
        "{refusal}"
    );
    assert!(refusal.to_string().contains("store.db"), "{refusal}");
}

#[tokio::test]
async fn a_later_format_is_left_as_it_is() {
    let dir = closed().await;
    let other = sqlite(dir.path());
    other.pragma_update(None, "user_version", 2).unwrap();
    drop(other);
    let refusal = untouched(dir.path());
    let newer = matches!(
        refusal,
        OpenError::Newer {
            found: 2,
            known: 1,
            ..
        }
    );
    assert!(newer, "{refusal}");
}

#[tokio::test]
async fn a_table_that_is_missing_is_damage() {
    let dir = closed().await;
    let other = sqlite(dir.path());
    other.execute_batch("DROP TABLE meta").unwrap();
    drop(other);
    let refusal = untouched(dir.path());
    assert!(matches!(refusal, OpenError::Corrupt { .. }), "{refusal}");
}

#[tokio::test]
async fn a_revision_behind_history_is_damage() {
    let dir = closed().await;
    let other = sqlite(dir.path());
    let back = "UPDATE meta SET value = 100 WHERE name = 'revision'";
    other.execute_batch(back).unwrap();
    drop(other);
    let refusal = untouched(dir.path());
    assert!(refusal.to_string().contains("revision 201"), "{refusal}");
}

#[tokio::test]
async fn a_log_of_another_database_is_not_played_in() {
    let dir = directory();
    let backup = directory();
    let saved = backup.path().join("saved.db");
    let store = open(dir.path());
    store.create(key("a", "x"), object(1)).await.unwrap();
    store.backup(&saved).await.unwrap();
    store.create(key("a", "y"), object(1)).await.unwrap();
    // As after a crash: the log is still there when the backup is put in the place of the file.
    let log = fs::read(dir.path().join("store.db-wal")).unwrap();
    drop(store);
    fs::write(dir.path().join("store.db-wal"), log).unwrap();
    fs::copy(&saved, dir.path().join("store.db")).unwrap();
    let refusal = untouched(dir.path());
    assert!(matches!(refusal, OpenError::StrayLog { .. }), "{refusal}");
    fs::remove_file(dir.path().join("store.db")).unwrap();
    let refusal = untouched(dir.path());
    assert!(matches!(refusal, OpenError::StrayLog { .. }), "{refusal}");
}

#[tokio::test]
async fn a_directory_or_key_that_others_may_read_is_refused() {
    let dir = closed().await;
    let key = dir.path().join("secrets.key");
    for (path, bad, good) in [(dir.path(), 0o750, 0o700), (&key, 0o640, 0o600)] {
        fs::set_permissions(path, Permissions::from_mode(bad)).unwrap();
        let text = untouched(dir.path()).to_string();
        let help = format!("chmod {good:04o} {}", path.display());
        assert!(text.contains(&help), "{text}");
        fs::set_permissions(path, Permissions::from_mode(good)).unwrap();
    }
    open(dir.path());
}

#[tokio::test]
async fn without_its_key_nothing_is_opened() {
    let dir = closed().await;
    let path = dir.path().join("secrets.key");
    let key = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let refusal = untouched(dir.path());
    assert!(matches!(refusal, OpenError::KeyMissing { .. }), "{refusal}");
    let write = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    write("0123456789abcdef".repeat(4).as_bytes());
    let refusal = untouched(dir.path());
    assert!(matches!(refusal, OpenError::KeyWrong { .. }), "{refusal}");
    let text = refusal.to_string();
    assert!(!text.contains("0123456789abcdef"), "{text}");
    for damaged in [&key[..40], b"", b"g".repeat(64).as_slice()] {
        write(damaged);
        let refusal = untouched(dir.path());
        assert!(matches!(refusal, OpenError::KeyDamaged(_)), "{refusal}");
    }
    write(&key);
    assert_eq!(open(dir.path()).revision(), 201);
}

#[tokio::test]
async fn a_start_that_was_interrupted_is_made_again() {
    let dir = closed().await;
    let key = fs::read(dir.path().join("secrets.key")).unwrap();
    let half = fs::read(dir.path().join("store.db")).unwrap()[..5_000].to_vec();
    fs::remove_file(dir.path().join("store.db")).unwrap();
    for name in ["store.db.new", "store.db.new-journal", "secrets.key.new"] {
        fs::write(dir.path().join(name), &half).unwrap();
    }
    assert_eq!(open(dir.path()).revision(), 1);
    assert_eq!(fs::read(dir.path().join("secrets.key")).unwrap(), key);
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_not_replaced() {
    let dir = directory();
    let file = dir.path().join("store.db");
    std::os::unix::fs::symlink("/nonexistent/disk/store.db", &file).unwrap();
    let refusal = refused(dir.path());
    assert!(matches!(refusal, OpenError::Io { .. }), "{refusal}");
    assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
}

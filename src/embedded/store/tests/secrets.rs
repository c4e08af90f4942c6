use super::super::StoreError;
use super::*;

const TEXT: &str = "correct-horse-battery";

fn secret(name: &str) -> Key {
    Key {
        resource: "secrets".to_owned(),
        ..key("a", name)
    }
}

fn content(n: u64) -> Value {
    json!({"data": {"password": TEXT, "n": n}})
}

fn holds(dir: &Path, text: &str) -> Vec<String> {
    let text = text.as_bytes();
    let found = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text);
    let files = contents(dir).into_iter();
    let files = files.filter(|(_, bytes)| found(bytes));
    files.map(|(name, _)| name).collect()
}

#[tokio::test]
async fn no_file_holds_a_secret_in_the_clear() {
    let dir = directory();
    let options = Options {
        compress_from: usize::MAX,
        ..Options::default()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let (x, y) = (secret("x"), secret("y"));
    let first = store.create(x.clone(), content(1)).await.unwrap().revision;
    store.replace(&x, first, content(2)).await.unwrap();
    store.create(y.clone(), content(3)).await.unwrap();
    store.delete(&y, None, content(4)).await.unwrap();
    // The search finds what is not sealed.
    store
        .create(key("a", "plain"), json!({"text": "seen-by-all"}))
        .await
        .unwrap();
    store.backup(&dir.path().join("saved")).await.unwrap();
    assert_eq!(holds(dir.path(), "seen-by-all"), ["saved", "store.db-wal"]);
    assert!(holds(dir.path(), TEXT).is_empty());
    assert!(holds(dir.path(), "password").is_empty());
    drop(store);
    assert_eq!(holds(dir.path(), "seen-by-all"), ["saved", "store.db"]);
    assert!(holds(dir.path(), TEXT).is_empty());

    let store = open(dir.path());
    assert_eq!(store.get(&x).await.unwrap().unwrap().object, content(2));
    let changes = store.changes("secrets", None, 1, 10).await.unwrap();
    let states = changes.into_iter().map(|c| (c.object, c.previous));
    let expected = [
        (content(1), None),
        (content(2), Some(content(1))),
        (content(3), None),
        (content(4), Some(content(3))),
    ];
    assert_eq!(states.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_sealed_secret_cannot_be_passed_off_as_another() {
    let dir = directory();
    let store = open(dir.path());
    store.create(secret("mine"), content(1)).await.unwrap();
    store.create(secret("theirs"), content(2)).await.unwrap();
    let swap = "UPDATE history SET body = (SELECT body FROM history WHERE name = 'theirs')
        WHERE name = 'mine'";
    assert_eq!(sqlite(dir.path()).execute(swap, []).unwrap(), 1);
    let answer = store.get(&secret("mine")).await;
    assert!(
        matches!(answer, Err(StoreError::Damaged { .. })),
        "{answer:?}"
    );
    let plant = "UPDATE history SET form = 0, body = CAST('{}' AS BLOB) WHERE name = 'mine'";
    assert_eq!(sqlite(dir.path()).execute(plant, []).unwrap(), 1);
    let answer = store.get(&secret("mine")).await;
    assert!(
        matches!(answer, Err(StoreError::Damaged { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn no_secret_is_printed() {
    let store = memory();
    let stored = store.create(secret("x"), content(1)).await.unwrap();
    let list = ListQuery {
        resource: "secrets".to_owned(),
        ..ListQuery::default()
    };
    let list = store.list(&list).await.unwrap();
    let changes = store.changes("secrets", None, 1, 10).await.unwrap();
    let printed = format!("{stored:?} {list:?} {changes:?}");
    assert!(!printed.contains(TEXT), "{printed}");
}

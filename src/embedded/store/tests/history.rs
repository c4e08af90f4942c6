use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::{Keep, StoreError, Verb};
use super::*;

/// What the store should hold after each revision.
type Model = Vec<BTreeMap<Key, (u64, Value)>>;

/// Random writes from the model's last revision on.
async fn storm(store: &Store, model: &mut Model, random: &mut StdRng, writes: usize) {
    for _ in 0..writes {
        let mut state = model.last().unwrap().clone();
        let namespace = ["a", "b", "c"][random.random_range(0..3)];
        let key = key(namespace, &random.random_range(0..5).to_string());
        let content = object(random.random());
        let revision = match state.get(&key) {
            None => {
                store
                    .create(key.clone(), content.clone())
                    .await
                    .unwrap()
                    .revision
            }
            Some((_, last)) if random.random_bool(0.3) => {
                let deleted = store.delete(&key, None, last.clone()).await.unwrap();
                state.remove(&key);
                assert_eq!(deleted, model.len() as u64);
                model.push(state);
                continue;
            }
            Some((newest, _)) => {
                let newest = *newest;
                store
                    .replace(&key, newest, content.clone())
                    .await
                    .unwrap()
                    .revision
            }
        };
        assert_eq!(revision, model.len() as u64);
        state.insert(key, (revision, content));
        model.push(state);
    }
}

/// Of a store that is at revision 1.
fn empty() -> Model {
    vec![BTreeMap::new(), BTreeMap::new()]
}

async fn check_at(store: &Store, model: &Model, at: u64) {
    let list = store.list(&all(Some(at))).await.unwrap();
    let found: BTreeMap<_, _> = list
        .items
        .iter()
        .map(|s| (s.key.clone(), (s.revision, s.object.clone())))
        .collect();
    assert_eq!(found, model[at as usize], "as of {at}");
    assert_eq!(found.len(), list.items.len());
    assert!(list.items.is_sorted_by(|a, b| a.key < b.key));
}

#[tokio::test]
async fn a_list_as_of_a_revision_is_what_was_there() {
    let (store, mut model) = (memory(), empty());
    let mut random = StdRng::seed_from_u64(1);
    storm(&store, &mut model, &mut random, 150).await;
    for at in 1..model.len() as u64 {
        check_at(&store, &model, at).await;
    }
}

#[tokio::test]
async fn pages_of_a_list_are_of_one_moment_while_writes_go_on() {
    let dir = directory();
    let (store, mut model) = (open(dir.path()), empty());
    let mut random = StdRng::seed_from_u64(2);
    storm(&store, &mut model, &mut random, 60).await;
    let moment = model.len() as u64 - 1;
    let expected: Vec<Key> = model[moment as usize].keys().cloned().collect();
    let mut query = all(None);
    query.limit = Some(3);
    let mut found = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        assert_eq!(page.revision, moment);
        found.extend(page.items.iter().map(|s| s.key.clone()));
        assert_eq!(page.remaining, expected.len() - found.len());
        if page.remaining == 0 {
            break;
        }
        let last = found.last().unwrap();
        query.after = Some((last.namespace.clone(), last.name.clone()));
        query.at = Some(moment);
        storm(&store, &mut model, &mut random, 25).await;
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn reads_see_whole_commits_while_writes_go_on() {
    let dir = directory();
    let store = open(dir.path());
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        let mut model = empty();
        let mut random = StdRng::seed_from_u64(3);
        storm(&writer, &mut model, &mut random, 300).await;
        model
    });
    let mut lists = Vec::new();
    while !writing.is_finished() {
        lists.push(store.list(&all(None)).await.unwrap());
    }
    let model = writing.await.unwrap();
    for list in lists {
        let expected = &model[list.revision as usize];
        let expected: Vec<u64> = expected.values().map(|(revision, _)| *revision).collect();
        let found: Vec<u64> = list.items.iter().map(|s| s.revision).collect();
        assert_eq!(found, expected, "as of {}", list.revision);
    }
}

#[tokio::test]
async fn a_list_is_of_its_resource_and_namespace() {
    let store = memory();
    for (namespace, name) in [("b", "x"), ("a", "y"), ("a", "x"), ("", "x")] {
        store.create(key(namespace, name), object(1)).await.unwrap();
    }
    let mut other = key("a", "z");
    other.resource = "configmaps".to_owned();
    store.create(other, object(1)).await.unwrap();
    let list = store.list(&all(None)).await.unwrap();
    assert_eq!(names(&list.items), ["/x", "a/x", "a/y", "b/x"]);
    let mut query = all(None);
    query.namespace = Some("a".to_owned());
    assert_eq!(
        names(&store.list(&query).await.unwrap().items),
        ["a/x", "a/y"]
    );
    query.limit = Some(1);
    assert_eq!(store.list(&query).await.unwrap().remaining, 1);
    query.after = Some(("a".to_owned(), "x".to_owned()));
    let last = store.list(&query).await.unwrap();
    assert_eq!(
        (names(&last.items), last.remaining),
        (vec!["a/y".to_owned()], 0)
    );
    query.after = Some(("b".to_owned(), "a".to_owned()));
    assert_eq!(store.list(&query).await.unwrap().items, []);
    query = all(None);
    query.limit = Some(0);
    assert_eq!(store.list(&query).await.unwrap().remaining, 4);
}

#[tokio::test]
async fn a_long_list_is_in_order() {
    let store = memory();
    let writes = (0..1_003).map(|n| store.create(key("a", &format!("{n:04}")), object(n)));
    futures::future::join_all(writes).await;
    let list = store.list(&all(None)).await.unwrap();
    let found: Vec<Value> = list.items.into_iter().map(|s| s.object).collect();
    assert_eq!(found, (0..1_003).map(object).collect::<Vec<_>>());
}

#[tokio::test]
async fn changes_tell_what_was_before() {
    let store = memory();
    let (x, y) = (key("a", "x"), key("b", "y"));
    store.create(x.clone(), object(1)).await.unwrap();
    store.create(y.clone(), object(2)).await.unwrap();
    store.replace(&x, 2, object(3)).await.unwrap();
    store.delete(&x, None, object(4)).await.unwrap();
    store.create(x.clone(), object(5)).await.unwrap();
    let told = |changes: Vec<super::super::Change>| -> Vec<_> {
        let told = changes.into_iter();
        told.map(|c| (c.revision, c.verb, c.key.name, c.object, c.previous))
            .collect()
    };
    let x = |revision, verb, n, previous: Option<u64>| {
        (
            revision,
            verb,
            "x".to_owned(),
            object(n),
            previous.map(object),
        )
    };
    let in_a = store.changes(RUNS, Some("a"), 1, 10).await.unwrap();
    let expected = [
        x(2, Verb::Added, 1, None),
        x(4, Verb::Modified, 3, Some(1)),
        x(5, Verb::Deleted, 4, Some(3)),
        x(6, Verb::Added, 5, None),
    ];
    assert_eq!(told(in_a), expected);
    let two = store.changes(RUNS, None, 2, 2).await.unwrap();
    assert_eq!(told(two).iter().map(|c| c.0).collect::<Vec<_>>(), [3, 4]);
    assert!(
        store
            .changes("secrets", None, 1, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.changes(RUNS, None, 6, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_revision_that_is_yet_to_come_is_refused() {
    let store = memory();
    store.create(key("a", "x"), object(1)).await.unwrap();
    let list = store.list(&all(Some(3))).await.map(|_| ());
    let changes = store.changes(RUNS, None, 3, 1).await.map(|_| ());
    for answer in [list, changes] {
        assert!(
            matches!(answer, Err(StoreError::Ahead { newest: 2 })),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn compaction_keeps_what_was_current_at_its_beginning() {
    let dir = directory();
    let options = Options {
        compact_step: 7,
        ..Options::default()
    };
    let (store, mut model) = (Store::open(dir.path(), options).unwrap(), empty());
    let mut random = StdRng::seed_from_u64(4);
    for _ in 0..4 {
        storm(&store, &mut model, &mut random, 100).await;
        let newest = model.len() as u64 - 1;
        let keep = Keep {
            changes: 40,
            age: Duration::MAX,
        };
        let oldest = store.compact(keep).await.unwrap();
        assert_eq!(oldest, newest - 40);
        for at in oldest..=newest {
            check_at(&store, &model, at).await;
        }
        let gone = store.list(&all(Some(oldest - 1))).await.map(|_| ());
        let missed = store.changes(RUNS, None, oldest - 1, 1).await.map(|_| ());
        for answer in [gone, missed] {
            let Err(StoreError::Compacted { oldest: told }) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!(told, oldest);
        }
        let changes = store.changes(RUNS, None, oldest, 100).await.unwrap();
        assert_eq!(changes.len(), 40);
        for change in changes {
            let before = model[change.revision as usize - 1].get(&change.key);
            assert_eq!(change.previous.as_ref(), before.map(|(_, o)| o));
        }
        // 15 objects at most, and the 40 changes.
        let count = "SELECT count(*) FROM history";
        let rows: i64 = sqlite(dir.path())
            .query_row(count, [], |row| row.get(0))
            .unwrap();
        assert!(rows <= 55, "{rows}");
    }
}

#[tokio::test]
async fn compaction_goes_by_age_too() {
    let (options, time) = with_clock();
    let store = Store::in_memory(options).unwrap();
    for n in 0..5 {
        time.store(n * 1_000, Ordering::SeqCst);
        let key = key("a", &n.to_string());
        store.create(key, object(0)).await.unwrap();
    }
    let keep = |age| Keep {
        changes: 1_000,
        age: Duration::from_millis(age),
    };
    assert_eq!(store.compact(keep(10_000)).await.unwrap(), 1);
    // Written at 0 and 1,000: revisions 2 and 3.
    assert_eq!(store.compact(keep(2_500)).await.unwrap(), 3);
    // Beginnings do not go back.
    assert_eq!(store.compact(keep(10_000)).await.unwrap(), 3);
    time.store(60_000, Ordering::SeqCst);
    assert_eq!(store.compact(keep(10_000)).await.unwrap(), 6);
    assert_eq!(store.list(&all(None)).await.unwrap().items.len(), 5);
}

#[tokio::test]
async fn writes_go_between_the_steps_of_a_compaction() {
    let options = Options {
        compact_step: 1,
        ..Options::default()
    };
    let (store, mut model) = (Store::in_memory(options).unwrap(), empty());
    let mut random = StdRng::seed_from_u64(5);
    storm(&store, &mut model, &mut random, 300).await;
    let keep = Keep {
        changes: 0,
        age: Duration::MAX,
    };
    let compaction = tokio::spawn({
        let store = store.clone();
        async move { store.compact(keep).await.unwrap() }
    });
    storm(&store, &mut model, &mut random, 100).await;
    let beginning = compaction.await.unwrap();
    let newest = model.len() as u64 - 1;
    for at in beginning..=newest {
        check_at(&store, &model, at).await;
    }
}

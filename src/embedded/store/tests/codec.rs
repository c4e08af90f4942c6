use std::fs;

use super::super::StoreError;
use super::*;

#[tokio::test]
async fn objects_of_every_size_come_back_as_they_were() {
    let store = memory();
    let mut text = String::new();
    for n in 0..60_u64 {
        // Small, compressed, growing far beyond four times its packed size, and not compressible.
        let repeated = "ab".repeat(1 << (n % 18));
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        text.push_str(&format!("{mixed:x}"));
        let object = json!({"n": n, "repeated": repeated, "text": text});
        let key = key("a", &n.to_string());
        store.create(key.clone(), object.clone()).await.unwrap();
        let found = store.get(&key).await.unwrap().unwrap();
        assert_eq!(found.object, object);
    }
}

#[tokio::test]
async fn large_objects_are_compressed_in_the_file() {
    let dir = directory();
    let store = open(dir.path());
    let object = json!({"text": "the volumes of the copy are mapped ".repeat(10_000)});
    store.create(key("a", "x"), object).await.unwrap();
    drop(store);
    let size = fs::metadata(dir.path().join("store.db")).unwrap().len();
    assert!(size < 100_000, "{size}");
}

#[tokio::test]
async fn a_damaged_object_is_named_and_not_shown() {
    let dir = directory();
    let store = open(dir.path());
    let object = json!({"text": "word ".repeat(1_000)});
    store.create(key("a", "x"), object).await.unwrap();
    for damage in ["substr(body, 1, length(body) / 2)", "x'ffffff'", "x''"] {
        let sql = format!("UPDATE history SET body = {damage}");
        sqlite(dir.path()).execute(&sql, []).unwrap();
        let answer = store.get(&key("a", "x")).await.unwrap_err();
        assert!(matches!(answer, StoreError::Damaged { .. }), "{answer}");
        let text = answer.to_string();
        assert!(text.contains("a/x") && !text.contains("word"), "{text}");
    }
}

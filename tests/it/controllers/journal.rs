//! Rule 2: the journal's write is conditional, and a label never costs it its evidence.

use super::field::Field;
use crate::server::Server;
use ibmi_clone_operator::controllers::run::store::KubeStore;
use ibmi_clone_operator::engine::journal::{Journal, Phase};
use ibmi_clone_operator::engine::ports::{JournalStore, StoreError};
use kube::api::{DeleteParams, Patch, PatchParams};
use macro_rules_attribute::apply;
use serde_json::json;

fn step(journal: &Journal, writer: &str) -> Journal {
    let mut next = journal.clone();
    next.phase = Phase::Running;
    next.revision += 1;
    next.writer = writer.to_owned();
    next.notes.push(format!("written by {writer}"));
    next
}

#[apply(on_both!)]
async fn a_label_is_merged_and_another_writer_wins(server: Server) {
    let field = Field::new(server).await;
    let run = field.run("one", "nightly").await;
    let mine = KubeStore::new(field.runs(), &run);
    let other = KubeStore::new(field.runs(), &run);
    let empty = mine.load().await.unwrap();
    let first = step(&empty, "mine");
    mine.replace(&empty, &first).await.unwrap();

    let label = json!({"metadata": {"labels": {"team": "night"}}});
    field
        .runs()
        .patch("one", &PatchParams::default(), &Patch::Merge(&label))
        .await
        .unwrap();
    let second = step(&first, "mine");
    mine.replace(&first, &second)
        .await
        .expect("a label is not a journal");

    let seen = other.load().await.unwrap();
    assert_eq!(seen, second);
    let third = step(&second, "other");
    other.replace(&seen, &third).await.unwrap();
    let late = step(&second, "mine");
    assert_eq!(
        mine.replace(&second, &late).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(
        mine.load().await.unwrap(),
        third,
        "the loser has done nothing"
    );
}

#[apply(on_both!)]
async fn a_run_of_the_same_name_is_another_run(server: Server) {
    let field = Field::new(server).await;
    let run = field.run("one", "nightly").await;
    let store = KubeStore::new(field.runs(), &run);
    let empty = store.load().await.unwrap();
    field
        .runs()
        .delete("one", &DeleteParams::default())
        .await
        .unwrap();
    field.run("one", "nightly").await;
    let next = step(&empty, "mine");
    assert_eq!(store.replace(&empty, &next).await, Err(StoreError::Gone));
    assert_eq!(store.load().await, Err(StoreError::Gone));
}

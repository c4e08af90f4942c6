//! Restore only where it is proved that nothing of production's BRMS has changed since it was frozen.

use super::*;

/// A run during whose saves something happens on production.
async fn changing(
    world: &World,
    then: impl Fn(&World) + Send + Sync,
) -> (Journal, Vec<(LockKind, String)>) {
    run_wishing(world, &brms(json!({})), |journal| {
        if state(journal, "collect-logs") == EntryState::Done {
            then(world);
        }
        Cancel::No
    })
    .await
}

#[tokio::test]
async fn a_changed_qusrbrm_is_never_replaced_and_the_history_is_kept_beside_it() {
    let world = site();
    // Somebody works with BRMS on production while the clone saves.
    let (journal, _) = changing(&world, |world| {
        changed(world, "2026-11-23-05.00.00.000000");
    })
    .await;
    assert_eq!(submitted(&world, "RSTLIB"), 0);
    assert_eq!(submitted(&world, ENDPRC), 1);
    let (phase, _) = reason(&journal);
    assert_eq!(phase, Phase::Warning);
    let text = journal.warnings.join("\n");
    for part in [
        "BackupHistoryKept",
        "IBMICLONE/C1_16",
        "INZBRM OPTION(*MERGE)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(
        journal.output("return-history", "saveFile"),
        Some("IBMICLONE/C1_16")
    );
    assert!(sent(&world).contains(&"source: CRTSAVF FILE(IBMICLONE/C1_16)".to_owned()));
    assert!(
        !effects(&world)
            .iter()
            .any(|s| s.starts_with("source: DLTF"))
    );
}

/// The object's own time stands still: its records tell.
#[tokio::test]
async fn changed_records_of_qusrbrm_are_never_replaced_whatever_their_object_says() {
    let world = site();
    let (journal, _) = changing(&world, |world| {
        records_changed(world, "2026-11-23-05.00.00.000000");
    })
    .await;
    assert_eq!(reason(&journal).0, Phase::Warning);
    assert_eq!(submitted(&world, "RSTLIB"), 0);
    assert_eq!(submitted(&world, ENDPRC), 1);
    assert_eq!(journal.output("return-history", "history"), Some("kept"));
}

#[tokio::test]
async fn a_system_that_does_not_tell_of_changes_proves_nothing() {
    for silent in ["OBJECT_STATISTICS('QUSRBRM'", "QSYS2.SYSPARTITIONSTAT"] {
        let untold = row(&[("OBJNAME", "QA1AMM"), ("TABLE_NAME", "QA1AMM")]);
        for rows in [Vec::new(), vec![untold]] {
            let world = site();
            world.system("source", |s| {
                s.tables.insert(silent, rows);
            });
            let journal = run(&world, &brms(json!({}))).await;
            assert_eq!(reason(&journal).0, Phase::Warning, "{silent}");
            assert_eq!(submitted(&world, "RSTLIB"), 0, "{silent}");
        }
    }
}

use super::super::fakes::*;
use super::step;
use crate::site::PartitionState;

#[tokio::test]
async fn a_good_site_is_done_and_names_what_later_steps_need() {
    let world = world();
    let step = step("USER", "verify-site", &world);
    let facts = facts_of(world.look(&*step, &journal()).await);
    assert_eq!(facts["targets"], "UID-CLONE0,UID-CLONE1");
    assert_eq!(facts["cloneIdentity"], "78ABCD0/7");
    assert_eq!(facts["sourceIdentity"], "78ABCD0/3");
    assert_eq!(facts["clonePartition"], "UUID-CLONE1");
    assert!(facts.keys().any(|k| k.starts_with("note.")));
    // Preflight changes nothing; the kit's CHECK is the only command, and it reads.
    assert_eq!(world.sent(), ["source: CALL PGM(IBMICLONE/CHECK)"]);
}

#[tokio::test]
async fn a_silent_device_is_waited_for_unless_something_else_is_fatal() {
    let world = world();
    let step = step("USER", "verify-site", &world);
    world.set().virtual_io = Err(silent());
    waiting(world.look(&*step, &journal()).await);
    world.set().inventory.as_mut().expect("answers").pairs[0].auto_delete = true;
    assert_eq!(
        broken(world.look(&*step, &journal()).await).0,
        "MapDeletesItself"
    );
}

#[tokio::test]
async fn warnings_reach_the_journal_and_do_not_stop_the_run() {
    let world = world();
    world.clone_state(PartitionState::Error, "B2001250");
    let step = step("USER", "verify-site", &world);
    let facts = facts_of(world.look(&*step, &journal()).await);
    let warning = facts.iter().find(|(k, _)| k.starts_with("warning."));
    assert!(warning.expect("a warning").1.contains("in error"));
}

use super::*;
use crate::api::CloneEnvironmentStatus;

fn seen(missed: i64) -> Event<DeserializeGuard<CloneEnvironment>> {
    let yaml = include_str!("../testdata/environment.yaml");
    let spec = serde_saphyr::from_str(yaml).unwrap();
    let mut environment = CloneEnvironment::new("nightly", spec);
    environment.metadata.namespace = Some("ibmi".to_owned());
    environment.metadata.uid = Some("u-1".to_owned());
    environment.metadata.generation = Some(1);
    environment.status = Some(CloneEnvironmentStatus {
        missed_count: missed,
        ..CloneEnvironmentStatus::default()
    });
    Event::Apply(DeserializeGuard(Ok(environment)))
}

/// Otherwise a take-over would write the memory of the day the stand-by was started.
#[test]
fn a_stand_by_takes_over_what_the_leader_remembered_last_and_then_trusts_itself() {
    let clock = ScheduleClock::system();
    let mut board = Board::default();
    let key = Key {
        namespace: "ibmi".to_owned(),
        name: "nightly".to_owned(),
    };
    board.stand_by(true);
    for missed in [4, 7] {
        board.saw(None, Watched::Environment(&seen(missed)), &clock);
        assert_eq!(board.entry(&key).unwrap().missed, missed);
    }
    board.stand_by(false);
    board.saw(None, Watched::Environment(&seen(5)), &clock);
    assert_eq!(board.entry(&key).unwrap().missed, 7, "its own older write");
}

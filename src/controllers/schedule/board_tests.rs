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

/// Its status was not written any more; the name of the run tells the slot, and a person may delete the run.
#[test]
fn a_slot_that_the_former_leader_has_created_and_not_remembered_is_remembered() {
    let start: DateTime<Utc> = "2026-11-24T00:00:05Z".parse().unwrap();
    let clock = ScheduleClock::scaled(start, 1.0);
    let mut board = Board::default();
    let key = Key {
        namespace: "ibmi".to_owned(),
        name: "nightly".to_owned(),
    };
    let Event::Apply(DeserializeGuard(Ok(mut environment))) = seen(0) else {
        panic!("applied");
    };
    environment.spec.schedule =
        serde_json::from_value(serde_json::json!({"cron": ["0 0 * * *"]})).unwrap();
    environment.status = serde_json::from_value(serde_json::json!({"schedule": [{
        "cron": "0 0 * * *", "timeZone": "UTC", "baseline": "2026-11-01T00:00:00.000Z", "valid": true,
    }]}))
    .unwrap();
    let environment = Event::Apply(DeserializeGuard(Ok(environment)));
    let run = serde_json::from_value(serde_json::json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {
            "name": "nightly-20261124t0000z", "namespace": "ibmi",
            "labels": {ENVIRONMENT_LABEL: "nightly"},
            "ownerReferences": [{"apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment",
                "name": "nightly", "uid": "u-1", "controller": true}],
        },
    }));
    let run = Event::Apply(run.unwrap());
    let slot: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
    for run_first in [true, false] {
        let mut board = std::mem::take(&mut board);
        let mut events = [Watched::Environment(&environment), Watched::AnyRun(&run)];
        if run_first {
            events.reverse();
        }
        for event in events {
            board.saw(None, event, &clock);
        }
        let entry = board.entry(&key).unwrap();
        assert_eq!(entry.records[0].last_slot, Some(slot));
        assert_eq!(entry.handled, Some(slot));
        assert!(board.touched.contains(&key), "to be written");
    }
}

#[test]
fn those_that_wait_for_the_same_slot_are_counted() {
    let start: DateTime<Utc> = "2026-11-24T00:00:05Z".parse().unwrap();
    let clock = ScheduleClock::scaled(start, 1.0);
    let mut board = Board::default();
    board.expect_scopes(1);
    for watch in 0..WATCHES {
        board.listed.insert((watch, None));
    }
    for (name, cron) in [("a", "0 1 * * *"), ("b", "0 1 * * *"), ("c", "0 2 * * *")] {
        let Event::Apply(DeserializeGuard(Ok(mut environment))) = seen(0) else {
            panic!("applied");
        };
        environment.metadata.name = Some(name.to_owned());
        environment.metadata.uid = Some(name.to_owned());
        let schedule = serde_json::json!({"cron": [cron], "timeZone": "UTC"});
        environment.spec.schedule = serde_json::from_value(schedule).unwrap();
        let event = Event::Apply(DeserializeGuard(Ok(environment)));
        board.saw(None, Watched::Environment(&event), &clock);
    }
    let turn = board.turn(start);
    assert_eq!(
        turn.wake,
        Some("2026-11-24T01:00:00Z".parse().unwrap()),
        "a and b"
    );
    assert_eq!((turn.together, turn.orders.len()), (2, 0));
}

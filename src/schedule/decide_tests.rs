//! Every row of the table of `product.md` § 8.

use super::*;
use crate::schedule::SkipReason::{DeadlineExceeded, HeldImageInUse, ImageKept, PreviousRunActive};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn line(cron: &str, baseline: &str) -> Line {
    Line {
        cron: CronLine::parse(cron).unwrap(),
        baseline: at(baseline),
    }
}

fn nightly() -> Vec<Line> {
    vec![line("0 0 * * *", "2026-11-20T12:00:00Z")]
}

fn state(lines: &[Line]) -> State<'_> {
    State {
        environment: "nightly",
        zone: Zone::UTC,
        lines,
        handled: None,
        suspended: false,
        active: None,
        image: Image::Free,
        deadline: TimeDelta::seconds(900),
        jitter: 0,
    }
}

fn create(slot: &str) -> Decision {
    Decision::Create { slot: at(slot) }
}

fn skip(first: &str, slot: &str, slots: usize, reason: SkipReason) -> Decision {
    Decision::Skip {
        first: at(first),
        slot: at(slot),
        slots,
        reason,
    }
}

fn text(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|l| (*l).to_owned()).collect()
}

#[test]
fn a_new_or_changed_line_or_zone_or_a_resumed_environment_fires_nothing_for_earlier_slots() {
    let (then, now) = (at("2026-11-20T12:00:00Z"), at("2026-11-22T09:00:00Z"));
    let made = settle(&text(&["0 0 * * *", "0 7 * * *"]), "UTC", &[], then);
    assert!(made.iter().all(|r| r.baseline == then));
    // Another line, another zone, and (known = nothing) resumed.
    let line = settle(&text(&["0 0 * * *", "0 8 * * *"]), "UTC", &made, now);
    assert_eq!((line[0].baseline, line[1].baseline), (then, now));
    let zone = settle(&text(&["0 0 * * *"]), "Europe/Paris", &made, now);
    assert_eq!(zone[0].baseline, now);
    let resumed = settle(&text(&["0 0 * * *"]), "UTC", &[], now);
    assert_eq!(resumed[0].baseline, now);

    let lines = [super::tests::line("0 0 * * *", "2026-11-23T00:00:01Z")];
    assert!(decide(&state(&lines), at("2026-11-23T00:00:01Z")).is_empty());
    assert!(decide(&state(&lines), at("2026-11-23T00:10:00Z")).is_empty());
}

#[test]
fn any_other_edit_changes_nothing() {
    let then = at("2026-11-20T12:00:00Z");
    let mut made = settle(&text(&["0 0 * * *", "0 7 * * *"]), "UTC", &[], then);
    made[0].last_slot = Some(at("2026-11-21T00:00:00Z"));
    let later = at("2026-11-22T09:00:00Z");
    assert_eq!(
        settle(&text(&["0 0 * * *", "0 7 * * *"]), "UTC", &made, later),
        made
    );
    // The order of lines, a line written twice, and a removed line are no changes of the others.
    let turned = settle(
        &text(&["0 7 * * *", "0 0 * * *", "0 7 * * *"]),
        "UTC",
        &made,
        later,
    );
    assert_eq!(turned, [made[1].clone(), made[0].clone()]);
}

#[test]
fn a_slot_due_inside_the_deadline_with_nothing_active_creates_the_run() {
    let lines = nightly();
    let mut state = state(&lines);
    state.handled = Some(at("2026-11-22T00:00:00Z"));
    assert!(decide(&state, at("2026-11-22T23:59:59.999Z")).is_empty());
    assert_eq!(
        decide(&state, at("2026-11-23T00:00:00Z")),
        [create("2026-11-23T00:00:00Z")]
    );
    assert_eq!(
        decide(&state, at("2026-11-23T00:15:00Z")),
        [create("2026-11-23T00:00:00Z")]
    );
    state.handled = Some(at("2026-11-23T00:00:00Z"));
    assert!(decide(&state, at("2026-11-23T00:15:00Z")).is_empty());
}

#[test]
fn slots_older_than_the_deadline_are_one_skipped_run_and_never_a_storm() {
    let lines = nightly();
    let mut state = state(&lines);
    assert_eq!(
        decide(&state, at("2026-11-23T00:15:00.001Z")),
        [skip(
            "2026-11-21T00:00:00Z",
            "2026-11-23T00:00:00Z",
            3,
            DeadlineExceeded
        )]
    );
    // The newest slot is still inside its deadline: it runs.
    assert_eq!(
        decide(&state, at("2026-11-23T00:05:00Z")),
        [
            skip(
                "2026-11-21T00:00:00Z",
                "2026-11-22T00:00:00Z",
                2,
                DeadlineExceeded
            ),
            create("2026-11-23T00:00:00Z")
        ]
    );
    let often = [line("* * * * *", "2020-01-01T00:00:00Z")];
    state.lines = &often;
    let storm = decide(&state, at("2026-11-23T00:20:30Z"));
    assert_eq!(
        storm,
        [
            skip(
                "2020-01-01T00:01:00Z",
                "2026-11-23T00:05:00Z",
                COUNTED,
                DeadlineExceeded
            ),
            create("2026-11-23T00:06:00Z")
        ]
    );
}

#[test]
fn an_active_run_of_the_environment_is_waited_for_inside_the_deadline_then_the_slot_is_skipped() {
    let lines = nightly();
    let mut state = state(&lines);
    state.handled = Some(at("2026-11-22T00:00:00Z"));
    state.active = Some(at("2026-11-22T00:00:01Z"));
    let slot = at("2026-11-23T00:00:00Z");
    let until = at("2026-11-23T00:15:00Z");
    assert_eq!(decide(&state, slot), [Decision::Wait { slot, until }]);
    assert_eq!(decide(&state, until), [Decision::Wait { slot, until }]);
    let after = next_wake(&state, slot).unwrap();
    assert!(after > until && after < until + TimeDelta::seconds(1));
    let over = [skip(
        "2026-11-23T00:00:00Z",
        "2026-11-23T00:00:00Z",
        1,
        PreviousRunActive,
    )];
    assert_eq!(decide(&state, after), over);
    // It ended in time.
    state.active = None;
    assert_eq!(decide(&state, until), [create("2026-11-23T00:00:00Z")]);
    // A run that somebody started after the operator was down is not the reason.
    state.active = Some(at("2026-11-23T06:00:00Z"));
    let down = skip(
        "2026-11-23T00:00:00Z",
        "2026-11-23T00:00:00Z",
        1,
        DeadlineExceeded,
    );
    assert_eq!(decide(&state, at("2026-11-23T07:00:00Z")), [down]);
}

#[test]
fn devices_held_by_another_environment_do_not_keep_the_run_from_being_created() {
    // Only runs of this environment are in the state: the run is created and waits in the queue of the lock.
    let lines = nightly();
    let mut state = state(&lines);
    state.handled = Some(at("2026-11-22T00:00:00Z"));
    assert_eq!(
        decide(&state, at("2026-11-23T00:00:00Z")),
        [create("2026-11-23T00:00:00Z")]
    );
}

#[test]
fn a_hold_image_is_replaced_unless_it_is_kept_or_pinned() {
    let lines = nightly();
    let mut state = state(&lines);
    state.handled = Some(at("2026-11-22T00:00:00Z"));
    let slot = "2026-11-23T00:00:00Z";
    for (image, expected) in [
        (Image::Free, create(slot)),
        (Image::Kept, skip(slot, slot, 1, ImageKept)),
        (Image::Pinned, skip(slot, slot, 1, HeldImageInUse)),
    ] {
        state.image = image;
        assert_eq!(decide(&state, at(slot)), [expected]);
    }
}

#[test]
fn two_lines_at_the_same_instant_are_one_run() {
    let lines = [
        line("0 0 * * *", "2026-11-20T12:00:00Z"),
        line("0 0 * * MON", "2026-11-20T12:00:00Z"),
    ];
    let mut state = state(&lines);
    state.handled = Some(at("2026-11-22T00:00:00Z"));
    let now = at("2026-11-23T00:00:10Z");
    assert_eq!(decide(&state, now), [create("2026-11-23T00:00:00Z")]);
    state.handled = Some(at("2026-11-23T00:00:00Z"));
    assert!(decide(&state, now).is_empty());
    // Missed ones are counted as instants too.
    state.handled = Some(at("2026-11-22T00:00:00Z"));
    let late = at("2026-11-23T09:00:00Z");
    assert_eq!(
        decide(&state, late),
        [skip(
            "2026-11-23T00:00:00Z",
            "2026-11-23T00:00:00Z",
            1,
            DeadlineExceeded
        )]
    );
}

#[test]
fn a_clock_that_steps_back_fires_no_slot_twice() {
    let lines = [line("*/10 * * * *", "2026-11-22T12:00:00Z")];
    let mut state = state(&lines);
    // An hour ahead by mistake, the slot of 13:00 was run, then the clock was corrected.
    state.handled = Some(at("2026-11-22T13:00:00Z"));
    for minute in 0..60 {
        let now = at("2026-11-22T12:00:30Z") + TimeDelta::minutes(minute);
        assert!(decide(&state, now).is_empty(), "{now}");
    }
    assert_eq!(
        next_wake(&state, at("2026-11-22T12:00:00Z")),
        Some(at("2026-11-22T13:10:00Z"))
    );
    assert_eq!(
        decide(&state, at("2026-11-22T13:10:00Z")),
        [create("2026-11-22T13:10:00Z")]
    );
}

#[test]
fn a_clock_that_jumps_ahead_is_treated_as_down_time() {
    let lines = [line("0 * * * *", "2026-11-22T12:30:00Z")];
    let mut state = state(&lines);
    state.handled = Some(at("2026-11-22T13:00:00Z"));
    assert_eq!(
        decide(&state, at("2026-11-22T19:05:00Z")),
        [
            skip(
                "2026-11-22T14:00:00Z",
                "2026-11-22T18:00:00Z",
                5,
                DeadlineExceeded
            ),
            create("2026-11-22T19:00:00Z")
        ]
    );
}

#[test]
fn a_suspended_or_deleted_environment_does_nothing() {
    let lines = nightly();
    let mut state = state(&lines);
    state.suspended = true;
    assert!(decide(&state, at("2026-11-23T00:00:00Z")).is_empty());
    assert_eq!(next_wake(&state, at("2026-11-23T00:00:00Z")), None);
}

#[test]
fn jitter_delays_the_run_and_never_its_name() {
    let lines = nightly();
    let mut state = state(&lines);
    state.handled = Some(at("2026-11-22T00:00:00Z"));
    state.jitter = 300;
    let slot = at("2026-11-23T00:00:00Z");
    let wake = next_wake(&state, at("2026-11-22T20:00:00Z")).unwrap();
    assert!(
        wake > slot && wake <= slot + TimeDelta::seconds(300),
        "{wake}"
    );
    assert!(decide(&state, wake - TimeDelta::milliseconds(1)).is_empty());
    assert_eq!(decide(&state, wake), [Decision::Create { slot }]);
}

#[test]
fn the_expected_interval_is_the_longest_pause() {
    let now = at("2026-11-22T12:30:00Z");
    let longest = |lines: &[&str]| {
        let lines: Vec<Line> = lines
            .iter()
            .map(|l| line(l, "2026-11-20T12:00:00Z"))
            .collect();
        longest_interval(&lines, now)
    };
    assert_eq!(longest(&["0 0 * * *"]), Some(86_400));
    assert_eq!(longest(&["0 0 * * 1-6"]), Some(2 * 86_400));
    assert_eq!(longest(&["0 7 * * *", "30 12 * * *"]), Some(66_600));
    assert_eq!(
        longest(&["*/5 9-16 * * 1-5"]),
        Some(3 * 86_400 - 7 * 3600 - 55 * 60)
    );
    assert_eq!(longest(&["0 0 29 2 *"]), Some(1461 * 86_400));
}

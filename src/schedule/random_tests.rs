//! Random lines, zones and steps of the clock: each slot is handled exactly once and never before its baseline.

#![allow(clippy::unwrap_used)]

use super::decide::{Line, State};
use super::{CronLine, Decision, Image, Zone, decide};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use std::collections::BTreeSet;

const ZONES: &[&str] = &[
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "America/Santiago",
    "Asia/Kathmandu",
];

fn cron() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        (0_u8..60).prop_map(|m| m.to_string()),
        (0_u8..30, 30_u8..60).prop_map(|(a, b)| format!("{a},{b}")),
        (7_u8..40).prop_map(|n| format!("*/{n}")),
    ];
    let hour = prop_oneof![
        (0_u8..24).prop_map(|h| h.to_string()),
        Just("1-3".to_owned()),
        Just("*/2".to_owned()),
        Just("*".to_owned()),
    ];
    let day = prop_oneof![Just("*"), Just("1-6"), Just("SUN"), Just("MON,WED")];
    (minute, hour, day).prop_map(|(m, h, d)| format!("{m} {h} * * {d}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_slot_is_handled_exactly_once_and_never_before_its_baseline(
        texts in prop::collection::vec(cron(), 1..4),
        zone in prop::sample::select(ZONES),
        // The clock changes of these zones lie within one of the two years.
        start in prop::sample::select(vec![1_519_000_000_i64, 1_540_000_000, 1_774_400_000, 1_792_500_000]),
        steps in prop::collection::vec((1_i64..20_000, -4_000_i64..1, 0_u8..10), 20..60),
        deadline in 30_i64..1_800,
    ) {
        let zone = Zone::parse(zone).unwrap();
        let baseline = DateTime::from_timestamp(start, 0).unwrap();
        let lines: Vec<Line> = texts
            .iter()
            .map(|t| Line { cron: CronLine::parse(t).unwrap(), baseline })
            .collect();
        let mut now = baseline;
        let mut latest = now;
        let mut handled: Option<DateTime<Utc>> = None;
        let mut seen: Vec<DateTime<Utc>> = Vec::new();
        let mut skipped = 0;
        for (forward, back, active) in steps {
            // The clock runs, and now and then steps back.
            now += TimeDelta::seconds(if active == 0 { back } else { forward });
            latest = latest.max(now);
            for _ in 0..200 {
                let state = State {
                    environment: "e", zone, lines: &lines, handled, suspended: false,
                    active: (active == 1).then_some(now), image: Image::Free,
                    deadline: TimeDelta::seconds(deadline), jitter: 0,
                };
                let before = handled;
                for decision in decide(&state, now) {
                    match decision {
                        Decision::Create { slot } => {
                            prop_assert!(slot > baseline && slot <= now);
                            prop_assert!(now - slot <= TimeDelta::seconds(deadline));
                            prop_assert!(handled.is_none_or(|h| slot > h), "twice");
                            seen.push(slot);
                            handled = Some(slot);
                        }
                        Decision::Skip { first, slot, slots, .. } => {
                            prop_assert!(first > baseline && slot <= now);
                            prop_assert!(now - slot > TimeDelta::seconds(deadline));
                            prop_assert!(handled.is_none_or(|h| first > h), "twice");
                            skipped += slots;
                            handled = Some(slot);
                        }
                        Decision::Wait { .. } => {}
                    }
                }
                if handled == before {
                    break;
                }
            }
        }
        // Everything up to the newest handled slot was handled, counted from the lines themselves.
        if let Some(newest) = handled {
            let all: BTreeSet<_> = lines
                .iter()
                .flat_map(|l| zone.between(&l.cron, baseline, newest, usize::MAX).slots)
                .collect();
            prop_assert_eq!(all.len(), seen.len() + skipped);
            prop_assert!(newest <= latest);
        }
    }
}

//! The clock of the machine is an hour wrong for a while (`product.md` § 8: a slot never fires twice; a jump is down time).

use crate::controllers::field::{Field, Operator, phase, reason};
use crate::server::Server;
use chrono::{DateTime, DurationRound, TimeDelta, Timelike, Utc};
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::engine::clock::SystemClock;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::engine::ports::Clock;
use ibmi_clone_operator::schedule::slot_name;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use macro_rules_attribute::apply;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The machine's clock, as somebody sets it.
struct Set(Mutex<TimeDelta>);

impl Set {
    /// Shows this time now.
    fn to(&self, time: DateTime<Utc>) {
        *self.0.lock().unwrap() = time - Utc::now();
    }
    fn by(&self, step: TimeDelta) {
        *self.0.lock().unwrap() += step;
    }
}

#[async_trait::async_trait]
impl Clock for Set {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + *self.0.lock().unwrap()
    }
    fn boot(&self) -> Duration {
        SystemClock.boot()
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// An edit that says nothing about the schedule makes it look at the clock; without one it does within 10 s.
async fn look(field: &Field, seconds: i64) {
    let patch = json!({"spec": {"timeouts": {"runSeconds": seconds}}});
    let (environments, patch) = (field.environments(), Patch::Merge(&patch));
    let parameters = PatchParams::default();
    environments
        .patch("nightly", &parameters, &patch)
        .await
        .unwrap();
}

async fn names(field: &Field) -> Vec<String> {
    let runs = field.runs().list(&ListParams::default()).await.unwrap();
    let mut names: Vec<String> = runs.iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}

#[apply(on_both!)]
async fn a_clock_an_hour_ahead_and_then_corrected_fires_no_slot_twice_and_skips_what_it_jumped_over(
    server: Server,
) {
    let field = Field::new(server).await;
    let minute = TimeDelta::minutes(1);
    let first = Utc::now().duration_trunc(minute).unwrap() + minute;
    let after = |minutes| first + TimeDelta::minutes(minutes);
    // The clock jumps over the second, and the third is due five minutes before it lands.
    let slots = [first, after(30), after(55), after(120)];
    let line = |slot: &DateTime<Utc>| format!("{} {} * * *", slot.minute(), slot.hour());
    let lines: Vec<String> = slots.iter().map(line).collect();
    field
        .environment("nightly", |spec| spec["schedule"] = json!({"cron": lines}))
        .await;
    let [one, two, three, four] = slots.map(|slot| slot_name("nightly", slot));
    let clock = Arc::new(Set(Mutex::default()));
    let start = |field: &Field| -> Operator {
        field.operator_with(|c| c.schedule_clock = ScheduleClock::of(clock.clone()))
    };
    clock.to(first - TimeDelta::seconds(1));
    let operator = start(&field);
    assert_eq!(phase(&field.ended(&one).await), Phase::Succeeded);

    clock.by(TimeDelta::hours(1));
    let skipped = field.ended(&two).await;
    assert_eq!(
        (phase(&skipped), reason(&skipped)),
        (Phase::Skipped, "DeadlineExceeded")
    );
    assert_eq!(phase(&field.ended(&three).await), Phase::Succeeded);

    // Corrected; their times come again, for this operator and for one that was started since.
    clock.by(TimeDelta::hours(-1));
    look(&field, 7201).await;
    clock.to(slots[1] + TimeDelta::seconds(1));
    look(&field, 7202).await;
    operator.ends().await;
    let _operator = start(&field);
    clock.to(slots[2] + TimeDelta::seconds(1));
    look(&field, 7203).await;
    field
        .environment_until("nightly", |e| {
            let status = e.status.as_ref();
            status.is_some_and(|s| s.observed_generation == Some(4))
        })
        .await;
    // Slots are handled in order: whatever was to be fired before this one was fired.
    clock.to(slots[3] + TimeDelta::seconds(1));
    look(&field, 7204).await;
    assert_eq!(phase(&field.ended(&four).await), Phase::Succeeded);
    assert_eq!(
        names(&field).await,
        [one.clone(), two, three.clone(), four.clone()]
    );
    for run in [one, three, four] {
        assert_eq!(field.world.acts_of(&run), 14, "each effect once");
    }
    field
        .environment_until("nightly", |e| {
            e.status.as_ref().is_some_and(|s| s.missed_count == 1)
        })
        .await;
}

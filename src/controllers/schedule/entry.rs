//! One environment on the schedule.

use super::board::Key;
use super::clock::ScheduleClock;
use super::create::{Created, Order, Skipped};
use crate::api::CloneEnvironment;
use crate::api::schedule::{Schedule, ScheduleLine, SkipReason};
use crate::controllers::locks::held;
use crate::engine::time::Timestamp;
use crate::schedule::decide::{self, Line, LineRecord, State};
use crate::schedule::{self, CronLine, Decision, Image, LineError, Zone, ZoneError};
use chrono::{DateTime, TimeDelta, Utc};
use kube::ResourceExt;

/// Generation of an object that was never changed.
const CREATED: i64 = 1;
/// Successes may be this far apart before the environment is overdue: half as long again as expected, and an hour
/// (`monitoring.md` computes the same independently).
const OVERDUE_GRACE: TimeDelta = TimeDelta::hours(1);

/// What the schedule knows of an environment.
pub struct Entry {
    /// UID of the object.
    pub uid: String,
    /// Generation seen last.
    pub generation: Option<i64>,
    /// The schedule as written.
    pub spec: Option<Schedule>,
    /// `spec.suspend`.
    pub suspend: bool,
    /// Being deleted.
    pub deleting: bool,
    /// Its namespace is being deleted: nothing can be created there any more.
    ending: bool,
    /// The lock Leases that its runs need.
    pub needed: held::Needed,
    /// Baselines.
    pub records: Vec<LineRecord>,
    /// Newest slot that has a run.
    pub handled: Option<DateTime<Utc>>,
    /// Slots that were not run.
    pub missed: i64,
    /// Longest time between two slots, seconds.
    pub expected: Option<i64>,
    /// Last success: as written, and on the schedule's clock.
    success: Option<(Timestamp, DateTime<Utc>)>,
    /// Where a new line's baseline lies when the environment itself is new.
    created: DateTime<Utc>,
    settled: bool,
    read: Vec<Result<CronLine, LineError>>,
    zone: Result<Zone, ZoneError>,
    sending: Option<Order>,
}

impl Entry {
    /// An environment that is seen for the first time; what it remembers is in its status.
    pub fn new(environment: &CloneEnvironment, clock: &ScheduleClock) -> Self {
        let status = environment.status.clone().unwrap_or_default();
        let records = status.schedule.iter().map(record).collect::<Vec<_>>();
        let created = environment.creation_timestamp().and_then(|t| {
            let real = DateTime::from_timestamp(t.0.as_second(), 0)?;
            Some(clock.from_real(real))
        });
        let mut entry = Self {
            uid: environment.uid().unwrap_or_default(),
            generation: None,
            spec: None,
            suspend: status.suspended,
            deleting: false,
            ending: false,
            needed: held::Needed::default(),
            handled: records.iter().filter_map(|r| r.last_slot).max(),
            records,
            missed: status.missed_count,
            expected: status.expected_interval_seconds,
            success: None,
            created: created.unwrap_or_else(|| clock.now()),
            settled: false,
            read: Vec::new(),
            zone: Ok(Zone::UTC),
            sending: None,
        };
        entry.see(environment, clock);
        entry
    }

    /// Enters what a person wrote. Our own status is not read again: this process knows better.
    pub fn see(&mut self, environment: &CloneEnvironment, clock: &ScheduleClock) {
        let now = clock.now();
        let last = environment
            .status
            .as_ref()
            .and_then(|s| s.last_success_time);
        if last != self.success.map(|s| s.0) {
            self.success = last.map(|t| (t, clock.from_real(t.utc())));
        }
        // It only rises; an import may write it after the environment was seen for the first time.
        let missed = environment.status.as_ref().map_or(0, |s| s.missed_count);
        self.missed = self.missed.max(missed);
        self.deleting = self.ending || environment.metadata.deletion_timestamp.is_some();
        // The pins are learned later than the first generation.
        self.needed = held::Needed::of(environment);
        if self.settled && self.generation == environment.metadata.generation {
            return;
        }
        let resumed = self.suspend && !environment.spec.suspend;
        // Written together with the environment itself: what is due since then was wanted.
        let fresh = !self.settled
            && self.records.is_empty()
            && environment.metadata.generation == Some(CREATED);
        self.generation = environment.metadata.generation;
        self.suspend = environment.spec.suspend;
        let changed = self.spec != environment.spec.schedule;
        if changed || !self.settled {
            self.spec = environment.spec.schedule.clone();
            self.read_lines();
        }
        let known = if resumed {
            Vec::new()
        } else {
            std::mem::take(&mut self.records)
        };
        let base = if fresh { self.created } else { now };
        let records = match &self.spec {
            Some(spec) => decide::settle(&spec.cron, &spec.time_zone, &known, base),
            None => Vec::new(),
        };
        if records != known || self.expected.is_none() {
            self.expected = decide::longest_interval(&lines(&records, &self.read), now);
        }
        self.records = records;
        self.settled = true;
    }

    fn read_lines(&mut self) {
        let Some(spec) = &self.spec else {
            self.read.clear();
            self.zone = Ok(Zone::UTC);
            return;
        };
        self.zone = Zone::parse(&spec.time_zone);
        // In the order of the records: a line written twice counts once.
        let mut seen: Vec<&String> = Vec::new();
        for line in &spec.cron {
            if !seen.contains(&line) {
                seen.push(line);
            }
        }
        self.read = seen.into_iter().map(|line| CronLine::parse(line)).collect();
    }

    /// A run of this slot exists, made by us or by whoever led before. `true` = that is news, to be written: the run may be
    /// deleted, and its slot must not fire again.
    pub fn handle(&mut self, slot: DateTime<Utc>) -> bool {
        let news = self.handled < Some(slot);
        self.handled = self.handled.max(Some(slot));
        self.remember(slot) || news
    }

    /// What to do now, and when to look again. Nothing while a create is on its way.
    pub fn turn(
        &mut self,
        key: &Key,
        active: Option<DateTime<Utc>>,
        image: Image,
        now: DateTime<Utc>,
    ) -> (Option<Order>, Option<DateTime<Utc>>) {
        if self.sending.is_some() {
            return (None, None);
        }
        let lines = self.lines();
        let Some(state) = self.state(&key.name, &lines, active, image) else {
            return (None, None);
        };
        let decided = schedule::decide(&state, now)
            .into_iter()
            .find_map(|decision| {
                let order = |slot, skip| Order {
                    key: key.clone(),
                    uid: self.uid.clone(),
                    slot,
                    skip,
                    tries: 0,
                };
                match decision {
                    Decision::Create { slot } => Some(order(slot, None)),
                    Decision::Skip {
                        first,
                        slot,
                        slots,
                        reason,
                    } => {
                        let slots = i64::try_from(slots).unwrap_or(i64::MAX);
                        let reason = words(reason);
                        Some(order(
                            slot,
                            Some(Skipped {
                                reason,
                                slots,
                                first,
                            }),
                        ))
                    }
                    Decision::Wait { .. } => None,
                }
            });
        let wake = schedule::next_wake(&state, now);
        let overdue = self.overdue_at().filter(|at| *at > now);
        self.sending.clone_from(&decided);
        (decided, [wake, overdue].into_iter().flatten().min())
    }

    /// Enters the answer to a create; gives the next try if one is needed.
    pub fn answered(
        &mut self,
        order: &Order,
        outcome: &Created,
        now: DateTime<Utc>,
    ) -> Option<Order> {
        if self.sending.as_ref() != Some(order) {
            return None;
        }
        self.sending = None;
        match outcome {
            Created::Ours | Created::Before => {
                self.handle(order.slot);
                let missed = order.skip.as_ref().map_or(0, |s| s.slots);
                self.missed = self.missed.saturating_add(missed);
                None
            }
            Created::Never(why) => {
                let (environment, namespace) = (&order.key.name, &order.key.namespace);
                tracing::warn!(environment, namespace, slot = %order.slot, why, "no run is created any more");
                (self.ending, self.deleting) = (true, true);
                None
            }
            Created::Not(why) => {
                tracing::warn!(
                    environment = order.key.name,
                    namespace = order.key.namespace,
                    slot = %order.slot,
                    why,
                    "the run of a slot is not created yet"
                );
                if self.suspend || self.deleting || self.is_late(order, now) {
                    return None;
                }
                let again = Order {
                    tries: order.tries.saturating_add(1),
                    ..order.clone()
                };
                self.sending = Some(again.clone());
                Some(again)
            }
        }
    }

    /// When the run of a slot is due: jitter later.
    pub fn due(&self, name: &str, slot: DateTime<Utc>) -> DateTime<Utc> {
        let limit = self.spec.as_ref().map_or(0, |s| s.jitter_seconds);
        slot + schedule::jitter(name, slot, u32::try_from(limit).unwrap_or_default())
    }

    /// A run whose deadline passed while it could not be created: decided anew, as skipped.
    fn is_late(&self, order: &Order, now: DateTime<Utc>) -> bool {
        order.skip.is_none() && now - order.slot > self.deadline()
    }

    /// Notes the slot on every line that names it and does not know it yet.
    fn remember(&mut self, slot: DateTime<Utc>) -> bool {
        let Ok(zone) = self.zone else { return false };
        let mut noted = false;
        for (record, line) in self.records.iter_mut().zip(&self.read) {
            let Ok(line) = line else { continue };
            let from = record.last_slot.unwrap_or(record.baseline);
            let before = slot - TimeDelta::seconds(1);
            if slot > from && zone.next_after(line, before) == Some(slot) {
                record.last_slot = Some(slot);
                noted = true;
            }
        }
        noted
    }

    fn deadline(&self) -> TimeDelta {
        let seconds = self
            .spec
            .as_ref()
            .map_or(0, |s| s.starting_deadline_seconds);
        TimeDelta::seconds(i64::from(seconds))
    }

    fn lines(&self) -> Vec<Line> {
        lines(&self.records, &self.read)
    }

    fn state<'s>(
        &self,
        name: &'s str,
        lines: &'s [Line],
        active: Option<DateTime<Utc>>,
        image: Image,
    ) -> Option<State<'s>> {
        let spec = self.spec.as_ref()?;
        Some(State {
            environment: name,
            zone: self.zone.clone().ok()?,
            lines,
            handled: self.handled,
            suspended: self.suspend || self.deleting,
            active,
            image,
            deadline: self.deadline(),
            jitter: u32::try_from(spec.jitter_seconds).unwrap_or_default(),
        })
    }

    /// The lines as the status shows them.
    pub fn shown(&self, name: &str, now: DateTime<Utc>) -> Vec<ScheduleLine> {
        let lines = self.lines();
        // What pins the image changes no time.
        let state = self
            .state(name, &lines, None, Image::Free)
            .filter(|s| !s.suspended);
        let shown = |(record, read): (&LineRecord, &Result<CronLine, LineError>)| {
            let next = state
                .as_ref()
                .zip(read.as_ref().ok())
                .and_then(|(state, cron)| {
                    let line = Line {
                        cron: cron.clone(),
                        baseline: record.baseline,
                    };
                    decide::next_slot(state, &line, now)
                });
            let wrong = match (&self.zone, read) {
                (Err(error), _) => error.to_string(),
                (Ok(_), Err(error)) => error.to_string(),
                (Ok(_), Ok(_)) => String::new(),
            };
            ScheduleLine {
                cron: record.cron.clone(),
                time_zone: record.zone.clone(),
                next: next.map(Timestamp::new),
                last_slot: record.last_slot.map(Timestamp::new),
                baseline: Timestamp::new(record.baseline),
                valid: wrong.is_empty(),
                message: wrong,
            }
        };
        self.records.iter().zip(&self.read).map(shown).collect()
    }

    /// What is wrong with the schedule: reason and message of the first thing.
    pub fn wrong(&self) -> Option<(&'static str, String)> {
        if let Err(error) = &self.zone {
            return Some(("TimeZoneUnknown", error.to_string()));
        }
        let error = self.read.iter().find_map(|line| line.as_ref().err())?;
        Some((error.reason(), error.to_string()))
    }

    /// When the environment has been without a success for too long. `None` without a schedule, while it is suspended.
    pub fn overdue_at(&self) -> Option<DateTime<Utc>> {
        if self.suspend || self.deleting || self.records.is_empty() {
            return None;
        }
        let expected = TimeDelta::seconds(self.expected?);
        let baseline = self.records.iter().map(|r| r.baseline).max()?;
        let since = self.success.map_or(baseline, |(_, at)| at.max(baseline));
        Some(since + expected + expected / 2 + OVERDUE_GRACE)
    }
}

fn lines(records: &[LineRecord], read: &[Result<CronLine, LineError>]) -> Vec<Line> {
    let pairs = records.iter().zip(read);
    let usable = pairs.filter_map(|(record, line)| {
        Some(Line {
            cron: line.as_ref().ok()?.clone(),
            baseline: record.baseline,
        })
    });
    usable.collect()
}

fn record(line: &ScheduleLine) -> LineRecord {
    LineRecord {
        cron: line.cron.clone(),
        zone: line.time_zone.clone(),
        baseline: line.baseline.utc(),
        last_slot: line.last_slot.map(Timestamp::utc),
    }
}

fn words(reason: schedule::SkipReason) -> SkipReason {
    match reason {
        schedule::SkipReason::DeadlineExceeded => SkipReason::DeadlineExceeded,
        schedule::SkipReason::PreviousRunActive => SkipReason::PreviousRunActive,
        schedule::SkipReason::ImageKept => SkipReason::ImageKept,
        schedule::SkipReason::HeldImageInUse => SkipReason::HeldImageInUse,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment(generation: i64) -> CloneEnvironment {
        let object = json!({
            "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment",
            "metadata": {"name": "nightly", "namespace": "ibmi", "uid": "u-1", "generation": generation},
            "spec": {
                "function": "HOLD", "schedule": {"cron": ["0 0 * * *"]},
                "source": {"partition": {"managedSystem": "S", "name": "P"}, "host": {"address": "p", "credentials": {"name": "p"}}},
                "clone": {
                    "partition": {"managedSystem": "S", "name": "C"}, "host": {"address": "c", "credentials": {"name": "c"}},
                    "personality": {"systemName": "C", "hostName": "c", "interfaces": [{"address": "10.0.0.1", "netmask": "255.0.0.0", "lineDescription": "L"}]},
                },
                "console": {"hmc": {"endpoints": ["https://h"], "credentials": {"name": "h"}}},
                "virtualIo": {"vscsi": {"adapters": [{"server": "V", "vhost": "vhost3"}]}},
                "storage": {"spectrumVirtualize": {"endpoint": "https://s:7443", "credentials": {"name": "s"}, "consistencyGroups": ["C"]}},
            },
        });
        serde_json::from_value(object).unwrap()
    }

    fn nightly(clock: &ScheduleClock) -> (Key, Entry) {
        let key = Key {
            namespace: "ibmi".to_owned(),
            name: "nightly".to_owned(),
        };
        (key, Entry::new(&environment(7), clock))
    }

    #[test]
    fn a_create_that_is_refused_is_tried_until_the_deadline_and_then_skipped_once() {
        let start: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().unwrap();
        let (key, mut entry) = nightly(&ScheduleClock::scaled(start, 1.0));
        let slot: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
        let (order, _) = entry.turn(&key, None, Image::Free, slot);
        let mut order = order.unwrap();
        let refused = Created::Not("429 too many requests".to_owned());
        for tries in 1..20 {
            assert_eq!(
                entry.turn(&key, None, Image::Free, slot).0,
                None,
                "one create on its way"
            );
            order = entry.answered(&order, &refused, slot).unwrap();
            assert_eq!((order.tries, order.slot), (tries, slot));
            assert!(!order.first_try() && order.pause() <= std::time::Duration::from_secs(5));
        }
        let late = slot + TimeDelta::seconds(901);
        assert_eq!(entry.answered(&order, &refused, late), None);
        let (skipped, _) = entry.turn(&key, None, Image::Free, late);
        let skipped = skipped.unwrap();
        // Of the same name: had one of the creates arrived all the same, it stays the slot's only run.
        assert_eq!(skipped.object().metadata.name, order.object().metadata.name);
        assert_eq!(skipped.skip.as_ref().unwrap().slots, 1);
        assert_eq!(entry.answered(&skipped, &Created::Before, late), None);
        assert_eq!(entry.turn(&key, None, Image::Free, late).0, None);
        assert_eq!(entry.records[0].last_slot, Some(slot));
    }

    #[test]
    fn a_deleted_environment_creates_nothing_more() {
        let start: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().unwrap();
        let (key, mut entry) = nightly(&ScheduleClock::scaled(start, 1.0));
        let slot: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
        let order = entry.turn(&key, None, Image::Free, slot).0.unwrap();
        entry.deleting = true;
        let refused = Created::Not("namespace is being terminated".to_owned());
        assert_eq!(entry.answered(&order, &refused, slot), None);
        assert_eq!(entry.turn(&key, None, Image::Free, slot), (None, None));
    }

    #[test]
    fn an_environment_whose_namespace_goes_creates_nothing_more_whatever_is_edited() {
        let start: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().unwrap();
        let clock = ScheduleClock::scaled(start, 1.0);
        let (key, mut entry) = nightly(&clock);
        let slot: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
        let order = entry.turn(&key, None, Image::Free, slot).0.unwrap();
        let refused = Created::Never("namespace ibmi is being terminated".to_owned());
        assert_eq!(entry.answered(&order, &refused, slot), None);
        entry.see(&environment(8), &clock);
        assert_eq!(entry.turn(&key, None, Image::Free, slot), (None, None));
    }
}

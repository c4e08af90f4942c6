//! The clock the schedule follows: the machine's, or a faster one in tests, so that a fortnight passes in minutes.

use crate::engine::clock::{SystemClock, usable_factor};
use crate::engine::ports::Clock;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A clock and how much faster than real time it runs.
#[derive(Clone)]
pub struct ScheduleClock {
    clock: Arc<dyn Clock>,
    scale: f64,
    /// It shows the time everybody else writes.
    real: bool,
}

impl ScheduleClock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of(Arc::new(SystemClock))
    }
    /// A clock that runs at the speed of real time.
    pub fn of(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            scale: 1.0,
            real: true,
        }
    }
    /// A clock that shows `start` now and runs `scale` times faster; for simulated devices only. A scale that is no
    /// positive number counts as 1.
    pub fn scaled(start: DateTime<Utc>, scale: f64) -> Self {
        let scale = usable_factor(scale);
        let clock = Scaled {
            start,
            since: Instant::now(),
            scale,
        };
        Self {
            clock: Arc::new(clock),
            scale,
            real: false,
        }
    }
    /// Now.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
    /// Waits a time of this clock.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
    /// A time that somebody else wrote, on this clock: as long ago as it is on the machine's. On the machine's clock the
    /// very same time.
    pub fn from_real(&self, real: DateTime<Utc>) -> DateTime<Utc> {
        if self.real {
            return real;
        }
        self.now() - (Utc::now() - real)
    }
    /// Real seconds as they pass on this clock.
    pub fn seconds(&self, real: u32) -> TimeDelta {
        let milliseconds = f64::from(real) * 1000.0 * self.scale;
        TimeDelta::milliseconds(milliseconds as i64)
    }
}

impl fmt::Debug for ScheduleClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScheduleClock(× {})", self.scale)
    }
}

struct Scaled {
    start: DateTime<Utc>,
    since: Instant,
    scale: f64,
}

#[async_trait]
impl Clock for Scaled {
    fn now(&self) -> DateTime<Utc> {
        let passed = self.since.elapsed().mul_f64(self.scale);
        self.start + TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX)
    }
    fn boot(&self) -> Duration {
        SystemClock.boot().mul_f64(self.scale)
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.scale)).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scaled_clock_passes_days_in_moments() {
        let start: DateTime<Utc> = "2026-10-24T12:00:00Z".parse().unwrap();
        let clock = ScheduleClock::scaled(start, 8_640_000.0);
        let before = Instant::now();
        clock.sleep(Duration::from_secs(2 * 86_400)).await;
        assert!(before.elapsed() >= Duration::from_millis(20));
        assert!(clock.now() >= start + TimeDelta::days(2));
        assert_eq!(clock.seconds(60), TimeDelta::days(6000));
    }

    #[test]
    fn on_the_machines_clock_a_time_of_somebody_else_is_itself() {
        let real: DateTime<Utc> = "2020-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(ScheduleClock::system().from_real(real), real);
        let fast = ScheduleClock::scaled(real, 1000.0);
        let seen = fast.from_real(Utc::now() - TimeDelta::seconds(2));
        assert!(
            (fast.now() - seen).num_seconds() < 30,
            "two seconds ago, and a slow machine"
        );
    }
}

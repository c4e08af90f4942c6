//! The machine's clocks.

use super::ports::{Clock, Fence};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Wall clock, CLOCK_BOOTTIME and tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The fence of a single replica that needs no leader: always valid.
#[derive(Debug, Clone, Copy, Default)]
pub struct SingleReplica;

impl Fence for SingleReplica {
    fn valid_until(&self) -> Option<Duration> {
        Some(Duration::MAX)
    }
}

/// A factor between two clocks that can be divided by: anything that is not a positive number counts as 1.
pub fn usable_factor(factor: f64) -> f64 {
    if factor.is_finite() && factor > 0.0 {
        factor
    } else {
        1.0
    }
}

//! The world's clock: moved by hand in tests, or running with the machine's at a scale.

use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A clock that all simulated devices share.
#[derive(Debug, Clone)]
pub enum SimulatedClock {
    /// Stands still until moved.
    Manual(Arc<Mutex<DateTime<Utc>>>),
    /// Runs `scale` times as fast as the machine's.
    Scaled {
        /// World time at the start.
        start: DateTime<Utc>,
        /// Machine time at the start.
        since: Instant,
        /// World seconds per machine second.
        scale: f64,
    },
}

impl SimulatedClock {
    /// A clock that stands at `start`.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::Manual(Arc::new(Mutex::new(start)))
    }
    /// A clock that starts at `start` and runs at `scale`.
    pub fn scaled(start: DateTime<Utc>, scale: f64) -> Self {
        Self::Scaled {
            start,
            since: Instant::now(),
            scale,
        }
    }
    /// World time.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Manual(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
            Self::Scaled {
                start,
                since,
                scale,
            } => {
                let world = since.elapsed().as_secs_f64() * scale;
                *start + chrono::Duration::nanoseconds((world * 1e9) as i64)
            }
        }
    }
    /// Moves a manual clock on; a scaled one moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(at) = self {
            let mut at = at.lock().unwrap_or_else(PoisonError::into_inner);
            *at += chrono::Duration::from_std(by).unwrap_or_default();
        }
    }
    /// Waits `world` of world time: really at a scaled clock, by moving the clock at a manual one.
    pub async fn sleep(&self, world: Duration) {
        match self {
            Self::Manual(_) => self.advance(world),
            Self::Scaled { scale, .. } => tokio::time::sleep(world.div_f64(scale.max(0.001))).await,
        }
    }
}

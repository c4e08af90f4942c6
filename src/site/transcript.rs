//! A bounded ring of what was said to the devices, redacted; it becomes the run's `devices` log.

use chrono::{DateTime, Utc};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines kept; the oldest go first.
const CAPACITY: usize = 4_000;
/// Longest text kept of one request or answer.
const WIDTH: usize = 400;

/// One exchange with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// When the answer came, our clock.
    pub at: DateTime<Utc>,
    /// Device in the user's words.
    pub device: String,
    /// What was asked, without secrets.
    pub request: String,
    /// What came back, cut.
    pub answer: String,
    /// Sent → answered, microseconds.
    pub microseconds: u64,
}

/// Shared by all drivers of one site. Passwords and tokens never enter it: callers pass redacted text.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    ring: Arc<Mutex<VecDeque<Exchange>>>,
}

impl Transcript {
    /// Adds one exchange.
    pub fn add(&self, device: &str, request: &str, answer: &str, microseconds: u64) {
        let exchange = Exchange {
            at: Utc::now(),
            device: device.to_owned(),
            request: cut(request),
            answer: cut(answer),
            microseconds,
        };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= CAPACITY {
            ring.pop_front();
        }
        ring.push_back(exchange);
    }
    /// Everything since a time, oldest first.
    pub fn since(&self, at: DateTime<Utc>) -> Vec<Exchange> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().filter(|e| e.at >= at).cloned().collect()
    }
}

fn cut(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WIDTH)
        .collect();
    if text.chars().count() > WIDTH {
        format!("{line}…")
    } else {
        line
    }
}

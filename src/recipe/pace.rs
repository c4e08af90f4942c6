//! How often we look, how long a step may take: every such number of the recipes in one place, behind one scale.
//!
//! The array and the consoles punish clients that ask too often (`storage-virtualize.md` § 1.4, `hmc.md` § 1.11), and a
//! poll that is too slow is time that we add to the run.

use crate::engine::clock::usable_factor;
use std::time::Duration;

/// Divides polls, limits and the cap of the window. 1 in production; tests and the demo, whose devices run on a faster
/// clock, use that clock's factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    scale: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { scale: 1.0 }
    }
}

impl Pace {
    /// A pace `scale` times faster than real time. Anything that is not a positive number counts as 1.
    pub fn new(scale: f64) -> Self {
        Self {
            scale: usable_factor(scale),
        }
    }

    /// The factor.
    pub fn scale(self) -> f64 {
        self.scale
    }

    /// A length of device time as it passes on our clock.
    pub fn of(self, real: Duration) -> Duration {
        real.div_f64(self.scale)
    }

    /// Seconds of device time as they pass on our clock.
    pub fn seconds(self, real: u64) -> Duration {
        self.of(Duration::from_secs(real))
    }

    /// Looking at a consistency group outside the window: no faster than once per 2 s.
    pub fn array(self) -> Duration {
        self.seconds(2)
    }

    /// Looking at a VIOS: each look is a console job.
    pub fn virtual_io(self) -> Duration {
        self.seconds(5)
    }

    /// Looking at a power job and its partition: 1 s growing to 15 s, never more than a sixteenth of what has passed
    /// since the intent, so that a switch is seen soon after it happened.
    pub fn power(self, elapsed: Duration) -> Duration {
        (elapsed / 16).clamp(self.seconds(1), self.seconds(15))
    }

    /// Looking at an IPL: 3 s growing to 15 s, at most a two-hundredth of what has passed.
    pub fn ipl(self, elapsed: Duration) -> Duration {
        (elapsed / 200).clamp(self.seconds(3), self.seconds(15))
    }

    /// Looking at a submitted job: 2 s growing to 30 s, at most a four-hundredth of what has passed: a whole poll is the
    /// most that it adds to a run.
    pub fn job(self, elapsed: Duration) -> Duration {
        (elapsed / 400).clamp(self.seconds(2), self.seconds(30))
    }

    /// How long the proof of a live connection counts in looks that repeat.
    pub fn proof(self) -> Duration {
        self.seconds(60)
    }

    /// Looking again at a system that did not answer.
    pub fn silence(self) -> Duration {
        self.seconds(10)
    }

    /// How long after a try whose effect cannot be seen the next one may follow. A console or VIOS shows the beginning
    /// of what it accepted well within this time.
    pub fn retry(self) -> Duration {
        self.seconds(60)
    }

    /// As [`Pace::retry`], for effects that are over when the call returns.
    pub fn short_retry(self) -> Duration {
        self.seconds(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_grow_with_the_wait_between_their_bounds() {
        let pace = Pace::default();
        let at = |seconds| Duration::from_secs(seconds);
        let waits = |poll: fn(Pace, Duration) -> Duration| {
            [0, 40, 600, 36_000].map(|s| poll(pace, at(s)).as_secs())
        };
        assert_eq!(waits(Pace::power), [1, 2, 15, 15]);
        assert_eq!(waits(Pace::ipl), [3, 3, 3, 15]);
        assert_eq!(waits(Pace::job), [2, 2, 2, 30]);
    }

    #[test]
    fn one_scale_divides_polls_and_limits() {
        let fast = Pace::new(60.0);
        assert_eq!(fast.seconds(7200), Duration::from_secs(120));
        assert_eq!(fast.array(), Duration::from_secs(2).div_f64(60.0));
        assert_eq!(
            fast.power(Duration::from_secs(99)),
            Duration::from_millis(250)
        );
    }

    #[test]
    fn a_scale_that_is_no_positive_number_is_real_time() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Pace::new(bad), Pace::default());
        }
    }
}

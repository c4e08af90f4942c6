//! A bounded ring of what was said to the devices, redacted; it becomes the run's `devices` log.

use chrono::{DateTime, Utc};
use std::collections::VecDeque;
use std::fmt;
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

/// Who wants to know of each exchange as it happens, without its words.
pub trait Listener: Send + Sync {
    /// A device of this kind was asked something, and has answered or not after so many microseconds.
    fn exchanged(&self, kind: &'static str, microseconds: u64);
}

type Ring = Arc<Mutex<VecDeque<Exchange>>>;

/// What was said to one device, or to all devices of one site together. Passwords and tokens never enter it: callers pass
/// redacted text.
#[derive(Clone)]
pub struct Transcript {
    rings: Vec<Ring>,
    heard_by: Option<(&'static str, Arc<dyn Listener>)>,
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} devices)", self.rings.len())
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self {
            rings: vec![Ring::default()],
            heard_by: None,
        }
    }
}

impl Transcript {
    /// Of one device of this kind; a listener hears of each exchange.
    pub fn heard_by(kind: &'static str, listener: Option<Arc<dyn Listener>>) -> Self {
        Self {
            heard_by: listener.map(|listener| (kind, listener)),
            ..Self::default()
        }
    }
    /// Several devices read as one.
    pub fn joined(parts: &[Transcript]) -> Self {
        Self {
            rings: parts.iter().flat_map(|p| p.rings.iter().cloned()).collect(),
            heard_by: None,
        }
    }
    /// Adds one exchange, to the device this was made for.
    pub fn add(&self, device: &str, request: &str, answer: &str, microseconds: u64) {
        if let Some((kind, listener)) = &self.heard_by {
            listener.exchanged(kind, microseconds);
        }
        let Some(ring) = self.rings.first() else {
            return;
        };
        let exchange = Exchange {
            at: Utc::now(),
            device: device.to_owned(),
            request: cut(request),
            answer: cut(answer),
            microseconds,
        };
        let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= CAPACITY {
            ring.pop_front();
        }
        ring.push_back(exchange);
    }
    /// Everything since a time, oldest first.
    pub fn since(&self, at: DateTime<Utc>) -> Vec<Exchange> {
        let mut all = Vec::new();
        for ring in &self.rings {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(ring.iter().filter(|e| e.at >= at).cloned());
        }
        all.sort_by_key(|e| e.at);
        all
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joined_transcript_reads_all_devices_in_order_and_writes_to_its_own() {
        let (one, two) = (Transcript::default(), Transcript::default());
        let start = Utc::now();
        one.add("hmc", "GET a", "200", 1);
        two.add("svc", "POST b", "200", 1);
        let joined = Transcript::joined(&[one.clone(), two.clone()]);
        let seen: Vec<String> = joined.since(start).into_iter().map(|e| e.device).collect();
        assert_eq!(seen, ["hmc", "svc"]);
        joined.add("hmc", "GET c", "200", 1);
        assert_eq!(one.since(start).len(), 2);
        assert_eq!(two.since(start).len(), 1);
    }

    #[test]
    fn a_listener_hears_of_each_exchange_once_and_of_its_words_nothing() {
        struct Heard(Mutex<Vec<(&'static str, u64)>>);
        impl Listener for Heard {
            fn exchanged(&self, kind: &'static str, microseconds: u64) {
                let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push((kind, microseconds));
            }
        }
        let heard = Arc::new(Heard(Mutex::default()));
        let hmc = Transcript::heard_by("hmc", Some(heard.clone()));
        let joined = Transcript::joined(&[hmc.clone(), Transcript::default()]);
        hmc.add("hmc1", "GET a", "200", 7);
        assert_eq!(joined.since(DateTime::UNIX_EPOCH).len(), 1);
        let heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*heard, [("hmc", 7)]);
    }

    #[test]
    fn long_and_multi_line_texts_are_cut_to_one_line() {
        let transcript = Transcript::default();
        transcript.add("hmc", "a\nb", &"é".repeat(2 * WIDTH), 1);
        let exchange = transcript.since(DateTime::UNIX_EPOCH).remove(0);
        assert_eq!(exchange.request, "a b");
        assert_eq!(exchange.answer.chars().count(), WIDTH + 1);
    }
}

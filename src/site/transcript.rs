//! A bounded ring of what was said to the devices, redacted; it becomes the run's `devices` log.

mod ring;

use chrono::{DateTime, Utc};
use ring::{Reader, Ring};
use std::borrow::Cow;
use std::fmt;
use std::iter::Peekable;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Longest text kept of one request or answer, characters.
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

/// What was said to one device, or to all devices of one site together. Passwords and tokens never enter it: callers pass
/// redacted text.
#[derive(Clone)]
pub struct Transcript {
    rings: Vec<Arc<Ring>>,
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
            rings: vec![Arc::default()],
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
        let full = ring.add(device, &cut(request), &cut(answer), microseconds);
        let Some(full) = full else {
            return;
        };
        let ring = ring.clone();
        let pack = move || ring.pack(&full);
        // Whoever asked the device may hold production suspended: it does not wait for this.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(pack)),
            Err(_) => pack(),
        }
    }
    /// Everything since a time, oldest first, read bit by bit: all of it at once may be megabytes.
    pub fn since(&self, at: DateTime<Utc>) -> Said {
        let readers = self.rings.iter().map(|ring| ring.since(at).peekable());
        Said(readers.collect())
    }
}

/// Exchanges with several devices, in the order of their times.
pub struct Said(Vec<Peekable<Reader>>);

impl Iterator for Said {
    type Item = Exchange;

    fn next(&mut self) -> Option<Exchange> {
        let heads = self.0.iter_mut().enumerate();
        let times = heads.filter_map(|(i, reader)| Some((reader.peek()?.at, i)));
        let (_, first) = times.min()?;
        self.0.get_mut(first)?.next()
    }
}

/// One line, not longer than [`WIDTH`].
fn cut(text: &str) -> Cow<'_, str> {
    let end = text.char_indices().nth(WIDTH).map(|(end, _)| end);
    if end.is_none() && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let kept = &text[..end.unwrap_or(text.len())];
    let mut line = kept.replace(char::is_control, " ");
    if end.is_some() {
        line.push('…');
    }
    Cow::Owned(line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    #[test]
    fn a_joined_transcript_reads_all_devices_in_order_and_writes_to_its_own() {
        let (one, two) = (Transcript::default(), Transcript::default());
        let start = Utc::now();
        one.add("hmc", "GET a", "200", 1);
        two.add("svc", "POST b", "200", 1);
        let joined = Transcript::joined(&[one.clone(), two.clone()]);
        let seen: Vec<String> = joined.since(start).map(|e| e.device).collect();
        assert_eq!(seen, ["hmc", "svc"]);
        joined.add("hmc", "GET c", "200", 1);
        assert_eq!(one.since(start).count(), 2);
        assert_eq!(two.since(start).count(), 1);
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
        assert_eq!(joined.since(DateTime::UNIX_EPOCH).count(), 1);
        let heard = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*heard, [("hmc", 7)]);
    }

    #[test]
    fn long_and_multi_line_texts_are_cut_to_one_line() {
        let transcript = Transcript::default();
        transcript.add("hmc", "a\nb", &"é".repeat(2 * WIDTH), 1);
        let exchange = transcript.since(DateTime::UNIX_EPOCH).next().unwrap();
        assert_eq!(exchange.request, "a b");
        assert_eq!(exchange.answer.chars().count(), WIDTH + 1);
    }

    /// In the operator exchanges are packed on other threads, while devices are asked and logs are read.
    #[tokio::test]
    async fn devices_that_are_asked_while_older_exchanges_are_packed_are_read_whole_and_in_order() {
        let (one, two) = (Transcript::default(), Transcript::default());
        let joined = Transcript::joined(&[one.clone(), two.clone()]);
        for i in 0..2_000 {
            let device = if i % 3 == 0 { &one } else { &two };
            device.add("a", &format!("GET {i}"), &"x".repeat(300), 1);
        }
        let read = || {
            let said = joined.since(DateTime::UNIX_EPOCH).map(|e| e.request);
            said.collect::<Vec<String>>()
        };
        let expected: Vec<String> = (0..2_000).map(|i| format!("GET {i}")).collect();
        assert_eq!(read(), expected);
        let packed = async {
            while joined.rings.iter().any(|ring| ring.held().1 > 0) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let limit = std::time::Duration::from_secs(30);
        tokio::time::timeout(limit, packed).await.unwrap();
        assert_eq!(read(), expected);
    }
}

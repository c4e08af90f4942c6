//! The exchanges of one device, oldest first. The newest are there as they came; older ones are packed, because an operator
//! keeps those of every device of every site, and they say the same things over and over.

use super::Exchange;
use chrono::{DateTime, Utc};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// Exchanges kept at least; the oldest go first, a chunk at a time.
pub(super) const CAPACITY: usize = 4_000;
/// Bytes of exchanges that are packed together, or a little more.
const CHUNK: usize = 8 << 10;
/// Room for one more exchange, so that the buffer of each device does not double for it.
const LAST: usize = 1 << 10;

/// One for all devices: its tables take a third of a megabyte.
static PACKER: LazyLock<Mutex<Compress>> =
    LazyLock::new(|| Mutex::new(Compress::new(Compression::fast(), false)));

/// An exchange as it is written into a chunk.
type Entry<'t> = (DateTime<Utc>, &'t str, &'t str, &'t str, u64);

/// Bounded.
#[derive(Default)]
pub(super) struct Ring(Mutex<State>);

#[derive(Default)]
struct State {
    /// Full ones.
    chunks: VecDeque<Chunk>,
    /// What is not a full chunk yet.
    open: Vec<u8>,
    exchanges_open: usize,
    newest_open: DateTime<Utc>,
    /// Exchanges in full chunks.
    exchanges: usize,
    next: u64,
}

/// Exchanges as JSON, one behind the other; packed or not yet.
#[derive(Clone)]
struct Chunk {
    number: u64,
    bytes: Arc<[u8]>,
    /// Bytes before it was packed; `None` = it is not.
    unpacked: Option<usize>,
    exchanges: usize,
    newest: DateTime<Utc>,
}

/// A full chunk that is not packed yet.
#[must_use]
pub(super) struct Full(u64);

impl Ring {
    /// Adds an exchange that has just been answered. What it fills is to be packed by [`Self::pack`].
    pub(super) fn add(
        &self,
        device: &str,
        request: &str,
        answer: &str,
        microseconds: u64,
    ) -> Option<Full> {
        let mut state = self.lock();
        // Read under the lock: exchanges stand in the order of their times.
        let at = Utc::now();
        let entry: Entry = (at, device, request, answer, microseconds);
        if state.open.capacity() == 0 {
            state.open.reserve_exact(CHUNK + LAST);
        }
        // Plain texts and numbers into memory: this cannot fail.
        let _ = serde_json::to_writer(&mut state.open, &entry);
        state.exchanges_open += 1;
        state.newest_open = state.newest_open.max(at);
        (state.open.len() >= CHUNK).then(|| state.close())
    }

    /// Packs a full chunk. Takes a fraction of a millisecond: not for a thread on which devices wait.
    pub(super) fn pack(&self, full: &Full) {
        let find = |state: &State| state.chunks.iter().position(|c| c.number == full.0);
        let plain = {
            let state = self.lock();
            find(&state).map(|at| state.chunks[at].bytes.clone())
        };
        // Gone already, or it takes more room packed.
        let Some(plain) = plain else { return };
        let Some(packed) = deflated(&plain) else {
            return;
        };
        let mut state = self.lock();
        if let Some(at) = find(&state) {
            state.chunks[at].bytes = packed.into();
            state.chunks[at].unpacked = Some(plain.len());
        }
    }

    /// Everything since a time, oldest first, a chunk in memory at a time.
    pub(super) fn since(&self, at: DateTime<Utc>) -> Reader {
        let state = self.lock();
        let mut chunks: VecDeque<Chunk> = state.chunks.clone();
        chunks.push_back(state.open_chunk());
        drop(state);
        chunks.retain(|chunk| chunk.newest >= at);
        Reader {
            at,
            chunks,
            read: Vec::new().into_iter(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open_chunk(&self) -> Chunk {
        Chunk {
            number: self.next,
            bytes: self.open.as_slice().into(),
            unpacked: None,
            exchanges: self.exchanges_open,
            newest: self.newest_open,
        }
    }

    /// Makes the open chunk a full one, and lets go what is too old.
    fn close(&mut self) -> Full {
        let chunk = self.open_chunk();
        // The next one fills as much.
        self.open.clear();
        (self.exchanges_open, self.newest_open) = (0, DateTime::default());
        self.next += 1;
        self.exchanges += chunk.exchanges;
        let full = Full(chunk.number);
        self.chunks.push_back(chunk);
        while let Some(oldest) = self.chunks.front()
            && self.exchanges - oldest.exchanges >= CAPACITY
        {
            self.exchanges -= oldest.exchanges;
            self.chunks.pop_front();
        }
        full
    }
}

impl Chunk {
    fn read(&self) -> Vec<Exchange> {
        let inflated;
        let bytes = match self.unpacked {
            None => &self.bytes[..],
            Some(size) => {
                inflated = inflated_to(size, &self.bytes);
                inflated.as_slice()
            }
        };
        let entries = serde_json::Deserializer::from_slice(bytes).into_iter();
        // Written by ourselves: all of it is readable.
        let entries = entries.map_while(Result::ok);
        let exchange = |(at, device, request, answer, microseconds)| Exchange {
            at,
            device,
            request,
            answer,
            microseconds,
        };
        entries.map(exchange).collect()
    }
}

/// Exchanges of one device, oldest first.
pub(super) struct Reader {
    at: DateTime<Utc>,
    chunks: VecDeque<Chunk>,
    read: std::vec::IntoIter<Exchange>,
}

impl Iterator for Reader {
    type Item = Exchange;

    fn next(&mut self) -> Option<Exchange> {
        loop {
            match self.read.find(|exchange| exchange.at >= self.at) {
                Some(exchange) => return Some(exchange),
                None => self.read = self.chunks.pop_front()?.read().into_iter(),
            }
        }
    }
}

/// `None` = it would not be smaller.
fn deflated(plain: &[u8]) -> Option<Vec<u8>> {
    let mut packed = Vec::with_capacity(plain.len());
    let mut packer = PACKER.lock().unwrap_or_else(PoisonError::into_inner);
    packer.reset();
    let outcome = packer.compress_vec(plain, &mut packed, FlushCompress::Finish);
    (outcome.ok()? == Status::StreamEnd).then_some(packed)
}

fn inflated_to(size: usize, packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(size);
    // Made by ourselves: all of it is readable.
    let _ = Decompress::new(false).decompress_vec(packed, &mut plain, FlushDecompress::Finish);
    plain
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    impl Ring {
        /// Bytes of exchanges held, and how many full chunks are not packed.
        pub(in crate::site::transcript) fn held(&self) -> (usize, usize) {
            let state = self.lock();
            let full: usize = state.chunks.iter().map(|c| c.bytes.len()).sum();
            let plain = state.chunks.iter().filter(|c| c.unpacked.is_none());
            (full + state.open.capacity(), plain.count())
        }
    }

    /// As a console answers: long, and much the same each time.
    fn answer(i: usize) -> String {
        let system = "<ManagedSystem:ManagedSystem xmlns:ManagedSystem=\"http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/\">";
        format!("200 {system}<PartitionState kb=\"CUR\">running „ä“ \\ {i}</PartitionState>")
    }

    fn fill(ring: &Ring, numbers: std::ops::Range<usize>) {
        for i in numbers {
            if let Some(full) =
                ring.add("hmc1", &format!("GET LogicalPartition/{i}"), &answer(i), 7)
            {
                ring.pack(&full);
            }
        }
    }

    #[test]
    fn what_was_packed_is_read_as_it_was_added() {
        let ring = Ring::default();
        fill(&ring, 0..CAPACITY);
        let read: Vec<Exchange> = ring.since(DateTime::UNIX_EPOCH).collect();
        assert_eq!(read.len(), CAPACITY);
        for (i, exchange) in read.iter().enumerate() {
            assert_eq!(exchange.answer, answer(i));
            assert_eq!(exchange.request, format!("GET LogicalPartition/{i}"));
            assert_eq!(
                (exchange.device.as_str(), exchange.microseconds),
                ("hmc1", 7)
            );
        }
        assert!(read.is_sorted_by_key(|e| e.at));
        let texts: usize = read.iter().map(|e| e.request.len() + e.answer.len()).sum();
        let (held, plain) = ring.held();
        assert_eq!(plain, 0, "all full chunks are packed");
        assert!(held * 4 < texts, "{held} bytes hold {texts}");
    }

    #[test]
    fn the_oldest_go_and_the_newest_four_thousand_never() {
        let ring = Ring::default();
        let all = 3 * CAPACITY;
        fill(&ring, 0..all);
        let kept: Vec<Exchange> = ring.since(DateTime::UNIX_EPOCH).collect();
        assert!(
            (CAPACITY..CAPACITY + 200).contains(&kept.len()),
            "{}",
            kept.len()
        );
        let first = all - kept.len();
        assert_eq!(kept.first().map(|e| e.answer.clone()), Some(answer(first)));
        assert_eq!(kept.last().map(|e| e.answer.clone()), Some(answer(all - 1)));
    }

    #[test]
    fn only_what_came_since_is_read_of_a_packed_chunk() {
        let ring = Ring::default();
        fill(&ring, 0..300);
        let all: Vec<Exchange> = ring.since(DateTime::UNIX_EPOCH).collect();
        let from = all[17].at;
        let expected = all.iter().filter(|e| e.at >= from).count();
        let read: Vec<Exchange> = ring.since(from).collect();
        assert_eq!((read.len(), &read[0].at), (expected, &from));
    }

    #[test]
    fn a_chunk_that_does_not_shrink_stays_as_it_is_and_one_that_is_gone_is_no_error() {
        assert_eq!(deflated(b"a"), None);
        let ring = Ring::default();
        ring.pack(&Full(7));
        fill(&ring, 0..1);
        assert_eq!(ring.since(DateTime::UNIX_EPOCH).count(), 1);
    }
}

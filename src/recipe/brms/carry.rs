//! The save file from clone to production: piece by piece, never whole in memory, and proved by its digest.

use super::errand::There;
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use tokio::sync::mpsc;

/// Pieces that wait between the two connections.
const AHEAD: usize = 8;

/// What was carried.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) bytes: u64,
    pub(super) digest: String,
}

/// Counts and digests what passes.
#[derive(Default)]
struct Meter {
    bytes: u64,
    digest: Sha256,
}

impl Meter {
    fn take(&mut self, piece: &[u8]) {
        self.bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.digest.update(piece);
    }

    fn read(self) -> Carried {
        let mut digest = String::new();
        for byte in self.digest.finalize() {
            // Writing into a String cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        Carried {
            bytes: self.bytes,
            digest,
        }
    }
}

/// Carries the save file of the clone to a stream file of production. It gets its name there only after it was read back
/// and is the same to the byte; what was cut on the way never has it.
///
/// # Errors
/// `Indeterminate` when what arrived is not what was sent; otherwise as either side.
pub(super) async fn carry(
    plan: &Plan,
    clone: There<'_>,
    source: There<'_>,
) -> Result<Carried, DeviceError> {
    let arrival = plan.arrival_path();
    let arriving = plan.arriving_path();
    let sent = pass(clone, &plan.save_file_path(), source, &arriving).await?;
    let arrived = measured(source, &arriving).await?;
    if arrived != sent {
        return Err(DeviceError::indeterminate(
            format!("IBM i {}", source.system.address()),
            format!(
                "{arriving} has {} bytes with SHA-256 {}, sent were {} bytes with {}",
                arrived.bytes, arrived.digest, sent.bytes, sent.digest
            ),
        ));
    }
    source
        .system
        .rename(source.session, &arriving, &arrival)
        .await?;
    Ok(sent)
}

async fn pass(
    from: There<'_>,
    from_path: &str,
    to: There<'_>,
    to_path: &str,
) -> Result<Carried, DeviceError> {
    let (read, mut taken) = mpsc::channel::<Vec<u8>>(AHEAD);
    let (given, written) = mpsc::channel::<Vec<u8>>(AHEAD);
    let relay = async move {
        let mut meter = Meter::default();
        while let Some(piece) = taken.recv().await {
            meter.take(&piece);
            // The writer has given up: its own error says why.
            if given.send(piece).await.is_err() {
                break;
            }
        }
        meter.read()
    };
    let (read, carried, written) = futures::join!(
        from.system.read_pieces(from.session, from_path, read),
        relay,
        to.system.write_pieces(to.session, to_path, written),
    );
    // A writer that gave up makes the reader fail too: its reason comes first.
    written?;
    read?;
    if carried.bytes == 0 {
        return Err(DeviceError::indeterminate(
            format!("IBM i {}", from.system.address()),
            format!("{from_path} was read as empty"),
        ));
    }
    Ok(carried)
}

/// Reads a stream file back.
async fn measured(at: There<'_>, path: &str) -> Result<Carried, DeviceError> {
    let (read, mut taken) = mpsc::channel::<Vec<u8>>(AHEAD);
    let meter = async move {
        let mut meter = Meter::default();
        while let Some(piece) = taken.recv().await {
            meter.take(&piece);
        }
        meter.read()
    };
    let (read, found) = futures::join!(at.system.read_pieces(at.session, path, read), meter);
    read?;
    Ok(found)
}

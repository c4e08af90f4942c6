//! The protocol of the lock Leases, one conditional write at a time, as `controllers::locks` speaks it to the API server.

use super::shared::{KINDS, MemoryLease, Mutation, Shared};
use crate::engine::journal::Journal;
use crate::engine::ports::{Acquired, Locks, StoreError};
use crate::engine::step::LockKind;
use async_trait::async_trait;

/// Gives one lock back and leaves its queue.
pub async fn release(shared: &Shared, kind: LockKind) {
    loop {
        let before = shared.get(kind).await;
        let mut next = before.clone();
        next.queue.retain(|run| *run != shared.run);
        if next.holder == Some(shared.run) {
            next.holder = None;
        }
        if next == before || shared.put(kind, next).await {
            return;
        }
    }
}

impl Shared {
    /// One try; `None` = held by us, else our place in the queue.
    async fn take(&self, kind: LockKind) -> Option<i32> {
        loop {
            let lease = self.get(kind).await;
            if lease.holder == Some(self.run) {
                return None;
            }
            let ahead = self.ahead(&lease).await;
            let free = self.is_free(&lease).await;
            let mut next = lease.clone();
            let waits = !free || !ahead.is_empty();
            if waits {
                next.queue = queued(&lease, &ahead, self.run);
            } else {
                next.queue.retain(|run| *run != self.run);
                next.holder = Some(self.run);
            }
            let place = waits.then(|| i32::try_from(ahead.len() + 1).unwrap_or(i32::MAX));
            if next == lease || self.put(kind, next).await {
                return place;
            }
        }
    }

    async fn ahead(&self, lease: &MemoryLease) -> Vec<usize> {
        let mut alive = Vec::new();
        for other in lease.queue.iter().take_while(|run| **run != self.run) {
            if !self.is_over(*other).await {
                alive.push(*other);
            }
        }
        alive
    }

    async fn is_free(&self, lease: &MemoryLease) -> bool {
        if lease.pinned && self.mutation() != Mutation::PinIgnored {
            return false;
        }
        match lease.holder {
            None => true,
            Some(run) => self.is_over(run).await,
        }
    }

    fn out_of_order(&self) -> bool {
        self.run == 1 && self.mutation() == Mutation::NoOrder
    }
}

/// Whoever came after us stays after us.
fn queued(lease: &MemoryLease, ahead: &[usize], me: usize) -> Vec<usize> {
    let behind = lease.queue.iter().skip_while(|run| **run != me).skip(1);
    ahead
        .iter()
        .copied()
        .chain([me])
        .chain(behind.copied())
        .collect()
}

#[async_trait]
impl Locks for Shared {
    async fn acquire(&self, kinds: &[LockKind]) -> Result<Acquired, StoreError> {
        let mut wanted: Vec<LockKind> = KINDS.into_iter().filter(|k| kinds.contains(k)).collect();
        if self.out_of_order() {
            wanted.reverse();
        }
        let mut taken = Vec::new();
        for kind in wanted {
            let Some(position) = self.take(kind).await else {
                taken.push(kind);
                continue;
            };
            if !self.out_of_order() && self.mutation() != Mutation::NoOrder {
                for kind in taken.into_iter().rev() {
                    release(self, kind).await;
                }
            }
            let blocked_by = format!("{kind:?}");
            return Ok(Acquired::Queued {
                position,
                blocked_by,
            });
        }
        Ok(Acquired::All)
    }

    async fn holds(&self, kind: LockKind) -> Result<bool, StoreError> {
        Ok(self.get(kind).await.holder == Some(self.run))
    }

    async fn lost(&self, kind: LockKind) -> Result<bool, StoreError> {
        let holder = self.get(kind).await.holder;
        let blind = self.mutation() == Mutation::OwedWithoutLock;
        Ok(holder.is_some_and(|run| run != self.run) && !blind)
    }

    async fn borrow(&self, kind: LockKind) -> Result<bool, StoreError> {
        Ok(self.take(kind).await.is_none())
    }

    async fn release(&self, kind: LockKind) -> Result<(), StoreError> {
        release(self, kind).await;
        Ok(())
    }

    async fn own_image(&self) -> Result<Option<String>, StoreError> {
        loop {
            let lease = self.get(LockKind::TargetSet).await;
            if lease.image == Some(self.run) {
                return Ok(None);
            }
            let ours = lease.holder == Some(self.run);
            if !ours && self.mutation() != Mutation::ImageWithoutLock {
                return Err(StoreError::Conflict);
            }
            let next = MemoryLease {
                image: Some(self.run),
                ..lease
            };
            if self.put(LockKind::TargetSet, next).await {
                return Ok(None);
            }
        }
    }

    async fn close_image(&self) -> Result<(), StoreError> {
        loop {
            let lease = self.get(LockKind::TargetSet).await;
            if lease.image.is_none_or(|run| run == self.run) {
                return Ok(());
            }
            if lease.holder != Some(self.run) {
                return Err(StoreError::Conflict);
            }
            let next = MemoryLease {
                image: None,
                ..lease
            };
            if self.put(LockKind::TargetSet, next).await {
                return Ok(());
            }
        }
    }

    async fn disown_image(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn pin_image(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn unpin_image(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn own_partition(&self, _: &Journal) -> Result<(), StoreError> {
        Ok(())
    }
}

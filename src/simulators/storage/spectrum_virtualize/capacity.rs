//! Space: what a copy's changes use, when a pool is full, and what a lost volume does to its mappings
//! (`storage-virtualize.md` §§ 3.3, 3.5, 4).

use super::model::{Array, MapState, Pool, Vdisk};
use crate::simulators::world::World;
use chrono::{DateTime, Utc};

impl Array {
    /// Bytes a volume uses. A thin target: 1 % of its capacity when its copy starts, then by copy-on-write
    /// `growth_per_mille` of it a minute, and by the background copy what that has done; never more than it is large.
    /// After a stop it keeps what it had until the next prepare.
    pub fn used_by(&self, vdisk: &Vdisk, now: DateTime<Utc>) -> u64 {
        if !vdisk.thin {
            return vdisk.capacity;
        }
        let copy = self
            .maps
            .values()
            .find(|m| m.target == vdisk.id)
            .and_then(|m| m.started.map(|since| (m, since)));
        let Some((map, since)) = copy else {
            return vdisk.held;
        };
        let minutes = u64::try_from((now - since).num_minutes()).unwrap_or_default();
        let a_minute = vdisk.capacity / 1000 * self.growth_per_mille;
        let written = vdisk.capacity / 100 + minutes.saturating_mul(a_minute);
        let copied = vdisk.capacity / 100 * u64::from(self.progress(map, now));
        written.max(copied).min(vdisk.capacity)
    }

    /// Bytes used in a pool, thin volumes with what they have grown to.
    pub fn pool_used(&self, pool: &Pool, now: DateTime<Utc>) -> u64 {
        let thin = self.vdisks.values().filter(|v| v.pool == pool.id && v.thin);
        let thin: u64 = thin.map(|v| self.used_by(v, now)).sum();
        pool.used.saturating_add(thin).min(pool.capacity)
    }

    /// Why a volume cannot be used, whatever its mappings say. A full pool takes its thin volumes, a full data
    /// reduction pool all of them.
    pub fn lost(&self, vdisk: &Vdisk, now: DateTime<Utc>) -> Option<String> {
        if vdisk.offline {
            return Some(format!("{} is offline", vdisk.name));
        }
        let pool = self.pools.get(&vdisk.pool)?;
        let takes = vdisk.thin || pool.data_reduction;
        let full = takes && self.pool_used(pool, now) >= pool.capacity;
        full.then(|| format!("pool {} is full", pool.name))
    }

    /// Keeps what a target uses now, for the time when no copy runs.
    pub fn hold(&mut self, target: u32, now: DateTime<Utc>) {
        let used = self.vdisks.get(&target).map(|v| self.used_by(v, now));
        if let (Some(used), Some(vdisk)) = (used, self.vdisks.get_mut(&target)) {
            vdisk.held = used;
        }
    }

    /// A mapping is stopped: its copy is gone, its target offline, and the space of the target still used.
    pub fn stopped(&mut self, map: u32, now: DateTime<Utc>) {
        if let Some(target) = self.maps.get(&map).map(|m| m.target) {
            self.hold(target, now);
        }
        if let Some(map) = self.maps.get_mut(&map) {
            map.state = MapState::Stopped;
            map.until = None;
            map.start_time.clear();
            map.started = None;
        }
    }
}

/// A failed write to its target stops a mapping, a lost source suspends it (§ 3.3). Production writes on: only the copy
/// is lost.
pub(super) fn lose_mappings(world: &mut World) {
    let now = world.now;
    let array = &world.array;
    let gone = |id: u32| {
        let vdisk = array.vdisks.get(&id);
        vdisk.is_some_and(|v| array.lost(v, now).is_some())
    };
    let active = array.maps.values().filter(|m| {
        matches!(
            m.state,
            MapState::Preparing | MapState::Prepared | MapState::Copying
        )
    });
    let lost: Vec<(u32, bool)> = active
        .filter(|m| gone(m.source) || gone(m.target))
        .map(|m| (m.id, gone(m.source)))
        .collect();
    for (id, source) in lost {
        if !source {
            world.array.stopped(id, now);
        } else if let Some(map) = world.array.maps.get_mut(&id) {
            map.state = MapState::Suspended;
            map.until = None;
        }
    }
}

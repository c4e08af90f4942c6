//! State of the array.

use crate::simulators::world::file::UserFile;
use crate::site::Uid;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// States of a map (`storage-virtualize.md` § 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapState {
    /// Never started, or complete.
    IdleOrCopied,
    /// Flushing; ready at the time held by the map.
    Preparing,
    /// Armed.
    Prepared,
    /// The copy exists.
    Copying,
    /// Cleaning for dependants.
    Stopping,
    /// Target offline.
    Stopped,
    /// Lost its bitmap.
    Suspended,
}

impl MapState {
    /// The array's word.
    pub fn as_str(self) -> &'static str {
        match self {
            MapState::IdleOrCopied => "idle_or_copied",
            MapState::Preparing => "preparing",
            MapState::Prepared => "prepared",
            MapState::Copying => "copying",
            MapState::Stopping => "stopping",
            MapState::Stopped => "stopped",
            MapState::Suspended => "suspended",
        }
    }
    /// From the array's word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            MapState::IdleOrCopied,
            MapState::Preparing,
            MapState::Prepared,
            MapState::Copying,
            MapState::Stopping,
            MapState::Stopped,
            MapState::Suspended,
        ]
        .into_iter()
        .find(|s| s.as_str() == word)
    }
    /// Code of a refused `start -prep` in this state: it prepares from the same states as prestart, but a map that copies
    /// says "not started" (§ 3.4).
    pub fn prepared_start_refusal(self) -> &'static str {
        match self {
            MapState::Copying | MapState::Stopping => self.refusals()[1],
            MapState::IdleOrCopied
            | MapState::Preparing
            | MapState::Prepared
            | MapState::Stopped
            | MapState::Suspended => self.refusals()[0],
        }
    }
    /// Codes of a refused (prestart, start, stop, rm) in this state (§ 3.4, § 3.9).
    pub fn refusals(self) -> [&'static str; 4] {
        match self {
            MapState::IdleOrCopied => ["", "CMMVC5905E", "", ""],
            MapState::Preparing => ["CMMVC5901E", "CMMVC5906E", "CMMVC5911E", "CMMVC5896E"],
            MapState::Prepared => ["CMMVC5902E", "", "", "CMMVC5897E"],
            MapState::Copying => ["CMMVC5903E", "CMMVC5907E", "", "CMMVC5898E"],
            MapState::Stopping => ["CMMVC5903E", "CMMVC5907E", "", "CMMVC5898E"],
            MapState::Stopped => ["", "CMMVC5908E", "CMMVC5912E", "CMMVC5899E"],
            MapState::Suspended => ["CMMVC5904E", "CMMVC5909E", "", "CMMVC5900E"],
        }
    }
}

/// A FlashCopy map.
#[derive(Debug, Clone)]
pub struct FcMap {
    /// Id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Source volume id.
    pub source: u32,
    /// Target volume id.
    pub target: u32,
    /// Group id.
    pub group: Option<u32>,
    /// State.
    pub state: MapState,
    /// When preparing or stopping ends.
    pub until: Option<DateTime<Utc>>,
    /// `YYMMDDHHMMSS`, empty when never started or stopped.
    pub start_time: String,
    /// When the copy started, for progress.
    pub started: Option<DateTime<Utc>>,
    /// 0–150.
    pub copy_rate: u8,
    /// 0–150.
    pub clean_rate: u8,
    /// 64 or 256.
    pub grain: u16,
    /// Deletes itself at 100 %.
    pub autodelete: bool,
    /// Keeps both bitmaps.
    pub incremental: bool,
    /// Owned by remote copy.
    pub rc_controlled: bool,
}

/// A consistency group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Disappears with its last map.
    pub autodelete: bool,
}

/// A volume.
#[derive(Debug, Clone)]
pub struct Vdisk {
    /// Id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Storage identity.
    pub uid: Uid,
    /// Bytes.
    pub capacity: u64,
    /// Pool id.
    pub pool: u32,
    /// Space efficient.
    pub thin: bool,
    /// Last I/O, for volume protection.
    pub last_io: Option<DateTime<Utc>>,
    /// Its storage is lost.
    pub offline: bool,
    /// Thin: bytes used while no copy runs onto it.
    pub held: u64,
}

/// A pool.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Bytes.
    pub capacity: u64,
    /// Physical bytes used without the growth of thin targets.
    pub used: u64,
    /// Data reduction pool.
    pub data_reduction: bool,
}

/// A host object.
#[derive(Debug, Clone)]
pub struct Host {
    /// Id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Ports, lower case.
    pub wwpns: Vec<String>,
    /// SCSI id → volume id.
    pub luns: BTreeMap<u32, u32>,
    /// Something that is not simulated uses its volumes all the time.
    pub busy: bool,
}

/// The array.
#[derive(Debug, Clone, Default)]
pub struct Array {
    /// Name.
    pub name: String,
    /// Code level.
    pub level: String,
    /// Users.
    pub users: Vec<UserFile>,
    /// Pools by id.
    pub pools: BTreeMap<u32, Pool>,
    /// Volumes by id.
    pub vdisks: BTreeMap<u32, Vdisk>,
    /// Hosts by id.
    pub hosts: BTreeMap<u32, Host>,
    /// Groups by id.
    pub groups: BTreeMap<u32, Group>,
    /// Maps by id.
    pub maps: BTreeMap<u32, FcMap>,
    /// Minutes; 0 = off.
    pub protection_minutes: u32,
    /// Thousandths of a thin target's capacity that a minute of a copy writes to it.
    pub growth_per_mille: u64,
    /// Token → (user, expiry).
    pub tokens: BTreeMap<String, (String, DateTime<Utc>)>,
    /// Minutes.
    pub token_minutes: u32,
    /// Logins per second before 429; 0 = no limit.
    pub auth_per_second: u32,
    /// Commands per second before 429; 0 = no limit.
    pub commands_per_second: u32,
    /// Counts tokens, so that each is another.
    pub issued: u64,
}

/// Something with an id and a name.
pub trait Named {
    /// Its name.
    fn name(&self) -> &str;
    /// Its id.
    fn id(&self) -> u32;
}

macro_rules! named {
    ($($t:ty),*) => { $(impl Named for $t {

        fn name(&self) -> &str { &self.name }
        fn id(&self) -> u32 { self.id }
    })* };
}
named!(FcMap, Group, Vdisk, Pool, Host);

/// Finds by id (all digits) or name, as the command line does.
pub fn find<'a, T: Named>(objects: &'a BTreeMap<u32, T>, wanted: &str) -> Option<&'a T> {
    match wanted.parse::<u32>() {
        Ok(id) => objects.get(&id),
        Err(_) => objects.values().find(|o| o.name() == wanted),
    }
}

/// Lowest unused id.
pub fn free_id<T>(objects: &BTreeMap<u32, T>) -> u32 {
    (0..)
        .find(|id| !objects.contains_key(id))
        .unwrap_or_default()
}

impl Array {
    /// Maps of a group.
    pub fn members(&self, group: u32) -> Vec<u32> {
        self.maps
            .values()
            .filter(|m| m.group == Some(group))
            .map(|m| m.id)
            .collect()
    }
    /// Whether other maps on the same source have a copy that a stop must clean for (§ 3.4: the array chains them).
    pub fn dependants(&self, map: u32) -> Vec<String> {
        let Some(this) = self.maps.get(&map) else {
            return Vec::new();
        };
        self.maps
            .values()
            .filter(|m| {
                m.id != map
                    && m.source == this.source
                    && m.group != this.group
                    && m.state == MapState::Copying
                    && matches!(this.state, MapState::Copying | MapState::Stopping)
                    && m.started < this.started
            })
            .map(|m| m.name.clone())
            .collect()
    }
    /// State of a group: the common one of its maps; `copying` while they differ and one copies.
    pub fn group_state(&self, group: u32) -> &'static str {
        let states: Vec<MapState> = self
            .maps
            .values()
            .filter(|m| m.group == Some(group))
            .map(|m| m.state)
            .collect();
        let Some(first) = states.first() else {
            return "empty";
        };
        if states.iter().all(|s| s == first) {
            return first.as_str();
        }
        for worst in [
            MapState::Suspended,
            MapState::Stopping,
            MapState::Preparing,
            MapState::Copying,
            MapState::Stopped,
            MapState::Prepared,
        ] {
            if states.contains(&worst) {
                return worst.as_str();
            }
        }
        first.as_str()
    }
    /// Background progress of a map, percent.
    pub fn progress(&self, map: &FcMap, now: DateTime<Utc>) -> u8 {
        if map.state == MapState::IdleOrCopied {
            return if map.start_time.is_empty() { 0 } else { 100 };
        }
        let (Some(started), Some(bytes_per_second)) = (map.started, rate(map.copy_rate)) else {
            return 0;
        };
        let capacity = self
            .vdisks
            .get(&map.source)
            .map_or(1, |v| v.capacity.max(1));
        let seconds = u64::try_from((now - started).num_seconds()).unwrap_or_default();
        u8::try_from(
            (seconds.saturating_mul(bytes_per_second).saturating_mul(100) / capacity).min(100),
        )
        .unwrap_or(100)
    }
    /// Names of hosts a volume is mapped to.
    pub fn hosts_of(&self, vdisk: u32) -> Vec<(u32, &Host)> {
        self.hosts
            .values()
            .flat_map(|h| {
                h.luns
                    .iter()
                    .filter(|(_, v)| **v == vdisk)
                    .map(move |(scsi, _)| (*scsi, h))
            })
            .collect()
    }
}

/// Bytes per second of a background copy rate (§ 3.5); `None` for 0.
fn rate(copy_rate: u8) -> Option<u64> {
    let step = u32::from(copy_rate.checked_sub(1)? / 10);
    Some(128 * 1024 * 2u64.pow(step))
}

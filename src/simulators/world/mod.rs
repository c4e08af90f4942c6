//! One world for all simulated devices: what one does, the others see.
//!
//! The devices keep their own state in their own modules; this module holds what couples them: which image lies on
//! which volume, which system runs on which partition, and the time.

pub mod coupling;
pub mod file;
pub mod special;

use super::faults::Faults;
use super::ledger::Ledger;
use super::{hmc, ibmi, storage::spectrum_virtualize, tape, vios};
use crate::site::Uid;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Number of an image: the content of one system's disks at one time or live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(pub u64);

/// What lies on one volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing, or garbage (a prepared target whose copy never started).
    Garbage,
    /// One part of a system's disks.
    Part {
        /// Which image.
        image: ImageId,
        /// Which disk of it, 0 = load source.
        index: usize,
    },
}

/// How the source was when an image was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// Every ASP suspended at that instant.
    Suspended,
    /// Not suspended; a force write had ended on every ASP after the group was prepared, and nothing was suspended.
    ForceWritten,
    /// Neither.
    Dirty,
    /// The system was powered off.
    PoweredOff,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Partition whose disks were copied.
    pub source: String,
    /// World time of the copy.
    pub at: DateTime<Utc>,
    /// How the source was.
    pub quality: Quality,
}

/// Disks of one system: live (owned by the partition that runs on them) or a copy.
#[derive(Debug, Clone)]
pub struct Image {
    /// What the disks contain: names, addresses, schedules, kit, host keys, files. Never partition id, serial, MAC.
    pub disk: ibmi::DiskState,
    /// How many volumes belong to it.
    pub volumes: usize,
    /// `None` for a system that was installed, not copied.
    pub origin: Option<Origin>,
}

/// The world.
#[derive(Clone)]
pub struct World {
    /// World time of the last `advance`.
    pub now: DateTime<Utc>,
    /// Tells worlds apart that one operator serves.
    pub number: u16,
    /// Timings and knobs.
    pub knobs: file::Knobs,
    /// The array.
    pub array: spectrum_virtualize::Array,
    /// Consoles, managed systems, partitions (hypervisor state).
    pub console: hmc::Consoles,
    /// VIOSes by name.
    pub vioses: BTreeMap<String, vios::Vios>,
    /// IBM i systems by partition name: running state, not disks.
    pub systems: BTreeMap<String, ibmi::System>,
    /// Contents of the volumes.
    pub contents: BTreeMap<Uid, Content>,
    /// Images.
    pub images: BTreeMap<ImageId, Image>,
    /// Partitions that are production: a power command to one is a violation.
    pub sources: Vec<String>,
    /// Volumes of held images, as somebody outside told the world: no device knows of pins.
    pub pinned: BTreeSet<Uid>,
    /// Tape drives and cartridges; volumes listed as to be protected are told from outside.
    pub tapes: tape::Tapes,
    /// Faults that wait.
    pub faults: Faults,
    /// Violations, effects, requests.
    pub ledger: Ledger,
    next_image: u64,
}

impl World {
    /// Moves every device to `now`. Time never runs backwards.
    pub fn advance(&mut self, now: DateTime<Utc>) {
        if now <= self.now {
            return;
        }
        self.now = now;
        spectrum_virtualize::advance(self);
        vios::advance(self);
        hmc::advance(self);
        ibmi::advance(self);
        coupling::disks_used(self);
    }

    /// Adds an image and returns its number.
    pub fn add_image(&mut self, image: Image) -> ImageId {
        self.next_image += 1;
        let id = ImageId(self.next_image);
        self.images.insert(id, image);
        id
    }

    /// Records a violation at the present.
    pub fn violation(&mut self, kind: super::ledger::ViolationKind, text: impl Into<String>) {
        let now = self.now;
        self.ledger.violation(now, kind, text);
    }
}

impl World {
    /// Builds the world a person wrote. Errors name the object and the missing or doubled name.
    ///
    /// # Errors
    /// A text that says which object of the file is wrong and what to write.
    pub fn from_file(file: &file::WorldFile) -> Result<Self, String> {
        let now = file.start.unwrap_or_else(Utc::now);
        let mut world = Self {
            now,
            number: file.number,
            knobs: file.knobs.clone(),
            array: spectrum_virtualize::Array::default(),
            console: hmc::Consoles::default(),
            vioses: BTreeMap::new(),
            systems: BTreeMap::new(),
            contents: BTreeMap::new(),
            images: BTreeMap::new(),
            sources: file.sources.clone(),
            pinned: BTreeSet::new(),
            tapes: tape::Tapes::default(),
            faults: Faults::default(),
            ledger: Ledger::default(),
            next_image: 0,
        };
        for fault in &file.faults {
            world.faults.add(fault.clone());
        }
        spectrum_virtualize::install(&mut world, &file.array)?;
        hmc::install(&mut world, &file.console)?;
        vios::install(&mut world, &file.vioses)?;
        tape::file::install(&mut world, &file.tapes)?;
        ibmi::install(&mut world, &file.systems)?;
        for fault in &file.faults {
            special::check(&world, fault)?;
        }
        Ok(world)
    }

    /// Checks at the end of a test or run: nothing may be left prepared, suspended, logged on; no file left.
    pub fn check_left_behind(&mut self) {
        spectrum_virtualize::check_left_behind(self);
        hmc::check_left_behind(self);
        ibmi::check_left_behind(self);
        tape::check_left_behind(self);
    }

    /// Sessions open at consoles and systems: zero once every client has logged off and the servers have seen it.
    pub fn open_sessions(&self) -> u64 {
        let ssh: u64 = self.systems.values().map(ibmi::System::connections).sum();
        ssh + u64::try_from(self.console.sessions.len()).unwrap_or(u64::MAX)
    }
}

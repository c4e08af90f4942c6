//! Simulated devices: one coupled [`world::World`], pure state machines, and servers on the real wire in front of them.
//!
//! **Everything here is simulated.** Facts come from the protocol pages; what is inferred there is a knob here.
//! A state machine is `fn request(world, command) -> Answer`, not canned answers, and it also says no.

pub mod clock;
pub mod faults;
pub mod hmc;
pub mod ibmi;
pub mod ledger;
pub mod storage;
pub mod tape;
pub mod tls;
pub mod vios;
mod wire;
pub mod world;

use std::sync::{Arc, Mutex, MutexGuard};

/// The world as the servers share it. Requests are short and never wait while they hold it.
#[derive(Clone)]
pub struct Shared {
    world: Arc<Mutex<world::World>>,
    clock: clock::SimulatedClock,
}

impl Shared {
    /// Puts a world behind a clock.
    pub fn new(world: world::World, clock: clock::SimulatedClock) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
        }
    }
    /// Locks the world after moving it to the present of its clock.
    pub fn now(&self) -> MutexGuard<'_, world::World> {
        let mut guard = self
            .world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        guard.advance(self.clock.now());
        guard
    }
    /// The clock, to wait on.
    pub fn clock(&self) -> &clock::SimulatedClock {
        &self.clock
    }
}

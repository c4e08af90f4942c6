//! The second crash matrix (`architecture.md` § 4): two runs that need the same devices, moved by one or two processes each,
//! in every interleaving of their reads and writes of locks and journals, with processes that die in between.
//!
//! The engine is the real one; [`shared`] is the API server and the devices, [`locks`] the protocol of the lock Leases over
//! single conditional writes (as `controllers::locks`, which a real API server tests), [`line`] a short line of steps with
//! effects on every device, [`explore`] goes through all states and [`tests`] says what must hold and what is noticed.

mod explore;
mod line;
mod locks;
mod shared;
mod tests;

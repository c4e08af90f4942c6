//! The crash matrix: the full recipes on the simulated site, with something going wrong at every write and every effect.
//!
//! Unit tests only. Its second part, [`pairs`], is two runs on the same devices.
//!
//! [`stage`] is the site, [`scenario`] runs one combination on it, [`verdict`] judges its end, [`refusing`] lets a system say no again and again, [`tests`] goes through all of them and prints how many there were.

mod cancel;
pub mod controls;
mod faulty;
mod held;
pub mod memory;
mod pairs;
mod refusing;
mod scenario;
mod stage;
mod tests;
mod verdict;

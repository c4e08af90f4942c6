//! The crash matrix: the full recipes on the simulated site, with something going wrong at every write and every effect.
//!
//! Unit tests only. [`scenario`] runs one combination, [`tests`] goes through all of them and prints how many there were.

pub mod controls;
mod faulty;
pub mod memory;
mod scenario;
mod tests;

//! The crash matrix: the full recipes on the simulated site, with something going wrong at every write and every effect.

pub mod controls;
pub mod memory;

#[cfg(test)]
mod faulty;

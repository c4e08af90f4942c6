//! Simulated arrays.

pub mod spectrum_virtualize;

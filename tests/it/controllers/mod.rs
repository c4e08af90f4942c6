//! The controllers on the real API server, with devices that are not there and steps the tests hold and let go.

mod cancel;
mod credentials;
pub mod fakes;
pub mod field;
mod journal;
mod locks;
mod one_partition;
mod opening;
mod rows;
mod target_sets;

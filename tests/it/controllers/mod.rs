//! The controllers on a real and on the embedded API server, with devices that are not there and steps the tests hold and let go.

pub mod cancel;
mod credentials;
pub mod fakes;
pub mod field;
mod journal;
mod locks;
mod one_partition;
mod opening;
mod rows;
mod target_sets;

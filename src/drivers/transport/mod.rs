//! How bytes reach a device.

pub mod ssh;

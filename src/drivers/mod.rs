//! Drivers: the roles of `site` over the devices' real protocols.

pub mod ibmi;
pub mod transport;

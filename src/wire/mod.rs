//! Constants of wire protocols that a driver and its simulator share, so that neither has to import the other.

pub mod ibmi;

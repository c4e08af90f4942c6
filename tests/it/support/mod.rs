//! What tests of several subjects share.

pub mod chart;
pub mod console;
pub mod devices;
pub mod kube;
pub mod proxy;
pub mod pty;
pub mod wait;

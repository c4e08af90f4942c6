//! What tests of several subjects share.

pub mod chart;
pub mod console;
pub mod kube;
pub mod proxy;
pub mod wait;

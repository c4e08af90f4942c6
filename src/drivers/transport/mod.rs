//! How bytes reach a device: HTTPS with the checks an appliance needs, SSH, and the transcript of what was said.

pub mod http;
pub mod latch;
pub mod ssh;
pub mod tls;

pub use crate::site::transcript;

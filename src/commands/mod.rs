//! One file or folder per command of the binary, and what commands share.

pub mod guest;
pub mod kube_stack;

//! One file or folder per command of the binary, and what commands share.

pub mod kube_stack;

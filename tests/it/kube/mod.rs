//! The real control plane the other tests stand on.

mod stack;

//! Moves a run along its line of steps. Knows no Kubernetes, and devices only through `site`.

pub mod drive;
pub mod journal;
pub mod ports;
pub mod step;
pub mod time;

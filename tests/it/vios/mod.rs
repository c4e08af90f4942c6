//! The VIOS driver through the simulated console's CLIRunner over TLS.

mod mapping;
mod placed;
mod renumbered;
mod trouble;

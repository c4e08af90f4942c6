//! The HMC driver against the simulated console over TLS.

mod attachments;
mod logon;
mod power;

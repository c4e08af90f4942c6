//! The HMC driver against the simulated console over TLS.

mod attachments;
mod levels;
mod logon;
mod pinned;
mod power;
mod two_consoles;

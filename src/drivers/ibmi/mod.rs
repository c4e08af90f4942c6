//! The IBM i driver: `site::IbmI` and `site::SourceFreeze` over SSH, for the source and for the clone alike.
//!
//! Control goes through PASE's `system`, data through Qshell's `db2` (`ibmi.md` § 1), suspending through the guest kit's
//! resident helper (`ibmi/CONTRACT.md` § 3). The shell lines are those of `wire::ibmi`.

mod answer;
mod command;
mod files;
mod freeze;
mod freeze_session;
mod helper;
mod host;
mod jobs;
mod logs;
mod probe;
mod query;
mod spool;

pub use freeze::IbmiFreeze;
pub use host::{HostDeadlines, HostOptions, IbmiHost};

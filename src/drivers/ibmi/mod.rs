//! IBM i over a shell: the identity probe, CL through PASE `system`, SQL services through Qshell's `db2`, stream files,
//! and the guest kit's resident helper.
//!
//! The driver speaks to a [`Link`]; over the wire that is [`SshLink`], in the
//! crash matrix the simulated shell without a network. Nothing else differs.

mod exec;
mod freeze;
mod helper;
mod inquiries;
mod jobs;
mod link;
mod logs;
mod marked;
mod messages;
mod pieces;
mod sql;
mod ssh_link;
mod stream_files;
mod system;

pub use freeze::{FreezeOptions, IbmIFreeze};
pub use link::{Chunks, Connection, ExecOutput, LineChannel, Link};
pub use messages::parse_messages;
pub use sql::select_columns;
pub use ssh_link::{IbmiSsh, SshLink};
pub use system::{IbmIDriver, Limits};

//! Bad input and failure, end to end: the operator with its real drivers, on a real API server, against simulated devices
//! on real sockets. Every test asks three things: how the run ends, whether the message names the thing and says what a
//! person can do, and whether the world saw anything that must never happen.

mod cancel;
mod catalogue;
mod credentials;
pub mod end;
mod freeze;
mod preconditions;
mod reach;
pub mod replies;
pub mod save21;
pub mod stage;
pub mod surroundings;
mod the_clone;

//! Bad input and failure on the real API server: it refuses and forgets, objects go while they are needed, one cannot be
//! read, a quota is used up, a clock is wrong.

mod api_server;
mod broken;
mod clock;
mod deleted;
mod namespace;
mod permission;
mod quota;

//! Rules of sessions and effects against a scripted wire, and the parsers against recorded answers.

mod captures;
mod sessions;
pub(in crate::drivers) mod wire;

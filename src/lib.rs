//! Map of the crate; filled as the rooms are.
pub mod api;
pub mod engine;
pub mod recipe;
pub mod site;

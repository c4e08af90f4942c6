//! Runs about the image of another run: end, start-held, release-held, and images that are held or kept.

mod disaster;
mod endings;
mod growth;
mod leases;
pub mod wire;

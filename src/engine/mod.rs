//! Moves a run along its line of steps. Knows no Kubernetes, and devices only through `site`.
//!
//! [`drive`] is one pass, `admission` and `verdict` what stands before an effect and at the end of a run, `cancel` what ends
//! it early; [`decide`] the
//! pure table behind it; [`window`] and `freeze_run` the freeze; [`obligations`] what is met whatever happens; [`journal`]
//! the memory; [`step`] and [`ports`] the borders; [`rules`] the fourteen rules.

mod admission;
mod cancel;
pub mod clock;
pub mod decide;
pub mod drive;
mod freeze_run;
pub mod journal;
pub mod obligations;
pub mod ports;
mod replies;
pub mod rules;
pub mod step;
pub mod time;
mod verdict;
pub mod window;

#[cfg(test)]
mod tests;

//! The rules of the recipes, each with a test of its name.

mod afterwards;
mod await_clone;
mod brms;
mod checks;
mod copy;
mod function;
mod held;
mod lists;
mod logs;
mod news;
mod obligations;
mod parameters;
mod power;
mod save21;
mod settle;
mod surroundings;
mod tell_source;
mod turns;
mod verify;
mod virtual_io;
mod whole;
mod window;

use super::fakes::{World, plan};
use super::steps;
use crate::engine::step::Step;
use std::sync::Arc;

/// One step of the sample plan.
fn step(function: &str, name: &str, world: &World) -> Box<dyn Step> {
    step_of(&Arc::new(plan(function)), name, world)
}

fn step_with(plan: super::Plan, name: &str, world: &World) -> Box<dyn Step> {
    step_of(&Arc::new(plan), name, world)
}

fn step_of(plan: &Arc<super::Plan>, name: &str, world: &World) -> Box<dyn Step> {
    steps::step(name, plan, &world.sink()).expect("a step of this name")
}

//! What the environment adds to a recipe's own list: further programs of function USER, hooks, and what becomes of clone
//! and image. The list of a run is made of its frozen environment alone, so every later operator makes the same one.

use super::plan::Plan;
use crate::api::options::Function;
use crate::api::run::RunMode;
use crate::api::surroundings::{AfterClone, AfterImage, HookPoint};

/// Most steps of one kind: the schema's bound on programs and on hooks.
const MOST: usize = 16;

/// `NAME`, `NAME-2` … `NAME-16`.
macro_rules! numbered {
    ($name:literal) => {
        [
            $name,
            concat!($name, "-2"),
            concat!($name, "-3"),
            concat!($name, "-4"),
            concat!($name, "-5"),
            concat!($name, "-6"),
            concat!($name, "-7"),
            concat!($name, "-8"),
            concat!($name, "-9"),
            concat!($name, "-10"),
            concat!($name, "-11"),
            concat!($name, "-12"),
            concat!($name, "-13"),
            concat!($name, "-14"),
            concat!($name, "-15"),
            concat!($name, "-16"),
        ]
    };
}

const PROGRAMS: [&str; MOST] = numbered!("run-function");
const BEFORE_FREEZE: [&str; MOST] = numbered!("before-freeze");
const AFTER_RESUME: [&str; MOST] = numbered!("after-resume");
const CLONE_READY: [&str; MOST] = numbered!("clone-ready");
const BEFORE_FUNCTION: [&str; MOST] = numbered!("before-function");
const AFTER_FUNCTION: [&str; MOST] = numbered!("after-function");
const AFTER_HISTORY: [&str; MOST] = numbered!("after-history");
const ALWAYS: [&str; MOST] = numbered!("always");

const POINTS: [HookPoint; 7] = [
    HookPoint::BeforeFreeze,
    HookPoint::AfterResume,
    HookPoint::CloneReady,
    HookPoint::BeforeFunction,
    HookPoint::AfterFunction,
    HookPoint::AfterHistory,
    HookPoint::Always,
];

fn names(point: HookPoint) -> &'static [&'static str; MOST] {
    match point {
        HookPoint::BeforeFreeze => &BEFORE_FREEZE,
        HookPoint::AfterResume => &AFTER_RESUME,
        HookPoint::CloneReady => &CLONE_READY,
        HookPoint::BeforeFunction => &BEFORE_FUNCTION,
        HookPoint::AfterFunction => &AFTER_FUNCTION,
        HookPoint::AfterHistory => &AFTER_HISTORY,
        HookPoint::Always => &ALWAYS,
    }
}

/// The image ends with this step of the run itself (`after.image: End`).
pub const END_OF_IMAGE: &str = "end-copy";
/// The clone is switched off with this step of the run itself (`after.clone: PowerOff`).
pub const END_OF_PARTITION: &str = "power-off-clone";

/// Row and logs are put on production with this step, the last one (`logs.onSource`).
pub const TELL_SOURCE: &str = "tell-source";

/// Place of the program that a step of this name calls, counting from 0.
pub fn program_at(name: &str) -> Option<usize> {
    PROGRAMS.iter().position(|n| *n == name)
}

/// Point of the hook that a step of this name calls.
pub(super) fn point_of(name: &str) -> Option<HookPoint> {
    POINTS
        .into_iter()
        .find(|point| names(*point).contains(&name))
}

/// Names of the steps of the plan's programs or control groups, in order.
pub(super) fn program_steps(plan: &Plan) -> &'static [&'static str] {
    PROGRAMS.get(..plan.function_jobs()).unwrap_or(&PROGRAMS)
}

/// The hooks of a point in order: name of the step, place in the environment's list.
pub(super) fn hooks_at(plan: &Plan, point: HookPoint) -> Vec<(&'static str, usize)> {
    let hooks = plan.hooks.iter().enumerate();
    let places = hooks.filter(|(_, h)| h.at == point).map(|(place, _)| place);
    names(point).iter().copied().zip(places).collect()
}

/// Point, name and place of the hook that a step of this name calls.
pub(super) fn hook_of(plan: &Plan, name: &str) -> Option<(HookPoint, &'static str, usize)> {
    POINTS.into_iter().find_map(|point| {
        let mut hooks = hooks_at(plan, point).into_iter();
        let (step, place) = hooks.find(|(step, _)| *step == name)?;
        Some((point, step, place))
    })
}

/// The steps after settle, in order.
fn afterwards(plan: &Plan) -> Vec<&'static str> {
    let off = match plan.after.clone {
        AfterClone::PowerOff => true,
        AfterClone::KeepRunning => false,
    };
    match (plan.after.image, off) {
        (AfterImage::End, true) => vec![END_OF_PARTITION, "unmap-after", END_OF_IMAGE],
        // Only of a full copy: the clone keeps its disks, and only the relation ends.
        (AfterImage::End, false) => vec![END_OF_IMAGE],
        (AfterImage::Keep, true) => vec![END_OF_PARTITION],
        (AfterImage::Keep, false) => Vec::new(),
    }
}

/// The whole list of a run, from the list of its recipe.
pub(super) fn surround(recipe: &[&'static str], plan: &Plan) -> Vec<&'static str> {
    if plan.mode != RunMode::Clone {
        return recipe.to_vec();
    }
    let at = |point| hooks_at(plan, point).into_iter().map(|(name, _)| name);
    let mut list = Vec::new();
    for name in recipe.iter().copied() {
        match name {
            "prepare-copy" => list.extend(at(HookPoint::BeforeFreeze)),
            // BRMS begins to save behind the hooks of this point, and ends before those behind the function.
            "begin-backup" => list.extend(at(HookPoint::BeforeFunction)),
            "run-function" if plan.function != Function::Brms => {
                list.extend(at(HookPoint::BeforeFunction));
            }
            "settle" => list.extend(at(HookPoint::Always)),
            _ => {}
        }
        list.push(name);
        match name {
            "resume-source" => {
                list.extend(at(HookPoint::AfterResume));
                if plan.function == Function::Hold && plan.after.map {
                    list.push("map-volumes");
                }
            }
            // SAVE21 has saved before this: only from here on is there a network for its hooks.
            "await-clone" if plan.function == Function::Save21 => {
                list.extend(at(HookPoint::CloneReady));
                list.extend(at(HookPoint::AfterFunction));
            }
            "await-clone" => list.extend(at(HookPoint::CloneReady)),
            "run-function" if plan.function == Function::Save21 => {}
            "run-function" => {
                list.extend(program_steps(plan).iter().skip(1));
                if plan.function != Function::Brms {
                    list.extend(at(HookPoint::AfterFunction));
                }
            }
            "end-backup" => list.extend(at(HookPoint::AfterFunction)),
            "return-history" => list.extend(at(HookPoint::AfterHistory)),
            "settle" => list.extend(afterwards(plan)),
            _ => {}
        }
    }
    list.extend(plan.logs.on_source.as_ref().map(|_| TELL_SOURCE));
    list
}

/// What the list's name says of it behind the recipe's own name: how many programs and hooks of each point, and what
/// comes after. Empty for a run without surroundings.
pub(super) fn suffix(plan: &Plan) -> String {
    if plan.mode != RunMode::Clone {
        return String::new();
    }
    let mut text = String::new();
    if plan.function_jobs() > 1 {
        text.push_str(&format!("-p{}", plan.function_jobs()));
    }
    for point in POINTS {
        match hooks_at(plan, point).len() {
            0 => {}
            count => text.push_str(&format!("-{}{count}", names(point)[0])),
        }
    }
    if plan.after.map {
        text.push_str("-map");
    }
    let last = plan.logs.on_source.as_ref().map(|_| TELL_SOURCE);
    for name in afterwards(plan).into_iter().chain(last) {
        text.push('-');
        text.push_str(name);
    }
    text
}

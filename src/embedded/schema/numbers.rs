//! Limits of numbers.

use super::cause;
use super::check::{bits, schema_path};
use super::formats::Format;
use super::node::{Node, Type};
use super::path::Path;
use crate::embedded::refusal::Cause;
use serde_json::{Number, Value};

/// Checks range, factor, minimum and maximum.
pub fn check(node: &Node, number: &Number, path: &Path<'_>, causes: &mut Vec<Cause>) {
    let value = Value::Number(number.clone());
    let Some(float) = number.as_f64() else {
        return;
    };
    if let Some(words) = out_of_range(node, number) {
        // The real server names the field only in its words.
        let detail = format!("Checked value must be of type {words} in {}", path.words());
        causes.push(cause::invalid_text("<nil>".to_owned(), "", &detail));
    }
    let mut say = |should: String| {
        let detail = format!("{} in body should {should}", path.words());
        causes.push(cause::invalid(schema_path(path), &value, &detail));
    };
    let limits = &node.limits;
    if let Some(factor) = limits.multiple_of.filter(|f| (float / f).fract() != 0.0) {
        say(format!("be a multiple of {factor}"));
    }
    match limits.minimum {
        Some((min, true)) if float <= min => say(format!("be greater than {min}")),
        Some((min, false)) if float < min => say(format!("be greater than or equal to {min}")),
        Some(_) | None => {}
    }
    match limits.maximum {
        Some((max, true)) if float >= max => say(format!("be less than {max}")),
        Some((max, false)) if float > max => say(format!("be less than or equal to {max}")),
        Some(_) | None => {}
    }
}

fn out_of_range(node: &Node, number: &Number) -> Option<&'static str> {
    let within = |min: f64, max: f64| number.as_f64().is_some_and(|f| f >= min && f <= max);
    match (node.type_, bits(node.format)) {
        (Type::Integer, Some(Format::Int32)) => (number.as_i64().is_none()
            || !within(i32::MIN.into(), i32::MAX.into()))
        .then_some("integer with format int32"),
        (Type::Integer, Some(_)) => {
            (number.as_i64().is_none()).then_some("integer with format int64")
        }
        (Type::Integer, None) => number
            .as_i64()
            .is_none()
            .then_some("integer (default format)"),
        (Type::Number, Some(Format::Float)) => {
            (!within(f32::MIN.into(), f32::MAX.into())).then_some("number with format float")
        }
        (Type::Number, Some(_) | None)
        | (
            Type::Any
            | Type::Object
            | Type::Array
            | Type::String
            | Type::Boolean
            | Type::IntOrString,
            _,
        ) => None,
    }
}

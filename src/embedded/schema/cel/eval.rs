//! One place's rules on one value.

use super::Before;
use super::compile::{Reason, Rule};
use super::value::cel;
use crate::embedded::refusal::Cause;
use crate::embedded::schema::cause;
use crate::embedded::schema::formats;
use crate::embedded::schema::node::{Node, Type};
use crate::embedded::schema::path::Path;
use kube_cel::KubeCelExt as _;
use kube_cel::cel::extractors::This;
use kube_cel::cel::objects::OptionalValue;
use kube_cel::cel::{Context, ExecutionError, ResolveResult, Value as Cel};
use regex::Regex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// More patterns than this are of data, not of rules: they are not kept.
const PATTERNS: usize = 1024;
/// A computed message may have as many bytes.
const MESSAGE: usize = 5 * 1024;

static COMPILED: LazyLock<RwLock<HashMap<String, Regex>>> = LazyLock::new(RwLock::default);

thread_local! {
    // A context is not shared between threads; it is filled once per thread, not per rule.
    static FUNCTIONS: Context<'static> = functions();
}

fn functions() -> Context<'static> {
    let mut context = Context::default().with_all();
    context.add_function("matches", matches);
    context.add_function("type", type_of);
    for name in TYPES {
        context.add_variable_from_value(name, Cel::from(name));
    }
    context
}

/// Types by name, for `type(self) == int`; the interpreter has none.
const TYPES: [&str; 8] = [
    "bool", "int", "uint", "double", "string", "bytes", "list", "map",
];

fn type_of(value: Cel) -> ResolveResult {
    let name = match value {
        Cel::Bool(_) => "bool",
        Cel::Int(_) => "int",
        Cel::UInt(_) => "uint",
        Cel::Float(_) => "double",
        Cel::String(_) => "string",
        Cel::Bytes(_) => "bytes",
        Cel::List(_) => "list",
        Cel::Map(_) => "map",
        Cel::Null => "null_type",
        Cel::Timestamp(_) => "google.protobuf.Timestamp",
        Cel::Duration(_) => "google.protobuf.Duration",
        Cel::Function(..) | Cel::Opaque(_) => "opaque",
    };
    Ok(Cel::from(name))
}

fn matches(This(text): This<Arc<String>>, pattern: Arc<String>) -> Result<bool, ExecutionError> {
    let known = COMPILED.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = known.get(pattern.as_str()) {
        return Ok(regex.is_match(&text));
    }
    drop(known);
    let regex = formats::regex(&pattern)
        .map_err(|e| ExecutionError::function_error("matches", e.to_string()))?;
    let found = regex.is_match(&text);
    let mut known = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() < PATTERNS {
        known.insert(pattern.to_string(), regex);
    }
    Ok(found)
}

/// Runs the rules of `node` itself.
pub fn run(
    node: &Node,
    value: &Value,
    before: Before<'_>,
    path: &Path<'_>,
    causes: &mut Vec<Cause>,
) {
    let counts = |rule: &&Rule| match rule.looks_back {
        true => before.value.is_some() || rule.optional_old,
        // Its failure would be forgiven.
        false => !before.unchanged,
    };
    let mut rules = node.rules.rules.iter().filter(counts).peekable();
    if rules.peek().is_none() {
        return;
    }
    let reads = &node.rules.reads;
    FUNCTIONS.with(|functions| {
        let mut scope = functions.new_inner_scope();
        scope.add_variable_from_value("self", cel(node, value, reads, path.is_root()));
        let old = before.value.map(|o| cel(node, o, reads, path.is_root()));
        if let Some(old) = &old {
            scope.add_variable_from_value("oldSelf", old.clone());
        }
        for rule in rules {
            let failed = match rule.optional_old {
                true => {
                    let mut inner = scope.new_inner_scope();
                    let old = old
                        .clone()
                        .map_or_else(OptionalValue::none, OptionalValue::of);
                    inner.add_variable_from_value("oldSelf", Cel::Opaque(Arc::new(old)));
                    outcome(rule, node, &inner, path)
                }
                false => outcome(rule, node, &scope, path),
            };
            match failed {
                Ok(true) => {
                    #[cfg(test)]
                    super::seen::accepted(rule);
                }
                Ok(false) => causes.push(failure(rule, value, &scope, path)),
                Err(cause) => causes.push(cause),
            }
        }
    });
}

fn outcome(rule: &Rule, node: &Node, scope: &Context<'_>, path: &Path<'_>) -> Result<bool, Cause> {
    let broken = |words: String| {
        let type_ = match node.type_ {
            Type::IntOrString => "",
            Type::Any
            | Type::Object
            | Type::Array
            | Type::String
            | Type::Integer
            | Type::Number
            | Type::Boolean => node.type_.name(),
        };
        cause::invalid_text(path.name(), type_, &words)
    };
    match rule.program.execute(scope) {
        Ok(Cel::Bool(good)) => Ok(good),
        Ok(_) => Err(broken(format!(
            "rule does not evaluate to true or false: {}",
            rule.words
        ))),
        Err(error) => Err(broken(match error {
            ExecutionError::NoSuchOverload => format!(
                "'no such overload': call arguments did not match a supported operator, function or macro signature for \
                 rule: {}",
                rule.words
            ),
            ExecutionError::NoSuchKey(key) => {
                format!("no such key: {key} evaluating rule: {}", rule.words)
            }
            ExecutionError::IndexOutOfBounds(Cel::Int(index)) => {
                format!(
                    "index out of bounds: {index} evaluating rule: {}",
                    rule.words
                )
            }
            ExecutionError::DivisionByZero(_) => {
                format!("division by zero evaluating rule: {}", rule.words)
            }
            ExecutionError::Overflow(..) => {
                format!("integer overflow evaluating rule: {}", rule.words)
            }
            other => format!("{other} evaluating rule: {}", rule.words),
        })),
    }
}

fn failure(rule: &Rule, value: &Value, scope: &Context<'_>, path: &Path<'_>) -> Cause {
    let detail = computed(rule, scope).unwrap_or_else(|| rule.message.clone());
    let field = match (rule.field.as_str(), path.is_root()) {
        ("", _) => path.name(),
        (below, true) => below.strip_prefix('.').unwrap_or(below).to_owned(),
        // The real server appends the path as one field, behind a dot in any case.
        (below, false) => format!(
            "{}.{}",
            path.name(),
            below.strip_prefix('.').unwrap_or(below)
        ),
    };
    let whole = value.is_object() || value.is_array();
    match (rule.reason, whole) {
        (Reason::Forbidden, _) => cause::forbidden(field, &detail),
        (Reason::Required, _) => cause::required(field, &detail),
        (Reason::Duplicate, true) => cause::duplicate_whole(field),
        (Reason::Duplicate, false) => cause::duplicate(field, value),
        (Reason::Invalid, true) => cause::invalid_whole(field, &detail),
        (Reason::Invalid, false) => cause::invalid(field, value, &detail),
    }
}

/// The computed message, unless it cannot be used: then the fixed one is.
fn computed(rule: &Rule, scope: &Context<'_>) -> Option<String> {
    let Ok(Cel::String(text)) = rule.message_program.as_ref()?.execute(scope) else {
        return None;
    };
    let text = text.trim();
    let usable = !text.is_empty() && !text.contains('\n') && text.len() <= MESSAGE;
    usable.then(|| text.to_owned())
}

//! The texts of the real server for one invalid field: what was wrong, the value, the detail.

use super::path::Path;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::{Cause, Refusal};
use serde_json::{Value, json};

const INVALID: &str = "FieldValueInvalid";
const TYPE_INVALID: &str = "FieldValueTypeInvalid";
const REQUIRED: &str = "FieldValueRequired";
const NOT_SUPPORTED: &str = "FieldValueNotSupported";
const TOO_LONG: &str = "FieldValueTooLong";
const TOO_MANY: &str = "FieldValueTooMany";
const DUPLICATE: &str = "FieldValueDuplicate";
const FORBIDDEN: &str = "FieldValueForbidden";

/// The answer 422 that carries `causes`: what was invalid, as one line and as details.
pub fn refusal(kind: &Kind, name: &str, causes: Vec<Cause>) -> Refusal {
    let qualified = if kind.group.is_empty() {
        kind.kind.clone()
    } else {
        format!("{}.{}", kind.kind, kind.group)
    };
    let mut texts: Vec<String> = Vec::new();
    for cause in &causes {
        let text = format!("{}: {}", cause.field, cause.message);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let list = match texts.as_slice() {
        [one] => one.clone(),
        more => format!("[{}]", more.join(", ")),
    };
    let message = format!("{qualified} \"{name}\" is invalid: {list}");
    let mut refusal = Refusal::new(422, "Invalid", message);
    refusal.details = json!({"kind": kind.kind});
    if !name.is_empty() {
        refusal.details["name"] = json!(name);
    }
    if !kind.group.is_empty() {
        refusal.details["group"] = json!(kind.group);
    }
    refusal.causes = causes;
    refusal
}

/// Whether rules are not looked at after this cause: they could not rely on the object's shape.
pub fn blocks_rules(cause: &Cause) -> bool {
    [NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID].contains(&cause.reason)
}

/// What is added when rules were not looked at.
pub fn rules_not_checked() -> Cause {
    let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                  complete validation";
    invalid(Path::ROOT.name(), &Value::Null, detail)
}

/// `Invalid value: <json>: detail`.
pub fn invalid(field: String, value: &Value, detail: &str) -> Cause {
    invalid_shown(field, &shown(value), detail)
}

/// `Invalid value: "text": detail`.
pub fn invalid_text(field: String, value: &str, detail: &str) -> Cause {
    invalid_shown(field, &quoted(value), detail)
}

/// `Invalid value: …: detail` with a value that was made readable already.
pub fn invalid_shown(field: String, shown: &str, detail: &str) -> Cause {
    let message = format!("Invalid value: {shown}: {detail}");
    of(field, INVALID, message)
}

/// `Invalid value: detail`: objects and lists are not repeated.
pub fn invalid_whole(field: String, detail: &str) -> Cause {
    of(field, INVALID, format!("Invalid value: {detail}"))
}

/// `Invalid value: "string": spec.x in body must be of type boolean: "string"`.
pub fn wrong_type(field: String, found: &str, detail: &str) -> Cause {
    of(
        field,
        TYPE_INVALID,
        format!("Invalid value: {}: {detail}", quoted(found)),
    )
}

/// `Required value`, with or without a detail.
pub fn required(field: String, detail: &str) -> Cause {
    of(field, REQUIRED, with_detail("Required value", detail))
}

/// `Forbidden`, with or without a detail.
pub fn forbidden(field: String, detail: &str) -> Cause {
    of(field, FORBIDDEN, with_detail("Forbidden", detail))
}

/// `Unsupported value: "x": supported values: "A", "B"`.
pub fn unsupported<'a>(
    field: String,
    value: &Value,
    allowed: impl IntoIterator<Item = &'a Value>,
) -> Cause {
    let allowed: Vec<String> = allowed
        .into_iter()
        .map(|v| match v {
            Value::String(text) => quoted(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => quoted(&json_text(v)),
        })
        .collect();
    let detail = format!("supported values: {}", allowed.join(", "));
    of(
        field,
        NOT_SUPPORTED,
        format!("Unsupported value: {}: {detail}", shown(value)),
    )
}

/// `Too long: may not be more than 10 bytes`; also where characters are counted.
pub fn too_long(field: String, max: i64) -> Cause {
    let unit = if max == 1 { "byte" } else { "bytes" };
    of(
        field,
        TOO_LONG,
        format!("Too long: may not be more than {max} {unit}"),
    )
}

/// `Too many: 9: must have at most 8 items`.
pub fn too_many(field: String, found: usize, max: i64) -> Cause {
    let unit = if max == 1 { "item" } else { "items" };
    of(
        field,
        TOO_MANY,
        format!("Too many: {found}: must have at most {max} {unit}"),
    )
}

/// `Duplicate value: <json>`.
pub fn duplicate(field: String, value: &Value) -> Cause {
    of(
        field,
        DUPLICATE,
        format!("Duplicate value: {}", shown(value)),
    )
}

/// `Duplicate value`: objects and lists are not repeated.
pub fn duplicate_whole(field: String) -> Cause {
    of(field, DUPLICATE, "Duplicate value".to_owned())
}

fn of(field: String, reason: &'static str, message: String) -> Cause {
    Cause {
        field,
        reason,
        message,
    }
}

fn with_detail(what: &str, detail: &str) -> String {
    if detail.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {detail}")
    }
}

/// A value inside a message.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            json_text(value)
        }
    }
}

/// JSON in one line; three characters are escaped because the server may be read by a browser.
fn json_text(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// A string as Go prints it with `%q`.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                out.push_str(&format!("\\x{:02x}", c as u32))
            }
            c if c.is_control() || c == '\u{feff}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

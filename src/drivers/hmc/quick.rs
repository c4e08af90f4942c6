//! The console's flat "quick" JSON: numbers with exponents, booleans as strings, nulls, one blank for nothing
//! (`hmc.md` § 1.7).

use serde_json::{Map, Value};

/// One flat object.
pub(super) type Quick = Map<String, Value>;

/// The objects of an answer: an array, one object, or nothing (204). `None` when it is no JSON.
pub(super) fn objects(body: &str) -> Option<Vec<Quick>> {
    if body.trim().is_empty() {
        return Some(Vec::new());
    }
    match serde_json::from_str(body).ok()? {
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::Object(object) => Some(object),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => None,
            })
            .collect(),
        Value::Object(object) => Some(vec![object]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Text of a field, trimmed; `None` for null, missing or blank.
pub(super) fn text(object: &Quick, key: &str) -> Option<String> {
    let shown = match object.get(key)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!shown.is_empty()).then_some(shown)
}

/// Whole number of a field, also from `2E+1` or from text.
pub(super) fn whole(object: &Quick, key: &str) -> Option<i32> {
    let number = match object.get(key)? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse::<f64>().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let fits = number.fract() == 0.0 && number >= 0.0 && number <= f64::from(i32::MAX);
    // The range was just checked, so nothing is cut.
    fits.then_some(number as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exponents_strings_nulls_and_blanks_are_read() {
        let body = r#"[{"PartitionID":2E+1,"N":"17","State":" ","A":null,"B":"true","C":1.5,"Name":" x "}]"#;
        let objects = objects(body).unwrap();
        let one = &objects[0];
        assert_eq!(whole(one, "PartitionID"), Some(20));
        assert_eq!(whole(one, "N"), Some(17));
        assert_eq!(whole(one, "C"), None);
        assert_eq!(text(one, "State"), None);
        assert_eq!(text(one, "A"), None);
        assert_eq!(text(one, "B").as_deref(), Some("true"));
        assert_eq!(text(one, "Name").as_deref(), Some("x"));
    }

    #[test]
    fn an_empty_body_is_an_empty_list_and_html_is_no_list() {
        assert_eq!(objects(" \n"), Some(Vec::new()));
        assert_eq!(objects("<html>login</html>"), None);
        assert_eq!(objects("\"running\""), None);
    }

    proptest! {
        #[test]
        fn no_body_crashes_the_parser(body in ".{0,200}") {
            let _ = objects(&body);
        }
    }
}

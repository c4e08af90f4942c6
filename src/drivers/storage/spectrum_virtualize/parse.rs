//! Rows to types. Every value is a string, unknown is `""`; shapes vary by level (§ 1.5).

use crate::site::CopyPhase;
use serde_json::Value;

/// A FlashCopy map as `lsfcmap` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FcMap {
    pub name: String,
    pub source: String,
    pub target: String,
    pub group: String,
    pub status: String,
    pub phase: CopyPhase,
    pub progress: u8,
    pub copy_rate: u8,
    pub start_time: String,
    pub rc_controlled: bool,
}

/// A cell as text, whatever its type; absent = empty.
pub fn text(row: &Value, key: &str) -> String {
    match row.get(key) {
        Some(Value::String(s)) => s.trim().to_owned(),
        Some(Value::Number(n)) => n.to_string(),
        Some(Value::Bool(b)) => b.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// A cell as bytes; empty or a text with a unit = `None` (we always ask with `bytes`).
pub fn bytes(row: &Value, key: &str) -> Option<u64> {
    text(row, key).parse().ok()
}

/// Rows of any answer shape: array, single object, array of one, nothing.
pub fn rows(body: &str) -> Result<Vec<Value>, String> {
    if body.trim().is_empty() {
        return Ok(Vec::new());
    }
    match serde_json::from_str::<Value>(body) {
        Ok(Value::Array(rows)) => Ok(rows),
        Ok(object @ Value::Object(_)) => Ok(vec![object]),
        Ok(Value::Null) => Ok(Vec::new()),
        Ok(other) => Err(format!("rows expected, got {other}")),
        Err(error) => Err(format!("no JSON: {error}")),
    }
}

/// The array's word for a state.
pub fn phase(status: &str) -> Option<CopyPhase> {
    Some(match status {
        "empty" => CopyPhase::Empty,
        "idle_or_copied" => CopyPhase::Idle,
        "preparing" => CopyPhase::Preparing,
        "prepared" => CopyPhase::Prepared,
        "copying" => CopyPhase::Copying,
        "stopping" => CopyPhase::Stopping,
        "stopped" => CopyPhase::Stopped,
        "suspended" => CopyPhase::Suspended,
        _ => return None,
    })
}

/// One row of `lsfcmap`. A row without its key fields is an error: an unknown state is never a state.
pub fn fc_map(row: &Value) -> Result<FcMap, String> {
    let name = text(row, "name");
    let status = text(row, "status");
    let phase = phase(&status)
        .ok_or_else(|| format!("mapping {name} is in the unknown state {status:?}"))?;
    if name.is_empty()
        || text(row, "source_vdisk_name").is_empty()
        || text(row, "target_vdisk_name").is_empty()
    {
        return Err(format!("a mapping without name, source or target: {row}"));
    }
    Ok(FcMap {
        source: text(row, "source_vdisk_name"),
        target: text(row, "target_vdisk_name"),
        group: text(row, "group_name"),
        phase,
        progress: text(row, "progress").parse().unwrap_or(0),
        copy_rate: text(row, "copy_rate").parse().unwrap_or(0),
        start_time: text(row, "start_time"),
        rc_controlled: text(row, "rc_controlled") == "yes",
        name,
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_answer_shape_becomes_rows() {
        assert_eq!(rows("").unwrap().len(), 0);
        assert_eq!(rows("null").unwrap().len(), 0);
        assert_eq!(rows("[]").unwrap().len(), 0);
        assert_eq!(rows(r#"{"id":"1"}"#).unwrap().len(), 1);
        assert_eq!(rows(r#"[{"id":"1"},{"id":"2"}]"#).unwrap().len(), 2);
        assert!(rows("<html>").is_err());
        assert!(rows("3").is_err());
    }

    #[test]
    fn an_unknown_state_is_an_error_and_never_a_state() {
        let row = json!({"name": "m", "source_vdisk_name": "a", "target_vdisk_name": "b", "status": "dreaming"});
        assert!(fc_map(&row).unwrap_err().contains("dreaming"));
    }

    #[test]
    fn recorded_answers_parse() {
        let Some(captures) = crate::drivers::captures("storage-virtualize/rest") else {
            return;
        };
        for file in [
            "lsfcmap_object_copying_in_group.json",
            "lsfcmap_object_idle_in_group.json",
            "lsfcmap_object_idle_standalone.json",
        ] {
            let body = std::fs::read_to_string(captures.join(file)).unwrap();
            for row in rows(&body).unwrap() {
                let map = fc_map(&row).unwrap();
                assert!(!map.name.is_empty(), "{file}");
            }
        }
    }

    proptest! {
        #[test]
        fn parsers_never_panic(body in ".*", key in "[a-z_]{0,12}") {
            if let Ok(rows) = rows(&body) {
                for row in &rows {
                    let _ = fc_map(row);
                    let _ = bytes(row, &key);
                }
            }
        }
    }
}

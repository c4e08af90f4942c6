//! Rows to types. Every value is a string, unknown is `""`; shapes vary by level (§ 1.5).

use crate::site::{CopyPhase, Wwpn};
use serde_json::Value;

/// A FlashCopy map as `lsfcmap` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FcMap {
    pub name: String,
    pub source: String,
    pub target: String,
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

/// Pools a volume lies in: its own word, or those of its copies when it is mirrored (`many`, § 4).
pub fn pools(sections: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = sections
        .iter()
        .map(|s| text(s, "mdisk_grp_name"))
        .filter(|n| !n.is_empty() && n != "many")
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Fibre Channel ports of a host's object view: `nodes` is a list, or one object, or flattened away (§ 1.5).
pub fn ports(host: &Value) -> Vec<Wwpn> {
    let nodes = match host.get("nodes") {
        Some(Value::Array(nodes)) => nodes.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => &[],
    };
    nodes
        .iter()
        .chain(std::iter::once(host))
        .map(|n| text(n, "WWPN"))
        .filter(|w| !w.is_empty())
        .map(Wwpn::new)
        .collect()
}

/// Physical fill of a pool's object view, percent: in a compressing array "free" is effective, physical is the truth.
pub fn pool_fill(pool: &Value) -> Option<u8> {
    let pair = |total: &str, free: &str| {
        Some((bytes(pool, total).filter(|t| *t > 0)?, bytes(pool, free)?))
    };
    let (total, free) = pair("physical_capacity", "physical_free_capacity")
        .or_else(|| pair("capacity", "free_capacity"))?;
    let percent = u128::from(total.saturating_sub(free)) * 100 / u128::from(total);
    u8::try_from(percent).ok()
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
        phase,
        progress: text(row, "progress").parse().unwrap_or(0),
        copy_rate: text(row, "copy_rate").parse().unwrap_or(0),
        start_time: text(row, "start_time"),
        rc_controlled: text(row, "rc_controlled") == "yes",
        name,
        status,
    })
}

/// The maps of one group. Rows of others are dropped unread: a filter may be ignored, and what they say is not ours.
pub fn of_group(rows: &[Value], group: &str) -> Result<Vec<FcMap>, String> {
    let ours = rows.iter().filter(|r| text(r, "group_name") == group);
    ours.map(fc_map).collect()
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
    fn maps_of_other_groups_are_never_ours_even_if_the_filter_was_ignored() {
        let row = |name: &str, group: &str, status: &str| json!({"name": name, "source_vdisk_name": "a", "target_vdisk_name": "b", "status": status, "group_name": group});
        let rows = [
            row("m0", "OURS", "copying"),
            row("m1", "OURS2", "copying"),
            row("m2", "", "dreaming"),
        ];
        let maps = of_group(&rows, "OURS").unwrap();
        let names: Vec<&str> = maps.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["m0"]);
    }

    #[test]
    fn a_mirrored_volume_lies_in_the_pools_of_its_copies() {
        let sections = [
            json!({"name": "v", "mdisk_grp_name": "many"}),
            json!({"copy_id": "0", "mdisk_grp_name": "P1"}),
            json!({"copy_id": "1", "mdisk_grp_name": "P0"}),
        ];
        assert_eq!(pools(&sections), ["P0", "P1"]);
    }

    #[test]
    fn a_port_is_found_in_every_shape_of_a_host() {
        for host in [
            json!({"nodes": [{"WWPN": "AA"}, {"WWPN": "C05076"}]}),
            json!({"nodes": {"WWPN": "C05076"}}),
            json!({"WWPN": "C05076"}),
        ] {
            assert!(ports(&host).contains(&Wwpn::new("c05076")), "{host}");
        }
        for host in [
            json!({"nodes": []}),
            json!({"name": "h"}),
            json!({"nodes": "C05076"}),
        ] {
            assert_eq!(ports(&host), [], "{host}");
        }
    }

    #[test]
    fn physical_figures_of_a_pool_win_over_effective_ones() {
        let mut pool = json!({"capacity": "1000", "free_capacity": "900",
            "physical_capacity": "100", "physical_free_capacity": "5"});
        assert_eq!(pool_fill(&pool), Some(95));
        pool["physical_capacity"] = json!("");
        assert_eq!(pool_fill(&pool), Some(10));
        pool["free_capacity"] = json!("0.9TB");
        assert_eq!(pool_fill(&pool), None);
    }

    #[test]
    fn recorded_volumes_and_pools_parse() {
        let Some(captures) = crate::drivers::captures("storage-virtualize/rest") else {
            return;
        };
        let read =
            |file: &str| rows(&std::fs::read_to_string(captures.join(file)).unwrap()).unwrap();
        let volume = read("lsvdisk_object_bytes_thick.json");
        assert_eq!(volume.len(), 2);
        assert_eq!(bytes(&volume[0], "capacity"), Some(1_073_741_824));
        assert_eq!(bytes(&volume[1], "used_capacity"), Some(1_073_741_824));
        assert_eq!(pools(&volume), ["site1pool1"]);
        for pool in read("lsmdiskgrp_list_8.2_units.json") {
            assert_eq!(pool_fill(&pool), None, "figures with units are no bytes");
        }
        assert_eq!(
            text(&read("lsvdiskhostmap_list_private.json")[0], "host_name"),
            "host_a"
        );
        assert!(text(&read("lssystem_8.2_units.json")[0], "code_level").starts_with("8.2.0.2"));
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
                    let _ = pool_fill(row);
                    let _ = ports(row);
                }
                let _ = pools(&rows);
            }
        }

        #[test]
        fn any_row_of_cells_is_a_map_in_a_known_state_or_an_error(
            cells in proptest::collection::btree_map("[a-z_]{1,18}", "[a-zA-Z0-9_]{0,12}", 0..12),
            status in "[a-z_]{0,16}",
        ) {
            let mut row = json!(cells);
            row["status"] = json!(status);
            for key in ["name", "source_vdisk_name", "target_vdisk_name"] {
                row[key] = json!("x");
            }
            prop_assert_eq!(fc_map(&row).is_ok(), phase(&status).is_some());
            row["name"] = json!("");
            prop_assert!(fc_map(&row).is_err());
        }
    }
}

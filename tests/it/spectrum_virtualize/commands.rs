//! Commands of vendors' own clients: arguments, answers and refusals (`storage-virtualize.md` § 1.5, § 3.5, § 5, § 7.3).

use ibmi_clone_operator::simulators::storage::spectrum_virtualize::{Answer, Command, request};
use ibmi_clone_operator::simulators::world::World;
use serde_json::{Value, json};

fn world() -> World {
    World::from_file(&super::file()).unwrap()
}

fn send(world: &mut World, verb: &str, object: &str, flags: Value) -> Answer {
    let object = Some(object).filter(|o| !o.is_empty());
    let mut command = Command::new(verb, object);
    command.flags = flags.as_object().cloned().unwrap_or_default();
    request(world, command)
}

fn code(answer: Answer) -> String {
    match answer {
        Answer::Refused { code, .. } => code,
        other => format!("{other:?}"),
    }
}

fn rows(answer: Answer) -> Vec<Value> {
    match answer {
        Answer::Rows(rows) | Answer::Sections(rows) => rows,
        Answer::Object(object) => vec![object],
        other => panic!("rows expected: {other:?}"),
    }
}

/// Verb, object, flags, code.
type Case = (&'static str, &'static str, Value, &'static str);

fn refused(cases: Vec<Case>) {
    for (verb, object, flags, expected) in cases {
        let shown = format!("{verb} {object} {flags}");
        let mut world = world();
        assert_eq!(
            code(send(&mut world, verb, object, flags)),
            expected,
            "{shown}"
        );
    }
}

#[test]
fn a_map_is_refused_with_the_code_of_its_fault() {
    let pair = |s: &str, t: &str| json!({"source": s, "target": t});
    refused(vec![
        ("mkfcmap", "", json!({"source": "PROD_0"}), "CMMVC5707E"),
        ("mkfcmap", "", json!({"target": "CLN_0"}), "CMMVC5707E"),
        ("mkfcmap", "", pair("PROD_0", "NOWHERE"), "CMMVC5754E"),
        ("mkfcmap", "", pair("PROD_0", "PROD_0"), "CMMVC6303E"),
        ("mkfcmap", "", pair("PROD_0", "CLN_1"), "CMMVC5924E"),
        ("mkfcmap", "", pair("PROD_0", "CLN_0"), "CMMVC6466E"),
        (
            "mkfcmap",
            "",
            json!({"source": "CLN_0", "target": "PROD_0", "consistgrp": "NOWHERE"}),
            "CMMVC5754E",
        ),
        (
            "mkfcmap",
            "",
            json!({"source": "CLN_0", "target": "PROD_0", "name": "m0"}),
            "CMMVC6035E",
        ),
        (
            "mkfcmap",
            "",
            json!({"source": "CLN_0", "target": "PROD_0", "name": "0wrong"}),
            "CMMVC6527E",
        ),
        (
            "mkfcmap",
            "",
            json!({"source": "CLN_0", "target": "PROD_0", "copyrate": 151}),
            "CMMVC5767E",
        ),
        (
            "mkfcmap",
            "",
            json!({"source": "CLN_0", "target": "PROD_0", "turbo": true}),
            "CMMVC5709E",
        ),
        ("startfcmap", "", json!({}), "CMMVC5701E"),
        ("rmfcmap", "NOWHERE", json!({}), "CMMVC5753E"),
        ("prestartfcconsistgrp", "", json!({}), "CMMVC5701E"),
        ("stopfcconsistgrp", "NOWHERE", json!({}), "CMMVC5753E"),
    ]);
}

#[test]
fn mappings_are_refused_with_the_code_of_their_fault() {
    refused(vec![
        ("mkvdiskhostmap", "OLD_0", json!({}), "CMMVC5707E"),
        (
            "mkvdiskhostmap",
            "NOWHERE",
            json!({"host": "VIOS1"}),
            "CMMVC5753E",
        ),
        (
            "mkvdiskhostmap",
            "OLD_0",
            json!({"host": "NOWHERE"}),
            "CMMVC5754E",
        ),
        (
            "mkvdiskhostmap",
            "OLD_0",
            json!({"host": "VIOS1", "scsi": "0"}),
            "CMMVC5879E",
        ),
        (
            "mkvdiskhostmap",
            "CLN_0",
            json!({"host": "OTHER"}),
            "CMMVC6071E",
        ),
        (
            "mkvdiskhostmap",
            "CLN_0",
            json!({"host": "VIOS1"}),
            "CMMVC5878E",
        ),
        (
            "rmvdiskhostmap",
            "OLD_0",
            json!({"host": "VIOS1"}),
            "CMMVC5842E",
        ),
        ("rmvdisk", "CLN_0", json!({}), "CMMVC5840E"),
        ("lsvdisk", "NOWHERE", json!({}), "CMMVC5754E"),
        ("lshostvdiskmap", "NOWHERE", json!({}), "CMMVC5754E"),
    ]);
}

#[test]
fn a_volume_is_mapped_to_the_lowest_free_scsi_id_and_unmapped_again() {
    let mut world = world();
    let answer = send(
        &mut world,
        "mkvdiskhostmap",
        "OLD_0",
        json!({"host": "VIOS1"}),
    );
    let message = "Virtual Disk to Host map, id [4], successfully created".to_owned();
    assert_eq!(answer, Answer::Created { id: 4, message });
    let maps = rows(send(&mut world, "lsvdiskhostmap", "OLD_0", json!({})));
    assert_eq!(maps[0]["host_name"], "VIOS1");
    assert_eq!(maps[0]["SCSI_id"], "4");
    let answer = send(
        &mut world,
        "rmvdiskhostmap",
        "OLD_0",
        json!({"host": "VIOS1"}),
    );
    assert_eq!(answer, Answer::Nothing);
    assert!(rows(send(&mut world, "lsvdiskhostmap", "OLD_0", json!({}))).is_empty());
}

#[test]
fn flags_that_are_null_or_false_are_not_given() {
    let mut world = world();
    let flags = json!({"source": "CLN_0", "target": "PROD_0", "cleanrate": null, "incremental": false, "copyrate": "7"});
    let answer = send(&mut world, "mkfcmap", "", flags);
    let Answer::Created { id, message } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        message,
        format!("FlashCopy Mapping, id [{id}], successfully created")
    );
    let map = &rows(send(&mut world, "lsfcmap", &id.to_string(), json!({})))[0];
    assert_eq!(map["copy_rate"], "7");
    assert_eq!(map["clean_rate"], "50");
    assert_eq!(map["incremental"], "off");
    assert_eq!(map["name"], format!("fcmap{id}"));
}

#[test]
fn lists_hold_the_fields_of_the_array_and_every_value_is_a_string() {
    let mut world = world();
    let list = rows(send(&mut world, "lsfcmap", "", json!({})));
    let object = rows(send(&mut world, "lsfcmap", "m0", json!({})));
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].as_object().unwrap().len(), 18, "§ 3.1, list view");
    assert_eq!(
        object[0].as_object().unwrap().len(),
        31,
        "§ 3.1, object view"
    );
    for verb in [
        "lsfcmap",
        "lsfcconsistgrp",
        "lsvdisk",
        "lsmdiskgrp",
        "lshost",
        "lssystem",
    ] {
        for row in rows(send(&mut world, verb, "", json!({}))) {
            for (key, value) in row.as_object().unwrap() {
                assert!(value.is_string(), "{verb} {key} {value}");
            }
        }
    }
}

#[test]
fn filters_are_joined_and_take_a_wildcard() {
    let mut world = world();
    let mut names = |filter: &str| -> Vec<String> {
        rows(send(
            &mut world,
            "lsfcmap",
            "",
            json!({"filtervalue": filter}),
        ))
        .iter()
        .map(|r| r["name"].as_str().unwrap().to_owned())
        .collect()
    };
    assert_eq!(names("group_name=CLONE1"), ["m0", "m1"]);
    assert_eq!(names("source_vdisk_name=PROD_0:group_name=CLONE1"), ["m0"]);
    assert_eq!(names("name=m*"), ["m0", "m1"]);
    assert_eq!(names("name=*1"), ["m1"]);
    assert!(names("name=1*").is_empty());
    assert!(names("group_name=NOWHERE").is_empty());
    let bad = send(
        &mut world,
        "lsfcmap",
        "",
        json!({"filtervalue": "colour=red"}),
    );
    assert_eq!(code(bad), "CMMVC5741E");
}

#[test]
fn sizes_are_bytes_only_when_asked_for() {
    let mut world = world();
    let capacity = |world: &mut World, flags: Value| {
        let volume = rows(send(world, "lsvdisk", "PROD_0", flags))[0]["capacity"].clone();
        volume.as_str().unwrap().to_owned()
    };
    assert_eq!(capacity(&mut world, json!({})), "100.00GB");
    assert_eq!(
        capacity(&mut world, json!({"bytes": true})),
        (100u64 << 30).to_string()
    );
    let pools = rows(send(&mut world, "lsmdiskgrp", "", json!({})));
    assert_eq!(pools[0]["capacity"], "1000.00GB");
}

#[test]
fn an_object_goes_by_its_name_or_its_id() {
    let mut world = world();
    for object in ["PROD_1", "1"] {
        let volume = &rows(send(&mut world, "lsvdisk", object, json!({})))[0];
        assert_eq!(volume["name"], "PROD_1");
    }
}

#[test]
fn an_unknown_command_is_not_a_refusal_of_the_array() {
    let mut world = world();
    assert_eq!(
        send(&mut world, "mkcoffee", "", json!({})),
        Answer::UnknownCommand
    );
}

#[test]
fn a_volume_is_renamed_as_vendors_modules_do_with_new_targets() {
    let mut world = world();
    let made = send(
        &mut world,
        "mkvdisk",
        "",
        json!({"name": "NEW_temp_1", "mdiskgrp": "P1", "size": "107374182400", "unit": "b", "rsize": "0%", "autoexpand": true, "iogrp": "io_grp0"}),
    );
    assert!(matches!(made, Answer::Created { .. }), "{made:?}");
    let taken = send(
        &mut world,
        "chvdisk",
        "NEW_temp_1",
        json!({"name": "CLN_0"}),
    );
    assert_eq!(code(taken), "CMMVC6035E");
    let renamed = send(&mut world, "chvdisk", "NEW_temp_1", json!({"name": "NEW"}));
    assert_eq!(renamed, Answer::Nothing);
    let volume = &rows(send(&mut world, "lsvdisk", "NEW", json!({"bytes": true})))[0];
    assert_eq!(volume["capacity"], "107374182400");
}

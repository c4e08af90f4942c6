//! Holds `ibmi/CONTRACT.md`, the kit's sources, the driver and the simulator together: every name of the contract's tables
//! stands in the sources, and what the two sides in Rust say stands in the contract.

mod install;
mod save21;

use ibmi_clone_operator::commands::guest::SOURCES;
use ibmi_clone_operator::recipe::records::KIT_VERSION;
use ibmi_clone_operator::simulators::ibmi::kit;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap()
}

fn folder(path: &str) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(root(path)).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            all.push_str(&folder(
                &entry.strip_prefix(root("")).unwrap().to_string_lossy(),
            ));
        } else {
            all.push_str(&fs::read_to_string(entry).unwrap());
        }
    }
    all
}

/// The text of a section, `3.4` or `9`.
fn section(number: &str) -> String {
    let contract = text("ibmi/CONTRACT.md");
    let mut inside = false;
    let mut found = String::new();
    for line in contract.lines() {
        if let Some(heading) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            let own = heading.split_whitespace().next().unwrap_or_default();
            let own = own.trim_end_matches('.');
            inside = own == number || (inside && own.starts_with(&format!("{number}.")));
        }
        if inside {
            found.push_str(line);
            found.push('\n');
        }
    }
    assert!(!found.is_empty(), "section {number} of the contract");
    found
}

/// Cells of the rows of all tables of a section, headings left out.
fn rows(number: &str) -> Vec<Vec<String>> {
    section(number)
        .lines()
        .filter(|l| l.starts_with("| `"))
        .map(|l| {
            l.trim_matches('|')
                .split(" | ")
                .map(|c| c.trim().to_owned())
                .collect()
        })
        .collect()
}

/// Back-ticked words of a cell.
fn words(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Back-ticked words of the first column.
fn first(number: &str) -> Vec<String> {
    let found: Vec<String> = rows(number).iter().flat_map(|r| words(&r[0])).collect();
    assert!(!found.is_empty(), "a table in section {number}");
    found
}

fn kit_sources() -> String {
    SOURCES.iter().map(|(_, text)| *text).collect()
}

/// Whether a word stands in a text as a word of its own.
fn stands(text: &str, word: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        edge(text[..at].chars().next_back()) && edge(text[at + word.len()..].chars().next())
    })
}

fn missing(names: impl IntoIterator<Item = String>, text: &str) -> Vec<String> {
    names.into_iter().filter(|n| !stands(text, n)).collect()
}

const NONE: [String; 0] = [];

#[test]
fn every_object_of_the_contract_is_built_by_the_sources_and_known_to_the_simulator() {
    let sources = kit_sources();
    let simulated: BTreeSet<String> = kit::OBJECTS
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    let mut in_contract = BTreeSet::new();
    for row in rows("1.1") {
        let name = words(&row[0]).remove(0);
        let object = name.rsplit('/').next().unwrap().to_owned();
        assert!(stands(&sources, &object), "{name} in the sources");
        for file in words(&row[2]) {
            assert!(SOURCES.iter().any(|(n, _)| *n == file), "source {file}");
        }
        let kind = row[1].split_whitespace().next().unwrap();
        if kind != "*LIB" {
            in_contract.insert(format!("{name} {kind}"));
        }
    }
    assert_eq!(in_contract, simulated);
}

#[test]
fn every_word_of_the_helper_protocol_stands_on_all_three_sides() {
    let sources = kit_sources();
    let simulator = folder("src/simulators/ibmi/helper");
    let driver = folder("src/drivers/ibmi");
    let statuses = first("3.2");
    assert_eq!(missing(statuses.clone(), &sources), NONE);
    assert_eq!(missing(statuses.clone(), &simulator), NONE);
    assert_eq!(missing(statuses, &driver), NONE);
    let verbs: Vec<String> = first("3.3")
        .iter()
        .flat_map(|v| v.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(missing(verbs.clone(), &sources), NONE);
    assert_eq!(missing(verbs.clone(), &simulator), NONE);
    // The driver never needs PING: WATCHDOG STATE proves as much and tells more.
    let sent = verbs.into_iter().filter(|v| v != "PING");
    assert_eq!(missing(sent, &driver), NONE);
    let fields = first("3.4");
    assert_eq!(missing(fields.clone(), &sources), NONE);
    assert_eq!(missing(fields, &simulator), NONE);
    for used in [
        "at",
        "ms",
        "id",
        "text",
        "serial",
        "partition",
        "canaryMs",
        "state",
        "beats",
        "began",
        "age",
    ] {
        assert!(first("3.4").contains(&used.to_owned()), "{used} in § 3.4");
        assert!(stands(&driver, used), "{used} in the driver");
    }
}

#[test]
fn every_state_of_watchdog_and_canary_is_known() {
    let sources = kit_sources();
    let simulator = folder("src/simulators/ibmi/helper");
    let driver = text("src/drivers/ibmi/helper.rs");
    let states = first("4");
    let of_space: Vec<String> = states
        .iter()
        .filter(|s| s.starts_with("WD"))
        .cloned()
        .collect();
    assert_eq!(of_space.len(), 9);
    assert_eq!(missing(states.clone(), &sources), NONE);
    for state in ["NONE", "ACTIVE", "FIRED", "FAILED", "ENDED"] {
        assert!(states.contains(&state.to_owned()));
        assert!(stands(&simulator, state), "{state} in the simulator");
    }
    for state in ["ACTIVE", "FIRING", "FIRED", "FAILED"] {
        assert!(stands(&driver, state), "{state} in the driver");
    }
    let canary = first("5");
    assert_eq!(missing(canary.clone(), &sources), NONE);
    for state in canary.iter().filter(|s| *s != "FAILED") {
        assert!(stands(&simulator, state), "{state} in the simulator");
    }
    assert!(stands(&driver, "DONE") && stands(&driver, "PENDING"));
}

#[test]
fn every_case_action_and_record_key_stands_in_the_sources() {
    let sources = kit_sources();
    assert_eq!(missing(first("6.1"), &sources), NONE);
    // Done by CLNSTRUP itself.
    let actions = first("7").into_iter().filter(|a| a != "startup-program");
    assert_eq!(missing(actions, &sources), NONE);
    let keys = first("8").into_iter().filter(|k| !k.starts_with('/'));
    assert_eq!(missing(keys, &sources), NONE);
    assert_eq!(
        missing(first("12"), &sources)
            .iter()
            .filter(|k| rows("12")
                .iter()
                .any(|r| r.len() == 2 && words(&r[0]).contains(k)))
            .count(),
        0
    );
}

#[test]
fn records_of_the_simulator_have_exactly_the_keys_of_the_contract() {
    let simulator = folder("src/simulators/ibmi");
    for row in rows("8") {
        let kind = words(&row[0]).remove(0);
        if row.len() < 3
            || !["marker", "ready", "watchdog", "result", "save21"].contains(&kind.as_str())
        {
            continue;
        }
        let at = simulator
            .find(&format!("record::write(\n        \"{kind}\""))
            .or_else(|| simulator.find(&format!("record::write(\n            \"{kind}\"")))
            .unwrap_or_else(|| panic!("the simulator's record {kind}"));
        let end = at + simulator[at..].find("],").unwrap();
        for key in words(&row[2]) {
            assert!(
                simulator[at..end].contains(&format!("\"{key}\"")),
                "{key} of record {kind}"
            );
        }
    }
    let check = text("src/simulators/ibmi/check.rs");
    for row in rows("12").iter().filter(|r| r.len() == 2) {
        for key in words(&row[0]) {
            let known = ["version", "kind", "checksum"].contains(&key.as_str())
                || check.contains(&format!("\"{key}\""));
            assert!(known, "{key} of the check record");
        }
    }
}

#[test]
fn every_row_of_verify_is_judged() {
    let verify = text("src/commands/guest/verify.rs");
    for row in rows("12").iter().filter(|r| r.len() == 4) {
        for id in words(&row[0]) {
            assert!(verify.contains(&format!("\"{id}\"")), "row {id}");
        }
    }
}

/// Message ids of the kit in a text.
fn ids(text: &str) -> BTreeSet<String> {
    text.match_indices("CLN")
        .filter_map(|(at, _)| text.get(at..at + 7))
        .filter(|id| id[3..].bytes().all(|b| b.is_ascii_digit()))
        .filter(|id| *id != "CLN0000")
        .map(str::to_owned)
        .collect()
}

#[test]
fn message_ids_are_the_contracts_everywhere() {
    let contract: BTreeSet<String> = first("9").into_iter().collect();
    let sources = ids(&kit_sources());
    assert_eq!(
        contract.difference(&sources).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "ids that no source knows"
    );
    assert_eq!(
        sources.difference(&contract).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "ids that the contract does not know"
    );
    for side in ["src/simulators/ibmi", "src/drivers/ibmi"] {
        let known = ids(&folder(side));
        assert!(known.is_subset(&contract), "{side}: {known:?}");
    }
}

#[test]
fn every_key_of_the_parameter_file_is_written_and_the_simulator_reads_no_other() {
    let writer = text("src/recipe/parameters.rs") + &text("src/recipe/records.rs");
    for key in first("2") {
        let parts: Vec<&str> = key
            .split('.')
            .filter(|p| *p != "N" && *p != "count")
            .collect();
        for part in parts {
            assert!(
                stands(&writer, part) || key == "previousRunToken",
                "{key}: {part} is not written"
            );
        }
    }
    let contract: BTreeSet<String> = first("2").into_iter().collect();
    let reader = text("src/simulators/ibmi/kit.rs")
        + &folder("src/simulators/ibmi/kit")
        + &text("src/simulators/ibmi/job_scheduler.rs");
    for key in [
        "systemName",
        "hostName",
        "domain",
        "notAfter",
        "runToken",
        "scheduledJobs",
        "varyOnAsps",
        "startupProgram",
    ] {
        assert!(contract.contains(key) && stands(&reader, key), "{key}");
    }
    for list in [
        "sourceIdentity",
        "interface",
        "route",
        "sourceInterface",
        "sourceRoute",
        "startSubsystem",
        "releaseJobQueue",
        "js1.dataLibrary",
        "js1.monitorJob",
        "asp",
    ] {
        assert!(contract.contains(&format!("{list}.count")), "{list}");
        assert!(reader.contains(&format!("\"{list}\"")), "{list} is read");
    }
}

#[test]
fn the_helper_is_started_by_the_contracts_line() {
    let line = rows("10")
        .into_iter()
        .find(|r| r[0] == "`helper-start`")
        .map(|r| words(&r[1]).remove(0))
        .unwrap();
    assert_eq!(ibmi_clone_operator::wire::ibmi::HELPER_START, line);
    assert!(ibmi_clone_operator::simulators::ibmi::shell::starts_helper(
        &line
    ));
}

#[test]
fn every_side_has_the_contracts_version_of_the_kit() {
    let contract = text("ibmi/CONTRACT.md");
    assert!(contract.contains(&format!("Version of the kit `{KIT_VERSION}`")));
    assert_eq!(kit::VERSION, KIT_VERSION);
    let header = format!("#define KIT_VERSION   \"{KIT_VERSION}\"");
    assert!(text("ibmi/src/clnkit.h").contains(&header));
}

#[test]
fn the_job_scheduler_is_held_by_the_contracts_commands_in_the_sources() {
    let row = rows("7")
        .into_iter()
        .find(|r| r[0] == "`hold-js1`")
        .unwrap();
    let source = text("ibmi/src/persjs1.clle").replace(" +\n", " ");
    let squeezed: Vec<&str> = source.split_whitespace().collect();
    let squeezed = squeezed.join(" ");
    for command in [
        "ENDJS OPTION(*MONITOR) DTALIB(*ALL)",
        "MON(*NO) AUTOSTART(*NO)",
    ] {
        assert!(row[2].contains(command), "{command} in § 7");
        assert!(squeezed.contains(command), "{command} in persjs1.clle");
    }
    // Held before any job queue is touched, and before anything is started.
    let person = text("ibmi/src/person.clle");
    let at = |word: &str| person.find(word).unwrap_or_else(|| panic!("{word}"));
    assert!(at("IBMICLONE/PERSJS1") < at("HLDJOBQ"));
    let ready = text("ibmi/src/ready.clle");
    let at = |word: &str| ready.find(word).unwrap_or_else(|| panic!("{word}"));
    assert!(at("STRSBS     SBSD") < at("IBMICLONE/PERSJS1"));
    assert!(at("IBMICLONE/PERSJS1") < at("IBMICLONE/CLNREC"));
}

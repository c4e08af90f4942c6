//! BRMS, saves and the restricted state, by the commands a run sends.

mod full;
mod history;
mod restricted;
mod tables;

use super::*;
use crate::simulators::ibmi::brms::{
    BrmsFile, BrmsState, ControlGroupFile, GroupResult, MediaFile,
};
use crate::simulators::ibmi::{commands, hmc, reference_code, sql};
use crate::simulators::ledger::Violation;

fn group(name: &str) -> ControlGroupFile {
    serde_json::from_value(serde_json::json!({ "name": name })).unwrap()
}

/// Two groups, one of them of the system, and two expired volumes.
fn brms(change: impl FnOnce(&mut BrmsFile)) -> BrmsFile {
    let media = |volume: &str| -> MediaFile {
        serde_json::from_value(serde_json::json!({ "volume": volume })).unwrap()
    };
    let mut system = group("*SYSGRP");
    system.restricted = true;
    system.items = vec!["*SAVSYS".to_owned(), "*IBM".to_owned()];
    let mut file = BrmsFile {
        control_groups: vec![group("DAILY"), system],
        media: vec![media("A00001"), media("A00002")],
        ..BrmsFile::default()
    };
    change(&mut file);
    file
}

fn site_with(change: impl FnOnce(&mut BrmsFile)) -> Shared {
    site(|f| f.brms = Some(brms(change)))
}

/// Whether a command ended well, and the id of its last message.
fn cl(shared: &Shared, partition: &str, text: &str) -> (bool, String) {
    let wait = commands::duration(&shared.now(), partition, text);
    shared.clock().advance(Duration::from_millis(wait));
    let answer = commands::run(&mut shared.now(), partition, "CLONEOP", text);
    let id = answer.messages.last().map(|m| m.id.clone());
    (answer.ok, id.unwrap_or_default())
}

#[track_caller]
fn done(shared: &Shared, partition: &str, text: &str) {
    let (ok, id) = cl(shared, partition, text);
    assert!(ok, "{text}: {id}");
}

#[track_caller]
fn refused(shared: &Shared, partition: &str, text: &str, id: &str) {
    assert_eq!(
        cl(shared, partition, text),
        (false, id.to_owned()),
        "{text}"
    );
}

fn state(shared: &Shared, partition: &str) -> BrmsState {
    let world = shared.now();
    disk_of(&world, partition)
        .unwrap()
        .brms
        .as_ref()
        .unwrap()
        .state
}

fn process(word: &str) -> String {
    format!("INZBRM OPTION(*FLASHCOPY) STATE({word})")
}

/// Production frozen, copied while suspended, and its clone up with the controlling queue released.
fn clone_of_frozen(shared: &Shared) {
    done(shared, "PROD", &process("*STRPRC"));
    let file = parameters(|pairs| {
        pairs.retain(|(k, _)| *k != "releaseJobQueue.count");
        pairs.push(("releaseJobQueue.count", "2".to_owned()));
        pairs.push(("releaseJobQueue.2", "QSYS/QCTL".to_owned()));
    });
    {
        let at = shared.clock().now();
        let mut world = shared.now();
        let image = world.systems["PROD"].image().unwrap();
        let disk = &mut world.images.get_mut(&image).unwrap().disk;
        disk.files.insert(kit::RUN_PARM.to_owned(), file);
        let prod = world.systems.get_mut("PROD").unwrap();
        prod.suspended.insert("*SYSBAS".to_owned(), at);
    }
    ipl_clone(shared);
    let mut world = shared.now();
    world.systems.get_mut("PROD").unwrap().suspended.clear();
    let image = world.systems["PROD"].image().unwrap();
    let disk = &mut world.images.get_mut(&image).unwrap().disk;
    disk.files.remove(kit::RUN_PARM);
    assert_eq!(world.ledger.violations, []);
}

const SET_NAME: &str = "CALL PGM(QBRM/Q1AOLD) PARM('BRMSYSNAME' '*SET      ' 'PROD    ')";
const DAILY: &str = "STRBKUBRM CTLGRP(DAILY) SBMJOB(*NO)";

/// The clone saves DAILY under production's name and ends its backup.
fn saved(shared: &Shared) {
    clone_of_frozen(shared);
    done(shared, "CLONE", SET_NAME);
    done(shared, "CLONE", &process("*STRBKU"));
    done(shared, "CLONE", DAILY);
    done(shared, "CLONE", &process("*ENDBKU"));
}

const SAVE_LIBRARY: &str =
    "SAVLIB LIB(QUSRBRM) DEV(*SAVF) SAVF(IBMICLONE/HIST) OMITOBJ((*ALL *JRN) (*ALL *JRNRCV))";

/// QUSRBRM of the clone lies in a save file on production.
fn transferred(shared: &Shared, change: impl FnOnce(&mut Vec<u8>)) {
    done(shared, "CLONE", "CRTSAVF FILE(IBMICLONE/HIST)");
    done(shared, "CLONE", SAVE_LIBRARY);
    let mut world = shared.now();
    let mut bytes = disk_of(&world, "CLONE").unwrap().save_files["IBMICLONE/HIST"].clone();
    change(&mut bytes);
    let image = world.systems["PROD"].image().unwrap();
    let disk = &mut world.images.get_mut(&image).unwrap().disk;
    disk.files.insert("/tmp/hist".to_owned(), bytes);
    drop(world);
    done(shared, "PROD", "CRTSAVF FILE(IBMICLONE/HIST)");
    done(
        shared,
        "PROD",
        "CPYFRMSTMF FROMSTMF('/tmp/hist') TOMBR('/QSYS.LIB/IBMICLONE.LIB/HIST.FILE') MBROPT(*REPLACE) CVTDTA(*NONE)",
    );
}

const RESTORE: &str = "RSTLIB SAVLIB(QUSRBRM) DEV(*SAVF) SAVF(IBMICLONE/HIST) RSTLIB(QUSRBRM) ALWOBJDIF(*ALL) MBROPT(*ALL)";

/// Q1ABRMNET of production has ended.
fn network_ended(shared: &Shared) {
    done(shared, "PROD", "ENDSBS SBS(Q1ABRMNET) OPTION(*IMMED)");
    shared.clock().advance(Duration::from_secs(5));
}

fn left_behind(shared: &Shared) -> Vec<Violation> {
    let mut world = shared.now();
    world.check_left_behind();
    world.ledger.violations.clone()
}

fn kinds(violations: &[Violation]) -> Vec<ViolationKind> {
    violations.iter().map(|v| v.kind).collect()
}

fn rows(shared: &Shared, partition: &str, text: &str) -> Vec<sql::SqlRow> {
    let world = shared.now();
    sql::query(&world, partition, "CLONEOP", text)
        .unwrap_or_else(|e| panic!("{text}: {e:?}"))
        .1
}

fn wait(shared: &Shared, seconds: u64) {
    shared.clock().advance(Duration::from_secs(seconds));
    drop(shared.now());
}

/// The ids of the BRMS log of a system.
fn log_ids(shared: &Shared, partition: &str) -> Vec<String> {
    let world = shared.now();
    let disk = disk_of(&world, partition).unwrap();
    disk.brms
        .iter()
        .flat_map(|b| &b.log)
        .map(|l| l.id.clone())
        .collect()
}

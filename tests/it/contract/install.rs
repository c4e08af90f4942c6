//! §§ 10 and 11: what installation, uninstallation and the operator's lock send.

use super::*;
use chrono::Utc;
use ibmi_clone_operator::commands::guest::{
    Action, Leaving, Lock, Observed, Remains, StartUp, Wanted, leaving_plan, plan,
};
use ibmi_clone_operator::recipe::operator_lock::{LOCK_DROP, LOCK_TAKE, LOCK_WRITE, lock_text};
use ibmi_clone_operator::site::Identity;

/// Whether a sent line is the contract's with its `<…>` filled in.
fn fits(line: &str, template: &str) -> bool {
    let mut rest = line;
    let mut first = true;
    for (n, piece) in template.split('<').enumerate() {
        let piece = match piece.split_once('>') {
            Some((_, after)) if n > 0 => after,
            Some(_) | None => piece,
        };
        let Some(at) = rest.find(piece) else {
            return false;
        };
        if first && at != 0 {
            return false;
        }
        first = false;
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty() || template.ends_with('>')
}

#[test]
fn every_step_of_the_installation_is_the_contracts() {
    let identity = Identity::new("7812345", 3);
    let nothing = Observed {
        identity: identity.clone(),
        clock: Utc::now(),
        ours: Utc::now(),
        library: false,
        directory: false,
        owner: None,
        source_file: false,
        uploaded: BTreeSet::new(),
        version_file: None,
        check: None,
        check_said: String::new(),
        lock: Lock::Free,
    };
    let wanted = Wanted {
        identity,
        installer: "INSTALLER".to_owned(),
        helper: "CLNHELP".to_owned(),
        helper_runs_check: false,
        shared_network: true,
        operator: "cluster-1".to_owned(),
        take_over: false,
    };
    let steps = plan(&nothing, &wanted).unwrap();
    let sent: BTreeSet<&str> = steps.iter().map(|a| a.id).collect();
    let table: Vec<Vec<String>> = rows("11").into_iter().filter(|r| r.len() == 4).collect();
    for row in &table {
        let id = words(&row[0]).remove(0);
        // Done by INSTALL, and only when CHECK says so.
        if ["keep-original", "grant-partition"].contains(&id.as_str()) {
            continue;
        }
        assert!(sent.contains(id.as_str()), "step {id} is sent");
        let template = words(&row[2]).remove(0);
        let needs_yes = row[3] == "*YES";
        for step in steps.iter().filter(|a: &&Action| a.id == id) {
            assert!(
                fits(step.shown(), &template),
                "{id}: {} / {template}",
                step.shown()
            );
            assert_eq!(step.needs_yes, needs_yes, "{id}");
        }
    }
    let order: Vec<String> = table.iter().map(|r| words(&r[0]).remove(0)).collect();
    let mut at = 0;
    for step in &steps {
        let place = order.iter().position(|id| id == step.id).unwrap();
        assert!(place >= at, "{} is out of order", step.id);
        at = place;
    }
}

#[test]
fn the_uninstallation_sends_the_contracts_steps_in_its_order() {
    let identity = Identity::new("7812345", 3);
    let program = |program: &str| {
        Some(StartUp {
            program: program.to_owned(),
            library: "QGPL".to_owned(),
        })
    };
    let everything = Remains {
        identity: identity.clone(),
        start_up: program("CLNSTRUP"),
        original: program("STRTUP"),
        original_exists: true,
        stub: true,
        original_area: true,
        library: true,
        directory: true,
        lock: Lock::Free,
    };
    let leaving = Leaving {
        identity,
        operator: "cluster-1".to_owned(),
    };
    let steps = leaving_plan(&everything, &leaving).unwrap();
    let table: Vec<Vec<String>> = rows("11").into_iter().filter(|r| r.len() == 2).collect();
    let order: Vec<String> = table.iter().map(|r| words(&r[0]).remove(0)).collect();
    assert_eq!(steps.iter().map(|a| a.id).collect::<Vec<_>>(), order);
    for (step, row) in steps.iter().zip(&table) {
        let template = words(&row[1]).remove(0);
        assert!(
            fits(step.shown(), &template),
            "{}: {template}",
            step.shown()
        );
    }
}

#[test]
fn the_lock_is_taken_and_dropped_by_the_contracts_lines() {
    let line = |id: &str| {
        let row = rows("10").into_iter().find(|r| r[0] == format!("`{id}`"));
        row.map(|r| words(&r[1]).remove(0)).unwrap()
    };
    assert_eq!(line("lock-write"), LOCK_WRITE);
    assert_eq!(line("lock-take"), LOCK_TAKE);
    assert_eq!(line("lock-drop"), LOCK_DROP);
    let text = lock_text("cluster-1").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "operator=cluster-1"));
    assert!(lines[1].starts_with("checksum="));
}

//! § 14: the full save, in the kit's program and in the simulator's model of it.

use super::*;

#[test]
fn every_row_and_state_of_the_full_save_stands_on_both_sides() {
    let program = SOURCES.iter().find(|(name, _)| *name == "save21.clle");
    let program = program.unwrap().1;
    let simulator = text("src/simulators/ibmi/kit/save21.rs");
    let rows = first("14");
    assert!(rows.len() >= 12, "{rows:?}");
    assert_eq!(missing(rows.clone(), program), NONE);
    assert_eq!(missing(rows, &simulator), NONE);
    for key in first("2").iter().filter(|k| k.starts_with("save21.")) {
        // Lists are read by their prefix.
        let name = key.split(".N").next().unwrap().trim_end_matches(".count");
        assert!(program.contains(name), "{key} is read by the program");
        assert!(simulator.contains(name), "{key} is read by the simulator");
    }
    let guard = SOURCES
        .iter()
        .find(|(name, _)| *name == "guard.clle")
        .unwrap()
        .1;
    assert!(stands(guard, "SAVE21") && stands(guard, "SUBMITTED"));
}

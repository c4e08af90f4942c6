//! Words of a shell line.

use super::*;

fn words(line: &str) -> Vec<Vec<String>> {
    let state = State {
        variables: BTreeMap::new(),
        status: 7,
        stdin: Vec::new(),
    };
    parse(line)
        .unwrap()
        .iter()
        .map(|s| s.words.iter().map(|w| state.expand(w)).collect())
        .collect()
}

#[test]
fn a_shell_word_keeps_its_quotes_apart() {
    let all = words(
        "echo N1; /QOpenSys/usr/bin/system 'CALL PGM(A/B) PARM('\\''x'\\'')'; echo \"N2 $?\"",
    );
    assert_eq!(all[1][1], "CALL PGM(A/B) PARM('x')");
    assert_eq!(all[2][1], "N2 7");
}

#[test]
fn the_helper_is_known_by_the_contracts_line_only() {
    assert!(starts_helper(
        "QIBM_USE_DESCRIPTOR_STDIO=Y; export QIBM_USE_DESCRIPTOR_STDIO; exec /QOpenSys/usr/bin/system -bi \"CALL PGM(IBMICLONE/HELPER)\""
    ));
    assert!(!starts_helper("system \"CALL PGM(IBMICLONE/HELPER)\""));
}

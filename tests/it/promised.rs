//! Tests that the documentation names: they exist, and no row of the failure catalogue is without one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/reliability.md";
const HEADING: &str = "## The failure catalogue of IBM i";
/// Rows of the catalogue (`ibmi.md` § 11).
const ROWS: u32 = 22;

/// Row → tests, as the table of the page names them.
fn catalogue(page: &str) -> BTreeMap<u32, Vec<String>> {
    let section = page.split(HEADING).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut rows = BTreeMap::new();
    for line in section.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').collect();
        let [first, .., named] = cells.as_slice() else {
            continue;
        };
        let Ok(row) = first.trim().parse::<u32>() else {
            continue;
        };
        let tests = named.split('`').skip(1).step_by(2).map(str::to_owned);
        let known = rows.insert(row, tests.collect());
        assert!(known.is_none(), "row {row} stands twice in {PAGE}");
    }
    rows
}

/// Whether `tests/it` has this test.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else {
        return false;
    };
    let module = Path::new("tests/it").join(module.replace("::", "/"));
    let files = [module.with_extension("rs"), module.join("mod.rs")];
    let texts = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    texts.into_iter().any(|text| is_test(&text, name))
}

fn is_test(text: &str, name: &str) -> bool {
    let wanted = format!("fn {name}(");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |line: &str| line.trim_start_matches("async ").starts_with(&wanted);
    let mut places = lines.iter().enumerate().filter(|(_, line)| begins(line));
    places.any(|(at, _)| {
        let above = at.checked_sub(1).and_then(|at| lines.get(at));
        let begins = ["#[test", "#[tokio::test", "#[apply(on_both!)"];
        above.is_some_and(|line| begins.iter().any(|begin| line.starts_with(begin)))
    })
}

#[test]
fn each_row_of_the_failure_catalogue_names_tests_that_exist() {
    let rows = catalogue(&fs::read_to_string(PAGE).unwrap());
    let numbers: Vec<u32> = rows.keys().copied().collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<u32>>());
    for (row, tests) in rows {
        let own = format!("::row_{row:02}_");
        assert!(
            tests.iter().any(|test| test.contains(&own)),
            "row {row} names no test of its own: {tests:?}"
        );
        for test in tests {
            assert!(exists(&test), "row {row}: there is no test {test}");
        }
    }
}

#[test]
fn a_test_that_does_not_exist_would_be_seen() {
    assert!(exists("promised::a_test_that_does_not_exist_would_be_seen"));
    assert!(!exists("promised::exists"));
    assert!(!exists("promised::a_test_that_does_not"));
    assert!(!exists("nowhere::a_test_that_does_not_exist_would_be_seen"));
    let page = format!(
        "{HEADING}\n\n| # | failure | test |\n| --- | --- | --- |\n| 7 | x | `a::b`, `c` |\n\n## Next\n| 8 | y | `d` |\n"
    );
    let expected = BTreeMap::from([(7, vec!["a::b".to_owned(), "c".to_owned()])]);
    assert_eq!(catalogue(&page), expected);
}

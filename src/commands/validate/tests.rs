use super::*;
use crate::commands::documents::split;

const GOOD: &str = include_str!("../../../examples/nightly-user.yaml");

fn findings(text: &str) -> Vec<String> {
    let kinds = [Kind::of::<CloneEnvironment>(), Kind::of::<CloneRun>()];
    let mut found = Vec::new();
    for document in split(text) {
        match check(&document, &kinds) {
            Checked::Other => found.push("other".to_owned()),
            Checked::Findings(list) => found.extend(list.iter().map(|finding| {
                let line = finding.line.unwrap_or(document.line_of(&finding.path));
                format!("{line}: {finding}")
            })),
        }
    }
    found
}

#[test]
fn what_the_examples_say_is_good() {
    for good in [GOOD, include_str!("../../../examples/midday-hold.yaml")] {
        assert_eq!(findings(good), Vec::<String>::new());
    }
    let secrets = findings(include_str!("../../../examples/credentials.yaml"));
    assert!(!secrets.is_empty() && secrets.iter().all(|f| f == "other"));
}

/// One good file, one wrong line at a time: field, line and remedy are said.
#[test]
fn each_mistake_is_said_with_its_line_its_field_and_what_to_write() {
    let line_of = |text: &str, part: &str| {
        let at = text.lines().position(|line| line.contains(part));
        at.unwrap_or_else(|| panic!("{part} is in the example")) + 1
    };
    for (from, to, field, said) in [
        (
            "function: USER",
            "function: SAVE",
            "spec.function",
            "write one of HOLD, BRMS, SAVE21, USER",
        ),
        (
            "function: USER",
            "function: HOLD",
            "spec.user",
            "no other function may have it",
        ),
        (
            "function: USER",
            "function: USER\n  susspend: true",
            "spec.susspend",
            "unknown field",
        ),
        (
            "function: USER",
            "function: USER\n  Suspend: true",
            "spec.Suspend",
            "write suspend",
        ),
        (
            "function: USER",
            "function: USER\n  suspend: 1",
            "spec.suspend",
            "write true or false, this is a number",
        ),
        (
            "runSeconds: 64800",
            "runSeconds: 5",
            "spec.timeouts.runSeconds",
            "write at least 60",
        ),
        (
            "succeeded: 20",
            "succeeded: 0",
            "spec.history.succeeded",
            "write at least 1",
        ),
        (
            "ignore: [CPF9898]",
            "ignore: [cpf3770]",
            "spec.logs.ignore",
            "such as CPF3770",
        ),
        (
            "kind: CloneEnvironment",
            "kind: CloneEnviroment",
            "kind",
            "write CloneEnvironment or CloneRun",
        ),
        (
            "ibmiclone.dev/v1alpha1",
            "ibmiclone.dev/v1",
            "apiVersion",
            "write ibmiclone.dev/v1alpha1",
        ),
        ("function: USER", "", "spec.function", "is missing"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        let found = findings(&text);
        assert_eq!(found.len(), 1, "{to}: {found:?}");
        assert!(
            found[0].contains(field) && found[0].contains(said),
            "{to}: {found:?}"
        );
        let key = field.rsplit('.').next().unwrap_or_default();
        let block = if to.is_empty() { "spec:" } else { key };
        let wanted = text.lines().position(|l| l.trim_start().starts_with(block));
        let wanted = wanted.map_or_else(|| line_of(&text, key), |at| at + 1);
        assert!(
            found[0].starts_with(&format!("{wanted}: ")),
            "{to}: {found:?}"
        );
    }
}

#[test]
fn cron_lines_and_zones_are_read_as_the_operator_reads_them() {
    for (schedule, said) in [
        ("cron: [\"0 0 30 2 *\"]", "never fires"),
        ("cron: [\"0 0 * *\"]", "has 4 fields: write five"),
        ("cron: [\"0 25 * * *\"]", "spec.schedule.cron[0]"),
        (
            "cron: [\"0 0 * * *\"], timeZone: Europe/Pariss",
            "spec.schedule.timeZone",
        ),
    ] {
        let with = format!("\nspec:\n  schedule: {{ {schedule} }}\n");
        let text = GOOD.replacen("\nspec:\n", &with, 1);
        let found = findings(&text);
        assert_eq!(found.len(), 1, "{schedule}: {found:?}");
        assert!(found[0].contains(said), "{schedule}: {found:?}");
    }
}

#[test]
fn a_file_that_is_no_yaml_says_where() {
    let found = findings("kind: CloneRun\nspec: [a\n");
    assert!(found[0].contains("no YAML"), "{found:?}");
    let found = findings("just a text\n");
    assert!(
        found[0].contains("write CloneEnvironment or CloneRun"),
        "{found:?}"
    );
}

/// A rule that was written anew would be counted as done here although it is another one.
#[test]
fn rules_done_here_are_rules_of_the_definitions() {
    let text: String = crate::api::crds()
        .into_iter()
        .map(|(_, yaml)| yaml)
        .collect();
    let kinds = [Kind::of::<CloneEnvironment>(), Kind::of::<CloneRun>()];
    let open = schema::unchecked(&kinds.map(|k| k.schema));
    let rules = text.matches("rule:").count();
    assert!(open < rules / 2, "{open} of {rules} are not checked here");
}

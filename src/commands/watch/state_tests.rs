use super::*;
use crate::commands::samples;
use crossterm::event::{KeyCode, KeyModifiers};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("is RFC 3339")
}

pub fn now() -> DateTime<Utc> {
    at("2026-11-24T01:30:05Z")
}

pub fn run(environment: &str, name: &str, created: &str, status: Value) -> crate::api::CloneRun {
    let mut run = samples::run(name);
    run.spec.environment = environment.into();
    run.metadata.creation_timestamp = Some(Time(created.parse().expect("is RFC 3339")));
    run.status = Some(serde_json::from_value(status).expect("is a status"));
    run
}

pub fn ended(environment: &str, number: i64) -> crate::api::CloneRun {
    let day = format!("2026-11-{number:02}");
    run(
        environment,
        &format!("{environment}-{number}"),
        &format!("{day}T00:00:00Z"),
        json!({
            "phase": "Succeeded", "state": "USER_END", "number": number, "function": "USER",
            "started": format!("{day}T00:00:02Z"), "startedAt": format!("{day}T00:00:02.250Z"),
            "finishedAt": format!("{day}T08:25:51.250Z"), "duration": "8:25:49", "step": "settle", "progress": "15/15",
            "prepareOnSource": "1:37", "prepareOnClone": "31:37", "save": "7:52:35", "messages": 1214, "errors": 0,
            "diskUsedPercent": 12, "frozen": {"milliseconds": 2480},
            "logs": [{"kind": "steps", "configMap": "x", "parts": 1, "lines": 20}],
        }),
    )
}

/// Listed: `nightly` with runs 12 to 20, `weekly` with run 3.
pub fn two(size: (u16, u16)) -> State {
    let mut state = State::new("ibmi", None, size, now());
    let environments = ["nightly", "weekly"].map(|name| {
        let mut environment = samples::environment();
        environment.metadata.name = Some(name.into());
        environment
    });
    let mut runs: Vec<_> = (12..=20).map(|n| ended("nightly", n)).collect();
    runs.push(ended("weekly", 3));
    state.apply(Event::Feed(Feed::Environments(environments.into())), now());
    state.apply(Event::Feed(Feed::Runs(runs)), now());
    state
}

pub fn press(state: &mut State, keys: &str) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for word in keys.split(' ') {
        let code = match word {
            "enter" => KeyCode::Enter,
            "tab" => KeyCode::Tab,
            "up" => KeyCode::Up,
            "down" => KeyCode::Down,
            "pgdn" => KeyCode::PageDown,
            "pgup" => KeyCode::PageUp,
            "esc" => KeyCode::Esc,
            "del" => KeyCode::Delete,
            word if word.starts_with('F') && word.len() > 1 => {
                KeyCode::F(word[1..].parse().expect("is a number"))
            }
            word => {
                for c in word.chars() {
                    let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
                    wishes.extend(state.apply(Event::Key(key), now()));
                }
                continue;
            }
        };
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        wishes.extend(state.apply(Event::Key(key), now()));
    }
    wishes
}

fn selected(state: &State) -> &str {
    state
        .list
        .selected
        .as_ref()
        .map_or("", |(name, _)| name.as_str())
}

fn logs(kinds: &[&'static str]) -> Feed {
    let log = |kind: &&'static str| Log {
        kind,
        lines: (0..100)
            .map(|n| Shown::plain(format!("{kind} {n}")))
            .collect(),
    };
    Feed::Logs("nightly-20".into(), Ok(kinds.iter().map(log).collect()))
}

#[test]
fn archives_are_asked_for_once_by_name_and_again_when_a_row_went_there() {
    let mut state = State::new("ibmi", Some("nightly"), (80, 24), now());
    let environment = samples::environment();
    let wishes = state.apply(Event::Feed(Feed::Environments(vec![environment])), now());
    assert_eq!(wishes, [Wish::Archive("nightly-user".into())]);
    let run = ended("nightly", 12);
    let wishes = state.apply(Event::Feed(Feed::Runs(vec![run.clone()])), now());
    assert_eq!(wishes, [], "the one that was named is read at the start");
    let wishes = state.apply(Event::Feed(Feed::RunGone(Box::new(run))), now());
    assert_eq!(wishes, [Wish::Archive("nightly".into())]);
}

#[test]
fn options_are_done_from_top_to_bottom_and_f12_brings_the_next() {
    let mut state = two((80, 24));
    assert_eq!(selected(&state), "nightly-20");
    press(&mut state, "tab 5 tab tab 5 g");
    press(&mut state, "enter");
    let shown = |state: &State| match state.screens.last() {
        Some(Screen::Details(id, _)) => id.0.clone(),
        other => format!("{other:?}"),
    };
    assert_eq!(shown(&state), "nightly-19");
    press(&mut state, "F12");
    assert_eq!(shown(&state), "nightly-17");
    assert_eq!(press(&mut state, "q"), []);
    assert!(state.screens.is_empty() && state.list.options.is_empty());
    assert_eq!(press(&mut state, "F3"), [Wish::End]);
}

#[test]
fn f3_leaves_all_screens_and_forgets_options_that_wait() {
    let mut state = two((80, 24));
    press(&mut state, "5 tab 5 enter ? F3");
    assert!(state.screens.is_empty() && state.queue.is_empty());
}

#[test]
fn an_option_that_is_none_is_said_and_the_others_stay() {
    let mut state = two((80, 24));
    press(&mut state, "4 tab 5 enter");
    assert!(state.screens.is_empty());
    let said = state.message.clone().map(|m| m.0).unwrap_or_default();
    assert!(said.contains("Option 4 is not valid"), "{said}");
    assert_eq!(state.list.options.len(), 2);
    press(&mut state, "g del enter");
    assert!(matches!(state.screens.last(), Some(Screen::Details(..))));
}

#[test]
fn one_job_log_is_shown_at_once_several_are_a_choice_and_none_is_said() {
    let mut state = two((80, 24));
    assert_eq!(
        press(&mut state, "8 enter"),
        [Wish::Logs("nightly-20".into())]
    );
    state.apply(Event::Feed(logs(&["steps", "joblog", "history"])), now());
    assert_eq!(
        state.screens,
        [Screen::Log(("nightly-20".into(), Some(20)), "joblog", 0)]
    );
    press(&mut state, "F12 8 enter");
    state.apply(Event::Feed(logs(&["steps", "joblog", "joblog-2"])), now());
    assert_eq!(state.text().len(), 2);
    press(&mut state, "down enter");
    assert!(matches!(
        state.screens.last(),
        Some(Screen::Log(_, "joblog-2", 0))
    ));
    press(&mut state, "F3 9 enter");
    state.apply(Event::Feed(logs(&["steps"])), now());
    assert!(state.screens.is_empty());
    let said = state.message.clone().map(|m| m.0).unwrap_or_default();
    assert!(
        said.contains("has no system log of the clone: it has kept steps"),
        "{said}"
    );
}

#[test]
fn a_row_of_the_archive_is_displayed_and_its_logs_are_said_to_be_gone() {
    let mut state = two((80, 24));
    let line = crate::controllers::history::line::ArchivedRun::of(&ended("nightly", 2));
    let row = Row::archived("ibmi", "nightly", line.expect("it is final"));
    state.apply(
        Event::Feed(Feed::Archive("nightly".into(), Ok(vec![row]))),
        now(),
    );
    press(&mut state, "/ 2 enter");
    assert_eq!(selected(&state), "nightly-2");
    assert_eq!(press(&mut state, "6 enter"), []);
    let said = state.message.clone().map(|m| m.0).unwrap_or_default();
    assert!(said.contains("row of the archive"), "{said}");
    press(&mut state, "5 enter");
    let text: Vec<String> = state.text().into_iter().map(|l| l.text).collect();
    assert!(text.join("\n").contains("7:52:35"), "{text:?}");
    assert!(
        text.join("\n").contains("the archive keeps this row"),
        "{text:?}"
    );
}

#[test]
fn positioning_understands_numbers_dates_and_environments() {
    let mut state = two((80, 24));
    for (typed, row) in [
        ("14", "nightly-14"),
        ("2026-11-16", "nightly-16"),
        ("11-13", "nightly-13"),
        ("weekly", "weekly-3"),
        ("ight", "nightly-20"),
        ("3", "weekly-3"),
    ] {
        press(&mut state, &format!("/ {typed} enter"));
        assert_eq!(selected(&state), row, "{typed}");
    }
    press(&mut state, "/ nosuch enter");
    assert_eq!(selected(&state), "weekly-3");
    assert!(
        state
            .message
            .as_ref()
            .is_some_and(|(text, bad)| *bad && text.contains("nosuch"))
    );
}

#[test]
fn both_kinds_of_keys_move_the_cursor_and_it_is_always_seen() {
    for keys in ["tab tab up", "j j k", "down down up"] {
        let mut state = two((80, 24));
        press(&mut state, keys);
        assert_eq!(selected(&state), "nightly-19", "{keys}");
    }
    let mut state = two((80, 24));
    state.apply(Event::Resize(80, 14), now());
    for keys in ["G", "g", "pgdn", "pgdn", "pgdn", "pgup", "pgup"] {
        press(&mut state, keys);
        let at = state.list.cursor().unwrap_or_default();
        let seen = state.list.top..state.list.top + state.list_height();
        assert!(seen.contains(&at), "{keys}: {at} in {seen:?}");
    }
}

#[test]
fn the_cursor_stays_on_its_row_when_newer_runs_come() {
    let mut state = two((80, 24));
    press(&mut state, "tab tab");
    let new = ended("nightly", 21);
    state.apply(Event::Feed(Feed::Run(Box::new(new))), now());
    assert_eq!(selected(&state), "nightly-18");
    let gone = state.objects.runs["nightly-18"].clone();
    state.apply(Event::Feed(Feed::RunGone(Box::new(gone))), now());
    assert!(!selected(&state).is_empty());
}

#[test]
fn logs_of_a_run_that_goes_on_are_read_again_when_there_are_more() {
    let mut state = two((80, 24));
    press(&mut state, "6 enter");
    state.apply(Event::Feed(logs(&["steps"])), now());
    let mut run = state.objects.runs["nightly-20"].clone();
    let same = state.apply(Event::Feed(Feed::Run(Box::new(run.clone()))), now());
    assert_eq!(same, []);
    if let Some(status) = &mut run.status {
        status.logs.clear();
    }
    let more = state.apply(Event::Feed(Feed::Run(Box::new(run))), now());
    assert_eq!(more, [Wish::Logs("nightly-20".into())]);
}

#[test]
fn ctrl_c_ends_from_everywhere_also_out_of_an_input_field() {
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["tab", "/ 12", "5 enter", "?"] {
        let mut state = two((80, 24));
        press(&mut state, keys);
        let wishes = state.apply(Event::Key(interrupt), now());
        assert_eq!(wishes, [Wish::Interrupt], "{keys}");
    }
}

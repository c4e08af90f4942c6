use super::super::feed::Feed;
use super::super::logs::Log;
use super::super::pager::Shown;
use super::super::state::tests::{ended, now, press, run, two};
use super::super::state::{Event, Wish};
use super::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

/// The screen as text, without blanks at the ends of lines.
fn shot(state: &State) -> String {
    let backend = TestBackend::new(state.size.0, state.size.1);
    let mut terminal = Terminal::new(backend).expect("a backend in memory");
    terminal.draw(|frame| draw(state, frame)).expect("it draws");
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..state.size.1 {
        let cells = (0..state.size.0).map(|x| buffer[(x, y)].symbol());
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

fn with_a_run_under_way(size: (u16, u16)) -> State {
    let mut state = two(size);
    let status = json!({
        "phase": "Running", "state": "RUNNING", "number": 24, "function": "USER", "step": "run-function", "progress": "4/5",
        "started": "2026-11-24T00:00:00Z", "startedAt": "2026-11-24T00:00:00Z",
        "prepareOnSource": "1:40", "prepareOnClone": "27:00", "partitionActive": "since 00:03Z", "flashCopyActive": "since 00:01Z",
        "steps": [
            {"name": "start-copy", "state": "Done", "attempts": 1, "start": "2026-11-24T00:01:00Z", "end": "2026-11-24T00:01:02Z"},
            {"name": "start-clone", "state": "Done", "attempts": 1, "start": "2026-11-24T00:02:00Z", "end": "2026-11-24T00:03:00Z"},
            {"name": "await-clone", "state": "Done", "start": "2026-11-24T00:03:00Z", "end": "2026-11-24T00:30:00Z"},
            {"name": "run-function", "state": "Intended", "attempts": 1, "start": "2026-11-24T00:30:00Z", "message": "job 012345/CLNUSER/MYSAVE is active"},
            {"name": "settle"}
        ],
    });
    let under_way = run("nightly", "nightly-24", "2026-11-24T00:00:00Z", status);
    state.apply(Event::Feed(Feed::Run(Box::new(under_way))), now());
    press(&mut state, "g");
    state
}

#[test]
fn the_list_on_a_5250_sized_screen() {
    let text = shot(&with_a_run_under_way((80, 24)));
    insta::assert_snapshot!("list_80x24", text);
}

#[test]
fn the_list_on_a_wide_screen_says_more() {
    let text = shot(&with_a_run_under_way((132, 43)));
    insta::assert_snapshot!("list_132x43", text);
    assert!(text.contains("ENVIR.") && text.contains("FREEZE"), "{text}");
}

#[test]
fn f11_shows_times_on_both_sizes() {
    for size in [(80, 24), (132, 43)] {
        let mut state = with_a_run_under_way(size);
        press(&mut state, "F11");
        let text = shot(&state);
        assert!(
            text.contains("RESUMED") && text.contains("08:25:51"),
            "{text}"
        );
        press(&mut state, "t");
        assert!(shot(&state).contains("PREPA"));
    }
}

#[test]
fn option_5_shows_steps_with_their_times_and_what_the_run_waits_for() {
    let mut state = with_a_run_under_way((80, 24));
    press(&mut state, "5 enter");
    let mut all = shot(&state);
    press(&mut state, "pgdn");
    all.push_str(&shot(&state));
    insta::assert_snapshot!("details_80x24", all);
}

#[test]
fn a_log_is_paged_and_found_in() {
    let mut state = with_a_run_under_way((80, 24));
    press(&mut state, "tab 6 enter");
    assert!(
        shot(&state).contains("Reading the logs"),
        "{}",
        shot(&state)
    );
    let lines = (0..60).map(|n| Shown::plain(format!("line {n} of the log")));
    let log = Log {
        kind: "joblog",
        lines: lines.collect(),
    };
    let read = Feed::Logs("nightly-20".into(), Ok(vec![log]));
    state.apply(Event::Feed(read), now());
    assert!(shot(&state).contains("joblog"), "{}", shot(&state));
    press(&mut state, "enter pgdn");
    let text = shot(&state);
    assert!(
        text.contains("Job Log") && text.contains("More..."),
        "{text}"
    );
    assert!(
        text.contains("line 19 of") && !text.contains("line 18 of"),
        "{text}"
    );
    press(&mut state, "/ LINE");
    assert!(
        shot(&state).contains("Find  . :  LINE_"),
        "{}",
        shot(&state)
    );
    press(&mut state, "enter n");
    assert!(shot(&state).contains("line 21 of"), "{}", shot(&state));
    press(&mut state, "G");
    let text = shot(&state);
    assert!(
        text.contains("line 59 of") && text.contains("Bottom"),
        "{text}"
    );
}

#[test]
fn no_line_of_any_screen_is_cut_in_the_middle_of_its_keys() {
    for keys in ["g", "?", "5 enter"] {
        let mut state = with_a_run_under_way((80, 24));
        press(&mut state, keys);
        let text = shot(&state);
        assert!(!text.contains('…'), "{keys}: {text}");
    }
}

#[test]
fn the_longest_name_of_an_environment_is_never_cut() {
    let name = "a".repeat(40);
    let mut state = two((80, 24));
    let long = ended(&name, 9);
    state.apply(Event::Feed(Feed::Run(Box::new(long))), now());
    let mut environment = crate::commands::samples::environment();
    environment.metadata.name = Some(name.clone());
    state.apply(Event::Feed(Feed::Environment(Box::new(environment))), now());
    press(&mut state, "G");
    for size in [(80, 24), (132, 43)] {
        state.apply(Event::Resize(size.0, size.1), now());
        assert!(
            shot(&state).contains(&format!("{name}  *USER")),
            "{}",
            shot(&state)
        );
    }
}

#[test]
fn a_terminal_that_is_too_small_is_told_so_and_goes_on_when_it_grows() {
    let mut state = two((80, 24));
    for size in [(79, 24), (80, 23), (20, 10), (1, 1)] {
        state.apply(Event::Resize(size.0, size.1), now());
        let text = shot(&state);
        assert!(!text.contains("Clone History"), "{text}");
        if size.0 >= 20 {
            let words: Vec<&str> = text.split_whitespace().collect();
            let said = format!(
                "needs 80 columns and 24 lines; the terminal has {} and {}",
                size.0, size.1
            );
            assert!(words.join(" ").contains(&said), "{text}");
        }
    }
    state.apply(Event::Resize(80, 24), now());
    assert!(shot(&state).contains("Clone History"));
}

#[test]
fn an_api_that_went_silent_is_said_and_what_was_known_stays() {
    let mut state = two((80, 24));
    let silent = Feed::Silent("runs", "connection refused".into());
    state.apply(Event::Feed(silent), now());
    let text = shot(&state);
    assert!(
        text.contains("No word from the API since 01:30:05Z"),
        "{text}"
    );
    assert!(text.contains("USER_END"), "{text}");
    state.apply(Event::Feed(Feed::Silent("runs", String::new())), now());
    assert!(!shot(&state).contains("No word"));
}

#[test]
fn an_archive_that_was_lost_with_the_api_is_read_again_when_the_api_is_back() {
    let mut state = two((80, 24));
    let lost = Feed::Archive("nightly-user".into(), Err("connection reset".into()));
    state.apply(Event::Feed(lost), now());
    let said = "older rows of nightly-user are not shown: connection reset";
    assert!(shot(&state).contains(said), "{}", shot(&state));
    let silent = Feed::Silent("runs", "connection refused".into());
    state.apply(Event::Feed(silent), now());
    assert!(shot(&state).contains("No word from the API"), "the cause");
    let back = Event::Feed(Feed::Silent("runs", String::new()));
    let wishes = state.apply(back, now());
    assert_eq!(wishes, [Wish::Archive("nightly-user".into())]);
    let read = Feed::Archive("nightly-user".into(), Ok(Vec::new()));
    state.apply(Event::Feed(read), now());
    assert!(!shot(&state).contains("older rows"), "{}", shot(&state));
}

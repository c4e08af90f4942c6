//! `watch` in a real pseudo-terminal against a real API server.

use super::morning::{Morning, journal, status};
use crate::support::kube::{own, shared};
use crate::support::pty::{ENTER, F1, F3, F5, F11, F12, PAGE_DOWN, Terminal};
use chrono::{TimeDelta, Utc};
use ibmi_clone_operator::engine::journal::Phase;
use rustix::process::Signal;

const SIZES: [(u16, u16); 2] = [(80, 24), (132, 43)];

fn start(morning: &Morning, size: (u16, u16)) -> Terminal {
    let arguments = [&["watch"][..], &morning.place()].concat();
    Terminal::start(&arguments, size.0, size.1)
}

fn name(what: &str, size: (u16, u16)) -> String {
    format!("{what}-{}x{}", size.0, size.1)
}

/// Numbers of the rows that are seen.
fn rows(screen: &str) -> Vec<String> {
    let options = screen.lines().filter_map(|line| line.strip_prefix(" _ "));
    let numbers = options.filter_map(|row| row.split_whitespace().next());
    numbers.map(str::to_owned).collect()
}

/// Every line fits, and the last two are keys and message.
fn assert_whole(screen: &str, size: (u16, u16)) {
    assert_eq!(screen.lines().count(), usize::from(size.1), "{screen}");
    let keys = screen.lines().nth(usize::from(size.1) - 2).unwrap();
    assert!(keys.contains("F3=Exit"), "{screen}");
    assert!(
        keys.ends_with("Bottom") || keys.ends_with("More..."),
        "{screen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_5250_user_reads_the_morning_with_options_and_function_keys_on_both_sizes() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    for size in SIZES {
        let mut screen = start(&morning, size);
        let list = screen
            .until("all rows", |s| {
                s.matches("END_FC").count() == 2
                    && s.contains("HOLD ")
                    && s.contains("active since")
            })
            .await;
        assert_whole(&list, size);
        assert!(list.contains("operator-0"), "{list}");
        assert!(list.contains("7/8 run-function"), "{list}");
        screen.keep(&name("list", size));

        screen.press(F11);
        let times = screen.sees("RESUMED").await;
        assert_whole(&times, size);
        screen.keep(&name("times", size));
        screen.press(F11);
        screen.sees("PREPA").await;

        // 5 before the run under way, 8 before last night's.
        screen.press("5\t8");
        screen.press(ENTER);
        let details = screen.sees("Display Run").await;
        assert!(
            details.contains("nightly number 19") && details.contains("verify-site"),
            "{details}"
        );
        screen.keep(&name("details", size));
        screen.press(F12);
        let log = screen.sees("Job Log").await;
        assert!(
            log.contains("CPC3701 00 0 objects") && log.contains("nightly number 18"),
            "{log}"
        );
        assert_whole(&log, size);
        screen.keep(&name("joblog", size));
        screen.press(PAGE_DOWN);
        screen
            .until("another screen", |s| !s.contains("CPC3701 00 0 objects"))
            .await;
        screen.press("G");
        screen.sees("CPF3770 40 39 objects").await;
        screen.press(F3);
        screen.sees("Clone History").await;

        screen.press("9");
        screen.press(ENTER);
        screen.sees("IPL of the clone completed").await;
        screen.press(F12);
        screen.sees("Clone History").await;
        screen.press("6");
        screen.press(ENTER);
        let choice = screen.sees("Choose a log").await;
        assert!(choice.contains("joblog              40 lines"), "{choice}");
        screen.keep(&name("choice", size));
        screen.press(ENTER);
        screen.sees("Step Log").await;
        screen.press(F3);
        screen.press(F1);
        screen.sees("5250 key").await;
        screen.keep(&name("keys", size));
        screen.press(F12);
        screen.press(F5);
        screen.sees("Read again.").await;
        screen.press(F3);
        assert_eq!(screen.ends().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_user_moves_positions_and_finds_with_letters() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    let mut screen = start(&morning, (80, 24));
    screen.sees("11-02").await;
    screen.press("/midday");
    screen.sees("midday___").await;
    screen.press(ENTER);
    screen.press(ENTER);
    let details = screen.sees("Display Run").await;
    assert!(
        details.contains("midday number 4") && details.contains("HOLD"),
        "{details}"
    );
    screen.press("q");
    screen.press("/18");
    screen.press(ENTER);
    screen.press("8");
    screen.press(ENTER);
    screen.sees("Job Log").await;
    screen.press("/orders33");
    screen.press(ENTER);
    screen
        .until("the line found on top", |s| {
            s.lines()
                .nth(3)
                .is_some_and(|l| l.contains("00 33 objects") || l.contains("ORDERS33"))
        })
        .await;
    screen.press("/no such text");
    screen.press(ENTER);
    screen.sees("is not there").await;
    screen.press("q");
    screen.sees("Clone History").await;
    screen.press("/2");
    screen.press(ENTER);
    screen.press("6");
    screen.press(ENTER);
    screen.sees("row of the archive").await;
    screen.press("q");
    assert_eq!(screen.ends().await, 0);
}

/// A reader of keys that waits for one that was read already holds the whole screen until the next key.
#[tokio::test(flavor = "multi_thread")]
async fn keys_in_quick_succession_never_hold_the_screen() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    let mut screen = start(&morning, (80, 24));
    screen.sees("RUNNING").await;
    for _ in 0..30 {
        for key in ["j", "k", F11, F11, "5", " "] {
            screen.press(key);
        }
        let last = screen.text();
        let clock = |text: &str| text.lines().next().map(str::to_owned);
        screen
            .until("the clock to go on", |text| clock(text) != clock(&last))
            .await;
    }
    screen.press(F3);
    assert_eq!(screen.ends().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_writes_is_seen_without_asking() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    let screen = start(&morning, (80, 24));
    screen.sees("7/8 run-function").await;
    let began = Utc::now() - TimeDelta::minutes(90);
    let next = status(&journal(began, 7, Phase::Running), 19, "USER");
    morning.change("nightly-19", &next).await;
    screen.sees("8/8 settle").await;
    let ended = status(&journal(began, 8, Phase::Succeeded), 19, "USER");
    morning.change("nightly-19", &ended).await;
    let text = screen.sees("USER_END").await;
    assert!(!text.contains("8/8 settle"), "{text}");
    assert_eq!(rows(&text), ["19", "18", "2", "4"]);
    // A new run stands on top, before anything has opened it.
    let new = status(&journal(Utc::now(), 0, Phase::Running), 20, "USER");
    morning.write("nightly", 20, &new).await;
    screen.sees("1/8 verify-site").await;
    assert_eq!(rows(&screen.text()), ["20", "19", "18", "2", "4"]);
    // A row that went to the archive stays as a row of the archive; one that did not is gone.
    let gone = Default::default();
    morning.runs.delete("nightly-18", &gone).await.unwrap();
    screen
        .until("the row gone", |s| rows(s) == ["20", "19", "2", "4"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_given_back_whatever_ends_it() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    for signal in [
        Some(Signal::TERM),
        Some(Signal::INT),
        Some(Signal::HUP),
        None,
    ] {
        let mut screen = start(&morning, (80, 24));
        screen.sees("nightly").await;
        assert!(screen.is_taken());
        match signal {
            Some(signal) => screen.signal(signal),
            None => screen.press("\x03"),
        }
        assert_eq!(screen.ends().await, 130, "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_too_small_is_said_and_lived_through() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    let mut screen = start(&morning, (60, 20));
    screen.sees("needs 80 columns and 24 lines").await;
    for size in [(80, 24), (132, 43)] {
        screen.resize(size.0, size.1);
        let text = screen
            .until("the list in its new size", |s| {
                let keys = s.lines().nth(usize::from(size.1) - 2);
                s.contains("11-02") && keys.is_some_and(|line| line.contains("F3=Exit"))
            })
            .await;
        assert_whole(&text, size);
    }
    screen.resize(79, 24);
    screen.sees("the terminal has 79 and 24").await;
    screen.press(F3);
    assert_eq!(screen.ends().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_it_is_said_on_the_usual_screen() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kubeconfig");
    // Nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://{nobody}")}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": "ibmi"}}],
    });
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let path = file.display().to_string();
    let mut screen = Terminal::start(&["watch", "--kubeconfig", &path], 80, 24);
    screen.sees("no Kubernetes API").await;
    assert_eq!(screen.ends().await, 69);
    assert!(!screen.raw().contains("\x1b[?1049h"), "{:?}", screen.raw());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_goes_away_is_said_and_what_was_known_stays_until_it_is_back() {
    let Some(mut stack) = own().await else { return };
    let morning = Morning::new(&stack).await;
    let mut screen = start(&morning, (80, 24));
    screen.sees("END_FC").await;
    stack.kill_api_server();
    let text = screen.sees("No word from the API since").await;
    assert!(text.contains("END_FC"), "{text}");
    screen.keep("silent-80x24");
    stack.restart_api_server().await.unwrap();
    screen
        .until("the API heard again", |s| !s.contains("No word"))
        .await;
    screen.press("q");
    assert_eq!(screen.ends().await, 0);
}

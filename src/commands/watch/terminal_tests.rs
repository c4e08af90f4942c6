use super::*;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::io::Read;

/// What leaves the alternate screen.
const LEAVES: &str = "\u{1b}[?1049l";

/// Run by the test below, in a terminal of its own.
#[test]
#[ignore = "breaks on purpose, in a terminal that another test gives it"]
fn breaks_while_it_has_the_terminal() {
    let _taken = Taken::take().expect("a terminal was given");
    panic!("broken on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_prints() {
    let pair = native_pty_system()
        .openpty(PtySize {
            rows: 24,
            cols: 80,
            ..PtySize::default()
        })
        .expect("a terminal can be made");
    let mut again = CommandBuilder::new(std::env::current_exe().expect("this test is a program"));
    again.args([
        "--exact",
        "commands::watch::terminal::tests::breaks_while_it_has_the_terminal",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    let mut child = pair.slave.spawn_command(again).expect("it starts");
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().expect("it can be read");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // The end of a terminal reads as an error.
        let _ = output.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let ended = child.wait().expect("it ends");
    assert!(!ended.success());
    let said = reader.join().expect("is read");
    let left = said.find(LEAVES);
    let broken = said.find("broken on purpose");
    assert!(left.is_some() && left < broken, "{said:?}");
}

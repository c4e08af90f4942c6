//! A terminal for a program: a real pseudo-terminal with a screen behind it that can be read.

use super::wait;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex};
use vt100::Parser;

/// What a terminal sends for keys that are no characters.
pub const F1: &str = "\x1bOP";
pub const F3: &str = "\x1bOR";
pub const F5: &str = "\x1b[15~";
pub const F11: &str = "\x1b[23~";
pub const F12: &str = "\x1b[24~";
pub const PAGE_DOWN: &str = "\x1b[6~";
pub const ENTER: &str = "\r";

/// A running program with its terminal. Dropped = killed.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    parser: Arc<Mutex<Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, lines: u16) -> PtySize {
    PtySize {
        rows: lines,
        cols: columns,
        ..PtySize::default()
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has cells")
}

impl Terminal {
    /// The binary with these arguments, and nothing of this machine's Kubernetes access in its environment.
    pub fn start(arguments: &[&str], columns: u16, lines: u16) -> Self {
        let pair = native_pty_system().openpty(size(columns, lines)).unwrap();
        let mut command = CommandBuilder::new(assert_cmd::cargo::cargo_bin("ibmi-clone"));
        command.args(arguments);
        for name in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST"] {
            command.env_remove(name);
        }
        command.env("HOME", "/nonexistent");
        // Otherwise it is the home directory.
        command.cwd(std::env::current_dir().unwrap());
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let parser = Arc::new(Mutex::new(Parser::new(cells(lines), cells(columns), 0)));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let mut output = pair.master.try_clone_reader().unwrap();
        let (behind, bytes) = (parser.clone(), raw.clone());
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            // The end of a terminal reads as an error.
            while let Ok(read @ 1..) = output.read(&mut some) {
                bytes.lock().unwrap().extend_from_slice(&some[..read]);
                behind.lock().unwrap().process(&some[..read]);
            }
        });
        Self {
            child,
            keyboard: pair.master.take_writer().unwrap(),
            master: pair.master,
            parser,
            raw,
        }
    }

    /// What is seen, without blanks at the ends of lines.
    pub fn text(&self) -> String {
        let parser = self.parser.lock().unwrap();
        let (_, columns) = parser.screen().size();
        let lines = parser.screen().rows(0, columns.get());
        lines
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }

    /// All that was written to it, with the sequences that steer it.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw.lock().unwrap()).into_owned()
    }

    /// Whether the program has the whole screen.
    pub fn is_taken(&self) -> bool {
        self.parser.lock().unwrap().screen().alternate_screen()
    }

    /// Waits until something is seen; gives the screen.
    pub async fn until(&self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        wait::found(what, async || {
            let text = self.text();
            if seen(&text) { Ok(text) } else { Err(text) }
        })
        .await
    }

    /// Waits until a text is seen.
    pub async fn sees(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text)).await
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Somebody pulls at the window.
    pub fn resize(&mut self, columns: u16, lines: u16) {
        self.parser
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(cells(lines), cells(columns));
        self.master.resize(size(columns, lines)).unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.process_id().unwrap();
        let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits for the end; gives the exit code, when the terminal was given back.
    pub async fn ends(&mut self) -> u32 {
        let status = wait::found("the end of the program", async || {
            self.child.try_wait().unwrap().ok_or(self.text())
        })
        .await;
        wait::until("the terminal is given back", async || !self.is_taken()).await;
        status.exit_code()
    }

    /// Keeps the screen as text and with its colours below the build directory, for people.
    pub fn keep(&self, name: &str) {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.txt")), self.text()).unwrap();
        let formatted = self.parser.lock().unwrap().screen().contents_formatted();
        std::fs::write(directory.join(format!("{name}.ansi")), formatted).unwrap();
    }
}

//! `watch`: the history on the whole screen, as it goes on (`product.md` § 11), with the options 5, 6, 8, 9 of the history
//! display. State and drawing are pure; this file joins them with terminal, clock and API.

mod details;
mod feed;
mod keys;
mod list;
mod logs;
mod pager;
mod prompt;
mod screen;
mod state;
mod terminal;
mod typed;

use super::operator_state::LeaseFlags;
use super::{CommandError, Exit, KubeFlags};
use crate::commands::cluster::Cluster;
use crate::commands::history::read::archive_of;
use chrono::Utc;
use crossterm::event::{Event as Input, EventStream};
use feed::{Feed, Feeder};
use futures::StreamExt;
use kube::api::ListParams;
use state::{Event, State, Wish};
use std::time::Duration;
use terminal::Taken;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver};

/// Arguments of `watch`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this environment; default all of the namespace.
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    leases: LeaseFlags,
}

/// News that may wait to be drawn together.
const WAITING: usize = 256;

/// Shows it until a person leaves.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    terminal::must_be_terminal()?;
    let cluster = kube.connect().await?;
    let only = arguments.environment.clone();
    // What is wrong from the beginning is said on the usual screen.
    there_is_something(&cluster, only.as_deref()).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let mut terminal = Taken::take()?;
    let size = terminal.get().size();
    let size = size.map_err(|e| CommandError::io("ask the terminal's size", e))?;
    let state = State::new(
        &cluster.namespace,
        only.as_deref(),
        (size.width, size.height),
        Utc::now(),
    );
    let mut feeder = Feeder::start(cluster, only.clone(), arguments.leases.clone(), sender);
    if let Some(environment) = only {
        feeder.read_archive(environment);
    }
    show(&mut terminal, state, &mut feeder, receiver).await
}

/// An API that answers, definitions that are installed, an environment that exists or once did.
async fn there_is_something(cluster: &Cluster, only: Option<&str>) -> Result<(), CommandError> {
    let Some(name) = only else {
        let one = ListParams::default().limit(1);
        let what = format!("list environments of namespace {}", cluster.namespace);
        let list = cluster.environments().list_metadata(&one).await;
        return list.map(drop).map_err(|e| CommandError::kube(what, &e));
    };
    match cluster.environment(name).await {
        Err(gone @ CommandError::NotFound(_)) => {
            let archived = archive_of(cluster, &cluster.namespace, name).await;
            let rows = archived.is_ok_and(|rows| !rows.is_empty());
            if rows || !cluster.runs_of(name).await?.is_empty() {
                Ok(())
            } else {
                Err(gone)
            }
        }
        found => found.map(drop),
    }
}

/// Signals that end the screen as Ctrl-C does.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> Result<Self, CommandError> {
        let on = |kind| signal(kind).map_err(|e| CommandError::io("wait for signals", e));
        Ok(Self([
            on(SignalKind::terminate())?,
            on(SignalKind::interrupt())?,
            on(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

async fn show(
    terminal: &mut Taken,
    mut state: State,
    feeder: &mut Feeder,
    mut news: Receiver<Feed>,
) -> Result<Exit, CommandError> {
    let mut signals = Signals::new()?;
    let mut input = EventStream::new();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        let drawn = terminal.get().draw(|frame| screen::draw(&state, frame));
        drawn.map_err(|e| CommandError::io("write to the terminal", e))?;
        let mut events = tokio::select! {
            input = input.next() => match input {
                Some(Ok(input)) => of_input(input),
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(Exit::Interrupted),
            },
            Some(feed) = news.recv() => vec![Event::Feed(feed)],
            _ = seconds.tick() => vec![Event::Tick],
            () = signals.any() => return Ok(Exit::Interrupted),
            broken = feeder.broken() => {
                return Err(CommandError::Other(format!("a part of the screen broke: {broken}")));
            }
        };
        // What came together is drawn together.
        while let (true, Ok(feed)) = (events.len() < WAITING, news.try_recv()) {
            events.push(Event::Feed(feed));
        }
        for event in events {
            for wish in state.apply(event, Utc::now()) {
                match wish {
                    Wish::End => return Ok(Exit::Done),
                    Wish::Interrupt => return Ok(Exit::Interrupted),
                    Wish::Refresh => feeder.refresh(),
                    Wish::Archive(environment) => feeder.read_archive(environment),
                    Wish::Logs(run) => feeder.read_logs(run),
                    Wish::Redraw => {
                        let cleared = terminal.get().clear();
                        cleared.map_err(|e| CommandError::io("write to the terminal", e))?;
                    }
                }
            }
        }
    }
}

fn of_input(input: Input) -> Vec<Event> {
    match input {
        Input::Key(key) => vec![Event::Key(key)],
        Input::Resize(columns, lines) => vec![Event::Resize(columns, lines)],
        Input::FocusGained | Input::FocusLost | Input::Mouse(_) | Input::Paste(_) => Vec::new(),
    }
}

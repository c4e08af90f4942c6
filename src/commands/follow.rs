//! Watching a run until it is final.

use super::CommandError;
use super::cluster::Cluster;
use super::error::chain;
use super::progress::Progress;
use crate::api::CloneRun;
use futures::{Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use std::pin::pin;
use std::time::Duration;

/// How the watching ended.
pub enum Followed {
    /// The phase is final.
    Final(Box<CloneRun>),
    /// The given time was over; the run goes on.
    TimedOut,
    /// Ctrl-C; the run goes on.
    Interrupted,
}

/// Watches a run and shows its progress. An API that does not answer is waited for: the run goes on without us.
pub async fn follow(
    cluster: &Cluster,
    name: &str,
    limit: Option<Duration>,
    progress: &Progress,
) -> Result<Followed, CommandError> {
    let stream = watcher::watch_object(cluster.runs(), name).default_backoff();
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        run = until_final(stream, name, progress) => Ok(Followed::Final(Box::new(run?))),
        () = over => Ok(Followed::TimedOut),
        _ = tokio::signal::ctrl_c() => Ok(Followed::Interrupted),
    }
}

async fn until_final(
    stream: impl Stream<Item = watcher::Result<Option<CloneRun>>>,
    name: &str,
    progress: &Progress,
) -> Result<CloneRun, CommandError> {
    let mut stream = pin!(stream);
    let mut silent = false;
    while let Some(event) = stream.next().await {
        match event {
            Ok(Some(run)) => {
                silent = false;
                progress.show(&run);
                if run.status.as_ref().is_some_and(|s| s.phase.is_final()) {
                    return Ok(run);
                }
            }
            Ok(None) => {
                return Err(CommandError::NotFound(format!(
                    "run {name} was deleted while it was waited for"
                )));
            }
            Err(error) => {
                if !silent {
                    progress.say(&format!(
                        "no word of the run now, waiting: {}",
                        chain(&error)
                    ));
                }
                silent = true;
            }
        }
    }
    Err(CommandError::Unavailable(format!(
        "the watch of run {name} ended"
    )))
}

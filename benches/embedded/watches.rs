//! Many watches on what one writer writes.

use super::server::Server;
use super::{number, rows};
use futures::{AsyncBufReadExt, TryStreamExt};
use ibmi_clone_operator::api::CloneRun;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Runs that are written in turn.
const RUNS: usize = 10;
/// No server here takes so long.
const LIMIT: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
pub struct Watches {
    pub watches: usize,
    pub writes: usize,
    /// From the first write until the last one was acknowledged.
    pub written: f64,
    /// From the first write until the last watch had seen the last one.
    pub seen: f64,
    /// Writes that a watch did not see, all watches together.
    pub lost: usize,
    /// Writes that a watch saw again or too late.
    pub disordered: usize,
}

/// Of an event of a watch, what tells which write it is.
#[derive(Deserialize)]
struct Event {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    journal: Journal,
}

#[derive(Deserialize)]
struct Journal {
    revision: usize,
}

pub async fn measure(server: &Server) -> Watches {
    let (count, writes) = (number("WATCHES", 200), number("EVENTS", 1_000));
    let client = &server.client;
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &rows::namespace_of(1));
    let none = PostParams::default();
    let mut objects = Vec::new();
    for n in 0..RUNS {
        let mut run = rows::run(1, n, "00000000-0000-4000-8000-000000000000");
        run.metadata.owner_references = None;
        objects.push(runs.create(&none, &run).await.unwrap());
    }
    let list = runs.list_metadata(&Default::default()).await.unwrap();
    let from = list.metadata.resource_version.unwrap();
    let mut watching = Vec::new();
    for _ in 0..count {
        let (open, opened) = tokio::sync::oneshot::channel();
        watching.push(tokio::spawn(watch(
            client.clone(),
            from.clone(),
            writes,
            open,
        )));
        opened.await.unwrap();
    }
    let begun = Instant::now();
    for n in 0..writes {
        let run = &mut objects[n % RUNS];
        run.status = Some(rows::at_work(n));
        let name = run.metadata.name.clone().unwrap();
        *run = runs.replace_status(&name, &none, run).await.unwrap();
    }
    let written = begun.elapsed().as_secs_f64();
    let (mut lost, mut disordered) = (0, 0);
    for task in watching {
        let seen = task.await.unwrap();
        lost += writes - seen.iter().collect::<std::collections::BTreeSet<_>>().len();
        disordered += seen.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    }
    let seen = begun.elapsed().as_secs_f64();
    for run in objects {
        let name = run.metadata.name.unwrap();
        runs.delete(&name, &Default::default()).await.unwrap();
    }
    Watches {
        watches: count,
        writes,
        written,
        seen,
        lost,
        disordered,
    }
}

/// Which writes a watch saw, until the last one.
async fn watch(
    client: Client,
    from: String,
    writes: usize,
    open: tokio::sync::oneshot::Sender<()>,
) -> Vec<usize> {
    let path = format!(
        "/apis/ibmiclone.dev/v1alpha1/namespaces/{}/cloneruns?watch=1&resourceVersion={from}",
        rows::namespace_of(1)
    );
    let request = axum::http::Request::get(path).body(Vec::new()).unwrap();
    let mut lines = client.request_stream(request).await.unwrap().lines();
    let _ = open.send(());
    let mut seen = Vec::with_capacity(writes);
    let until = tokio::time::Instant::now() + LIMIT;
    while let Ok(Ok(Some(line))) = tokio::time::timeout_at(until, lines.try_next()).await {
        let event: Event = serde_json::from_str(&line).unwrap();
        if let Some(status) = event.object.status {
            seen.push(status.journal.revision);
        }
        if seen.last() == Some(&(writes - 1)) {
            break;
        }
    }
    seen
}

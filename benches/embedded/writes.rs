//! Status replaces, and what the disk takes of them.

use super::server::{Server, place, written};
use super::{number, percentile, rows};
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::commands::embedded_api::EmbeddedApi;
use kube::api::PostParams;
use kube::{Api, Client};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// Writes between two turns at the disk's own time.
const BLOCK: usize = 100;
/// As large as the write-ahead log becomes: the file is written from its beginning again after that.
const FILE: u64 = 4 << 20;

/// Milliseconds, sorted.
#[derive(Debug, Clone, Default)]
pub struct Writes {
    pub replaces: Vec<f64>,
    pub fsyncs: Vec<f64>,
    /// To the disk, for each write.
    pub bytes: u64,
    /// Of the object, as JSON.
    pub size: usize,
}

impl Writes {
    /// 99 in 100 are faster, without what 99 in 100 of the disk's are.
    pub fn without_disk(&self) -> f64 {
        percentile(&self.replaces, 0.99) - percentile(&self.fsyncs, 0.99)
    }
}

pub async fn measure(server: &Server) -> Writes {
    replaces(&server.client, &server.dir, || server.written()).await
}

/// The same through the client of the process that holds the store.
pub async fn in_process(dir: &Path) -> Writes {
    std::fs::create_dir_all(dir).unwrap();
    let api = EmbeddedApi::start(&place(dir)).await.unwrap();
    let client = api.client("default");
    super::lists::namespaces(&client).await;
    let measured = replaces(&client, dir, || written(std::process::id())).await;
    api.stop().await.unwrap();
    measured
}

async fn replaces(client: &Client, dir: &Path, written: impl Fn() -> u64) -> Writes {
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &rows::namespace_of(0));
    let name = "at-work";
    let mut run = rows::run(0, 0, "00000000-0000-4000-8000-000000000000");
    run.metadata.name = Some(name.to_owned());
    run.metadata.owner_references = None;
    let none = PostParams::default();
    let mut run = runs.create(&none, &run).await.unwrap();
    let n = number("WRITES", 2_000);
    let mut disk = Disk::new(&dir.join("fsync"));
    let mut writes = Writes::default();
    let mut bytes = 0;
    // The first block warms up, and tells how many bytes a write takes.
    for turn in 0..n + BLOCK {
        run.status = Some(rows::at_work(turn));
        let before = written();
        let begun = Instant::now();
        run = runs.replace_status(name, &none, &run).await.unwrap();
        let took = begun.elapsed().as_secs_f64() * 1_000.0;
        bytes += written().saturating_sub(before);
        if turn >= BLOCK {
            writes.replaces.push(took);
        }
        if turn % BLOCK == BLOCK - 1 {
            let each = bytes / (turn as u64 + 1);
            for _ in 0..BLOCK {
                writes.fsyncs.push(disk.write(each));
            }
        }
    }
    writes.bytes = bytes / (n + BLOCK) as u64;
    writes.size = serde_json::to_vec(&run).unwrap().len();
    writes.replaces.sort_by(f64::total_cmp);
    writes.fsyncs.sort_by(f64::total_cmp);
    runs.delete(name, &Default::default()).await.unwrap();
    writes
}

/// A file that is written as a log is.
struct Disk {
    file: File,
    at: u64,
}

impl Disk {
    fn new(path: &Path) -> Self {
        let file = File::create(path).unwrap();
        file.write_all_at(&vec![0; FILE as usize], 0).unwrap();
        file.sync_all().unwrap();
        Self { file, at: 0 }
    }

    /// Milliseconds until so many bytes are on the disk.
    fn write(&mut self, bytes: u64) -> f64 {
        if self.at + bytes > FILE {
            self.at = 0;
        }
        let text = vec![self.at as u8; bytes as usize];
        let begun = Instant::now();
        self.file.write_all_at(&text, self.at).unwrap();
        self.file.sync_data().unwrap();
        self.at += bytes;
        begun.elapsed().as_secs_f64() * 1_000.0
    }
}

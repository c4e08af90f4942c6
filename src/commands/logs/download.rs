//! `logs --download`: one file per log, each part proved before it is written.

use super::{kept, none_there, unreadable};
use crate::api::CloneRun;
use crate::commands::cluster::Cluster;
use crate::commands::{CommandError, Exit};
use crate::controllers::run::logs::StoredLog;
use crate::controllers::run::logs::pack::hex;
use crate::recipe::LogKind;
use kube::ResourceExt;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes the files.
pub async fn execute(
    cluster: &Cluster,
    run: &CloneRun,
    kind: Option<LogKind>,
    directory: &Path,
) -> Result<Exit, CommandError> {
    let logs = kept(cluster, run, kind).await?;
    if logs.is_empty() {
        return Err(none_there(run, &super::named(kind)));
    }
    let what = format!("create directory {}", directory.display());
    std::fs::create_dir_all(directory).map_err(|e| CommandError::io(what, e))?;
    let path =
        |kind: LogKind| directory.join(format!("{}-{}.jsonl", run.name_any(), kind.as_str()));
    // Before the first byte: a half of a download beside files of another one helps nobody.
    if let Some((kind, _)) = logs.iter().find(|(kind, _)| path(*kind).exists()) {
        return Err(taken(&path(*kind)));
    }
    for (kind, mut log) in logs {
        let path = path(kind);
        let written = write(&path, &mut log).await?;
        println!(
            "{}: {} lines, {} bytes, {} parts proved by their SHA-256; SHA-256 of the file {}",
            path.display(),
            written.lines,
            written.bytes,
            log.parts(),
            hex(&written.digest.finalize())
        );
    }
    Ok(Exit::Done)
}

fn taken(path: &Path) -> CommandError {
    CommandError::io(
        format!(
            "write {}: nothing is overwritten, choose another directory or remove the file",
            path.display()
        ),
        ErrorKind::AlreadyExists.into(),
    )
}

#[derive(Default)]
struct Written {
    lines: usize,
    bytes: usize,
    digest: Sha256,
}

async fn write(path: &Path, log: &mut StoredLog) -> Result<Written, CommandError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match file {
        Ok(file) => Unfinished::of(path, file),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(taken(path)),
        Err(e) => return Err(CommandError::io(format!("write {}", path.display()), e)),
    };
    let mut written = Written::default();
    while let Some(part) = log.next_part().await.map_err(unreadable)? {
        file.file
            .write_all(part.as_bytes())
            .map_err(|e| CommandError::io(format!("write {}", path.display()), e))?;
        written.lines += part.lines().count();
        written.bytes += part.len();
        written.digest.update(&part);
    }
    file.path = None;
    Ok(written)
}

/// A file that is removed again unless all of it was written.
struct Unfinished {
    file: File,
    path: Option<PathBuf>,
}

impl Unfinished {
    fn of(path: &Path, file: File) -> Self {
        Self {
            file,
            path: Some(path.to_owned()),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It is ours, made a moment ago; the error that is reported is the one that ended the work.
            let _ = std::fs::remove_file(path);
        }
    }
}

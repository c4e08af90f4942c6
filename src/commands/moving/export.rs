//! `export`: what was read is written as one stream.

use super::file::Format;
use super::pick;
use super::reading::{Everything, PAGE_OF_LOGS, Reading, pages, rendered};
use crate::commands::{CommandError, Exit, KubeFlags};
use crate::controllers::run::logs::stored;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What goes: environments (paused), finished runs with number, status and times, the archives, the logs. What does \
not: Secrets and CA ConfigMaps (named in the header), Leases, events. Nothing is exported while a run is open, owes \
something to production, or has an image on the devices.\n\n\
The side that is left must not go on: `ibmi-clone schedule pause ENV` before, and stop its operator for good after.")]
pub struct Arguments {
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
    /// Write to this file, mode 0600, which must not be there; default standard
    /// output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Form of the documents.
    #[arg(long, value_enum, default_value = "yaml")]
    pub(super) format: Format,
    /// Leave the schedules of the environments as they are, instead of paused.
    #[arg(long)]
    pub(super) keep_schedules: bool,
    /// Export although images of finished runs are on the devices: they stay there
    /// and are nobody's, their rows are closed. Never a held one.
    #[arg(long)]
    pub(super) leave_images: bool,
    /// Namespace of the operator's Leases, which tell whether an image is held;
    /// default all namespaces.
    #[arg(long, value_name = "NAME")]
    pub(super) lease_namespace: Option<String>,
}

/// Reads, and writes nothing before it is known that everything may go.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let (client, format) = (cluster.client.clone(), arguments.format);
    let everything = Reading::new(cluster, arguments).everything().await?;
    let everything = &everything;
    match &arguments.output {
        None => {
            let mut out = io::stdout().lock();
            write(&client, format, everything, &mut out).await?;
        }
        Some(path) => {
            let mut file = NewFile::create(path)?;
            write(&client, format, everything, &mut file.file).await?;
            file.publish()?;
        }
    }
    told(everything, arguments);
    Ok(Exit::Done)
}

/// What a person has to do, on standard error: the stream may be on the other one.
fn told(everything: &Everything, arguments: &Arguments) {
    let header = &everything.header;
    eprintln!("exported {}", header.counts.said());
    header
        .to_be_made
        .said(None)
        .iter()
        .for_each(|line| eprintln!("{line}"));
    if !everything.at_work.is_empty() {
        eprintln!(
            "still at work here: {}; pause them (`ibmi-clone schedule pause ENV`), or runs come that are not in the export",
            everything.at_work.join(", ")
        );
    }
    if arguments.keep_schedules {
        eprintln!(
            "the schedules are exported as they are: stop the operator here before the import"
        );
    }
    eprintln!(
        "when it is imported, stop the operator here for good: two must not use one production"
    );
}

/// The header, everything else, then the logs as they are asked for.
async fn write(
    client: &Client,
    format: Format,
    everything: &Everything,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let failed = |e| CommandError::io("write the export", e);
    let header = rendered(format, "header", serde_json::to_value(&everything.header))?;
    let texts = std::iter::once(&header).chain(&everything.documents);
    for text in texts {
        out.write_all(text.as_bytes()).map_err(failed)?;
    }
    let mut written = 0;
    for (namespace, names) in &everything.logs {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        pages(&api, stored(), PAGE_OF_LOGS, |map| {
            let name = map.name_any();
            if names.contains(&name) {
                let text = rendered(format, &name, pick::config_map(&map))?;
                out.write_all(text.as_bytes()).map_err(failed)?;
                written += 1;
            }
            Ok(())
        })
        .await?;
    }
    out.flush().map_err(failed)?;
    if written == everything.header.counts.logs {
        return Ok(());
    }
    Err(CommandError::Other(
        "logs were removed while they were exported: export again".to_owned(),
    ))
}

/// A file that is there only when it is whole.
struct NewFile {
    file: File,
    partial: PathBuf,
    path: PathBuf,
}

impl NewFile {
    fn create(path: &Path) -> Result<Self, CommandError> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(CommandError::Usage(format!(
                "{} exists already: choose another name, or remove it",
                path.display()
            )));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut open = OpenOptions::new();
        open.write(true).create_new(true).mode(0o600);
        let file = open.open(&partial);
        let what = format!("create {}", partial.display());
        Ok(Self {
            file: file.map_err(|e| CommandError::io(what, e))?,
            path: path.to_owned(),
            partial,
        })
    }

    fn publish(self) -> Result<(), CommandError> {
        let publish = || {
            self.file.sync_all()?;
            // Unlike a rename a link replaces nothing that came meanwhile.
            fs::hard_link(&self.partial, &self.path)
        };
        let what = format!("write {}", self.path.display());
        publish().map_err(|e| CommandError::io(what, e))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.partial);
    }
}

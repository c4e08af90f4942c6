//! `backup`: a copy of the data of `standalone`, while it runs or not.

use super::error::chain;
use super::{CommandError, Exit};
use crate::embedded::store::{BackupError, Existing, Saved, backup_of_directory};
use chrono::Utc;
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`standalone` may run meanwhile; what was acknowledged before is in the backup. Its Secrets are encrypted under \
secrets.key of the directory, which is not in it: keep a copy of that file apart from the backups.\n\n\
To restore: an empty directory of mode 0700, the backup in it as store.db, and secrets.key beside it; then \
`standalone --data` with that directory. Environments are paused then, and no run of the backup is executed.")]
pub struct Arguments {
    /// Directory of the data, as given to `standalone`.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The backup, a new file of mode 0600; not in the directory of the data.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE when it is there, once the new backup is whole.
    #[arg(long)]
    force: bool,
}

/// Copies, checks, and says what there is.
pub async fn execute(arguments: Arguments) -> Result<Exit, CommandError> {
    let (data, file) = (arguments.data.clone(), arguments.file.clone());
    let existing = match arguments.force {
        true => Existing::Replace,
        false => Existing::Refuse,
    };
    let work = move || backup_of_directory(&data, &file, existing, Utc::now());
    let saved = tokio::task::spawn_blocking(work).await;
    let saved = saved.map_err(|e| CommandError::other(&e))?;
    let saved = saved.map_err(|error| match error {
        BackupError::NoStore(_) => CommandError::NotFound(error.to_string()),
        BackupError::Inside { .. } | BackupError::Name(_) => CommandError::Usage(error.to_string()),
        BackupError::Exists(_) => CommandError::Usage(format!("{error}, or give --force")),
        BackupError::Io { path, source } => {
            CommandError::io(format!("write {}", path.display()), source)
        }
        BackupError::Full(path) => {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            CommandError::io(format!("write {}", path.display()), full)
        }
        BackupError::Open(_) | BackupError::Wrong(_) | BackupError::Store(_) => {
            CommandError::Other(chain(&error))
        }
    })?;
    println!("{}", said(&arguments.data, &arguments.file, &saved));
    Ok(Exit::Done)
}

fn said(data: &Path, file: &Path, saved: &Saved) -> String {
    let Saved {
        objects,
        revision,
        bytes,
    } = saved;
    format!(
        "{}: {objects} objects, revision {revision}, {} KiB, checked\n{} is not in it: keep a copy apart, without it the Secrets are lost",
        file.display(),
        bytes.div_ceil(1024),
        data.join("secrets.key").display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_there_is_and_what_is_not() {
        let saved = Saved {
            objects: 34,
            revision: 120,
            bytes: 4097,
        };
        let said = said(Path::new("/data"), Path::new("/b/x.db"), &saved);
        assert_eq!(
            said,
            "/b/x.db: 34 objects, revision 120, 5 KiB, checked\n/data/secrets.key is not in it: keep a copy apart, without it the Secrets are lost"
        );
    }
}

//! `crd`: the definitions, as `crds/` keeps them.

use super::{CommandError, Exit};
use crate::api::crds;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `crd`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write one file per kind to this directory instead of printing them.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints or writes.
pub fn execute(arguments: &Arguments) -> Result<Exit, CommandError> {
    let Some(directory) = &arguments.output else {
        let documents: String = crds()
            .iter()
            .map(|(_, yaml)| format!("---\n{yaml}"))
            .collect();
        std::io::stdout()
            .write_all(documents.as_bytes())
            .map_err(|e| CommandError::io("write to standard output", e))?;
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(directory)
        .map_err(|e| CommandError::io(format!("make {}", directory.display()), e))?;
    for (name, yaml) in crds() {
        let path = directory.join(name);
        // First beside it, then renamed: a half-written definition must never be applied.
        let fresh = path.with_extension("yaml.new");
        let written = std::fs::write(&fresh, yaml).and_then(|()| std::fs::rename(&fresh, &path));
        written.map_err(|e| CommandError::io(format!("write {}", path.display()), e))?;
        println!("{}", path.display());
    }
    Ok(Exit::Done)
}

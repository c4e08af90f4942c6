//! Small files that must be whole or not there, and that only their owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was tried.
    pub action: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner: mode 0600.
    Owner,
    /// Everybody: mode 0644.
    Everybody,
}

/// Replaces a file in one step: readers see the old one or the new one, also after a crash.
///
/// # Errors
/// When the directory cannot be written to.
pub fn replace(path: &Path, text: &[u8], readers: Readers) -> Result<(), FileError> {
    let fail = |source| FileError {
        action: "write",
        path: path.to_owned(),
        source,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(
        path.file_name()
            .ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?,
    );
    name.push(format!(".{}", std::process::id()));
    let new = directory.join(name);
    let write = || -> io::Result<()> {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mode = match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o644,
        };
        // create_new: the mode holds only for a file that this call makes, and no link is followed.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&new);
        fail(error)
    })
}

/// Reads a file; None when there is none. One with a secret in it that others may read is closed to them first.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read(path: &Path, readers: Readers) -> Result<Option<String>, FileError> {
    let fail = |source| FileError {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mode = match fs::metadata(path) {
        Ok(found) => found.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    if readers == Readers::Owner && mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fail)?;
    }
    fs::read_to_string(path).map(Some).map_err(fail)
}

/// Makes a directory that only its owner may look into, if it is not there.
///
/// # Errors
/// When it cannot be made.
pub fn directory(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| FileError {
        action: "make the directory",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::{Readers, read, replace};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_file_is_never_open_to_others_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for text in ["one", "two"] {
            replace(&path, text.as_bytes(), Readers::Owner).unwrap();
            assert_eq!(read(&path, Readers::Owner).unwrap().as_deref(), Some(text));
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        read(&path, Readers::Owner).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(
            read(&directory.path().join("none"), Readers::Owner).unwrap(),
            None
        );
    }
}

//! Stream files through the shell's own tools, every write read back (`ibmi/CONTRACT.md` §§ 1.2, 10).

use super::host::send;
use crate::drivers::transport::ssh::{Completed, SshSession};
use crate::site::DeviceError;
use crate::wire::ibmi::{Exec, NEW};
use std::time::Duration;

/// Writes `PATH.new`, reads it back, renames it, reads `PATH` back.
///
/// # Errors
/// `Refused` with `FileNotWritten`; `Indeterminate` when what stands there is not what was sent.
pub(super) async fn put(
    session: &SshSession,
    device: &str,
    path: &str,
    content: &[u8],
    limit: Duration,
) -> Result<(), DeviceError> {
    absolute(device, path)?;
    let new = format!("{path}{NEW}");
    let shown = format!("write {} bytes to {new}", content.len());
    let write = Exec::Write(path.to_owned());
    let done = send(session, &write, &shown, content, limit).await?;
    ended(device, &shown, "FileNotWritten", &done)?;
    same(session, device, &new, content, limit).await?;
    let shown = format!("rename {new} to {path}");
    let commit = Exec::Commit(path.to_owned());
    let done = send(session, &commit, &shown, &[], limit).await?;
    ended(device, &shown, "FileNotWritten", &done)?;
    same(session, device, path, content, limit).await
}

/// The whole content; `None` only when the directory was listed and does not name it.
///
/// # Errors
/// `Refused` with `FileNotReadable`.
pub(super) async fn get(
    session: &SshSession,
    device: &str,
    path: &str,
    limit: Duration,
) -> Result<Option<Vec<u8>>, DeviceError> {
    absolute(device, path)?;
    let shown = format!("read {path}");
    let done = send(session, &Exec::Read(path.to_owned()), &shown, &[], limit).await?;
    if done.status == 0 {
        return Ok(Some(done.stdout));
    }
    if absent(session, path, limit).await? {
        return Ok(None);
    }
    Err(failed(device, &shown, "FileNotReadable", &done))
}

/// Removes it and its temporary name, and lists the directory to prove it.
///
/// # Errors
/// `Refused` with `FileNotRemoved`.
pub(super) async fn remove(
    session: &SshSession,
    device: &str,
    path: &str,
    limit: Duration,
) -> Result<(), DeviceError> {
    absolute(device, path)?;
    let (directory, name) = parts(path);
    let exec = Exec::Remove {
        path: path.to_owned(),
        directory: directory.to_owned(),
    };
    let shown = format!("remove {path}");
    let done = send(session, &exec, &shown, &[], limit).await?;
    if done.status != 0 {
        // The directory itself may not exist.
        if absent(session, path, limit).await? {
            return Ok(());
        }
        return Err(failed(device, &shown, "FileNotRemoved", &done));
    }
    let new = format!("{name}{NEW}");
    if done.text().lines().any(|l| l == name || l == new) {
        return Err(failed(device, &shown, "FileNotRemoved", &done));
    }
    Ok(())
}

/// Whether the system says that a file does not exist: its directory can be listed and does not name it, or does not
/// exist itself.
async fn absent(session: &SshSession, path: &str, limit: Duration) -> Result<bool, DeviceError> {
    let mut path = path;
    loop {
        let (directory, name) = parts(path);
        let shown = format!("list {directory}");
        let list = Exec::List(directory.to_owned());
        let done = send(session, &list, &shown, &[], limit).await?;
        if done.status == 0 {
            return Ok(!done.text().lines().any(|l| l == name));
        }
        if directory == "/" {
            return Ok(false);
        }
        path = directory;
    }
}

async fn same(
    session: &SshSession,
    device: &str,
    path: &str,
    content: &[u8],
    limit: Duration,
) -> Result<(), DeviceError> {
    let shown = format!("read back {path}");
    let done = send(session, &Exec::Read(path.to_owned()), &shown, &[], limit).await?;
    ended(device, &shown, "FileNotWritten", &done)?;
    if done.stdout == content {
        return Ok(());
    }
    let text = format!(
        "{path} holds {} bytes that are not the {} bytes written",
        done.stdout.len(),
        content.len()
    );
    Err(DeviceError::indeterminate(device, text))
}

fn ended(device: &str, shown: &str, code: &str, done: &Completed) -> Result<(), DeviceError> {
    if done.status == 0 {
        return Ok(());
    }
    Err(failed(device, shown, code, done))
}

fn failed(device: &str, shown: &str, code: &str, done: &Completed) -> DeviceError {
    let text = format!(
        "{shown}: status {}: {}",
        done.status,
        done.error_text().trim()
    );
    DeviceError::refused(device, code, text)
}

fn absolute(device: &str, path: &str) -> Result<(), DeviceError> {
    let good = path.starts_with('/') && !path.ends_with('/') && !path.contains(char::is_control);
    if good {
        return Ok(());
    }
    let text = format!("{path:?} is no absolute path of a file; nothing was sent");
    Err(DeviceError::refused(device, "PathNotValid", text))
}

/// Directory and name.
fn parts(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None => ("/", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_names_a_file() {
        assert_eq!(parts("/ibmiclone/run.parm"), ("/ibmiclone", "run.parm"));
        assert_eq!(parts("/ibmiclone"), ("/", "ibmiclone"));
        for wrong in ["", "x", "/", "/a/", "/a\nb"] {
            assert!(absolute("d", wrong).is_err(), "{wrong:?}");
        }
    }
}

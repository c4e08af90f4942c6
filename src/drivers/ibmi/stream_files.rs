//! Stream files through the shell: written under a temporary name, read back, renamed, read back again
//! (`ibmi/CONTRACT.md` §§ 2, 10).

use super::system::IbmIDriver;
use crate::site::{DeviceError, Session};
use crate::wire::ibmi::shell_quote;

pub(super) fn checked(driver: &IbmIDriver, path: &str) -> Result<(), DeviceError> {
    let fine = path.starts_with('/')
        && path.len() < 500
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/._-#@$".contains(&b));
    if fine {
        return Ok(());
    }
    Err(DeviceError::refused(
        driver.device(),
        "PathNotValid",
        format!("{path} is not a plain absolute path"),
    ))
}

pub(super) async fn put(
    driver: &IbmIDriver,
    session: &Session,
    path: &str,
    content: &[u8],
) -> Result<(), DeviceError> {
    checked(driver, path)?;
    let temporary = format!("{path}.new");
    let (to, from) = (shell_quote(path), shell_quote(&temporary));
    let write = format!("umask 077; cat > {from}");
    must(driver, session, &write, content, "write", &temporary).await?;
    same(driver, session, &temporary, content).await?;
    let rename = format!("mv -f {from} {to}");
    must(driver, session, &rename, b"", "rename", &temporary).await?;
    same(driver, session, path, content).await
}

async fn must(
    driver: &IbmIDriver,
    session: &Session,
    command: &str,
    stdin: &[u8],
    what: &str,
    path: &str,
) -> Result<(), DeviceError> {
    let done = driver
        .shell_line(session.number, command, stdin, driver.limits().read)
        .await?;
    if done.status == 0 {
        return Ok(());
    }
    Err(DeviceError::refused(
        driver.device(),
        "FileRefused",
        format!(
            "{what} of {path}: {}",
            String::from_utf8_lossy(&done.stderr).trim()
        ),
    ))
}

async fn same(
    driver: &IbmIDriver,
    session: &Session,
    path: &str,
    content: &[u8],
) -> Result<(), DeviceError> {
    match get(driver, session, path).await? {
        Some(found) if found == content => Ok(()),
        Some(_) | None => Err(DeviceError::indeterminate(
            driver.device(),
            format!("{path} does not read back as it was written"),
        )),
    }
}

pub(super) async fn get(
    driver: &IbmIDriver,
    session: &Session,
    path: &str,
) -> Result<Option<Vec<u8>>, DeviceError> {
    checked(driver, path)?;
    let command = format!("cat {}", shell_quote(path));
    let mut said = Vec::new();
    // A second time: the file may have been written between the failed `cat` and the listing that shows it.
    for _ in 0..2 {
        let done = driver
            .shell_line(session.number, &command, b"", driver.limits().read)
            .await?;
        if done.status == 0 {
            return Ok(Some(done.stdout));
        }
        if absent(driver, session, path).await? {
            return Ok(None);
        }
        said = done.stderr;
    }
    Err(DeviceError::refused(
        driver.device(),
        "FileNotReadable",
        format!(
            "{path} exists and cannot be read: {}",
            String::from_utf8_lossy(&said).trim()
        ),
    ))
}

/// Proves by the listing of a directory above that the path does not exist: a failed `cat` proves nothing, and its text is
/// in the system's language.
async fn absent(driver: &IbmIDriver, session: &Session, path: &str) -> Result<bool, DeviceError> {
    let mut at = path;
    loop {
        let (above, name) = match at.rfind('/') {
            None | Some(0) => ("/", at.trim_start_matches('/')),
            Some(slash) => (&at[..slash], &at[slash + 1..]),
        };
        let command = format!("ls -a {}", shell_quote(above));
        let done = driver
            .shell_line(session.number, &command, b"", driver.limits().read)
            .await?;
        if done.status == 0 {
            let listing = String::from_utf8_lossy(&done.stdout);
            return Ok(!listing.lines().any(|l| l.trim() == name));
        }
        if above == "/" {
            return Ok(false);
        }
        at = above;
    }
}

pub(super) async fn remove(
    driver: &IbmIDriver,
    session: &Session,
    path: &str,
) -> Result<(), DeviceError> {
    checked(driver, path)?;
    let temporary = shell_quote(&format!("{path}.new"));
    let command = format!("rm -f {} {temporary}", shell_quote(path));
    must(driver, session, &command, b"", "removal", path).await?;
    if absent(driver, session, path).await? {
        return Ok(());
    }
    Err(DeviceError::refused(
        driver.device(),
        "FileRefused",
        format!("{path} is still there after its removal"),
    ))
}

pub(super) async fn exists(
    driver: &IbmIDriver,
    session: &Session,
    path: &str,
) -> Result<bool, DeviceError> {
    checked(driver, path)?;
    Ok(!absent(driver, session, path).await?)
}

pub(super) async fn rename(
    driver: &IbmIDriver,
    session: &Session,
    from: &str,
    to: &str,
) -> Result<(), DeviceError> {
    checked(driver, from)?;
    checked(driver, to)?;
    let command = format!("mv -f {} {}", shell_quote(from), shell_quote(to));
    must(driver, session, &command, b"", "rename", from).await
}

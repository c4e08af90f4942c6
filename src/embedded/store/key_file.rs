//! The file that holds the key of the Secrets: 64 hexadecimal digits, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

use super::error::OpenError;
use super::vault::{KEY_LEN, Vault};

/// Name of the file.
pub(super) const NAME: &str = "secrets.key";

/// The key of a directory; None when it has none.
pub(super) fn load(dir: &Path) -> Result<Option<Vault>, OpenError> {
    let path = dir.join(NAME);
    let text = match fs::metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(OpenError::io("look at", &path, e)),
        Ok(found) => {
            let mode = found.permissions().mode() & 0o7777;
            if mode & 0o077 != 0 {
                let wanted = 0o600;
                return Err(OpenError::Exposed { path, mode, wanted });
            }
            fs::read(&path).map_err(|e| OpenError::io("read", &path, e))?
        }
    };
    let vault = parse(&text).and_then(|key| Vault::new(&key).ok());
    vault.map(Some).ok_or(OpenError::KeyDamaged(path))
}

/// Makes a key and keeps it. It is on the disk whole or not at all: half a key would stop every later start.
pub(super) fn create(dir: &Path) -> Result<Vault, OpenError> {
    let path = dir.join(NAME);
    let (key, vault) = random(&path)?;
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let write = || {
        let new = dir.join(format!("{NAME}.new"));
        remove_if_there(&new)?;
        let mut open = OpenOptions::new();
        open.write(true).create_new(true).mode(0o600);
        let mut file = open.open(&new)?;
        writeln!(file, "{digits}")?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|e| OpenError::io("write", &path, e))?;
    Ok(vault)
}

/// A key that is kept nowhere.
pub(super) fn random(path: &Path) -> Result<([u8; KEY_LEN], Vault), OpenError> {
    let mut key = [0; KEY_LEN];
    let made = SystemRandom::new().fill(&mut key);
    match made.and_then(|()| Vault::new(&key)) {
        Ok(vault) => Ok((key, vault)),
        Err(_) => Err(OpenError::NoKey(path.to_owned())),
    }
}

/// Removes what an interrupted start of ours left behind.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn parse(text: &[u8]) -> Option<[u8; KEY_LEN]> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    if digits.len() != 2 * KEY_LEN || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes?.try_into().ok()
}

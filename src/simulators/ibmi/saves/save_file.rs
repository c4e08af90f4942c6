//! The bytes of a save file: not text, and no longer whole when one of them is lost or changed.

use crate::simulators::ibmi::brms::Brms;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const MAGIC: &[u8] = b"SIMSAVF\xFF";

/// What lies in a save file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::simulators::ibmi) struct Saved {
    /// Library.
    pub library: String,
    /// Its objects, `LIB/NAME *TYPE`.
    pub objects: Vec<String>,
    /// Content of QUSRBRM.
    pub brms: Option<Brms>,
}

impl Saved {
    /// As bytes: mark, digest, length, content, filling up to the size of the library.
    pub fn bytes(&self) -> Vec<u8> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let wanted = self.brms.as_ref().map_or(0, |b| b.file.knobs.library_kib);
        let mut body = u64::try_from(text.len())
            .unwrap_or(0)
            .to_le_bytes()
            .to_vec();
        body.extend(text);
        let mut filling: u8 = 0;
        while body.len() < usize::try_from(wanted).unwrap_or(0) * 1024 {
            filling = filling.wrapping_mul(31).wrapping_add(7);
            body.push(filling);
        }
        [MAGIC, Sha256::digest(&body).as_slice(), &body].concat()
    }
    /// What the bytes hold.
    ///
    /// # Errors
    /// Empty, no save file, or not whole.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("it is empty".to_owned());
        }
        let whole = bytes.strip_prefix(MAGIC).and_then(|rest| {
            let (digest, body) = rest.split_at_checked(32)?;
            (Sha256::digest(body).as_slice() == digest).then_some(body)
        });
        let text = whole.and_then(|body| {
            let (length, rest) = body.split_at_checked(8)?;
            let length = u64::from_le_bytes(length.try_into().ok()?);
            rest.get(..usize::try_from(length).ok()?)
        });
        let text = text.ok_or("it does not hold valid save data")?;
        serde_json::from_slice(text).map_err(|_| "it does not hold valid save data".to_owned())
    }
}

/// `LIB/NAME` of `/QSYS.LIB/LIB.LIB/NAME.FILE`.
pub(in crate::simulators::ibmi) fn name_of_path(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/QSYS.LIB/")?;
    let (library, file) = rest.split_once(".LIB/")?;
    let file = file.strip_suffix(".FILE")?;
    (!file.contains('/')).then(|| format!("{library}/{file}"))
}

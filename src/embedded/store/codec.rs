//! Between an object and the bytes that are stored.

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use serde_json::Value;

use super::vault::Vault;
use super::{Key, StoreError};

/// The resource whose objects are sealed.
const SEALED: &str = "secrets";

/// How bytes are to be read; the number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain = 0,
    Deflated = 1,
    Sealed = 2,
}

impl Form {
    pub(super) fn from_number(number: i64) -> Option<Self> {
        let all = [Self::Plain, Self::Deflated, Self::Sealed];
        all.into_iter().find(|form| *form as i64 == number)
    }
}

/// An object as it goes into the file.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) form: Form,
    pub(super) bytes: Vec<u8>,
}

/// Packs and unpacks objects.
pub(super) struct Codec {
    vault: Vault,
    compress_from: usize,
}

impl Codec {
    pub(super) fn new(vault: Vault, compress_from: usize) -> Self {
        Self {
            vault,
            compress_from,
        }
    }

    pub(super) fn encode(&self, key: &Key, object: &Value) -> Result<Body, StoreError> {
        let unstorable = |why| StoreError::Unstorable {
            key: key.clone(),
            why,
        };
        let bytes = serde_json::to_vec(object).map_err(|_| unstorable("it gives no JSON"))?;
        if key.resource == SEALED {
            let sealed = self.vault.seal(key, &bytes);
            return Ok(Body {
                form: Form::Sealed,
                bytes: sealed.map_err(|_| unstorable("it cannot be sealed"))?,
            });
        }
        if bytes.len() >= self.compress_from {
            let deflated = deflate(&bytes).map_err(|_| unstorable("it cannot be compressed"))?;
            if deflated.len() < bytes.len() {
                return Ok(Body {
                    form: Form::Deflated,
                    bytes: deflated,
                });
            }
        }
        Ok(Body {
            form: Form::Plain,
            bytes,
        })
    }

    pub(super) fn decode(&self, key: &Key, revision: u64, body: Body) -> Result<Value, StoreError> {
        let damaged = |why| StoreError::Damaged {
            key: key.clone(),
            revision,
            why,
        };
        // A sealed resource in the clear was put there by somebody else.
        if (key.resource == SEALED) != (body.form == Form::Sealed) {
            return Err(damaged("it is sealed and should not be, or the reverse"));
        }
        let bytes = match body.form {
            Form::Plain => body.bytes,
            Form::Deflated => {
                inflate(&body.bytes).map_err(|_| damaged("it cannot be decompressed"))?
            }
            Form::Sealed => {
                let opened = self.vault.open(key, body.bytes);
                opened.map_err(|_| damaged("the key does not open it, or it was changed"))?
            }
        };
        serde_json::from_slice(&bytes).map_err(|_| damaged("it is not JSON"))
    }
}

fn deflate(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = Vec::with_capacity(plain.len() / 2);
    DeflateEncoder::new(plain, Compression::fast()).read_to_end(&mut packed)?;
    Ok(packed)
}

fn inflate(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(packed.len() * 4);
    DeflateDecoder::new(packed).read_to_end(&mut plain)?;
    Ok(plain)
}

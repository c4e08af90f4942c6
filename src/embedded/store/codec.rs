//! Between an object and the bytes that are stored.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
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
        if bytes.len() >= self.compress_from
            && let Some(bytes) = deflate(&bytes)
        {
            return Ok(Body {
                form: Form::Deflated,
                bytes,
            });
        }
        Ok(Body {
            form: Form::Plain,
            bytes,
        })
    }

    /// The object as text.
    pub(super) fn text(&self, key: &Key, revision: u64, body: Body) -> Result<Vec<u8>, StoreError> {
        let damaged = |why| StoreError::damaged(key, revision, why);
        // A sealed resource in the clear was put there by somebody else.
        if (key.resource == SEALED) != (body.form == Form::Sealed) {
            return Err(damaged("it is sealed and should not be, or the reverse"));
        }
        match body.form {
            Form::Plain => Ok(body.bytes),
            Form::Deflated => {
                inflate(&body.bytes).ok_or_else(|| damaged("it cannot be decompressed"))
            }
            Form::Sealed => {
                let opened = self.vault.open(key, body.bytes);
                opened.map_err(|_| damaged("the key does not open it, or it was changed"))
            }
        }
    }

    pub(super) fn decode(&self, key: &Key, revision: u64, body: Body) -> Result<Value, StoreError> {
        let text = self.text(key, revision, body)?;
        serde_json::from_slice(&text)
            .map_err(|_| StoreError::damaged(key, revision, "it is not JSON"))
    }
}

thread_local! {
    // Both are large, and cost more to set up than to use on an object.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// The length, then what is compressed. None when it does not get smaller.
fn deflate(plain: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(plain.len()).ok()?;
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        let mut packed = Vec::with_capacity(plain.len());
        packed.extend(length.to_be_bytes());
        let done = deflate.compress_vec(plain, &mut packed, FlushCompress::Finish);
        matches!(done, Ok(Status::StreamEnd)).then_some(packed)
    })
}

/// None when it is damaged.
fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    let (length, packed) = packed.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    // A damaged length must not take all memory: no compressed byte stands for more than 1,032 plain ones.
    if length / 1_032 > packed.len() {
        return None;
    }
    INFLATE.with_borrow_mut(|inflate| {
        inflate.reset(false);
        // All at once, with room for it: the fast way through the decompressor.
        let mut plain = Vec::with_capacity(length);
        let done = inflate.decompress_vec(packed, &mut plain, FlushDecompress::Finish);
        let whole = matches!(done, Ok(Status::StreamEnd)) && plain.len() == length;
        whole.then_some(plain)
    })
}

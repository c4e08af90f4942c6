//! Seals what must not be readable in the file: AES-256-GCM with a random nonce, bound to the object it belongs to, so that a
//! sealed Secret cannot be passed off as another one.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

use super::Key;

/// Length of a key in bytes.
pub(super) const KEY_LEN: usize = 32;
const CHECK: &[u8] = b"ibmi-clone store key 1";

/// Seals and opens under one key.
pub(super) struct Vault {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Vault {
    pub(super) fn new(key: &[u8; KEY_LEN]) -> Result<Self, Unspecified> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?);
        let random = SystemRandom::new();
        Ok(Self { key, random })
    }

    /// Nonce, then the sealed text with its tag.
    pub(super) fn seal(&self, of: &Key, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        self.seal_for(&binding(of), plain)
    }

    /// The text, when it was sealed under this key for this object.
    pub(super) fn open(&self, of: &Key, sealed: Vec<u8>) -> Result<Vec<u8>, Unspecified> {
        self.open_for(&binding(of), sealed)
    }

    /// By which [`Vault::knows`] recognises the key.
    pub(super) fn check(&self) -> Result<Vec<u8>, Unspecified> {
        self.seal_for(CHECK, CHECK)
    }

    /// Whether a [`Vault::check`] was made under the same key.
    pub(super) fn knows(&self, check: Vec<u8>) -> bool {
        self.open_for(CHECK, check).is_ok()
    }

    fn seal_for(&self, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce)?;
        let mut text = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::from(bound), &mut text)?;
        Ok([nonce.as_slice(), &text].concat())
    }

    fn open_for(&self, bound: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>, Unspecified> {
        let nonce = sealed.get(..NONCE_LEN).ok_or(Unspecified)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let plain = self
            .key
            .open_within(nonce, Aad::from(bound), &mut sealed, NONCE_LEN..)?;
        let length = plain.len();
        sealed.truncate(length);
        Ok(sealed)
    }
}

/// The parts with their lengths: no two objects give the same.
fn binding(key: &Key) -> Vec<u8> {
    let parts = [&key.resource, &key.namespace, &key.name];
    let length = |part: &String| (part.len() as u64).to_be_bytes();
    let parts = parts.map(|p| [length(p).as_slice(), p.as_bytes()].concat());
    parts.concat()
}

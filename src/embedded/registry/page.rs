//! The token between two pages of a list: from which revision, after which object. The real server's form, so that it can be told
//! apart from anything else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::refusals;
use crate::embedded::refusal::Refusal;

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// As of which revision; None: as of now, knowing that the pages do not fit together.
    pub revision: Option<u64>,
    /// After this namespace and name.
    pub after: (String, String),
    /// How many come after it. Only the real server's tokens have no such field.
    pub left: Option<usize>,
}

impl Page {
    /// As text.
    pub fn token(&self) -> String {
        let revision = self.revision.map_or(json!(-1), |r| json!(r));
        let start = format!("/{}/{}\0", self.after.0, self.after.1);
        let mut token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start});
        if let Some(left) = self.left {
            token["left"] = left.into();
        }
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    /// From text.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(token: &str) -> Result<Self, Refusal> {
        Self::read(token).ok_or_else(|| {
            let why = "continue key is not valid: it is none that this server gave out";
            refusals::bad_request(format!("invalid continue token: {why}"))
        })
    }

    fn read(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok()?;
        let token: Value = serde_json::from_slice(&bytes).ok()?;
        if token.get("v")? != "meta.k8s.io/v1" {
            return None;
        }
        let revision = token.get("rv")?.as_i64()?;
        let start = token.get("start")?.as_str()?;
        let (namespace, name) = start
            .strip_prefix('/')?
            .strip_suffix('\0')?
            .split_once('/')?;
        let revision = u64::try_from(revision).ok();
        let left = token.get("left").and_then(Value::as_u64);
        Some(Self {
            // As of another revision there are other objects.
            left: left
                .and_then(|l| usize::try_from(l).ok())
                .filter(|_| revision.is_some()),
            revision,
            after: (namespace.to_owned(), name.to_owned()),
        })
    }
}

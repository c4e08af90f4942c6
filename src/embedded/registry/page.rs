//! The token between two pages of a list: from which revision, after which object. The real server's form, so that it can be told
//! apart from anything else.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _, alphabet};
use serde_json::{Map, Value, json};

use super::refusals;
use crate::embedded::go_json;
use crate::embedded::refusal::Refusal;

const VERSION: &str = "meta.k8s.io/v1";

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
        let mut token = json!({"v": VERSION, "rv": revision, "start": start});
        if let Some(left) = self.left {
            token["left"] = left.into();
        }
        TOKENS.encode(token.to_string())
    }

    /// From text.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(token: &str) -> Result<Self, Refusal> {
        Self::read(token).map_err(|why| {
            refusals::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        })
    }

    fn read(token: &str) -> Result<Self, String> {
        let bytes = TOKENS
            .decode(token)
            .map_err(|error| not_base64(token, error))?;
        let fields = fields(&bytes)?;
        let version = text(&fields, "v")?;
        if version != VERSION {
            return Err(format!(
                "server does not recognize this encoded version {version}"
            ));
        }
        let revision = match fields.get("rv") {
            None | Some(Value::Null) => 0,
            Some(found) => found
                .as_i64()
                .ok_or_else(|| wrong_type("rv", found, "int64"))?,
        };
        let start = text(&fields, "start")?;
        if revision == 0 {
            return Err(format!(
                "incorrect encoded start resourceVersion (version {VERSION})"
            ));
        }
        if start.is_empty() {
            return Err(format!("encoded start key empty (version {VERSION})"));
        }
        // Anything else that leads somewhere on the real server is none of our tokens.
        let after = start
            .strip_prefix('/')
            .and_then(|s| s.strip_suffix('\0')?.split_once('/'))
            .filter(|(_, name)| !name.contains('/') && ![".", ".."].contains(name))
            .ok_or_else(|| start.to_owned())?;
        let revision = u64::try_from(revision).ok();
        let left = fields.get("left").and_then(Value::as_u64);
        Ok(Self {
            // As of another revision there are other objects.
            left: left
                .and_then(|l| usize::try_from(l).ok())
                .filter(|_| revision.is_some()),
            revision,
            after: (after.0.to_owned(), after.1.to_owned()),
        })
    }
}

/// As Go reads them: the last character may say more than fits.
const TOKENS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

fn not_base64(token: &str, error: DecodeError) -> String {
    let odd = |b: &u8| !b.is_ascii_alphanumeric() && !matches!(b, b'-' | b'_');
    let at = match error {
        DecodeError::InvalidLength(length) => length / 4 * 4,
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
        DecodeError::InvalidPadding => token.len(),
    };
    let at = token.bytes().position(|b| odd(&b)).unwrap_or(at);
    format!("illegal base64 data at input byte {at}")
}

fn fields(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => Err(go_json::cannot_become(&other, "storage.continueToken")),
        Err(error) => Err(go_json::complaint(bytes).unwrap_or_else(|| error.to_string())),
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(found) => found
            .as_str()
            .ok_or_else(|| wrong_type(name, found, "string")),
    }
}

fn wrong_type(name: &str, found: &Value, go: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go struct field continueToken.{name} of type {go}",
        go_json::type_name(found)
    )
}

#[cfg(test)]
mod tests {
    use super::Page;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    /// As a kube-apiserver 1.36.3 says it.
    #[test]
    fn a_token_of_no_server_is_told_in_the_words_of_the_real_one() {
        let packed = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for (token, words) in [
            (
                "rubbish".to_owned(),
                "invalid character '®' looking for beginning of value",
            ),
            (
                "cnV".to_owned(),
                "invalid character 'r' looking for beginning of value",
            ),
            ("!!!".to_owned(), "illegal base64 data at input byte 0"),
            ("ab!!".to_owned(), "illegal base64 data at input byte 2"),
            ("ab==".to_owned(), "illegal base64 data at input byte 2"),
            ("abc=d".to_owned(), "illegal base64 data at input byte 3"),
            ("a".to_owned(), "illegal base64 data at input byte 0"),
            (
                packed("[]"),
                "json: cannot unmarshal array into Go value of type storage.continueToken",
            ),
            (
                packed("{}"),
                "server does not recognize this encoded version ",
            ),
            (
                packed(r#"{"v":"x"}"#),
                "server does not recognize this encoded version x",
            ),
            (
                packed(r#"{"v":5}"#),
                "json: cannot unmarshal number into Go struct field continueToken.v of type string",
            ),
            (
                packed(r#"{"v":"meta.k8s.io/v1","rv":"x"}"#),
                "json: cannot unmarshal string into Go struct field continueToken.rv of type int64",
            ),
            (
                packed(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#),
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                packed(r#"{"v":"meta.k8s.io/v1","rv":5}"#),
                "encoded start key empty (version meta.k8s.io/v1)",
            ),
            (
                packed(r#"{"v":"meta.k8s.io/v1","rv":5,"start":"../x\u0000"}"#),
                "../x\0",
            ),
        ] {
            let refusal = Page::parse(&token).unwrap_err();
            let wanted = format!("invalid continue token: continue key is not valid: {words}");
            assert_eq!((refusal.code, refusal.message), (400, wanted));
        }
    }
}

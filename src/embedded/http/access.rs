//! Who may ask: whoever has the one bearer token. Health and version are open, as on the real server.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// A bearer token.
#[derive(Clone)]
pub struct Token(SecretString);

/// No randomness to make a token of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes for a token")]
pub struct NoRandomness;

impl Token {
    /// 256 random bits.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0u8; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| NoRandomness)?;
        let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self(text.into()))
    }

    /// One that is there already. None when it could not stand in a header or is short enough to be guessed.
    pub fn parse(text: &str) -> Option<Self> {
        let usable = text.len() >= 32 && text.bytes().all(|b| b.is_ascii_graphic());
        usable.then(|| Self(text.to_owned().into()))
    }

    /// For the kubeconfig and for nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Digests are compared, so that the time tells nothing about the token: nobody can choose the digest of a guess.
    fn is(&self, offered: &str) -> bool {
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        let pairs = digest(self.expose()).into_iter().zip(digest(offered));
        pairs.fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Who is let in.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever offers the token.
    Bearer(Token),
    /// This process: the service is not on a socket.
    InProcess,
}

impl Access {
    /// Whether a request with these headers is let in.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::InProcess => true,
            Self::Bearer(token) => offered(headers).is_some_and(|offered| token.is(offered)),
        }
    }
}

fn offered(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::{Access, Token};
    use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

    fn headers(authorization: &str) -> HeaderMap {
        let value = HeaderValue::from_str(authorization).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[test]
    fn only_the_very_token_is_let_in() {
        let token = Token::generate().unwrap();
        let access = Access::Bearer(token.clone());
        let text = token.expose();
        assert!(access.admits(&headers(&format!("Bearer {text}"))));
        assert!(access.admits(&headers(&format!("bearer {text}"))));
        for wrong in [
            format!("Bearer {}", &text[1..]),
            format!("Bearer {text}x"),
            format!("Basic {text}"),
            text.to_owned(),
            "Bearer ".to_owned(),
        ] {
            assert!(!access.admits(&headers(&wrong)), "{wrong}");
        }
        assert!(!access.admits(&HeaderMap::new()));
    }

    #[test]
    fn a_token_is_never_printed_and_never_short() {
        let token = Token::generate().unwrap();
        assert!(!format!("{:?}", Access::Bearer(token.clone())).contains(token.expose()));
        assert!(Token::parse("short").is_none());
        assert!(Token::parse(&format!("{} ", token.expose())).is_none());
        assert!(Token::parse(token.expose()).is_some());
    }
}

//! The kubeconfig: where the server is, by which authority it is known, and the token.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::access::{NoRandomness, Token};
use super::files::{self, FileError, Readers};

/// Name of cluster, user and context.
const NAME: &str = "ibmi-clone";

/// Writes it, mode 0600, in place of an older one. `server` is like `https://127.0.0.1:6443`; `authority` is PEM, None for a
/// server without TLS.
///
/// # Errors
/// When the file cannot be written.
pub fn write(
    path: &Path,
    server: &str,
    authority: Option<&str>,
    token: &Token,
    namespace: &str,
) -> Result<(), FileError> {
    let authority =
        authority.map(|pem| format!("\n    certificate-authority-data: {}", STANDARD.encode(pem)));
    let authority = authority.unwrap_or_default();
    let token = token.expose();
    let text = format!(
        "\
apiVersion: v1
kind: Config
current-context: {NAME}
contexts:
- name: {NAME}
  context:
    cluster: {NAME}
    user: {NAME}
    namespace: {namespace}
clusters:
- name: {NAME}
  cluster:
    server: {server}{authority}
users:
- name: {NAME}
  user:
    token: {token}
"
    );
    files::replace(path, text.as_bytes(), Readers::Owner)
}

/// The token is neither there nor can it be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// What is in the file.
    #[error("{0} holds no token; remove it, and a new one is made")]
    Unusable(String),
}

/// The token of a data directory; made when there is none, so that a kubeconfig stays good over restarts.
///
/// # Errors
/// When it can neither be read nor made. A file that holds something else is left as it is.
pub fn token(path: &Path) -> Result<Token, TokenError> {
    if let Some(text) = files::read(path, Readers::Owner)? {
        return Token::parse(text.trim())
            .ok_or_else(|| TokenError::Unusable(path.display().to_string()));
    }
    let token = Token::generate()?;
    files::replace(path, token.expose().as_bytes(), Readers::Owner)?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::{TokenError, token, write};
    use kube::config::{KubeConfigOptions, Kubeconfig};

    #[tokio::test]
    async fn a_client_reads_the_kubeconfig_and_the_token_stays() {
        let directory = tempfile::tempdir().unwrap();
        let first = token(&directory.path().join("token")).unwrap();
        let again = token(&directory.path().join("token")).unwrap();
        assert_eq!(first.expose(), again.expose());
        let path = directory.path().join("kubeconfig");
        write(&path, "https://127.0.0.1:6443", Some("PEM"), &first, "prod").unwrap();
        let parsed = Kubeconfig::read_from(&path).unwrap();
        let user = parsed.auth_infos[0].auth_info.clone().unwrap();
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&user.token.unwrap()),
            first.expose()
        );
        write(&path, "http://127.0.0.1:6443", None, &first, "prod").unwrap();
        let parsed = Kubeconfig::read_from(&path).unwrap();
        let config = kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
            .await
            .unwrap();
        assert_eq!(config.default_namespace, "prod");
        assert_eq!(config.cluster_url.to_string(), "http://127.0.0.1:6443/");
    }

    #[test]
    fn a_file_that_holds_no_token_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "mine\n").unwrap();
        assert!(matches!(token(&path), Err(TokenError::Unusable(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine\n");
    }
}

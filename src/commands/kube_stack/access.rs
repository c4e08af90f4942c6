//! How somebody reaches the API server: a kubeconfig file and the same as a client configuration.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::KubeStackError;
use super::certs::Pair;

/// One user's way to the API server.
#[derive(Clone, Debug)]
pub struct Access {
    kubeconfig: PathBuf,
    config: kube::Config,
}

impl Access {
    /// Writes the kubeconfig file and reads the configuration from it, so that both say the same.
    pub(super) async fn write(
        kubeconfig: PathBuf,
        server: &str,
        authority: &str,
        pair: &Pair,
    ) -> Result<Self, KubeStackError> {
        let text = kubeconfig_text(server, authority, pair);
        write_private(&kubeconfig, &text)?;
        let parsed = Kubeconfig::from_yaml(&text).map_err(KubeStackError::Kubeconfig)?;
        let mut config =
            kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
                .await
                .map_err(KubeStackError::Kubeconfig)?;
        // A proxy from the environment cannot reach our loopback interface.
        config.proxy_url = None;
        Ok(Self { kubeconfig, config })
    }

    /// The kubeconfig file, readable by this user of the machine only; it holds the private key.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The client configuration; change a copy of it to set a default namespace or to turn retries off.
    pub fn config(&self) -> &kube::Config {
        &self.config
    }

    /// A new client. It belongs to the tokio runtime it is made in and ends with it, so each test makes its own.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client(&self) -> Result<kube::Client, KubeStackError> {
        kube::Client::try_from(self.config.clone()).map_err(KubeStackError::client)
    }
}

/// Writes a file only its owner may read, replacing an older one.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), KubeStackError> {
    let write = || -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // create_new: the mode applies only to a file that this call creates.
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?
            .write_all(text.as_bytes())
    };
    write().map_err(|source| KubeStackError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// A file name for a user: letters and digits stay, every other byte is written as %XX, so no two users share one.
pub(super) fn kubeconfig_name(user: &str, group: Option<&str>) -> String {
    let mut name = escaped(user);
    if let Some(group) = group {
        name.push('@');
        name.push_str(&escaped(group));
    }
    name.push_str(".kubeconfig");
    name
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn kubeconfig_text(server: &str, authority: &str, pair: &Pair) -> String {
    let authority = STANDARD.encode(authority);
    let certificate = STANDARD.encode(&pair.certificate);
    let key = STANDARD.encode(&pair.key);
    format!(
        "\
apiVersion: v1
kind: Config
current-context: ibmi-clone
contexts:
- name: ibmi-clone
  context: {{ cluster: ibmi-clone, user: ibmi-clone }}
clusters:
- name: ibmi-clone
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: ibmi-clone
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"
    )
}

#[cfg(test)]
mod tests {
    use super::kubeconfig_name;

    #[test]
    fn two_users_never_share_a_file() {
        assert_eq!(kubeconfig_name("jane", None), "jane.kubeconfig");
        assert_eq!(
            kubeconfig_name("system:node/1", Some("a.b")),
            "system%3Anode%2F1@a%2Eb.kubeconfig"
        );
        assert_ne!(
            kubeconfig_name("a@b", None),
            kubeconfig_name("a", Some("b"))
        );
    }
}

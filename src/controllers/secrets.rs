//! Credentials and certificates, read by name at the moment they are needed (`product.md` § 2).
//!
//! A Secret must carry the label `ibmiclone.dev/credentials: "true"`: who may create environments must not be able to
//! send any Secret of the namespace to an endpoint of his own. Nothing here is ever listed or logged.

use crate::api::devices::{ObjectName, Tls};
use crate::api::{CREDENTIALS_LABEL, CloneEnvironmentSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Who we are at one device.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `kubernetes.io/basic-auth`.
    Basic {
        /// Key `username`.
        username: String,
        /// Key `password`.
        password: SecretString,
    },
    /// `kubernetes.io/ssh-auth` with an additional key `username`.
    Ssh {
        /// Key `username`.
        username: String,
        /// Key `ssh-privatekey`, PEM or OpenSSH.
        private_key: SecretString,
    },
}

/// Everything secret one environment needs, read together.
#[derive(Debug, Clone, Default)]
pub struct SiteSecrets {
    credentials: BTreeMap<String, Credential>,
    bundles: BTreeMap<String, String>,
    /// uid/resourceVersion of each Secret, by name.
    versions: BTreeMap<String, String>,
    namespace: String,
    /// Name and generation of the environment that is looked at.
    environment: Option<(String, i64)>,
    fingerprint: String,
}

impl SiteSecrets {
    /// The credential behind a reference of the spec.
    ///
    /// # Errors
    /// When the reference was not read with this set: it does not belong to the spec it was read for.
    pub fn credential(&self, name: &ObjectName) -> Result<&Credential, SecretError> {
        self.credentials
            .get(&name.name)
            .ok_or_else(|| SecretError::Missing {
                kind: "Secret",
                name: name.name.clone(),
            })
    }
    /// PEM text of a CA bundle named by the spec.
    ///
    /// # Errors
    /// As [`SiteSecrets::credential`].
    pub fn ca_bundle(&self, name: &ObjectName) -> Result<&str, SecretError> {
        self.bundles
            .get(&name.name)
            .map(String::as_str)
            .ok_or_else(|| SecretError::Missing {
                kind: "ConfigMap",
                name: name.name.clone(),
            })
    }
    /// Changes whenever one of the objects changes (uid and resourceVersion of each), never tells their content.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
    /// A set made by hand, for tests and for the offline commands.
    pub fn from_parts(
        credentials: BTreeMap<String, Credential>,
        bundles: BTreeMap<String, String>,
    ) -> Self {
        Self {
            credentials,
            bundles,
            ..Self::default()
        }
    }
    /// Notes whose look these are read for: a new generation makes a refused login worth another attempt.
    #[must_use]
    pub fn for_environment(mut self, name: &str, generation: i64) -> Self {
        self.environment = Some((name.to_owned(), generation));
        self
    }
    /// Objects from which the login behind a Secret's name is made, each with its version: `Secret NAMESPACE/NAME` and
    /// `CloneEnvironment NAMESPACE/NAME`.
    pub fn versions(&self, secret: &str) -> Vec<(String, String)> {
        let object = |kind: &str, name: &str| format!("{kind} {}/{name}", self.namespace);
        let mut all = Vec::new();
        if let Some(version) = self.versions.get(secret) {
            all.push((object("Secret", secret), version.clone()));
        }
        if let Some((name, generation)) = &self.environment {
            all.push((object("CloneEnvironment", name), generation.to_string()));
        }
        all
    }
}

/// Why a Secret or ConfigMap cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It does not exist.
    #[error("{kind} {name} does not exist in the environment's namespace: create it")]
    Missing {
        /// `Secret` or `ConfigMap`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The label is not there.
    #[error(
        "Secret {name} may not be used: label it with `kubectl label secret {name} ibmiclone.dev/credentials=true`"
    )]
    Unlabelled {
        /// Its name.
        name: String,
    },
    /// The type is not one of ours.
    #[error(
        "Secret {name} has type {found}: it must be kubernetes.io/basic-auth or kubernetes.io/ssh-auth"
    )]
    WrongType {
        /// Its name.
        name: String,
        /// Its type.
        found: String,
    },
    /// A key is missing or empty.
    #[error("{kind} {name} has no key {key}: add it")]
    MissingKey {
        /// `Secret` or `ConfigMap`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// The API server did not give it.
    #[error("{kind} {name} cannot be read: {text}")]
    Unreadable {
        /// `Secret` or `ConfigMap`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The API server's words.
        text: String,
    },
}

impl SecretError {
    /// One word of a fixed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing { kind, .. } => {
                if *kind == "Secret" {
                    "SecretMissing"
                } else {
                    "ConfigMapMissing"
                }
            }
            Self::Unlabelled { .. } => "SecretUnlabelled",
            Self::WrongType { .. } => "SecretWrongType",
            Self::MissingKey { .. } => "KeyMissing",
            Self::Unreadable { .. } => "SecretUnreadable",
        }
    }
}

/// Reads everything an environment's spec refers to.
///
/// # Errors
/// The first object that is missing, unlabelled, of a wrong type or without a key.
pub async fn read(
    client: &Client,
    namespace: &str,
    spec: &CloneEnvironmentSpec,
) -> Result<SiteSecrets, SecretError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let mut found = SiteSecrets {
        namespace: namespace.to_owned(),
        ..SiteSecrets::default()
    };
    let mut digest = Sha256::new();
    for name in credential_names(spec) {
        let secret = get(&secrets, "Secret", &name).await?;
        digest.update(identity(&secret));
        found.versions.insert(name.clone(), identity(&secret));
        found.credentials.insert(name, credential(&secret)?);
    }
    for name in bundle_names(spec) {
        let map = get(&maps, "ConfigMap", &name).await?;
        digest.update(identity(&map));
        let pem = map
            .data
            .as_ref()
            .and_then(|data| data.get("ca.crt"))
            .filter(|pem| !pem.trim().is_empty())
            .ok_or_else(|| SecretError::MissingKey {
                kind: "ConfigMap",
                name: name.clone(),
                key: "ca.crt",
            })?;
        found.bundles.insert(name, pem.clone());
    }
    found.fingerprint = hex(&digest.finalize());
    Ok(found)
}

fn credential_names(spec: &CloneEnvironmentSpec) -> Vec<String> {
    let mut names: Vec<String> = vec![
        spec.source.host.credentials.name.clone(),
        spec.clone.host.credentials.name.clone(),
    ];
    let consoles = [Some(&spec.console), spec.source.console.as_ref()];
    names.extend(
        consoles
            .into_iter()
            .flatten()
            .filter_map(|c| c.hmc.as_ref())
            .map(|h| h.credentials.name.clone()),
    );
    names.extend(
        spec.storage
            .spectrum_virtualize
            .iter()
            .map(|s| s.credentials.name.clone()),
    );
    names.sort();
    names.dedup();
    names
}

fn bundle_names(spec: &CloneEnvironmentSpec) -> Vec<String> {
    let consoles = [Some(&spec.console), spec.source.console.as_ref()];
    let tls: Vec<&Tls> = consoles
        .into_iter()
        .flatten()
        .filter_map(|c| c.hmc.as_ref())
        .map(|h| &h.tls)
        .chain(spec.storage.spectrum_virtualize.iter().map(|s| &s.tls))
        .collect();
    let mut names: Vec<String> = tls
        .iter()
        .filter_map(|t| t.ca_bundle.as_ref())
        .map(|n| n.name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

async fn get<K>(api: &Api<K>, kind: &'static str, name: &str) -> Result<K, SecretError>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    match api.get_opt(name).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(SecretError::Missing {
            kind,
            name: name.to_owned(),
        }),
        Err(error) => Err(SecretError::Unreadable {
            kind,
            name: name.to_owned(),
            text: harmless(&error),
        }),
    }
}

/// Words of an error that cannot hold a piece of the object: a decoding error quotes what it could not decode.
fn harmless(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.to_string(),
        kube::Error::SerdeError(_) => "the answer could not be decoded".to_owned(),
        _ => "the API server did not answer".to_owned(),
    }
}

fn identity(object: &impl ResourceExt) -> String {
    format!(
        "{}/{}\n",
        object.uid().unwrap_or_default(),
        object.resource_version().unwrap_or_default()
    )
}

fn credential(secret: &Secret) -> Result<Credential, SecretError> {
    let name = secret.name_any();
    if secret.labels().get(CREDENTIALS_LABEL).map(String::as_str) != Some("true") {
        return Err(SecretError::Unlabelled { name });
    }
    match secret.type_.as_deref() {
        Some("kubernetes.io/basic-auth") => Ok(Credential::Basic {
            username: line(secret, "username")?,
            password: line(secret, "password")?.into(),
        }),
        Some("kubernetes.io/ssh-auth") => Ok(Credential::Ssh {
            username: line(secret, "username")?,
            private_key: text(secret, "ssh-privatekey")?.into(),
        }),
        other => Err(SecretError::WrongType {
            name,
            found: other.unwrap_or("(none)").to_owned(),
        }),
    }
}

/// A value of one line: `kubectl create secret --from-file` keeps the line end of the file.
fn line(secret: &Secret, key: &'static str) -> Result<String, SecretError> {
    Ok(text(secret, key)?.trim_end_matches(['\r', '\n']).to_owned())
}

fn text(secret: &Secret, key: &'static str) -> Result<String, SecretError> {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| SecretError::MissingKey {
            kind: "Secret",
            name: secret.name_any(),
            key,
        })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

//! From an environment and its secrets to a site: every role on its driver, nothing sent yet.

use super::hmc::{HmcConsole, HmcOptions};
use super::ibmi::{IbmIDriver, IbmiSsh, Limits, SshLink};
use super::npiv::NpivVirtualIo;
use super::storage::spectrum_virtualize::{
    ArrayHosts, ArrayOptions, RestClient, SpectrumVirtualize,
};
use super::transport::latch::Version;
use super::transport::ssh::Credential;
use super::transport::tls::TlsOptions;
use super::transport::transcript::{Listener, Transcript};
use super::vios::{Adapter, HmcVirtualIo};
use crate::api::CloneEnvironmentSpec;
use crate::api::devices::Tls;
use crate::site::{CloneSystem, CopyServices, IbmI, PartitionUuid, Site, SourceSystem, VirtualIo};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for a connection and login over SSH, in the devices' time.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// The least of it at any pace.
const LEAST_CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Who we are at one device.
#[derive(Debug, Clone)]
pub enum Login {
    /// User and password.
    Password {
        /// User.
        username: String,
        /// Password.
        password: SecretString,
    },
    /// User and private key (SSH only).
    Key {
        /// User.
        username: String,
        /// PEM or OpenSSH text.
        private_key: SecretString,
    },
}

/// Looks up what the environment refers to by name. Implemented over Secrets and ConfigMaps by the controllers.
pub trait Credentials {
    /// The login behind a Secret's name.
    ///
    /// # Errors
    /// When it is missing or not usable; the text says what to do.
    fn login(&self, secret: &str) -> Result<Login, String>;
    /// The PEM text behind a ConfigMap's name.
    ///
    /// # Errors
    /// As [`Credentials::login`].
    fn ca_bundle(&self, config_map: &str) -> Result<String, String>;
    /// What the login behind a Secret's name is made from. A login that was refused is tried again when one of them has
    /// changed, and only then. Nothing = it is never released.
    fn versions(&self, _secret: &str) -> Vec<Version> {
        Vec::new()
    }
}

/// Open devices, one per address and credential, shared by all environments and runs (`architecture.md` § 6): sessions are
/// what kills a console.
#[derive(Default)]
pub struct Devices {
    consoles: Pool<HmcConsole>,
    arrays: Pool<Arc<RestClient>>,
    hosts: Pool<Host>,
    /// The drivers' own waits are divided by it; below 1 = not.
    faster: f64,
    /// Hears of every exchange with a device.
    listener: Option<Arc<dyn Listener>>,
}

type Pool<T> = Mutex<HashMap<String, (T, Transcript)>>;

/// One IBM i: its link and the session on it.
#[derive(Clone)]
struct Host {
    link: SshLink,
    system: Arc<IbmIDriver>,
}

impl Devices {
    /// For simulated devices on a clock that runs this many times as fast: limits per second are of their seconds.
    pub fn paced(faster: f64) -> Self {
        Self {
            faster,
            ..Self::default()
        }
    }

    /// Somebody hears of every exchange with a device that is opened from now on.
    #[must_use]
    pub fn heard_by(self, listener: Arc<dyn Listener>) -> Self {
        Self {
            listener: Some(listener),
            ..self
        }
    }

    fn transcript(&self, kind: &'static str) -> Transcript {
        Transcript::heard_by(kind, self.listener.clone())
    }

    /// Opens every role of an environment. Nothing is sent to a device. `pinned` is the UUID of the clone's partition that
    /// was seen first: no partition of another one under the same name is switched or given volumes (`product.md` § 7.2).
    ///
    /// # Errors
    /// A setting that cannot be used, in words a person can act on.
    pub fn open(
        &self,
        spec: &CloneEnvironmentSpec,
        pinned: Option<PartitionUuid>,
        credentials: &dyn Credentials,
    ) -> Result<Site, String> {
        let (console, console_said) = self.console(&spec.console, credentials)?;
        let (source_console, source_console_said) = match &spec.source.console {
            Some(own) => self.console(own, credentials)?,
            None => (console.clone(), console_said.clone()),
        };
        let (array, array_said) = self.array(spec, credentials)?;
        let group = spec
            .storage
            .spectrum_virtualize
            .as_ref()
            .and_then(|s| s.consistency_groups.first());
        let Some(group) = group else {
            return Err(
                "storage.spectrumVirtualize.consistencyGroups: write the name of one group"
                    .to_owned(),
            );
        };
        let source_keys = &spec.source.host.host_keys;
        let clone_keys = match spec.clone.host.host_keys.as_slice() {
            [] => source_keys,
            own => own,
        };
        let (source_host, source_said) = self.host(
            &spec.source.host,
            source_keys,
            "source.host.hostKeys",
            credentials,
        )?;
        let (clone_host, clone_said) = self.host(
            &spec.clone.host,
            clone_keys,
            "clone.host.hostKeys",
            credentials,
        )?;
        let (clone, source) = (&spec.clone.partition, &spec.source.partition);
        let copy: Arc<dyn CopyServices> = Arc::new(SpectrumVirtualize::on(array.clone(), group));
        let control = console.control(&clone.managed_system, &clone.name, pinned);
        let source_view = source_console.view(&source.managed_system, &source.name);
        let virtual_io: Arc<dyn VirtualIo> = match &spec.virtual_io.npiv {
            Some(npiv) => Arc::new(NpivVirtualIo::new(
                Arc::new(control.view().clone()),
                Arc::new(source_view.clone()),
                Arc::new(ArrayHosts::on(array)),
                npiv.swap_host_mappings,
            )),
            None => {
                Arc::new(HmcVirtualIo::new(control.view(), adapters(spec)?).named_by(copy.clone()))
            }
        };
        let freeze = source_host
            .link
            .freeze(source_host.system.clone(), spec.source.identities.clone());
        let mut said = vec![console_said, array_said, source_said, clone_said];
        if spec.source.console.is_some() {
            said.push(source_console_said);
        }
        Ok(Site {
            source_partition: Arc::new(source_view),
            virtual_io,
            clone_partition: Arc::new(control),
            copy,
            source: SourceSystem(source_host.system),
            clone: CloneSystem(clone_host.system),
            freeze: Arc::new(freeze),
            transcript: Transcript::joined(&said),
        })
    }

    /// A host that swallows every packet costs this much per look; a login takes its real time on any clock.
    fn connect_limit(&self) -> Duration {
        CONNECT_LIMIT
            .div_f64(self.faster.max(1.0))
            .max(LEAST_CONNECT_LIMIT)
    }

    /// Logs off everywhere; a later use logs on again. Called when the operator ends.
    pub async fn close(&self) {
        for console in all(&self.consoles) {
            console.close().await;
        }
        for host in all(&self.hosts) {
            host.system.disconnect().await;
        }
    }

    fn console(
        &self,
        spec: &crate::api::devices::Console,
        credentials: &dyn Credentials,
    ) -> Result<(HmcConsole, Transcript), String> {
        let Some(hmc) = &spec.hmc else {
            return Err("console: write hmc: { endpoints, credentials, tls }".to_owned());
        };
        let (user, secret) = password(credentials, &hmc.credentials.name, "the HMC's REST API")?;
        let tls = tls(&hmc.tls, credentials)?;
        let key = key(&[
            &hmc.endpoints.join(" "),
            &user,
            secret.expose_secret(),
            &format!("{tls:?}"),
        ]);
        let (console, said) = pooled(&self.consoles, key, self.transcript("hmc"), |said| {
            HmcConsole::open(HmcOptions::new(
                hmc.endpoints.clone(),
                user,
                secret,
                tls,
                said,
            ))
            .map_err(|e| e.to_string())
        })?;
        console.made_from(&credentials.versions(&hmc.credentials.name));
        Ok((console, said))
    }

    fn array(
        &self,
        spec: &CloneEnvironmentSpec,
        credentials: &dyn Credentials,
    ) -> Result<(Arc<RestClient>, Transcript), String> {
        let Some(svc) = &spec.storage.spectrum_virtualize else {
            return Err(
                "storage: write spectrumVirtualize: { endpoint, credentials, consistencyGroups }"
                    .to_owned(),
            );
        };
        let (username, password) =
            password(credentials, &svc.credentials.name, "the array's REST API")?;
        let tls = tls(&svc.tls, credentials)?;
        let key = key(&[
            &svc.endpoint,
            &username,
            password.expose_secret(),
            &format!("{tls:?}"),
        ]);
        let (array, said) = pooled(
            &self.arrays,
            key,
            self.transcript("spectrumVirtualize"),
            |transcript| {
                let options = ArrayOptions {
                    endpoint: svc.endpoint.clone(),
                    username,
                    password,
                    tls,
                    transcript,
                };
                RestClient::new(options)
                    .map(|client| Arc::new(client.paced(self.faster)))
                    .map_err(|e| e.to_string())
            },
        )?;
        array.made_from(&credentials.versions(&svc.credentials.name));
        Ok((array, said))
    }

    fn host(
        &self,
        host: &crate::api::clone_side::Host,
        host_keys: &[String],
        field: &str,
        credentials: &dyn Credentials,
    ) -> Result<(Host, Transcript), String> {
        let port =
            u16::try_from(host.port).map_err(|_| format!("port {} is no TCP port", host.port))?;
        let (username, secret, credential) = match credentials.login(&host.credentials.name)? {
            Login::Password { username, password } => {
                (username, password.clone(), Credential::Password(password))
            }
            Login::Key {
                username,
                private_key,
            } => (
                username,
                private_key.clone(),
                Credential::Key {
                    text: private_key,
                    passphrase: None,
                },
            ),
        };
        let keys = host_keys.join(" ");
        let key = key(&[
            &host.address,
            &port.to_string(),
            &username,
            secret.expose_secret(),
            &keys,
            field,
        ]);
        let (opened, said) = pooled(&self.hosts, key, self.transcript("ibmi"), |transcript| {
            let link = SshLink::new(IbmiSsh {
                address: host.address.clone(),
                port,
                username,
                credential,
                host_keys: host_keys.to_vec(),
                host_keys_field: field.to_owned(),
                connect_limit: self.connect_limit(),
                limits: Limits::default(),
                transcript,
            });
            let system = link.system();
            Ok(Host { link, system })
        })?;
        opened
            .link
            .made_from(&credentials.versions(&host.credentials.name));
        Ok((opened, said))
    }
}

/// Pool key of a device: the digest, so that no secret is kept twice.
fn key(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// The device of this key, opened when it is not there.
fn pooled<T: Clone>(
    pool: &Pool<T>,
    key: String,
    said: Transcript,
    open: impl FnOnce(Transcript) -> Result<T, String>,
) -> Result<(T, Transcript), String> {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = pool.get(&key) {
        return Ok(found.clone());
    }
    let opened = (open(said.clone())?, said);
    pool.insert(key, opened.clone());
    Ok(opened)
}

fn all<T: Clone>(pool: &Pool<T>) -> Vec<T> {
    pool.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .values()
        .map(|(device, _)| device.clone())
        .collect()
}

fn password(
    credentials: &dyn Credentials,
    secret: &str,
    device: &str,
) -> Result<(String, SecretString), String> {
    match credentials.login(secret)? {
        Login::Password { username, password } => Ok((username, password)),
        Login::Key { .. } => Err(format!(
            "Secret {secret}: {device} needs a password: use type kubernetes.io/basic-auth"
        )),
    }
}

fn tls(options: &Tls, credentials: &dyn Credentials) -> Result<TlsOptions, String> {
    Ok(TlsOptions {
        ca_pem: options
            .ca_bundle
            .as_ref()
            .map(|b| credentials.ca_bundle(&b.name))
            .transpose()?,
        fingerprints: options.fingerprints.clone(),
        server_name: options.server_name.clone(),
        insecure: options.insecure_skip_verify,
    })
}

fn adapters(spec: &CloneEnvironmentSpec) -> Result<Vec<Adapter>, String> {
    let Some(vscsi) = &spec.virtual_io.vscsi else {
        return Err(
            "virtualIo: write exactly one of vscsi: { adapters } and npiv: { swapHostMappings }"
                .to_owned(),
        );
    };
    let adapters = vscsi.adapters.iter().map(|a| Adapter {
        server: a.server.clone(),
        vhost: a.vhost.clone(),
        volumes: a.volumes.clone(),
    });
    Ok(adapters.collect())
}

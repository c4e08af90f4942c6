//! From an environment and its secrets to a site: every role on its driver, nothing sent yet.

use super::hmc::{HmcConsole, HmcOptions};
use super::ibmi::{IbmiSsh, Limits, SshLink};
use super::storage::spectrum_virtualize::{ArrayOptions, SpectrumVirtualize};
use super::transport::ssh::Credential;
use super::transport::tls::TlsOptions;
use super::transport::transcript::Transcript;
use super::vios::{Adapter, HmcVirtualIo};
use crate::api::CloneEnvironmentSpec;
use crate::api::devices::Tls;
use crate::site::{CloneSystem, PartitionUuid, Site, SourceSystem};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

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
}

/// What else the drivers need to know.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    /// Pinned UUID of the clone's partition: no other one is ever switched.
    pub clone_partition: Option<PartitionUuid>,
    /// Divides the drivers' idle times (tests and demo).
    pub pace: f64,
}

/// Opens every role. Nothing is sent to a device.
///
/// # Errors
/// A setting that cannot be used, in words a person can act on.
pub fn open(
    spec: &CloneEnvironmentSpec,
    credentials: &dyn Credentials,
    bindings: &Bindings,
    transcript: &Transcript,
) -> Result<Site, String> {
    let console = console(&spec.console, credentials, transcript)?;
    let source_console = match &spec.source.console {
        Some(own) => self::console(own, credentials, transcript)?,
        None => console.clone(),
    };
    let (clone, source) = (&spec.clone.partition, &spec.source.partition);
    let control = console.control(
        &clone.managed_system,
        &clone.name,
        bindings.clone_partition.clone(),
    );
    let view = console.view(&clone.managed_system, &clone.name);
    let source_link = ssh(
        &spec.source.host,
        &spec.source.host.host_keys,
        "source.host.hostKeys",
        credentials,
        transcript,
    )?;
    let clone_keys = match spec.clone.host.host_keys.as_slice() {
        [] => &spec.source.host.host_keys,
        own => own,
    };
    let clone_link = ssh(
        &spec.clone.host,
        clone_keys,
        "clone.host.hostKeys",
        credentials,
        transcript,
    )?;
    let source_system = source_link.system();
    let freeze = source_link.freeze(source_system.clone(), spec.source.identities.clone());
    Ok(Site {
        clone_partition: Arc::new(control),
        source_partition: Arc::new(source_console.view(&source.managed_system, &source.name)),
        virtual_io: Arc::new(HmcVirtualIo::new(&view, adapters(spec)?)),
        copy: Arc::new(array(spec, credentials, transcript)?),
        source: SourceSystem(source_system),
        clone: CloneSystem(clone_link.system()),
        freeze: Arc::new(freeze),
        transcript: transcript.clone(),
    })
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

fn console(
    spec: &crate::api::devices::Console,
    credentials: &dyn Credentials,
    transcript: &Transcript,
) -> Result<HmcConsole, String> {
    let Some(hmc) = &spec.hmc else {
        return Err("console: write hmc: { endpoints, credentials, tls }".to_owned());
    };
    let (user, secret) = password(credentials, &hmc.credentials.name, "the HMC's REST API")?;
    let tls = tls(&hmc.tls, credentials)?;
    HmcConsole::open(HmcOptions::new(
        hmc.endpoints.clone(),
        user,
        secret,
        tls,
        transcript.clone(),
    ))
    .map_err(|e| e.to_string())
}

fn array(
    spec: &CloneEnvironmentSpec,
    credentials: &dyn Credentials,
    transcript: &Transcript,
) -> Result<SpectrumVirtualize, String> {
    let Some(svc) = &spec.storage.spectrum_virtualize else {
        return Err(
            "storage: write spectrumVirtualize: { endpoint, credentials, consistencyGroups }"
                .to_owned(),
        );
    };
    let Some(group) = svc.consistency_groups.first() else {
        return Err(
            "storage.spectrumVirtualize.consistencyGroups: write the name of one group".to_owned(),
        );
    };
    let (username, password) =
        password(credentials, &svc.credentials.name, "the array's REST API")?;
    let options = ArrayOptions {
        endpoint: svc.endpoint.clone(),
        username,
        password,
        tls: tls(&svc.tls, credentials)?,
        transcript: transcript.clone(),
    };
    SpectrumVirtualize::open(options, group).map_err(|e| e.to_string())
}

/// Every adapter serves every volume: array names of single volumes are refused when the plan is made.
fn adapters(spec: &CloneEnvironmentSpec) -> Result<Vec<Adapter>, String> {
    let Some(vscsi) = &spec.virtual_io.vscsi else {
        return Err("virtualIo: write vscsi: { adapters }".to_owned());
    };
    let adapters = vscsi.adapters.iter().map(|a| Adapter {
        server: a.server.clone(),
        vhost: a.vhost.clone(),
        volumes: None,
    });
    Ok(adapters.collect())
}

fn ssh(
    host: &crate::api::clone_side::Host,
    host_keys: &[String],
    field: &str,
    credentials: &dyn Credentials,
    transcript: &Transcript,
) -> Result<SshLink, String> {
    let (username, credential) = match credentials.login(&host.credentials.name)? {
        Login::Password { username, password } => (username, Credential::Password(password)),
        Login::Key {
            username,
            private_key,
        } => (
            username,
            Credential::Key {
                text: private_key,
                passphrase: None,
            },
        ),
    };
    Ok(SshLink::new(IbmiSsh {
        address: host.address.clone(),
        port: u16::try_from(host.port).map_err(|_| format!("port {} is no TCP port", host.port))?,
        username,
        credential,
        host_keys: host_keys.to_vec(),
        host_keys_field: field.to_owned(),
        connect_limit: Duration::from_secs(15),
        limits: Limits::default(),
        transcript: transcript.clone(),
    }))
}

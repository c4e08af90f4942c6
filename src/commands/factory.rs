//! The drivers as the controllers open them: credentials from Secrets.

use crate::api::CloneEnvironmentSpec;
use crate::api::devices::ObjectName;
use crate::controllers::secrets::{Credential, SiteSecrets};
use crate::controllers::{OpenError, SiteFactory};
use crate::drivers::open::{Credentials, Devices, Login};
use crate::drivers::transport::latch::Version;
use crate::observability::metrics::Metrics;
use crate::recipe::Pins;
use crate::site::Site;
use async_trait::async_trait;
use std::sync::Arc;

/// Opens environments over the real protocols.
#[derive(Default)]
pub struct Drivers {
    devices: Devices,
}

impl Drivers {
    /// For simulated devices on a clock that runs this many times as fast.
    pub fn paced(faster: f64) -> Self {
        Self {
            devices: Devices::paced(faster),
        }
    }

    /// Every exchange with a device is counted there.
    #[must_use]
    pub fn counted_by(self, metrics: Arc<Metrics>) -> Self {
        Self {
            devices: self.devices.heard_by(metrics),
        }
    }

    /// Logs off everywhere. Called when the operator has ended.
    pub async fn close(&self) {
        self.devices.close().await;
    }
}

#[async_trait]
impl SiteFactory for Drivers {
    async fn open(
        &self,
        _namespace: &str,
        spec: &CloneEnvironmentSpec,
        pins: &Pins,
        secrets: &SiteSecrets,
    ) -> Result<Site, OpenError> {
        self.devices
            .open(spec, pins.clone_partition.clone(), &Secrets(secrets))
            .map_err(|message| OpenError::Settings {
                reason: "SettingsUnusable",
                message,
            })
    }
}

struct Secrets<'a>(&'a SiteSecrets);

impl Credentials for Secrets<'_> {
    fn login(&self, secret: &str) -> Result<Login, String> {
        let name = ObjectName {
            name: secret.to_owned(),
        };
        match self.0.credential(&name).map_err(|e| e.to_string())? {
            Credential::Basic { username, password } => Ok(Login::Password {
                username: username.clone(),
                password: password.clone(),
            }),
            Credential::Ssh {
                username,
                private_key,
            } => Ok(Login::Key {
                username: username.clone(),
                private_key: private_key.clone(),
            }),
        }
    }
    fn versions(&self, secret: &str) -> Vec<Version> {
        let all = self.0.versions(secret).into_iter();
        all.map(|(object, version)| Version { object, version })
            .collect()
    }
    fn ca_bundle(&self, config_map: &str) -> Result<String, String> {
        let name = ObjectName {
            name: config_map.to_owned(),
        };
        self.0
            .ca_bundle(&name)
            .map(str::to_owned)
            .map_err(|e| e.to_string())
    }
}

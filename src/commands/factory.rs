//! The drivers as the controllers open them: credentials from Secrets, one transcript per environment.

use crate::api::CloneEnvironmentSpec;
use crate::api::devices::ObjectName;
use crate::controllers::secrets::{Credential, SiteSecrets};
use crate::controllers::{OpenError, SiteFactory};
use crate::drivers::open::{Bindings, Credentials, Login, open};
use crate::site::Site;
use crate::site::transcript::Transcript;
use async_trait::async_trait;

/// Opens environments over the real protocols.
#[derive(Debug, Clone, Copy, Default)]
pub struct Drivers;

#[async_trait]
impl SiteFactory for Drivers {
    async fn open(
        &self,
        _namespace: &str,
        spec: &CloneEnvironmentSpec,
        secrets: &SiteSecrets,
    ) -> Result<Site, OpenError> {
        let bindings = Bindings::default();
        open(spec, &Secrets(secrets), &bindings, &Transcript::default()).map_err(|message| {
            OpenError::Settings {
                reason: "SettingsUnusable",
                message,
            }
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

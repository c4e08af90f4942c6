//! Where a console listens: one or two addresses, and which port when none is written (`hmc.md` § 0.2).

use crate::drivers::transport::http::{Answer, HttpDevice, Request};
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};

/// Sends one request; the real one is [`HttpDevice`].
#[async_trait]
pub(super) trait Wire: Send + Sync {
    /// An HTTP status of any kind is an answer.
    async fn send(&self, request: Request) -> Result<Answer, DeviceError>;
}

#[async_trait]
impl Wire for HttpDevice {
    async fn send(&self, request: Request) -> Result<Answer, DeviceError> {
        HttpDevice::send(self, request).await
    }
}

/// One address of the console.
pub(super) struct Endpoint {
    /// `HMC hmc1.example.com`, for messages.
    pub(super) name: String,
    host: String,
    ports: Vec<u16>,
    /// The port that answered once: the other one is then never tried again.
    learned: Mutex<Option<u16>>,
    pub(super) wire: Arc<dyn Wire>,
}

/// `https://HOST[:PORT]` taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

/// Reads `https://HOST[:PORT]`; `None` when it is anything else.
pub(super) fn address(text: &str) -> Option<Address> {
    let rest = text.trim().strip_prefix("https://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() || rest.contains(['/', '?', '#', '@', ' ']) {
        return None;
    }
    let bracket = rest.find(']').unwrap_or(0);
    match rest[bracket..].rfind(':') {
        None => Some(Address {
            host: rest.to_owned(),
            port: None,
        }),
        Some(at) => {
            let (host, port) = rest.split_at(bracket + at);
            let port = port[1..].parse().ok().filter(|p| *p != 0)?;
            (!host.is_empty()).then(|| Address {
                host: host.to_owned(),
                port: Some(port),
            })
        }
    }
}

impl Endpoint {
    pub(super) fn new(address: Address, wire: Arc<dyn Wire>) -> Self {
        Self {
            name: format!("HMC {}", address.host),
            host: address.host,
            // V11 and later serve REST at 443, older levels at 12443.
            ports: address.port.map_or_else(|| vec![443, 12443], |p| vec![p]),
            learned: Mutex::new(None),
            wire,
        }
    }

    /// Ports to try, in order.
    pub(super) fn ports(&self) -> Vec<u16> {
        let learned = *self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.map_or_else(|| self.ports.clone(), |port| vec![port])
    }

    /// Remembers the port that serves REST here.
    pub(super) fn learn(&self, port: u16) {
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = Some(port);
    }

    /// `https://host:port`.
    pub(super) fn base(&self, port: u16) -> String {
        format!("https://{}:{port}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_443_is_no_missing_port() {
        assert_eq!(address("https://hmc1:443").unwrap().port, Some(443));
        assert_eq!(address("https://hmc1").unwrap().port, None);
        let six = address("https://[::1]:12443").unwrap();
        assert_eq!((six.host.as_str(), six.port), ("[::1]", Some(12443)));
        assert_eq!(address("https://[::1]").unwrap().port, None);
    }

    #[test]
    fn anything_else_is_no_endpoint() {
        for text in [
            "http://hmc1",
            "hmc1",
            "https://",
            "https://hmc1/rest",
            "https://u@hmc1",
            "https://hmc1:0",
            "https://hmc1:99999",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}

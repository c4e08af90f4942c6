//! An environment that was opened for one clone never acts on another partition that carries its name today.

use crate::support::console::{ConsoleSite, virtual_io};
use ibmi_clone_operator::api::CloneEnvironmentSpec;
use ibmi_clone_operator::drivers::open::{Credentials, Devices, Login};
use ibmi_clone_operator::site::{Activation, DeviceError, Keylock, PartitionUuid, Site, VirtualIo};
use serde_json::{Value, json};

/// The secrets of the demo.
struct Demo(String);

impl Credentials for Demo {
    fn login(&self, secret: &str) -> Result<Login, String> {
        let (username, password) = match secret {
            "hmc" => ("cloneop", "simulated-hmc"),
            "svc" => ("cloneop", "simulated-svc"),
            _ => ("CLONEOP", "simulated-prod"),
        };
        Ok(Login::Password {
            username: username.to_owned(),
            password: password.to_owned().into(),
        })
    }
    fn ca_bundle(&self, _: &str) -> Result<String, String> {
        Ok(self.0.clone())
    }
}

/// The demo's USER environment, with the simulated console. Nobody asks its other devices here.
fn spec(console: &str) -> CloneEnvironmentSpec {
    let text = include_str!("../../../examples/demo/site.yaml")
        .replace("${HMC_ENDPOINT}", console)
        .replace("${ARRAY_ENDPOINT}", "https://127.0.0.1:1")
        .replace("${PROD_HOST_KEY}", &format!("SHA256:{}", "A".repeat(43)));
    let ports = ["PROD", "CLONE1", "CLONE2"];
    let text = ports.iter().fold(text, |text, name| {
        text.replace(&format!("${{{name}_ADDRESS}}"), "127.0.0.1")
            .replace(&format!("${{{name}_PORT}}"), "1")
    });
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let environment = objects
        .into_iter()
        .find(|o| o["metadata"]["name"] == json!("nightly-user"))
        .unwrap();
    serde_json::from_value(environment["spec"].clone()).unwrap()
}

fn open(site: &ConsoleSite, devices: &Devices, pinned: Option<PartitionUuid>) -> Site {
    let credentials = Demo(site.authority());
    devices
        .open(&spec(&site.url(0)), pinned, &credentials)
        .unwrap()
}

fn replaced<T: std::fmt::Debug>(answer: Result<T, DeviceError>) {
    let error = answer.unwrap_err();
    assert_eq!(error.code(), Some("PartitionReplaced"), "{error}");
    assert!(
        error.to_string().contains("ibmiclone.dev/pins"),
        "says what a person can do: {error}"
    );
}

#[tokio::test]
async fn another_partition_under_the_clones_name_is_told_and_gets_neither_power_nor_volumes() {
    let site = ConsoleSite::usual();
    let devices = Devices::default();
    let pin = PartitionUuid::new("00000000-1111-2222-3333-444444444444");
    let opened = open(&site, &devices, Some(pin.clone()));
    let clone = &opened.clone_partition;
    let shown = clone.status().await.unwrap();
    assert_eq!(shown.name, "CLONE1");
    assert_ne!(shown.uuid, pin, "the checks must be able to say which one");
    let how = Activation {
        profile: None,
        ipl_source: 'b',
        keylock: Keylock::Normal,
    };
    replaced(clone.power_off().await);
    replaced(clone.activate(&how).await);
    replaced(clone.set_keylock(Keylock::Manual).await);
    replaced(opened.virtual_io.observe(&site.wanted()).await);
    replaced(opened.virtual_io.map(&site.wanted()).await);
    replaced(opened.virtual_io.unmap(&site.wanted()).await);
    assert_eq!(site.requests("PUT /rest/api/uom"), 0);
    let console = site.console();
    let state = virtual_io(&console).observe(&site.wanted()).await.unwrap();
    assert!(state.all_unmapped());
    devices.close().await;
    site.assert_clean();
}

#[tokio::test]
async fn the_pinned_partition_is_switched_and_given_volumes() {
    let site = ConsoleSite::usual();
    let devices = Devices::default();
    let found = open(&site, &devices, None)
        .clone_partition
        .status()
        .await
        .unwrap();
    let opened = open(&site, &devices, Some(found.uuid));
    opened
        .clone_partition
        .set_keylock(Keylock::Manual)
        .await
        .unwrap();
    opened.virtual_io.map(&site.wanted()).await.unwrap();
    let state = opened.virtual_io.observe(&site.wanted()).await.unwrap();
    assert!(state.all_mapped(), "{state:?}");
    devices.close().await;
    site.assert_clean();
}

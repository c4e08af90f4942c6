//! IBM Storage Virtualize (SVC, Storwize, FlashSystem) over REST v1: one legacy FlashCopy consistency group.
//!
//! Decisions of `storage-virtualize.md` § 0: one long-lived group, prestart outside the freeze, start inside, never
//! `-force`, state read back after every command.

mod client;
mod errors;
mod hosts;
mod inventory;
mod pace;
mod parse;

pub use client::{ArrayOptions, RestClient};
pub use hosts::ArrayHosts;

use crate::drivers::transport::tls::TlsError;
use crate::site::{
    ArrayFamily, CopyPhase, CopyServices, CopyState, DeviceError, Inventory, Uid, Usage, Volume,
    Wwpn,
};
use async_trait::async_trait;
use parse::FcMap;
use serde_json::json;
use std::sync::Arc;

/// The copy of one consistency group.
pub struct SpectrumVirtualize {
    client: Arc<RestClient>,
    group: String,
}

impl SpectrumVirtualize {
    /// Opens nothing yet: the first command logs in.
    ///
    /// # Errors
    /// When the endpoint or the certificate options cannot be used.
    pub fn open(options: ArrayOptions, group: &str) -> Result<Self, TlsError> {
        Ok(Self::on(Arc::new(RestClient::new(options)?), group))
    }

    /// On a client shared with other groups of the same array: one token, one rate.
    pub fn on(client: Arc<RestClient>, group: &str) -> Self {
        Self {
            client,
            group: group.to_owned(),
        }
    }

    /// The group's maps: one request, filtered by the array and again by us (a filter may be ignored, § 1.3).
    async fn maps(&self) -> Result<Vec<FcMap>, DeviceError> {
        let filter = json!({"filtervalue": format!("group_name={}", self.group)});
        // Asked inside the freeze too: never behind other reads, never repeated here.
        let rows = self.client.list_at_once("lsfcmap", filter).await?;
        self.client.parsed(parse::of_group(&rows, &self.group))
    }

    /// The maps, or a refusal that tells an empty group from a missing one.
    async fn members(&self) -> Result<Vec<FcMap>, DeviceError> {
        let maps = self.maps().await?;
        if maps.is_empty() {
            self.group_exists().await?;
        }
        Ok(maps)
    }

    async fn group_exists(&self) -> Result<(), DeviceError> {
        let rows = self.client.list("lsfcconsistgrp", None, json!({})).await?;
        let names: Vec<String> = rows.iter().map(|r| parse::text(r, "name")).collect();
        if names.contains(&self.group) {
            return Ok(());
        }
        let known = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        Err(self.client.refused(
            "GroupUnknown",
            format!(
                "there is no FlashCopy consistency group {}; the array has: {known}. Correct storage.spectrumVirtualize.consistencyGroups",
                self.group
            ),
        ))
    }

    async fn command(&self, verb: &str) -> Result<(), DeviceError> {
        self.client.effect(verb, &self.group, json!({})).await
    }
}

/// State of a group from its maps: the common one, else the one that needs attention first (§ 3.2: read the maps).
fn group_phase(maps: &[FcMap]) -> CopyPhase {
    let Some(first) = maps.first() else {
        return CopyPhase::Empty;
    };
    if maps.iter().all(|m| m.phase == first.phase) {
        return first.phase;
    }
    let order = [
        CopyPhase::Suspended,
        CopyPhase::Stopping,
        CopyPhase::Preparing,
        CopyPhase::Copying,
        CopyPhase::Stopped,
        CopyPhase::Prepared,
    ];
    order
        .into_iter()
        .find(|p| maps.iter().any(|m| m.phase == *p))
        .unwrap_or(first.phase)
}

#[async_trait]
impl CopyServices for SpectrumVirtualize {
    fn family(&self) -> ArrayFamily {
        ArrayFamily::Overwrite
    }

    async fn inventory(&self) -> Result<Inventory, DeviceError> {
        let maps = self.members().await?;
        let phase = group_phase(&maps);
        inventory::read(&self.client, &maps, phase).await
    }

    async fn targets(&self) -> Result<Vec<Uid>, DeviceError> {
        inventory::targets(&self.client, &self.members().await?).await
    }

    async fn volumes_of_ports(&self, ports: &[Wwpn]) -> Result<Vec<Volume>, DeviceError> {
        inventory::volumes_of_ports(&self.client, ports).await
    }

    async fn observe(&self) -> Result<CopyState, DeviceError> {
        let maps = self.members().await?;
        let phase = group_phase(&maps);
        let mut started: Vec<(String, String)> = maps
            .iter()
            .map(|m| (m.name.clone(), m.start_time.clone()))
            .collect();
        started.sort();
        let deviating = maps
            .iter()
            .filter(|m| m.phase != phase || m.phase == CopyPhase::Suspended)
            .map(|m| format!("{} {}", m.name, m.status));
        Ok(CopyState {
            phase,
            started,
            deviating: deviating.collect(),
            progress: maps.iter().map(|m| m.progress).min().unwrap_or(0),
        })
    }

    async fn dependants(&self) -> Result<Vec<String>, DeviceError> {
        let mut names = Vec::new();
        for map in self.maps().await? {
            let rows = self
                .client
                .list("lsfcmapdependentmaps", Some(&map.name), json!({}))
                .await?;
            names.extend(
                rows.iter()
                    .map(|r| parse::text(r, "fc_name"))
                    .filter(|n| !n.is_empty()),
            );
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn prepare(&self) -> Result<(), DeviceError> {
        self.command("prestartfcconsistgrp").await
    }

    async fn start(&self) -> Result<(), DeviceError> {
        self.command("startfcconsistgrp").await
    }

    async fn end(&self) -> Result<(), DeviceError> {
        match self.command("stopfcconsistgrp").await {
            // Already idle or stopped: success after a look, which the caller takes anyway (§ 3.9).
            Err(DeviceError::Refused { code, .. })
                if ["CMMVC5910E", "CMMVC5912E"].contains(&code.as_str()) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    async fn usage(&self) -> Result<Usage, DeviceError> {
        inventory::usage(&self.client, &self.members().await?).await
    }
}

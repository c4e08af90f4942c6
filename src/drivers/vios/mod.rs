//! Virtual SCSI of the clone through padmin commands that the console's CLIRunner carries (`hmc.md` §§ 2, 5).
//!
//! A look at one VIOS costs one command and one request: `lsmap -all` is the VIOS's own word on what is mapped, and the
//! console's `ViosStorage` gives every disk with its identity at once, where padmin would need one `lsdev` per disk.

mod look;
pub mod lsdev;
pub mod lsmap;
mod plan;
#[cfg(test)]
mod tests;
pub mod unique_id;
mod work;

use crate::drivers::hmc::{HmcView, System, ViosPartition};
use crate::site::{DeviceError, Uid, VirtualIo, VirtualIoState, WantedVolume};
use async_trait::async_trait;
use futures::future::join_all;
use plan::Served;

/// One server adapter of the clone and the volumes behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Name of the VIOS partition.
    pub server: String,
    /// `vhost3`.
    pub vhost: String,
    /// Volumes behind it; `None` = all that no other adapter of this VIOS names.
    pub volumes: Option<Vec<Uid>>,
}

/// The clone's virtual SCSI on every VIOS that serves it.
pub struct HmcVirtualIo {
    clone: HmcView,
    adapters: Vec<Adapter>,
}

/// One VIOS with its share of the work.
struct Station {
    system: System,
    vios: ViosPartition,
    clone_id: i32,
    served: Served,
}

impl HmcVirtualIo {
    /// `clone` is the partition that the adapters must serve; no network is needed until the first question.
    pub fn new(clone: &HmcView, adapters: Vec<Adapter>) -> Self {
        Self {
            clone: clone.clone(),
            adapters,
        }
    }

    fn device(&self) -> String {
        self.clone.console().device().to_owned()
    }

    /// The VIOSes, each with the wanted volumes it serves. Every name is checked before the first effect.
    async fn stations(&self, volumes: &[WantedVolume]) -> Result<Vec<Station>, DeviceError> {
        let shares = plan::distribute(&self.adapters, volumes)
            .map_err(|bad| DeviceError::refused(self.device(), bad.code, bad.text))?;
        let (system, clone_id) = self.clone.place().await?;
        let all = self.clone.console().vioses(&system).await?;
        let mut stations = Vec::new();
        for served in shares {
            let Some(vios) = all.iter().find(|v| v.name == served.server) else {
                let names: Vec<&str> = all.iter().map(|v| v.name.as_str()).collect();
                return Err(DeviceError::refused(
                    self.device(),
                    "ViosUnknown",
                    format!(
                        "managed system {} has no VIOS {}; it has: {}; correct virtualIo.vscsi.adapters",
                        system.name,
                        served.server,
                        names.join(", ")
                    ),
                ));
            };
            vios.must_answer(&self.device())?;
            stations.push(Station {
                system: system.clone(),
                vios: vios.clone(),
                clone_id,
                served,
            });
        }
        Ok(stations)
    }
}

#[async_trait]
impl VirtualIo for HmcVirtualIo {
    async fn observe(&self, volumes: &[WantedVolume]) -> Result<VirtualIoState, DeviceError> {
        let stations = self.stations(volumes).await?;
        let looks = stations.iter().map(|s| self.observe_one(s, volumes));
        let mut state = VirtualIoState::default();
        for look in join_all(looks).await {
            let (paths, foreign) = look?;
            state.paths.extend(paths);
            state.foreign.extend(foreign);
        }
        Ok(state)
    }

    async fn unmap(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        let stations = self.stations(volumes).await?;
        worst(join_all(stations.iter().map(|s| self.unmap_one(s))).await)
    }

    async fn map(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        let stations = self.stations(volumes).await?;
        worst(join_all(stations.iter().map(|s| self.map_one(s))).await)
    }
}

/// The error that says most: an unknown outcome before a refusal, a refusal before what may pass.
fn worst(results: Vec<Result<(), DeviceError>>) -> Result<(), DeviceError> {
    let rank = |error: &DeviceError| match error {
        DeviceError::Indeterminate { .. } => 3,
        DeviceError::Refused { .. } => 2,
        DeviceError::Unreachable { .. } => 1,
        DeviceError::Busy { .. } => 0,
    };
    results
        .into_iter()
        .filter_map(Result::err)
        .max_by_key(rank)
        .map_or(Ok(()), Err)
}

#[cfg(test)]
mod worst_tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_on_one_vios_is_never_hidden_by_a_refusal_on_another() {
        let refused = || Err(DeviceError::refused("VIOS1", "0514-548", "full"));
        let unknown = || Err(DeviceError::indeterminate("VIOS2", "lost"));
        for results in [
            vec![refused(), unknown()],
            vec![unknown(), refused(), Ok(())],
        ] {
            assert_eq!(worst(results).unwrap_err().reason(), "Indeterminate");
        }
        assert_eq!(worst(vec![Ok(()), Ok(())]), Ok(()));
    }
}

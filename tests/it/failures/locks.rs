//! What a test reads from lock Leases, or writes into them.

use super::stage::Stage;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, Patch};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

impl Stage {
    /// Marks the lock of a device as pinned, as `start-held` does.
    pub async fn pin(&self, device: &str) {
        let note = json!({"ibmiclone.dev/pinned": "a test"});
        self.change_lock(device, note).await;
    }

    /// Takes from the clone partition's lock what runs have mapped to it, as if a person had mapped it.
    pub async fn forget_what_was_mapped(&self) {
        let note = json!({"ibmiclone.dev/attached": null});
        self.change_lock("clone partition", note).await;
    }

    async fn lock(&self, device: &str) -> Lease {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = api.list(&ListParams::default()).await.unwrap().items;
        let is_it = |lease: &Lease| {
            let named = lease.annotations().get("ibmiclone.dev/device");
            named.is_some_and(|d| d.starts_with(device))
        };
        all.into_iter().find(is_it).unwrap()
    }

    /// Name of the run whose image a target set carries, by the set's lock.
    pub async fn image_owner(&self, device: &str) -> Option<String> {
        let lock = self.lock(device).await;
        let owner = lock.annotations().get("ibmiclone.dev/image-owner")?;
        let owner: Value = serde_json::from_str(owner).unwrap();
        owner["run"].as_str().map(str::to_owned)
    }

    async fn change_lock(&self, device: &str, annotations: Value) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = self.lock(device).await.name_any();
        let change = json!({"metadata": {"annotations": annotations}});
        let patch = Patch::Merge(&change);
        api.patch(&name, &Default::default(), &patch).await.unwrap();
    }
}

//! Which Leases protect an environment's devices. Named by hash, because identities hold characters no name may have;
//! what the hash stands for is in an annotation.

use crate::api::CloneEnvironmentSpec;
use crate::engine::step::LockKind;
use crate::recipe::Pins;
use crate::site::{Identity, PartitionUuid};
use sha2::{Digest, Sha256};

/// One Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLock {
    /// What it protects.
    pub kind: LockKind,
    /// Name of the Lease.
    pub lease: String,
    /// The device in words a person knows.
    pub device: String,
}

/// The locks of a run, in the order in which they are taken: clone partition, target set, source, source's BRMS. Production may live
/// under several identities (LPM): each has its own Lease, so that two environments that know different ones of them
/// still meet.
pub fn device_locks(spec: &CloneEnvironmentSpec, pins: &Pins) -> Vec<DeviceLock> {
    let mut locks = Vec::new();
    let clone = &spec.clone.partition;
    // Without a pin (first verify still to come) the name stands in; verify pins before any run opens.
    let identity = pins.clone_partition.as_ref().map_or_else(
        || format!("{}/{}", clone.managed_system, clone.name),
        ToString::to_string,
    );
    let device = format!(
        "{}{}/{}",
        begin(LockKind::Clone),
        clone.managed_system,
        clone.name
    );
    locks.push(lock(LockKind::Clone, "clone", &identity, device));
    if let Some(array) = &spec.storage.spectrum_virtualize {
        let host = host(&array.endpoint);
        // Two environments may know one array by different names; its address only stands in before the first verify.
        let system = pins.array.as_deref().unwrap_or(&host);
        for group in &array.consistency_groups {
            let device = format!("{}{group} on {host}", begin(LockKind::TargetSet));
            let identity = format!("{system}/{group}");
            locks.push(lock(LockKind::TargetSet, "target", &identity, device));
        }
    }
    let identities = source_identities(spec, pins);
    for (kind, word) in [(LockKind::Source, "source"), (LockKind::Backups, "backups")] {
        for identity in &identities {
            let name = &spec.source.partition.name;
            let device = format!("{}{name} ({identity})", begin(kind));
            let text = format!("{}/{}", identity.serial_number, identity.partition_id);
            locks.push(lock(kind, word, &text, device));
        }
    }
    locks
}

/// Name of the Lease of a target set as `status.image.targetSet` writes it: `ARRAY/GROUP`.
pub fn target_lease(target_set: &str) -> String {
    lock(LockKind::TargetSet, "target", target_set, String::new()).lease
}

/// Name of the Lease of the clone partition with this UUID.
pub fn clone_lease(clone: &PartitionUuid) -> String {
    lock(LockKind::Clone, "clone", clone.as_str(), String::new()).lease
}

/// Every identity under which production may live, sorted: two runs take them in the same order.
fn source_identities(spec: &CloneEnvironmentSpec, pins: &Pins) -> Vec<Identity> {
    let mut all: Vec<Identity> = spec
        .source
        .identities
        .iter()
        .map(|i| Identity::new(&i.serial_number, i.partition_id))
        .collect();
    if all.is_empty() {
        all.extend(pins.source_identity.clone());
    }
    all.sort();
    all.dedup();
    all
}

/// Begin of a device in words, by kind of lock.
fn begin(kind: LockKind) -> &'static str {
    match kind {
        LockKind::Clone => "clone partition ",
        LockKind::TargetSet => "target set ",
        LockKind::Source => "source ",
        LockKind::Backups => "BRMS of ",
    }
}

/// Which lock a run waits for, from `status.queue.blockedBy`: `NAMESPACE/RUN (DEVICE)`.
pub fn waits_for(blocked_by: &str) -> Option<LockKind> {
    let (_, device) = blocked_by.split_once(" (")?;
    let kinds = [
        LockKind::Clone,
        LockKind::TargetSet,
        LockKind::Source,
        LockKind::Backups,
    ];
    kinds.into_iter().find(|k| device.starts_with(begin(*k)))
}

fn host(endpoint: &str) -> String {
    let bare = endpoint.trim_start_matches("https://");
    bare.split(['/', ':'])
        .next()
        .unwrap_or(bare)
        .to_ascii_lowercase()
}

fn lock(kind: LockKind, word: &str, identity: &str, device: String) -> DeviceLock {
    let digest = Sha256::digest(format!("{word}\n{}", identity.to_ascii_uppercase()));
    let hash: String = digest.iter().take(10).map(|b| format!("{b:02x}")).collect();
    DeviceLock {
        kind,
        lease: format!("ibmi-clone-lock-{word}-{hash}"),
        device,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spec(name: &str) -> CloneEnvironmentSpec {
        let yaml = include_str!("../testdata/environment.yaml");
        let mut spec: CloneEnvironmentSpec = serde_saphyr::from_str(yaml).unwrap();
        spec.clone.partition.name = name.to_owned();
        spec
    }

    #[test]
    fn locks_are_taken_in_one_order_and_named_by_identity() {
        let pins = Pins {
            clone_partition: Some(PartitionUuid::new("1111-aaaa")),
            array: Some("000002032CA0FF0E".to_owned()),
            source_identity: Some(Identity::new("78ABCD0", 3)),
            ..Pins::default()
        };
        let locks = device_locks(&spec("CLONE1"), &pins);
        let kinds: Vec<LockKind> = locks.iter().map(|l| l.kind).collect();
        assert_eq!(
            kinds,
            [
                LockKind::Clone,
                LockKind::TargetSet,
                LockKind::Source,
                LockKind::Backups
            ]
        );
        let renamed = device_locks(&spec("RENAMED"), &pins);
        assert_eq!(
            locks[0].lease, renamed[0].lease,
            "the UUID counts, not the name"
        );
        assert_eq!(
            locks[0].lease,
            clone_lease(&PartitionUuid::new("1111-aaaa"))
        );
        assert!(locks.iter().all(|l| l.lease.len() <= 63));
    }

    #[test]
    fn what_a_run_waits_for_is_told_by_the_device_in_words() {
        for lock in device_locks(&spec("CLONE1"), &Pins::default()) {
            let said = format!("ibmi/nightly-1, whose object is gone ({})", lock.device);
            assert_eq!(waits_for(&said), Some(lock.kind), "{said}");
        }
        assert_eq!(waits_for("ibmi/nightly-1"), None);
    }

    #[test]
    fn one_array_under_two_addresses_has_one_lock_per_target_set() {
        let at = |endpoint: &str, array: Option<&str>, group: &str| -> String {
            let mut spec = spec("CLONE1");
            let storage = spec.storage.spectrum_virtualize.as_mut().unwrap();
            storage.endpoint = endpoint.to_owned();
            storage.consistency_groups = vec![group.to_owned()];
            let pins = Pins {
                array: array.map(str::to_owned),
                ..Pins::default()
            };
            let locks = device_locks(&spec, &pins);
            let set = locks.into_iter().find(|l| l.kind == LockKind::TargetSet);
            set.unwrap().lease
        };
        let (name, address) = ("https://svc.example.com:7443", "https://10.0.8.5:7443");
        let known = Some("000002032CA0FF0E");
        assert_eq!(at(name, known, "G1"), at(address, known, "G1"));
        assert_ne!(at(name, known, "G1"), at(name, known, "G2"));
        assert_ne!(
            at(name, known, "G1"),
            at(name, Some("00000204AA000001"), "G1"),
            "an address may lead to another array later"
        );
        assert_ne!(at(name, None, "G1"), at(address, None, "G1"));
    }

    #[test]
    fn two_environments_with_one_identity_in_common_meet() {
        let mut left = spec("A");
        left.source.identities = vec![Identity::new("78ABCD0", 3), Identity::new("78FFFF0", 9)];
        let mut right = spec("B");
        right.source.identities = vec![Identity::new(" 78ffff0", 9)];
        let names = |s: &CloneEnvironmentSpec| -> Vec<String> {
            let locks = device_locks(s, &Pins::default());
            let source = locks.into_iter().filter(|l| l.kind == LockKind::Source);
            source.map(|l| l.lease).collect()
        };
        assert_eq!(names(&left).len(), 2);
        assert!(names(&left).contains(&names(&right)[0]));
    }
}

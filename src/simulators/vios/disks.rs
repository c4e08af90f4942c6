//! Disks: `cfgdev`, and the ODM's `unique_id` (`hmc.md` § 5.5).

use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::World;
use crate::site::Uid;

/// Configures what the array maps to this VIOS and the VIOS does not know yet.
pub(super) fn configure(world: &mut World, vios: &str) {
    let Some(host) = world.vioses.get(vios).map(|v| v.array_host.clone()) else {
        return;
    };
    let mapped = spectrum_virtualize::volumes_of_host(world, &host);
    if let Some(vios) = world.vioses.get_mut(vios) {
        for uid in mapped {
            if !vios.hdisks.iter().any(|d| d.uid.as_ref() == Some(&uid)) {
                vios.add_disk(Some(uid));
            }
        }
    }
}

/// `LL ll id ll product ll vendor proto`: 51 characters for this family.
pub fn unique_id(uid: &Uid) -> String {
    let body = format!(
        "{:02X}3{}042145{:02X}IBMfcp",
        uid.as_str().len() + 1,
        uid,
        3
    );
    format!("{:02X}{body}", body.len() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_id_has_the_form_and_length_of_the_recorded_ones() {
        let id = unique_id(&Uid::new("600507680C80803A5000000000000123"));
        assert_eq!(id, "33213600507680C80803A500000000000012304214503IBMfcp");
        assert_eq!(id.len(), 51);
    }
}

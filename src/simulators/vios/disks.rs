//! Disks: `cfgdev`, and the ODM's `unique_id` (`hmc.md` § 5.5).

use super::{Hdisk, Vtd};
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::World;
use crate::site::Uid;

/// Configures what the array maps to this VIOS and the VIOS does not know yet, or knows by its definition only.
pub(super) fn configure(world: &mut World, vios: &str) {
    let Some(host) = world.vioses.get(vios).map(|v| v.array_host.clone()) else {
        return;
    };
    let mapped = spectrum_virtualize::volumes_of_host(world, &host);
    if let Some(vios) = world.vioses.get_mut(vios) {
        for uid in mapped {
            let known = vios
                .hdisks
                .iter_mut()
                .find(|d| d.uid.as_ref() == Some(&uid));
            match known {
                Some(disk) => disk.defined = false,
                None => vios.add_disk(Some(uid)),
            }
        }
    }
}

/// Somebody removes the disks that back nothing, in the order of their numbers, and finds them again in the other order:
/// the numbers are the same, the disks behind them are not.
pub(super) fn renumber(world: &mut World, vios: &str) {
    let Some(vios) = world.vioses.get_mut(vios) else {
        return;
    };
    let free = |disk: &Hdisk, vtds: &[Vtd]| {
        disk.uid.is_some() && !vtds.iter().any(|t| t.hdisk == disk.name)
    };
    let names: Vec<String> = vios
        .hdisks
        .iter()
        .filter(|d| free(d, &vios.vtds))
        .map(|d| d.name.clone())
        .collect();
    let vtds = &vios.vtds;
    let moved = vios.hdisks.iter_mut().filter(|d| free(d, vtds));
    for (disk, name) in moved.zip(names.into_iter().rev()) {
        disk.name = name;
    }
    vios.hdisks.sort_by_key(|d| (d.name.len(), d.name.clone()));
}

/// `LL ll id ll product ll vendor proto`, every length in hexadecimal.
fn odm(id: &str, product: &str, vendor: &str, protocol: &str) -> String {
    let body = format!(
        "{:02X}{id}{:02X}{product}{:02X}{vendor}{protocol}",
        id.len(),
        product.len(),
        vendor.len()
    );
    format!("{:02X}{body}", body.len() + 2)
}

/// The identity of a volume of this family: 51 characters, whatever the model product 2145.
pub fn unique_id(uid: &Uid) -> String {
    odm(&format!("3{uid}"), "2145", "IBM", "fcp")
}

/// The identity of a disk; an internal one has one too.
pub fn identifier(disk: &Hdisk) -> String {
    disk.uid.as_ref().map_or_else(
        || {
            let number = disk.name.trim_start_matches("hdisk");
            odm(
                &format!("35000C50074{number:0>6}"),
                "MBF2300RC",
                "IBM",
                "sas",
            )
        },
        unique_id,
    )
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

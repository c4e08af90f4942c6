//! Pure part: which volume belongs behind which adapter, and what a VIOS's answer means for the clone.

use super::lsmap::{ServerAdapter, is_vhost};
use super::{ALL, Adapter};
use crate::drivers::hmc::ViosDisk;
use crate::site::{ForeignDevice, Uid, VolumePath, WantedVolume};
use std::collections::BTreeMap;

/// Longest name of a virtual target device that every VIOS level takes (`hmc.md` § 5.2).
const VTD_LENGTH: usize = 15;

/// One VIOS's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) server: String,
    /// The clone's adapters there.
    pub(super) vhosts: Vec<String>,
    /// Volumes in the order given, each with its adapter.
    pub(super) volumes: Vec<(WantedVolume, String)>,
    /// Volumes that only other VIOSes serve: a map left here from other times is found and removed, none is made.
    pub(super) left_out: Vec<WantedVolume>,
}

/// The array's names of the wanted volumes. Empty where no adapter names single volumes.
pub(super) type Names = BTreeMap<Uid, String>;

/// A setting that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) code: &'static str,
    pub(super) text: String,
}

impl Bad {
    pub(super) fn new(code: &'static str, text: String) -> Self {
        Self { code, text }
    }
}

/// Gives every volume its adapter on every VIOS: the first that names it, else the first that takes all. A VIOS whose
/// adapters take none of the volumes has an empty share; a volume that no VIOS serves is an error, and so is a name that
/// no volume has.
pub(super) fn distribute(
    adapters: &[Adapter],
    volumes: &[WantedVolume],
    names: &Names,
) -> Result<Vec<Served>, Bad> {
    check_names(adapters, volumes)?;
    check_patterns(adapters, names)?;
    let mut shares = servers(adapters);
    for volume in volumes {
        let mut served = false;
        for share in &mut shares {
            let here = adapters.iter().filter(|a| a.server == share.server);
            match vhost_for(here, names.get(&volume.uid)) {
                Some(vhost) => {
                    share.volumes.push((volume.clone(), vhost.to_owned()));
                    served = true;
                }
                None => share.left_out.push(volume.clone()),
            }
        }
        if !served {
            return Err(Bad::new(
                "NoAdapter",
                format!(
                    "volume {} ({}) is behind no adapter: name it in virtualIo.vscsi.adapters.volumes, or write \"*\" there",
                    names
                        .get(&volume.uid)
                        .map_or("no target of the group now", String::as_str),
                    volume.uid
                ),
            ));
        }
    }
    Ok(shares)
}

/// For removing: every volume wherever it is found behind the clone's adapters. Its name does not matter, which the group
/// in use need not know: the volume may be of another target set.
pub(super) fn everywhere(
    adapters: &[Adapter],
    volumes: &[WantedVolume],
) -> Result<Vec<Served>, Bad> {
    check_names(adapters, volumes)?;
    let mut shares = servers(adapters);
    for share in &mut shares {
        share.left_out = volumes.to_vec();
    }
    Ok(shares)
}

/// The VIOSes with the clone's adapters there, in the order given.
fn servers(adapters: &[Adapter]) -> Vec<Served> {
    let mut shares: Vec<Served> = Vec::new();
    for adapter in adapters {
        match shares.iter_mut().find(|s| s.server == adapter.server) {
            Some(share) => share.vhosts.push(adapter.vhost.clone()),
            None => shares.push(Served {
                server: adapter.server.clone(),
                vhosts: vec![adapter.vhost.clone()],
                volumes: Vec::new(),
                left_out: Vec::new(),
            }),
        }
    }
    shares
}

fn vhost_for<'a>(
    adapters: impl Iterator<Item = &'a Adapter> + Clone,
    name: Option<&String>,
) -> Option<&'a str> {
    let names_it = |a: &&Adapter| {
        name.is_some_and(|name| a.volumes.iter().any(|p| p != ALL && matches(p, name)))
    };
    adapters
        .clone()
        .find(names_it)
        .or_else(|| adapters.clone().find(|a| a.takes_all()))
        .map(|a| a.vhost.as_str())
}

/// Whether the array's name fits; `*` stands for any characters, and case counts, as it does on the array.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(head) else {
        return false;
    };
    let mut cuts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    cuts.any(|at| name.get(at..).is_some_and(|tail| matches(rest, tail)))
}

/// A name that no volume of the group has is a mistake of whoever wrote it, or of whoever renamed the volume.
fn check_patterns(adapters: &[Adapter], names: &Names) -> Result<(), Bad> {
    for adapter in adapters {
        let mut patterns = adapter.volumes.iter().filter(|p| *p != ALL);
        let Some(lost) = patterns.find(|p| !names.values().any(|n| matches(p, n))) else {
            continue;
        };
        let known: Vec<&str> = names.values().map(String::as_str).collect();
        return Err(Bad::new(
            "VolumeUnknown",
            format!(
                "{} of VIOS {} names volume {lost}, but no target of the consistency group is called so; they are: {}; correct virtualIo.vscsi.adapters.volumes; with more than one consistency group each name must fit a target of every group",
                adapter.vhost,
                adapter.server,
                known.join(", ")
            ),
        ));
    }
    Ok(())
}

/// Names become words of a command line, so they are checked before any is built.
fn check_names(adapters: &[Adapter], volumes: &[WantedVolume]) -> Result<(), Bad> {
    if let Some(bad) = adapters.iter().find(|a| !is_vhost(&a.vhost)) {
        return Err(Bad::new(
            "BadName",
            format!("{} is no server adapter name: write vhost3", bad.vhost),
        ));
    }
    match volumes.iter().find(|v| !is_device_name(&v.vtd)) {
        Some(bad) => Err(Bad::new(
            "BadName",
            format!(
                "{} is no name for a virtual target device: at most {VTD_LENGTH} letters, digits, _ . -",
                bad.vtd
            ),
        )),
        None => Ok(()),
    }
}

/// Letters, digits, `_`, `.`, `-`; at most 15.
pub(super) fn is_device_name(text: &str) -> bool {
    (1..=VTD_LENGTH).contains(&text.len())
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The clone's adapters must exist and must serve the clone: behind another partition's adapter, mapping would hand the
/// clone's disks to it.
pub(super) fn check_adapters(
    served: &Served,
    found: &[ServerAdapter],
    clone_id: i32,
    clone: &str,
) -> Result<(), Bad> {
    for vhost in &served.vhosts {
        let Some(adapter) = found.iter().find(|a| a.vhost == *vhost) else {
            let names: Vec<&str> = found.iter().map(|a| a.vhost.as_str()).collect();
            return Err(Bad::new(
                "VhostUnknown",
                format!(
                    "VIOS {} has no {vhost}; it has: {}; correct virtualIo.vscsi.adapters",
                    served.server,
                    names.join(", ")
                ),
            ));
        };
        if let Some(client) = adapter.client
            && client != clone_id
        {
            return Err(Bad::new(
                "VhostOfOther",
                format!(
                    "{vhost} of VIOS {} serves partition id {client}, not clone {clone} (id {clone_id}): correct virtualIo.vscsi.adapters",
                    served.server
                ),
            ));
        }
    }
    Ok(())
}

/// Names of the disks with this identity.
pub(super) fn disks_of<'a>(uid: &Uid, disks: &'a [ViosDisk]) -> Vec<&'a ViosDisk> {
    disks
        .iter()
        .filter(|d| d.uid.as_ref() == Some(uid))
        .collect()
}

/// What the VIOS says of one wanted volume.
pub(super) fn path(
    served: &Served,
    found: &[ServerAdapter],
    disks: &[ViosDisk],
    uid: &Uid,
) -> VolumePath {
    let names: Vec<String> = disks_of(uid, disks)
        .iter()
        .map(|d| d.name.clone())
        .collect();
    let mut mapped_as = None;
    let mut mapped_elsewhere = Vec::new();
    for adapter in found {
        let vtd = adapter.devices.iter().find(|d| names.contains(&d.backing));
        let Some(vtd) = vtd else { continue };
        if served.vhosts.contains(&adapter.vhost) {
            mapped_as.get_or_insert_with(|| vtd.vtd.clone());
        } else {
            mapped_elsewhere.push(adapter.vhost.clone());
        }
    }
    VolumePath {
        vios: served.server.clone(),
        uid: uid.clone(),
        disks: names,
        mapped_as,
        mapped_elsewhere,
    }
}

/// Devices on the clone's adapters that are none of the wanted volumes, or are one but not usable. Virtual optical drives
/// are left out: they are no disks.
pub(super) fn foreign(
    served: &Served,
    found: &[ServerAdapter],
    disks: &[ViosDisk],
    wanted: &[WantedVolume],
) -> Vec<ForeignDevice> {
    let mut foreign = Vec::new();
    let ours = found.iter().filter(|a| served.vhosts.contains(&a.vhost));
    for adapter in ours {
        for device in &adapter.devices {
            let optical =
                device.vtd.starts_with("vtopt") || device.backing.starts_with("/var/vio/VMLibrary");
            if optical {
                continue;
            }
            let of_disk = disks.iter().filter(|d| d.name == device.backing);
            let uids: Vec<&Uid> = of_disk.filter_map(|d| d.uid.as_ref()).collect();
            let is_wanted = uids.iter().any(|uid| wanted.iter().any(|w| w.uid == **uid));
            let mut place = format!("{}/{}/{}", served.server, adapter.vhost, device.vtd);
            if is_wanted && device.status == "Available" {
                continue;
            }
            if is_wanted {
                // The client cannot use it: an unmap removes it, a start must not count on it.
                place = format!("{place} ({})", device.status);
            }
            // A name that stands for two disks in the console's list is nobody's.
            let uid = match uids.as_slice() {
                [uid] => Some((*uid).clone()),
                _ => None,
            };
            foreign.push(ForeignDevice { place, uid });
        }
    }
    foreign
}

#[cfg(test)]
mod tests {
    use super::super::lsmap;
    use super::*;

    fn wanted(uid: &str, vtd: &str) -> WantedVolume {
        WantedVolume {
            uid: Uid::new(uid),
            vtd: vtd.into(),
        }
    }
    fn adapter(server: &str, vhost: &str, volumes: &[&str]) -> Adapter {
        Adapter {
            server: server.into(),
            vhost: vhost.into(),
            volumes: volumes.iter().map(|v| (*v).to_owned()).collect(),
        }
    }
    /// Volumes `a` and `b`, which the array calls `CLN_A` and `CLN_B`.
    fn names() -> Names {
        ["a", "b"]
            .map(|uid| (Uid::new(uid), format!("CLN_{}", uid.to_uppercase())))
            .into()
    }
    fn both() -> [WantedVolume; 2] {
        [wanted("a", "c_00"), wanted("b", "c_01")]
    }
    fn vhosts(share: &Served) -> Vec<&str> {
        share.volumes.iter().map(|(_, v)| v.as_str()).collect()
    }
    fn disk(name: &str, uid: &str) -> ViosDisk {
        ViosDisk {
            name: name.into(),
            uid: Some(Uid::new(uid)),
            no_reserve: true,
        }
    }

    #[test]
    fn an_adapter_that_names_a_volume_wins_over_one_that_takes_all() {
        let adapters = [
            adapter("V1", "vhost3", &["*"]),
            adapter("V1", "vhost4", &["CLN_B"]),
            adapter("V2", "vhost1", &["*"]),
        ];
        let shares = distribute(&adapters, &both(), &names()).unwrap();
        assert_eq!(vhosts(&shares[0]), ["vhost3", "vhost4"]);
        assert_eq!(vhosts(&shares[1]), ["vhost1", "vhost1"]);
    }

    #[test]
    fn volumes_keep_the_groups_order_and_a_vios_that_serves_one_leaves_the_other_out() {
        let adapters = [
            adapter("V1", "vhost3", &["*_B", "CLN_A"]),
            adapter("V2", "vhost1", &["CLN_B*"]),
        ];
        let shares = distribute(&adapters, &both(), &names()).unwrap();
        let order: Vec<&str> = shares[0]
            .volumes
            .iter()
            .map(|(w, _)| w.vtd.as_str())
            .collect();
        assert_eq!(order, ["c_00", "c_01"]);
        assert_eq!(vhosts(&shares[1]), ["vhost1"]);
        assert_eq!(shares[1].left_out, [wanted("a", "c_00")]);
    }

    #[test]
    fn a_volume_behind_no_adapter_is_an_error_and_never_left_out() {
        let adapters = [adapter("V1", "vhost3", &["CLN_A"])];
        let bad = distribute(&adapters, &both(), &names()).unwrap_err();
        assert_eq!(bad.code, "NoAdapter");
        assert!(bad.text.contains("CLN_B"), "{}", bad.text);
    }

    #[test]
    fn what_is_taken_away_need_not_be_behind_any_adapter_by_name() {
        let adapters = [
            adapter("V1", "vhost3", &["CLN_A"]),
            adapter("V1", "vhost4", &["CLN_B"]),
            adapter("V2", "vhost1", &["*"]),
        ];
        let of_others = [wanted("x", "c_00")];
        let shares = everywhere(&adapters, &of_others).unwrap();
        assert_eq!(shares[0].vhosts, ["vhost3", "vhost4"]);
        assert!(shares.iter().all(|s| s.left_out == of_others));
        assert!(everywhere(&adapters, &[wanted("x", "a b")]).is_err());
    }

    #[test]
    fn a_name_that_no_volume_has_is_an_error_even_beside_all() {
        let adapters = [adapter("V1", "vhost3", &["*", "CLN_Q*"])];
        let bad = distribute(&adapters, &both(), &names()).unwrap_err();
        assert_eq!(bad.code, "VolumeUnknown");
        for word in ["CLN_Q*", "V1", "vhost3", "CLN_A, CLN_B"] {
            assert!(bad.text.contains(word), "{word}: {}", bad.text);
        }
    }

    #[test]
    fn a_star_stands_for_any_characters_and_case_counts() {
        for (pattern, name) in [
            ("CLN_*", "CLN_"),
            ("*_1", "CLN_1"),
            ("C*N*1", "CLN_11"),
            ("é*", "éa"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("CLN", "CLN_1"),
            ("cln_*", "CLN_1"),
            ("*_1", "CLN_12"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn names_that_could_leave_the_command_line_are_refused() {
        let good = [adapter("V1", "vhost3", &["*"])];
        for vtd in ["a b", "a;reboot", "", "-f", "sixteen_letters_", "a\"b"] {
            assert!(
                distribute(&good, &[wanted("a", vtd)], &names()).is_err(),
                "{vtd}"
            );
        }
        let bad = [adapter("V1", "vhost3 -f", &["*"])];
        assert!(distribute(&bad, &[wanted("a", "c_00")], &names()).is_err());
    }

    const MAP: &str = "vhost3:U1-V1-C5:0x00000010:c_00:Available:0x81:hdisk5:P:false:old:Available:0x82:hdisk9:P:false:vtopt0:Available:0x83:/var/vio/VMLibrary/x.iso: : \nvhost7:U1-V1-C6:0x00000002:x:Available:0x81:hdisk6:P:false";

    fn served() -> Served {
        Served {
            server: "V1".into(),
            vhosts: vec!["vhost3".into()],
            volumes: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn a_disk_is_found_by_identity_on_our_adapter_and_on_others() {
        let found = lsmap::parse(MAP).unwrap();
        let disks = [
            disk("hdisk5", "a"),
            disk("hdisk6", "b"),
            disk("hdisk8", "c"),
        ];
        let a = path(&served(), &found, &disks, &Uid::new("a"));
        assert_eq!(a.mapped_as.as_deref(), Some("c_00"));
        assert!(a.mapped_elsewhere.is_empty());
        let b = path(&served(), &found, &disks, &Uid::new("b"));
        assert_eq!(b.mapped_as, None);
        assert_eq!(b.mapped_elsewhere, ["vhost7"]);
        let missing = path(&served(), &found, &disks, &Uid::new("z"));
        assert!(missing.disks.is_empty() && missing.mapped_as.is_none());
    }

    #[test]
    fn what_is_not_wanted_on_our_adapter_is_foreign_and_a_cd_is_not() {
        let found = lsmap::parse(MAP).unwrap();
        let disks = [disk("hdisk5", "a"), disk("hdisk9", "q")];
        let foreign = foreign(&served(), &found, &disks, &[wanted("a", "c_00")]);
        let old = ForeignDevice {
            place: "V1/vhost3/old".to_owned(),
            uid: Some(Uid::new("q")),
        };
        assert_eq!(foreign, [old]);
    }

    #[test]
    fn a_device_that_is_only_defined_is_told() {
        let map = MAP.replace("c_00:Available", "c_00:Defined");
        let found = lsmap::parse(&map).unwrap();
        let disks = [disk("hdisk5", "a")];
        let foreign = foreign(&served(), &found, &disks, &[wanted("a", "c_00")]);
        let told = foreign
            .iter()
            .any(|f| f.place == "V1/vhost3/c_00 (Defined)");
        assert!(told, "{foreign:?}");
    }

    #[test]
    fn an_adapter_of_another_partition_is_refused_by_its_client() {
        let found = lsmap::parse(MAP).unwrap();
        assert!(check_adapters(&served(), &found, 16, "CLONE1").is_ok());
        let bad = check_adapters(&served(), &found, 15, "CLONE1").unwrap_err();
        assert_eq!(bad.code, "VhostOfOther");
        let mut other = served();
        other.vhosts = vec!["vhost9".into()];
        let bad = check_adapters(&other, &found, 16, "CLONE1").unwrap_err();
        assert_eq!(bad.code, "VhostUnknown");
        assert!(bad.text.contains("vhost3, vhost7"), "{}", bad.text);
    }
}

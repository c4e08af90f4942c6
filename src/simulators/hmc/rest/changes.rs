//! POST of a whole VIOS: its `VirtualSCSIMappings` as the client wants them, guarded by `If-Match` (`hmc.md` § 2.3).
//!
//! The console compares with what there is, and makes and removes the difference on the VIOS with the VIOS's own
//! refusals. It stops at the first of them; what was done before stays, as on the real one. A body without
//! `VirtualSCSIMappings` changes no mapping.

use super::vios_views;
use super::{Ask, Reply, sessions};
use crate::simulators::hmc::{PartitionKind, ScsiFile};
use crate::simulators::vios::{self, client_of, slot_of, vhosts_of};
use crate::simulators::world::World;
use roxmltree::Node;

/// A mapping as the client wrote it.
struct Wanted {
    vhost: String,
    disk: Option<String>,
    target: Option<String>,
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.descendants()
        .find(|n| *n != node && n.tag_name().name() == name)
}

fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = child(node, name)?.text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn bad(ask: &Ask<'_>, why: &str) -> Reply {
    Reply::error(
        400,
        ask.path,
        "The request body is not valid.",
        &format!("REST000E {why}"),
    )
}

/// POST …/VirtualIOServer/{uuid}.
pub(super) fn post(world: &mut World, ask: &Ask<'_>, uuid: &str) -> Reply {
    if let Some(reply) = sessions::only_looks(world, ask) {
        return reply;
    }
    let p = world.console.by_uuid(uuid);
    let Some(p) = p.filter(|p| p.kind == PartitionKind::Vios).cloned() else {
        return Reply::not_found(ask.path);
    };
    let current = match vios_views::object(world, ask, &p, false) {
        Ok(object) => object.etag().to_string(),
        Err(reply) => return reply,
    };
    // Without If-Match the console could not tell whose changes it overwrites. [I]
    if ask.if_match != current {
        return Reply::error(
            412,
            ask.path,
            "The precondition of the request is not met.",
            "REST0041 The resource was changed: the If-Match header is not its current etag.",
        );
    }
    let Ok(document) = roxmltree::Document::parse(ask.body) else {
        return bad(ask, "The body is no XML document.");
    };
    let root = document.root_element();
    if root.tag_name().name() != "VirtualIOServer" {
        return bad(ask, "Unrecognized root element type.");
    }
    let Some(mappings) = child(root, "VirtualSCSIMappings") else {
        return view(world, ask, &p.name);
    };
    let all = mappings.children();
    let all = all.filter(|n| n.tag_name().name() == "VirtualSCSIMapping");
    let mut wanted = Vec::new();
    for mapping in all {
        match read(world, ask, &p.name, mapping) {
            Ok(mapping) => wanted.push(mapping),
            Err(reply) => return reply,
        }
    }
    if let Err(text) = make(world, &p.name, &wanted) {
        let text = format!(
            "HSCL2970 The IOServer command has failed because of the following reason:\n{text}"
        );
        return Reply::error(500, ask.path, "Unknown internal error.", &text);
    }
    view(world, ask, &p.name)
}

fn view(world: &World, ask: &Ask<'_>, vios: &str) -> Reply {
    let Some(p) = world.console.partitions.get(vios) else {
        return Reply::not_found(ask.path);
    };
    match vios_views::object(world, ask, p, false) {
        Ok(object) => Reply {
            etag: Some(object.etag()),
            ..Reply::atom(object.entry(ask))
        },
        Err(reply) => reply,
    }
}

/// The adapter by name, by slot, or a new pair (`UseNextAvailableSlotID`).
fn read(world: &mut World, ask: &Ask<'_>, vios: &str, node: Node<'_, '_>) -> Result<Wanted, Reply> {
    let server = child(node, "ServerAdapter");
    let named = server.and_then(|s| text(s, "AdapterName"));
    let slot = server.and_then(|s| text(s, "VirtualSlotNumber"));
    let next = node.descendants().any(|n| {
        let name = n.tag_name().name();
        matches!(
            name,
            "UseNextAvailableSlotID" | "UseNextAvailableHighSlotID"
        ) && n.text().map(str::trim) == Some("true")
    });
    let vhost = match (named, slot.and_then(|s| s.parse::<u32>().ok())) {
        (Some(name), _) => name,
        (None, Some(slot)) => vhosts_of(world, vios)
            .into_iter()
            .find(|v| slot_of(world, vios, v) == slot)
            .ok_or_else(|| bad(ask, &format!("There is no server adapter in slot {slot}.")))?,
        (None, None) if next => new_pair(world, ask, vios, node)?,
        (None, None) => return Err(bad(ask, "A mapping has neither an adapter nor a slot.")),
    };
    Ok(Wanted {
        vhost,
        disk: child(node, "Storage").and_then(|s| text(s, "VolumeName")),
        target: child(node, "TargetDevice").and_then(|t| text(t, "TargetName")),
    })
}

/// A new client adapter and its server adapter, both at once.
fn new_pair(
    world: &mut World,
    ask: &Ask<'_>,
    vios: &str,
    node: Node<'_, '_>,
) -> Result<String, Reply> {
    let href = child(node, "AssociatedLogicalPartition").and_then(|n| n.attribute("href"));
    let uuid = href.and_then(|h| h.rsplit('/').next()).unwrap_or_default();
    let Some(client) = world.console.by_uuid(uuid).map(|p| p.name.clone()) else {
        return Err(bad(ask, "The mapping names no partition of this console."));
    };
    let used = vhosts_of(world, vios);
    let number = (0..).find(|n| !used.contains(&format!("vhost{n}")));
    let vhost = format!("vhost{}", number.unwrap_or(0_u32));
    let slots: Vec<u32> = used.iter().map(|v| slot_of(world, vios, v)).collect();
    let server_slot = slots.into_iter().max().unwrap_or(1) + 1;
    if let Some(p) = world.console.partitions.get_mut(&client) {
        let scsi = p.scsi.iter().map(|a| a.slot);
        let slots = scsi.chain(p.fibre_channel.iter().map(|a| a.slot));
        p.scsi.push(ScsiFile {
            slot: slots.max().unwrap_or(1) + 1,
            vios: vios.to_owned(),
            vhost: vhost.clone(),
            server_slot,
        });
    }
    world.ledger.effect(format!("hmc.adapters.{client}"));
    Ok(vhost)
}

/// Removes what is not wanted any more, then makes what is not there yet.
fn make(world: &mut World, vios: &str, wanted: &[Wanted]) -> Result<(), String> {
    let current: Vec<(String, String, String)> =
        world.vioses.get(vios).map_or_else(Vec::new, |v| {
            let all = v.vtds.iter();
            all.map(|t| (t.vhost.clone(), t.hdisk.clone(), t.name.clone()))
                .collect()
        });
    let same = |w: &Wanted, (vhost, disk, name): &(String, String, String)| {
        w.vhost == *vhost
            && w.disk.as_ref() == Some(disk)
            && w.target.as_ref().is_none_or(|t| t == name)
    };
    for there in &current {
        if !wanted.iter().any(|w| same(w, there)) {
            run(world, vios, &format!("rmvdev -vtd {}", there.2))?;
        }
    }
    for w in wanted {
        // An adapter without a disk is only listed.
        let Some(disk) = &w.disk else { continue };
        if current.iter().any(|there| same(w, there)) {
            continue;
        }
        let name = w.target.as_ref();
        let name = name.map_or_else(String::new, |t| format!(" -dev {t}"));
        let vhost = &w.vhost;
        run(
            world,
            vios,
            &format!("mkvdev -vdev {disk} -vadapter {vhost}{name}"),
        )?;
        let client = client_of(world, vios, vhost).map(|(client, ..)| client);
        world
            .ledger
            .effect(format!("hmc.mapping.{}", client.unwrap_or_default()));
    }
    Ok(())
}

fn run(world: &mut World, vios: &str, line: &str) -> Result<(), String> {
    let output = vios::command(world, vios, line);
    if output.status == 0 {
        Ok(())
    } else {
        Err(output.text)
    }
}

//! `/Event`: the first call of a session says NEW_CLIENT, later ones what changed since the last; nothing changed = 204
//! after a while (`hmc.md` § 1.6).

use super::atom::{Object, element, etag, feed};
use super::partitions;
use super::vios_views;
use super::{Ask, Reply};
use crate::simulators::hmc::PartitionKind;
use crate::simulators::world::World;
use std::collections::BTreeMap;

/// The path, below `uom/`.
pub(super) const PATH: &str = "uom/Event";
/// How long the console holds a call for which there is nothing, world milliseconds. [I]
pub(super) const HOLDS: u64 = 10_000;
/// How often it looks meanwhile, world milliseconds.
pub(super) const LOOKS: u64 = 500;

/// Every object that a client watches, with its etag.
fn objects(world: &World, ask: &Ask<'_>) -> BTreeMap<String, i64> {
    let with_mappings = Ask {
        query: "group=ViosSCSIMapping",
        ..*ask
    };
    let mut found = BTreeMap::new();
    let reached = world.console.partitions.values();
    for p in reached.filter(|p| world.console.reaches(&p.system)) {
        let object = match p.kind {
            PartitionKind::Vios => vios_views::object(world, &with_mappings, p, true).ok(),
            PartitionKind::OS400 | PartitionKind::AixLinux => {
                Some(partitions::partition(world, ask, p))
            }
        };
        if let Some(object) = object {
            found.insert(object.path.clone(), object.etag());
        }
    }
    found
}

/// What changed since the session asked last; 204 when nothing did.
pub(super) fn answer(world: &mut World, ask: &Ask<'_>) -> Reply {
    let now = objects(world, ask);
    let Some(session) = world.console.sessions.get_mut(ask.token) else {
        return Reply::not_found(ask.path);
    };
    let events: Vec<(&str, String)> = match session.watched.replace(now.clone()) {
        None => vec![("NEW_CLIENT", String::new())],
        Some(before) => {
            let kind = |path: &String, tag: &i64| match before.get(path) {
                None => Some("ADD_URI"),
                Some(old) if old != tag => Some("MODIFY_URI"),
                Some(_) => None,
            };
            let changed = now
                .iter()
                .filter_map(|(path, tag)| Some((kind(path, tag)?, path)));
            let gone = before.keys().filter(|path| !now.contains_key(*path));
            let gone = gone.map(|path| ("DELETE_URI", path));
            let all = changed.chain(gone);
            all.map(|(kind, path)| (kind, path.clone())).collect()
        }
    };
    if events.is_empty() {
        return Reply::empty(204);
    }
    let first = world.console.next_event;
    world.console.next_event += u64::try_from(events.len()).unwrap_or_default();
    let entries: Vec<Object> = (first..)
        .zip(events)
        .map(|(number, (kind, path))| event(ask, number, kind, &path))
        .collect();
    Reply {
        etag: Some(etag(&first.to_string())),
        ..Reply::atom(feed(ask, &entries))
    }
}

fn event(ask: &Ask<'_>, number: u64, kind: &str, path: &str) -> Object {
    let data = match path {
        "" => String::new(),
        path => format!("https://{}/rest/api/uom/{path}", ask.host),
    };
    let id = format!("e0000000-0000-3000-8000-{number:012x}");
    Object {
        kind: "Event",
        path: format!("Event/{id}"),
        id,
        inner: [
            element("EventType", kind),
            element("EventID", &number.to_string()),
            element("EventData", &data),
            element("EventDetail", ""),
        ]
        .concat(),
    }
}

//! The media inventory.

use super::super::cl::Command;
use super::super::commands::ClAnswer;
use super::super::system::own_clock;
use super::*;

/// Expired volumes of a class that this partition can have mounted, in the order of use; `None` = not enough (BRM415A).
pub(super) fn pick(
    world: &World,
    partition: &str,
    class: &str,
    count: usize,
) -> Option<Vec<String>> {
    let (_, disk) = view(world, partition)?;
    let brms = disk.brms.as_ref()?;
    let at = own_clock(world, partition);
    let volumes: Vec<String> = brms
        .volumes
        .iter()
        .filter(|(id, v)| {
            v.class == class
                && v.expires.is_none_or(|e| e <= at)
                && world.tapes.reachable(partition, id)
        })
        .map(|(id, _)| id.clone())
        .take(count)
        .collect();
    (volumes.len() == count).then_some(volumes)
}

/// WRKMEDBRM TYPE(…) to a print file: volume, status, written, class, expires, moves, location, system. The columns that
/// public programs cut out of it are where they look for them: the first, the sixth, the last two.
pub(super) fn list(world: &World, partition: &str, command: &Command) -> ClAnswer {
    let at = own_clock(world, partition);
    let word = |k: &str, default: &str| command.word(k).unwrap_or_else(|| default.to_owned());
    let brms = view(world, partition).and_then(|(_, d)| d.brms.as_ref());
    let (kind, class) = (word("TYPE", "*ALL"), word("MEDCLS", "*ALL"));
    let mut lines = Vec::new();
    for (id, v) in brms.iter().flat_map(|b| &b.volumes) {
        let active = v.expires.is_some_and(|e| e > at);
        let wanted = match kind.as_str() {
            "*ACT" => active,
            "*EXP" => !active,
            "*TRF" => false,
            _ => true,
        };
        if !wanted || (class != "*ALL" && class != v.class) {
            continue;
        }
        let date = |t: Option<DateTime<Utc>>| {
            t.map_or("*NONE".to_owned(), |t| t.format("%m/%d/%y").to_string())
        };
        let time = v
            .written
            .map_or("*NONE".to_owned(), |t| t.format("%H:%M:%S").to_string());
        lines.push(format!(
            " {id:<6}  {}  {:<8}  {time:<8}  {:<10}  {:<8}  *NONE  {:<10}  {}",
            if active { "*ACT" } else { "*EXP" },
            date(v.written),
            v.class,
            date(v.expires),
            v.location,
            if v.system.is_empty() {
                "*NONE"
            } else {
                &v.system
            },
        ));
    }
    if lines.is_empty() {
        return ClAnswer::completed("BRM1134", "No media entries to list.");
    }
    ClAnswer::listed(lines)
}

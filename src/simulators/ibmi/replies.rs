//! `SNDRPY`: an operator's answer to an inquiry message of QSYSOPR.

use super::cl::Command;
use super::commands::ClAnswer;
use super::jobs;
use super::system::{disk_of, message, own_clock, running};
use crate::simulators::world::World;

const QUEUE: &str = "QSYS/QSYSOPR";

/// Answers the message of a key and wakes the job that waits for it. What is not valid for the message is refused as
/// CPF2422 does, after its diagnostic.
pub(super) fn send_reply(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let queue = command.word("MSGQ").unwrap_or_default();
    if queue != QUEUE {
        return ClAnswer::escape("CPF2403", format!("Message queue {queue} not found."));
    }
    let key = command.word("MSGKEY").unwrap_or_default();
    let key = key.strip_prefix("X'").and_then(|k| k.strip_suffix('\''));
    let key = key.and_then(|k| u32::from_str_radix(k, 16).ok());
    let queue = disk_of(world, partition).map(|d| d.operator_queue.as_slice());
    let queue = queue.unwrap_or_default();
    let Some((key, asked)) =
        key.and_then(|k| Some((k, queue.iter().find(|m| m.key == k)?.clone())))
    else {
        return ClAnswer::escape("CPF2410", "Message key not found in message queue QSYSOPR.");
    };
    if asked.kind != "INQUIRY" || queue.iter().any(|m| m.answers == key) {
        return ClAnswer::escape(
            "CPF2420",
            "Reply already sent for inquiry or notify message.",
        );
    }
    let reply = command.word("RPY").unwrap_or_else(|| "*DFT".to_owned());
    if let Some(valid) = valid_replies(&asked.text)
        && !valid.contains(&reply.as_str())
    {
        return ClAnswer::escape("CPF2422", "Reply not valid.");
    }
    let at = own_clock(world, partition);
    let becomes = world.knobs.answered_inquiry_becomes_reply;
    if let Some(r) = running(world, partition) {
        let mut answer = message("", 0, at, &reply);
        answer.kind = "REPLY".to_owned();
        answer.answers = key;
        r.disk.to_operator(answer);
        let queue = &mut r.disk.operator_queue;
        if let Some(asked) = queue.iter_mut().find(|m| m.key == key && becomes) {
            asked.kind = "REPLY".to_owned();
        }
    }
    world
        .ledger
        .effect(format!("ibmi.{partition}.reply.{reply}"));
    jobs::answered(world, partition, &asked.job, &reply);
    ClAnswer::completed("CPC2401", "Reply sent.")
}

/// The letters in the brackets at the end of a text: `Load next tape. (C G)`.
fn valid_replies(text: &str) -> Option<Vec<&str>> {
    let (_, letters) = text.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    Some(letters.split_whitespace().collect())
}

//! CL commands through PASE's `system`, and the messages they leave (`ibmi.md` § 1.3).

use super::host::send;
use crate::drivers::transport::ssh::{Completed, SshSession};
use crate::site::{ClCommand, CommandOutput, DeviceError, Message};
use crate::wire::ibmi::Exec;
use std::time::Duration;

/// Runs one command to its end.
pub(super) async fn run(
    session: &SshSession,
    command: &ClCommand,
    limit: Duration,
) -> Result<CommandOutput, DeviceError> {
    let exec = Exec::Cl(command.as_str().to_owned());
    let done = send(session, &exec, command.as_str(), &[], limit).await?;
    Ok(read(&done))
}

/// The refusal of a command that ended with a status ≠ 0: its escape message is the last one.
pub(super) fn refusal(device: &str, what: &str, output: &CommandOutput) -> DeviceError {
    match output.messages.last() {
        Some(m) => {
            let all: Vec<String> = output
                .messages
                .iter()
                .map(|m| format!("{}: {}", m.id, m.text))
                .collect();
            DeviceError::refused(device, &m.id, format!("{what}: {}", all.join(" ")))
        }
        None => {
            let text = format!(
                "{what}: ended with an error but without a message: {}",
                output.text.trim()
            );
            DeviceError::refused(device, "CommandFailed", text)
        }
    }
}

fn read(done: &Completed) -> CommandOutput {
    let succeeded = done.status == 0;
    let (mut messages, mut text) = split(&done.text());
    // On standard error stands login noise as well; only what has an id counts, unless nothing else says why.
    let (more, rest) = split(&done.error_text());
    messages.extend(more);
    if !succeeded && messages.is_empty() {
        text.push_str(&rest);
    }
    if !succeeded && let Some(last) = messages.last_mut() {
        last.kind = "ESCAPE".to_owned();
        last.severity = 40;
    }
    CommandOutput {
        succeeded,
        messages,
        text,
    }
}

/// Messages of a stream, and the lines that are none.
fn split(text: &str) -> (Vec<Message>, String) {
    let mut messages = Vec::new();
    let mut rest = String::new();
    for line in text.lines() {
        match message(line) {
            Some(m) => messages.push(m),
            None => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    (messages, rest)
}

/// `MSGID: text`. `system` prints neither type nor severity: what the id's first letters say of them is [I], and nothing
/// is ever decided by it.
fn message(line: &str) -> Option<Message> {
    let line = line.trim_end();
    let (id, text) = line
        .split_once(": ")
        .or_else(|| line.strip_suffix(':').map(|id| (id, "")))?;
    if !is_message_id(id) {
        return None;
    }
    let (kind, severity) = match &id[..3] {
        "CPC" => ("COMPLETION", 0),
        "CPD" => ("DIAGNOSTIC", 30),
        _ => ("INFORMATIONAL", 0),
    };
    Some(Message {
        id: id.to_owned(),
        severity,
        kind: kind.to_owned(),
        subtype: String::new(),
        timestamp: String::new(),
        text: text.trim().to_owned(),
        second_level: String::new(),
        job: String::new(),
    })
}

/// Seven characters: three letters or digits, the first a letter, and four hex digits.
pub(super) fn is_message_id(id: &str) -> bool {
    let b = id.as_bytes();
    let upper = |c: &u8| c.is_ascii_uppercase() || c.is_ascii_digit();
    let hex = |c: &u8| c.is_ascii_digit() || (b'A'..=b'F').contains(c);
    b.len() == 7 && b[0].is_ascii_uppercase() && b[1..3].iter().all(upper) && b[3..].iter().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(status: i32, stdout: &str, stderr: &str) -> Completed {
        Completed {
            status,
            stdout: stdout.as_bytes().to_vec(),
            stderr: stderr.as_bytes().to_vec(),
        }
    }

    #[test]
    fn messages_come_from_both_streams_and_the_listing_stays() {
        let out = read(&done(
            0,
            "CPC2102: Library TESTLIB created\n  Listing: a line\n",
            "Could not chdir to home directory\nCPF0943: Ending of subsystem QBATCH in progress.\n",
        ));
        assert!(out.succeeded);
        let ids: Vec<&str> = out.messages.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["CPC2102", "CPF0943"]);
        assert_eq!(out.text, "  Listing: a line\n");
    }

    #[test]
    fn success_is_the_status_and_never_a_message() {
        assert!(read(&done(0, "CPF9898: looks bad\n", "")).succeeded);
        let out = read(&done(255, "CPC2102: looks good\n", ""));
        assert!(!out.succeeded);
        assert_eq!(refusal("d", "x", &out).code(), Some("CPC2102"));
    }

    #[test]
    fn a_failure_without_message_shows_what_was_printed() {
        let out = read(&done(127, "", "system: not found\n"));
        let error = refusal("d", "DSPJOB", &out);
        assert_eq!(error.code(), Some("CommandFailed"));
        assert!(error.to_string().contains("not found"));
    }

    #[test]
    fn texts_that_look_like_ids_are_none() {
        for line in [
            "Note: this",
            "cpf9801: x",
            "CPF980: x",
            "CPFXYZ1: x",
            "  12:30:00: x",
        ] {
            assert_eq!(message(line), None, "{line}");
        }
    }
}

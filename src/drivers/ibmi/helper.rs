//! One resident helper on a connection of its own (`ibmi/CONTRACT.md` § 3).

use super::answer::Answer;
use super::host::nonce;
use crate::drivers::transport::ssh::{LineChannel, SshSession};
use crate::site::{AspName, DeviceError, DeviceTime, Identity};
use crate::wire::ibmi::HELPER_START;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Version of the protocol this driver speaks.
const PROTOCOL: &str = "1";
/// Starting the channel.
const START_LIMIT: Duration = Duration::from_secs(20);
/// HELLO starts job B, opens the canary's file and does one commit.
const HELLO_LIMIT: Duration = Duration::from_secs(60);
/// PING, states, CANARY: memory and a socket only.
pub(super) const QUICK_LIMIT: Duration = Duration::from_secs(5);
/// RESUME is a matter of a second or two (`ibmi.md` § 9).
pub(super) const RESUME_LIMIT: Duration = Duration::from_secs(30);
/// The helper itself waits at most 30 s for its watchdog, 10 s for its end.
pub(super) const ARM_LIMIT: Duration = Duration::from_secs(45);
/// As above.
pub(super) const DISARM_LIMIT: Duration = Duration::from_secs(20);
/// FORCEWRITE may take minutes (`ibmi.md` § 9); the engine's cap ends it before.
pub(super) const FORCE_WRITE_LIMIT: Duration = Duration::from_secs(600);

/// What a helper is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Suspends, has the canary and arms the watchdog.
    Main,
    /// Resumes when the main one cannot.
    Spare,
}

/// A helper that answered HELLO as one of the expected systems.
#[derive(Debug)]
pub(super) struct Helper {
    lines: LineChannel,
    device: String,
    prefix: String,
    count: AtomicU32,
    /// What one commit of the canary takes, milliseconds; 0 in a spare.
    pub commit_milliseconds: i64,
}

impl Helper {
    /// Starts it and says HELLO. Nothing else is sent before its identity is one of `identities`.
    ///
    /// # Errors
    /// `Refused` with `WrongIdentity` or `ProtocolUnknown`, or with the helper's own id.
    pub async fn start(
        session: SshSession,
        device: &str,
        token: &str,
        part: Part,
        identities: &[Identity],
    ) -> Result<Self, DeviceError> {
        let lines = session.lines(HELPER_START, START_LIMIT).await?;
        let mut helper = Self {
            lines,
            device: device.to_owned(),
            prefix: nonce().chars().take(10).collect(),
            count: AtomicU32::new(0),
            commit_milliseconds: 0,
        };
        let spare = match part {
            Part::Main => "",
            Part::Spare => " SPARE",
        };
        let hello = format!("HELLO {PROTOCOL} {token}{spare}");
        let answer = helper.ask(&hello, HELLO_LIMIT).await.map_err(|e| match e {
            DeviceError::Indeterminate { device, text } => DeviceError::Indeterminate {
                device,
                text: format!(
                    "{text}; when the guest kit is not installed or this profile may not use it, run guest install"
                ),
            },
            other => other,
        })?;
        if answer.field("protocol") != Some(PROTOCOL) {
            let text = format!(
                "its guest kit {} speaks protocol {}, this operator {PROTOCOL}: run guest install",
                answer.field("kit").unwrap_or("of unknown version"),
                answer.field("protocol").unwrap_or("-")
            );
            return Err(DeviceError::refused(device, "ProtocolUnknown", text));
        }
        helper.prove(&answer, identities)?;
        helper.commit_milliseconds = answer.number("canaryMs").unwrap_or(0);
        Ok(helper)
    }

    fn prove(&self, hello: &Answer, identities: &[Identity]) -> Result<(), DeviceError> {
        let found = hello
            .field("serial")
            .zip(hello.number("partition"))
            .and_then(|(serial, id)| Some(Identity::new(serial, i32::try_from(id).ok()?)));
        match found {
            Some(found) if identities.contains(&found) => Ok(()),
            found => Err(wrong_identity(&self.device, found.as_ref(), identities)),
        }
    }

    /// One request, one answer.
    pub async fn ask(&self, request: &str, limit: Duration) -> Result<Answer, DeviceError> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // 16 characters at most: a helper does not live long enough for a million requests.
        let key = format!("{}{:X}", self.prefix, count % 0x10_0000);
        let line = self
            .lines
            .ask(&key, &format!("{key} {request}"), limit)
            .await?;
        Answer::read(&self.device, request, &line)
    }

    /// RESUME of one ASP.
    pub async fn resume(&self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        let answer = self.ask(&format!("RESUME {asp}"), RESUME_LIMIT).await?;
        Ok(answer.time())
    }

    /// QUIT; the channel is cut afterwards whatever it said.
    pub async fn quit(self) {
        // A helper that does not take it sees the end of its channel.
        let _ = self.ask("QUIT", QUICK_LIMIT).await;
        self.lines.cut();
    }
}

/// The refusal of a system that is not production.
pub(super) fn wrong_identity(
    device: &str,
    found: Option<&Identity>,
    expected: &[Identity],
) -> DeviceError {
    let found = found.map_or_else(|| "without an identity".to_owned(), ToString::to_string);
    let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    let expected = if expected.is_empty() {
        "an identity that verify has not learned yet".to_owned()
    } else {
        expected.join(" or ")
    };
    let text = format!("it answers as {found}, expected {expected}; nothing was suspended");
    DeviceError::refused(device, "WrongIdentity", text)
}

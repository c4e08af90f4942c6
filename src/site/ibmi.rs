//! The IBM i role, source or clone. The host key proves nothing (it is copied with the disks), so every connection
//! starts with the identity probe, and commands need the proof that only the probe returns.

use super::{DeviceError, Identity, JobName};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// One proved connection. When the connection behind it is replaced, every use of it is `Unreachable`: prove again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Counts connections of the driver; a method called with another number than the live one sends nothing.
    pub number: u64,
    /// What the probe read.
    pub system: SystemStatus,
}

/// `QSYS2.SYSTEM_STATUS_INFO` and the SCPF entry time, read in one go (`ibmi.md` § 1.7, § 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemStatus {
    /// Serial and partition id; a NULL column is an error that says what to grant, never an empty identity.
    pub identity: Identity,
    /// Name from disk; equal on source and fresh clone.
    pub host_name: String,
    /// Entry time of job 000000/QSYS/SCPF in the guest kit's form, `CYYMMDDHHMMSS`: changes with every IPL.
    pub scpf_entry_time: String,
    /// The system's own clock, UTC.
    pub now: DateTime<Utc>,
}

/// A CL command, ready to be sent. Build it with [`ClCommand::new`] from checked names and [`cl_quote`]d values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClCommand(String);

impl ClCommand {
    /// Takes the whole command string; control characters are replaced by blanks, because the shell word must stay one line.
    pub fn new(text: impl Into<String>) -> Self {
        Self(
            text.into()
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
        )
    }
    /// The command string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Puts a value into CL's own quotes, doubling those inside.
pub fn cl_quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// One message of a command, a job log or the history log (`ibmi.md` § 8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `CPF9801`; empty for impromptu messages.
    pub id: String,
    /// 0–99.
    pub severity: u8,
    /// `ESCAPE`, `DIAGNOSTIC`, `COMPLETION`, …
    pub kind: String,
    /// `EXCEPTION HANDLED` and the like, empty where the log has none.
    pub subtype: String,
    /// The system's own time stamp, as text.
    pub timestamp: String,
    /// First-level text.
    pub text: String,
    /// Second-level text, only fetched for severity ≥ 30.
    pub second_level: String,
    /// Qualified name of the job it belongs to.
    pub job: String,
}

/// What a command left behind. `succeeded` comes from the command's own exit status, never from a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Exit status 0 with nonce, end of file and clean close.
    pub succeeded: bool,
    /// Messages found on both streams, `MSGID: text`.
    pub messages: Vec<Message>,
    /// Standard output without the messages (spooled listings).
    pub text: String,
}

/// What a line of the shell left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellOutput {
    /// Exit status 0, proved as for [`CommandOutput`].
    pub succeeded: bool,
    /// Standard output, bytes as they came.
    pub output: Vec<u8>,
    /// Standard error, for messages.
    pub error: String,
}

/// A job to submit (`SBMJOB`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Job name, ≤ 10 characters, unique for the run: looked for before it is submitted again (SBMJOB is not idempotent).
    pub name: String,
    /// Command the job runs.
    pub command: ClCommand,
    /// `LIB/QUEUE`.
    pub job_queue: String,
    /// User profile it runs under; `None` = the connection's.
    pub user: Option<String>,
}

/// A job as `QSYS2.JOB_INFO` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    /// Qualified name.
    pub name: JobName,
    /// Where it is.
    pub state: JobState,
    /// `JOB_ACTIVE_TIME` → `JOB_END_TIME` in milliseconds, when both exist: the SAVE column.
    pub active_milliseconds: Option<i64>,
}

/// State of a submitted job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// On a job queue; `held` = it will not start by itself.
    Queued,
    /// Running.
    Active,
    /// Waits for a reply to a message, which a person must answer.
    MessageWait(Inquiry),
    /// Started, in no job table any more, and the history log does not show its end.
    Vanished,
    /// Ended and still known.
    Ended {
        /// Normal completion.
        normal: bool,
        /// `JOB_END_SEVERITY`.
        severity: u8,
    },
}

impl JobState {
    /// Completion and severity of a job that has ended.
    pub fn ended(&self) -> Option<(bool, u8)> {
        match self {
            JobState::Ended { normal, severity } => Some((*normal, *severity)),
            JobState::Queued | JobState::Active | JobState::MessageWait(_) | JobState::Vanished => {
                None
            }
        }
    }
}

/// A message that a job waits to be answered (`ibmi.md` § 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Message id and first-level text.
    pub text: String,
    /// Where a reply is sent. `None` = in no message queue that can be read: it is answered on the system only.
    pub place: Option<InquiryPlace>,
}

/// The place of an inquiry message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquiryPlace {
    /// `LIB/QUEUE`.
    pub queue: String,
    /// Its message reference key within the queue, 8 hexadecimal digits.
    pub key: String,
    /// When it was sent, by the system's own clock: keys of a queue are used again.
    pub timestamp: String,
}

/// Which log to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// Job log of a job, live or ended (spooled `QPJOBLOG`).
    JobLog(JobName),
    /// History log since a time of the *system's own* clock (text as the system printed it).
    History {
        /// Only entries at or after this time.
        since: String,
    },
}

/// Takes the messages of a log, one at a time.
pub type EachMessage<'t> = &'t mut (dyn FnMut(Message) + Send);

/// One row of a query: column name (upper case) to text; SQL NULL is `None`.
pub type Row = BTreeMap<String, Option<String>>;

/// One IBM i, reached over the network. Bound to one host when opened.
#[async_trait]
pub trait IbmI: Send + Sync {
    /// Address and port, for messages.
    fn address(&self) -> String;
    /// Connects (or re-uses the live connection) and probes who answers. Changes nothing.
    async fn connect(&self) -> Result<Session, DeviceError>;
    /// Read: as [`Self::connect`], but a live connection whose identity was probed less than `age` ago is taken as it
    /// is: one TCP connection never changes the system at its other end. Clock and SCPF time are then `age` old at most.
    async fn connect_recent(&self, age: Duration) -> Result<Session, DeviceError> {
        let _ = age;
        self.connect().await
    }
    /// Effect or read: runs one CL command to its end. A refusal is `Ok` with `succeeded == false`.
    async fn run(
        &self,
        session: &Session,
        command: &ClCommand,
    ) -> Result<CommandOutput, DeviceError>;
    /// Read: rows of an SQL query; never during a suspension.
    async fn query(&self, session: &Session, sql: &str) -> Result<Vec<Row>, DeviceError>;
    /// Effect: submits a job.
    async fn submit(&self, session: &Session, job: &Submission) -> Result<JobName, DeviceError>;
    /// Read: the newest job of this name; `None` only when the system proves that there is none.
    async fn job(&self, session: &Session, name: &str) -> Result<Option<JobStatus>, DeviceError>;
    /// Read: hands the messages of a log over one by one, oldest first, as they arrive. A log may be larger than memory:
    /// whoever takes them keeps what it needs and no more. After an error some may have been handed over; they prove
    /// nothing then, because the log was not read to its end.
    async fn messages(
        &self,
        session: &Session,
        source: &LogSource,
        each: EachMessage<'_>,
    ) -> Result<(), DeviceError>;
    /// Effect: answers an inquiry message. One that has its answer, or is gone, is refused as `NotWaiting`; nothing is sent
    /// then.
    async fn reply(
        &self,
        session: &Session,
        place: &InquiryPlace,
        text: &str,
    ) -> Result<(), DeviceError> {
        let _ = (session, text);
        Err(DeviceError::refused(self.address(), "NoReply", &place.key))
    }
    /// Effect: writes a stream file under a temporary name and renames it.
    async fn put(&self, session: &Session, path: &str, content: &[u8]) -> Result<(), DeviceError>;
    /// Read: a stream file; `None` only when the system says that it does not exist.
    async fn get(&self, session: &Session, path: &str) -> Result<Option<Vec<u8>>, DeviceError>;
    /// Read: whether a stream file exists; `false` only when the system says that it does not.
    async fn exists(&self, session: &Session, path: &str) -> Result<bool, DeviceError> {
        Ok(self.get(session, path).await?.is_some())
    }
    /// Read: a stream file, or a save file by its path in `/QSYS.LIB`, of any size, piece by piece as it arrives. `Ok` only
    /// when it was read to its end; pieces handed over before an error prove nothing.
    async fn read_pieces(
        &self,
        session: &Session,
        path: &str,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Result<(), DeviceError> {
        let found = self.get(session, path).await?;
        let content = found.ok_or_else(|| {
            DeviceError::refused(
                self.address(),
                "FileNotFound",
                format!("{path} does not exist"),
            )
        })?;
        // Whoever does not take it has a reason of its own.
        let _ = pieces.send(content).await;
        Ok(())
    }
    /// Effect: writes a stream file of any size from pieces, in place; what is there under its name proves nothing until it
    /// was read back. `Ok` only when the system has taken all pieces.
    async fn write_pieces(
        &self,
        session: &Session,
        path: &str,
        mut pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), DeviceError> {
        let mut content = Vec::new();
        while let Some(piece) = pieces.recv().await {
            content.extend(piece);
        }
        self.put(session, path, &content).await
    }
    /// Effect: gives a stream file another name, in place of whatever has it.
    async fn rename(&self, session: &Session, from: &str, to: &str) -> Result<(), DeviceError> {
        let found = self.get(session, from).await?;
        let content = found.ok_or_else(|| {
            DeviceError::refused(
                self.address(),
                "FileNotFound",
                format!("{from} does not exist"),
            )
        })?;
        self.put(session, to, &content).await?;
        self.remove(session, from).await
    }
    /// Effect: removes a stream file; not there = done.
    async fn remove(&self, session: &Session, path: &str) -> Result<(), DeviceError>;
    /// Effect or read: one line for the system's shell, as the guest kit's contract writes it (`ibmi/CONTRACT.md` §§ 10,
    /// 11), with `input` on its standard input. Only the installation of the kit needs it; a role without a shell refuses.
    async fn shell(
        &self,
        session: &Session,
        line: &str,
        input: &[u8],
    ) -> Result<ShellOutput, DeviceError> {
        let _ = (session, input);
        Err(DeviceError::refused(self.address(), "NoShell", line))
    }
    /// Ends the connection, politely where possible.
    async fn disconnect(&self);
}

/// Why an identity was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The device could not be asked.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The clone's address answers as production: stop at once.
    #[error("{address} answers as production ({found}); no command was sent")]
    IsProduction {
        /// Address tried.
        address: String,
        /// Who answered.
        found: Identity,
    },
    /// Neither the wanted system nor a production system.
    #[error("{address} answers as {found}, expected {expected}; no command was sent")]
    Stranger {
        /// Address tried.
        address: String,
        /// Who answered.
        found: Identity,
        /// Who should have.
        expected: String,
    },
}

/// Proof that a connection leads to the clone: (serial, partition id) equals the console's pair and is no source's.
#[derive(Debug, Clone)]
pub struct ProvenClone(Session);

impl ProvenClone {
    /// The proved connection.
    pub fn session(&self) -> &Session {
        &self.0
    }
}

/// Proof that a connection leads to production.
#[derive(Debug, Clone)]
pub struct ProvenSource(Session);

impl ProvenSource {
    /// The proved connection.
    pub fn session(&self) -> &Session {
        &self.0
    }
}

/// The clone's IBM i: nothing is sent without a [`ProvenClone`].
#[derive(Clone)]
pub struct CloneSystem(pub Arc<dyn IbmI>);

impl CloneSystem {
    /// Connects and proves. `clone` is the console's pair for the clone partition, `sources` every pair of production.
    pub async fn prove(
        &self,
        clone: &Identity,
        sources: &[Identity],
    ) -> Result<ProvenClone, ProofError> {
        let session = self.0.connect().await?;
        self.proved(session, clone, sources)
    }

    /// As [`Self::prove`], on a connection that was proved less than `age` ago; for looks that repeat, never before an
    /// effect.
    pub async fn prove_recent(
        &self,
        clone: &Identity,
        sources: &[Identity],
        age: Duration,
    ) -> Result<ProvenClone, ProofError> {
        let session = self.0.connect_recent(age).await?;
        self.proved(session, clone, sources)
    }

    fn proved(
        &self,
        session: Session,
        clone: &Identity,
        sources: &[Identity],
    ) -> Result<ProvenClone, ProofError> {
        let found = session.system.identity.clone();
        if sources.contains(&found) {
            return Err(ProofError::IsProduction {
                address: self.0.address(),
                found,
            });
        }
        if &found != clone {
            return Err(ProofError::Stranger {
                address: self.0.address(),
                found,
                expected: clone.to_string(),
            });
        }
        Ok(ProvenClone(session))
    }
}

/// Production's IBM i: only reading, force write, the parameter file and the freeze happen here.
#[derive(Clone)]
pub struct SourceSystem(pub Arc<dyn IbmI>);

impl SourceSystem {
    /// Connects and proves that production answers.
    pub async fn prove(&self, sources: &[Identity]) -> Result<ProvenSource, ProofError> {
        let session = self.0.connect().await?;
        let found = session.system.identity.clone();
        if sources.contains(&found) {
            return Ok(ProvenSource(session));
        }
        let expected: Vec<String> = sources.iter().map(ToString::to_string).collect();
        Err(ProofError::Stranger {
            address: self.0.address(),
            found,
            expected: expected.join(" or "),
        })
    }
    /// Connects and reports who answers, for the first verify of an environment that names no identity.
    pub async fn learn(&self) -> Result<Identity, DeviceError> {
        Ok(self.0.connect().await?.system.identity)
    }
}

//! The role `IbmI` over a [`Link`].

use super::exec::{self, Finished};
use super::link::{Connection, Link};
use super::{inquiries, jobs, logs, messages, pieces, sql, stream_files};
use crate::site::{
    ClCommand, CommandOutput, DeviceError, EachMessage, IbmI, Identity, InquiryPlace, JobName,
    JobStatus, LogSource, Row, Session, ShellOutput, Submission, SystemStatus,
};
use crate::wire;
use async_trait::async_trait;
use chrono::NaiveDateTime;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};

/// How long the driver waits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// "Are you still there?" on a connection that was used before.
    pub alive: Duration,
    /// A read, or a short command.
    pub read: Duration,
    /// A CL command that may work for long (force write of a large system).
    pub command: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            alive: Duration::from_secs(5),
            read: Duration::from_secs(60),
            command: Duration::from_secs(600),
        }
    }
}

/// One IBM i. One connection at a time, one command at a time.
pub struct IbmIDriver {
    link: Arc<dyn Link>,
    limits: Limits,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    count: u64,
    connection: Option<(u64, Arc<dyn Connection>)>,
    /// Who answered last, on the connection of its number, and when it was asked.
    probed: Option<(Instant, Session)>,
}

/// Identity, clock and SCPF entry time in one statement (`ibmi.md` § 1.7, § 9).
const PROBE: &str = "SELECT TRIM(SERIAL_NUMBER) AS PROBE_SERIAL, PARTITION_ID AS PROBE_PARTITION, \
HOST_NAME AS PROBE_HOST, \
VARCHAR_FORMAT(CURRENT TIMESTAMP - CURRENT TIMEZONE, 'YYYY-MM-DD HH24:MI:SS') AS PROBE_NOW, \
(SELECT VARCHAR_FORMAT(JOB_ENTERED_SYSTEM_TIME, 'YYYYMMDDHH24MISS') FROM TABLE(QSYS2.JOB_INFO(\
JOB_STATUS_FILTER => '*ACTIVE', JOB_USER_FILTER => 'QSYS')) X WHERE JOB_NAME = '000000/QSYS/SCPF') AS PROBE_SCPF \
FROM QSYS2.SYSTEM_STATUS_INFO";

impl IbmIDriver {
    /// A driver; connects when it is first used.
    pub fn new(link: Arc<dyn Link>, limits: Limits) -> Self {
        Self {
            link,
            limits,
            live: Mutex::new(Live::default()),
        }
    }

    pub(super) fn device(&self) -> String {
        format!("IBM i {}", self.link.address())
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The session's connection, while it is the live one.
    pub(super) async fn connection(&self, number: u64) -> Result<Arc<dyn Connection>, DeviceError> {
        let live = self.live.lock().await;
        match &live.connection {
            Some((n, connection)) if *n == number => Ok(Arc::clone(connection)),
            Some(_) | None => Err(DeviceError::unreachable(
                self.device(),
                "the proved connection is gone; nothing was sent, the identity is proved again",
            )),
        }
    }

    /// Runs a shell command on the session's connection. A connection that failed is given up: the next use proves anew.
    pub(super) async fn shell_line(
        &self,
        number: u64,
        command: &str,
        stdin: &[u8],
        limit: Duration,
    ) -> Result<Finished, DeviceError> {
        let connection = self.connection(number).await?;
        let mark = exec::new_mark();
        let outcome = connection
            .exec(&wire::ibmi::marked(&mark, command), stdin, limit)
            .await
            .and_then(|output| {
                exec::unwrap(output, &mark)
                    .map_err(|why| DeviceError::indeterminate(self.device(), why))
            });
        if outcome.is_err() {
            self.drop_connection(number).await;
        }
        outcome
    }

    /// A cheap question with a short limit: a dead connection is replaced within seconds, not after a query's limit.
    async fn answers(&self, number: u64) -> bool {
        self.shell_line(number, wire::ibmi::ALIVE, b"", self.limits.alive)
            .await
            .is_ok_and(|done| done.status == 0)
    }

    pub(super) async fn drop_connection(&self, number: u64) {
        let mut live = self.live.lock().await;
        if live.connection.as_ref().is_some_and(|(n, _)| *n == number) {
            live.connection = None;
        }
    }

    /// Rows of a query on a connection that need not be proved yet.
    async fn rows(&self, number: u64, text: &str) -> Result<Vec<Row>, DeviceError> {
        let columns = sql::select_columns(text)
            .map_err(|why| DeviceError::refused(self.device(), "SqlForm", why))?;
        let mark = exec::new_mark();
        let command = sql::command(text, &columns, &mark);
        let done = self
            .shell_line(number, &command, b"", self.limits.read)
            .await?;
        let stdout = String::from_utf8_lossy(&done.stdout);
        let state = sql::sql_state(&stdout);
        if done.status != 0 || state.is_some() {
            let code = state.unwrap_or_else(|| "SqlFailed".to_owned());
            let words: Vec<&str> = stdout
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .collect();
            return Err(DeviceError::refused(self.device(), code, words.join(" ")));
        }
        sql::rows(&stdout, &mark).map_err(|why| DeviceError::indeterminate(self.device(), why))
    }

    async fn probe(&self, number: u64) -> Result<Session, DeviceError> {
        let rows = self.rows(number, PROBE).await?;
        let row = rows.first().ok_or_else(|| {
            DeviceError::indeterminate(self.device(), "the identity probe gave no row")
        })?;
        let system = self.status(row)?;
        let session = Session { number, system };
        self.live.lock().await.probed = Some((Instant::now(), session.clone()));
        Ok(session)
    }

    fn status(&self, row: &Row) -> Result<SystemStatus, DeviceError> {
        let cell = |name: &str| {
            row.get(name)
                .and_then(Clone::clone)
                .map(|t| t.trim().to_owned())
                .filter(|t| !t.is_empty())
        };
        let hidden = |what: &str| {
            DeviceError::refused(
                self.device(),
                "IdentityHidden",
                format!(
                    "{what} is NULL: grant *USE on QSYS/QPMLPMGT to profile {0} (GRTOBJAUT OBJ(QSYS/QPMLPMGT) OBJTYPE(*SRVPGM) USER({0}) AUT(*USE))",
                    self.link.user()
                ),
            )
        };
        let serial = cell("PROBE_SERIAL").ok_or_else(|| hidden("the serial number"))?;
        let partition: i32 = cell("PROBE_PARTITION")
            .ok_or_else(|| hidden("the partition id"))?
            .parse()
            .map_err(|_| hidden("the partition id"))?;
        let unreadable = |what: &str| {
            DeviceError::indeterminate(self.device(), format!("the identity probe gave no {what}"))
        };
        let now = cell("PROBE_NOW")
            .and_then(|t| NaiveDateTime::parse_from_str(&t, "%Y-%m-%d %H:%M:%S").ok())
            .ok_or_else(|| unreadable("clock"))?;
        let scpf = cell("PROBE_SCPF").ok_or_else(|| unreadable("SCPF entry time"))?;
        Ok(SystemStatus {
            identity: Identity::new(serial, partition),
            host_name: cell("PROBE_HOST").unwrap_or_default(),
            scpf_entry_time: kit_time(&scpf).ok_or_else(|| unreadable("SCPF entry time"))?,
            now: now.and_utc(),
        })
    }

    pub(super) async fn cl(
        &self,
        session: &Session,
        command: &ClCommand,
        limit: Duration,
    ) -> Result<CommandOutput, DeviceError> {
        let line = wire::ibmi::cl(command.as_str());
        let done = self.shell_line(session.number, &line, b"", limit).await?;
        let stdout = String::from_utf8_lossy(&done.stdout);
        let stderr = String::from_utf8_lossy(&done.stderr);
        let (mut found, mut text) = messages::parse_messages(&stdout);
        let (more, rest) = messages::parse_messages(&stderr);
        found.extend(more);
        let succeeded = done.status == 0;
        if !succeeded && found.is_empty() {
            // Login noise stands there as well, but nothing else says why.
            text.push_str(&rest);
        }
        Ok(CommandOutput {
            succeeded,
            messages: found,
            text,
        })
    }
}

/// `YYYYMMDDHHMMSS` in the guest kit's form `CYYMMDDHHMMSS`, so that it equals what the kit's records say.
fn kit_time(text: &str) -> Option<String> {
    let century: u32 = text.get(..2)?.parse().ok()?;
    let rest = text.get(2..14)?;
    Some(format!("{}{rest}", century.checked_sub(19)?))
}

#[async_trait]
impl IbmI for IbmIDriver {
    fn address(&self) -> String {
        self.link.address()
    }

    async fn connect(&self) -> Result<Session, DeviceError> {
        let known = {
            let live = self.live.lock().await;
            live.connection.as_ref().map(|(n, _)| *n)
        };
        if let Some(number) = known
            && self.answers(number).await
        {
            match self.probe(number).await {
                Ok(session) => return Ok(session),
                // The probe only reads: a dead connection is replaced and asked again.
                Err(DeviceError::Unreachable { .. } | DeviceError::Indeterminate { .. }) => {}
                Err(other @ (DeviceError::Busy { .. } | DeviceError::Refused { .. })) => {
                    return Err(other);
                }
            }
        }
        let number = {
            let mut live = self.live.lock().await;
            live.connection = None;
            let connection = self.link.open().await?;
            live.count += 1;
            let number = live.count;
            live.connection = Some((number, Arc::from(connection)));
            number
        };
        self.probe(number).await
    }

    async fn connect_recent(&self, age: Duration) -> Result<Session, DeviceError> {
        let recent = {
            let live = self.live.lock().await;
            let connected = live.connection.as_ref().map(|(n, _)| *n);
            let probed = live.probed.as_ref();
            probed
                .filter(|(at, s)| at.elapsed() < age && Some(s.number) == connected)
                .map(|(_, session)| session.clone())
        };
        match recent {
            Some(session) => Ok(session),
            None => self.connect().await,
        }
    }

    async fn run(
        &self,
        session: &Session,
        command: &ClCommand,
    ) -> Result<CommandOutput, DeviceError> {
        self.cl(session, command, self.limits.command).await
    }

    async fn query(&self, session: &Session, sql: &str) -> Result<Vec<Row>, DeviceError> {
        self.rows(session.number, sql).await
    }

    async fn submit(&self, session: &Session, job: &Submission) -> Result<JobName, DeviceError> {
        jobs::submit(self, session, job).await
    }

    async fn job(&self, session: &Session, name: &str) -> Result<Option<JobStatus>, DeviceError> {
        jobs::find(self, session, name).await
    }

    async fn messages(
        &self,
        session: &Session,
        source: &LogSource,
        each: EachMessage<'_>,
    ) -> Result<(), DeviceError> {
        logs::messages(self, session, source, each).await
    }

    async fn reply(
        &self,
        session: &Session,
        place: &InquiryPlace,
        text: &str,
    ) -> Result<(), DeviceError> {
        inquiries::reply(self, session, place, text).await
    }

    async fn put(&self, session: &Session, path: &str, content: &[u8]) -> Result<(), DeviceError> {
        stream_files::put(self, session, path, content).await
    }

    async fn get(&self, session: &Session, path: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        stream_files::get(self, session, path).await
    }

    async fn exists(&self, session: &Session, path: &str) -> Result<bool, DeviceError> {
        stream_files::exists(self, session, path).await
    }

    async fn read_pieces(
        &self,
        session: &Session,
        path: &str,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Result<(), DeviceError> {
        pieces::read(self, session, path, pieces).await
    }

    async fn write_pieces(
        &self,
        session: &Session,
        path: &str,
        pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), DeviceError> {
        pieces::write(self, session, path, pieces).await
    }

    async fn rename(&self, session: &Session, from: &str, to: &str) -> Result<(), DeviceError> {
        stream_files::rename(self, session, from, to).await
    }

    async fn remove(&self, session: &Session, path: &str) -> Result<(), DeviceError> {
        stream_files::remove(self, session, path).await
    }

    async fn shell(
        &self,
        session: &Session,
        line: &str,
        input: &[u8],
    ) -> Result<ShellOutput, DeviceError> {
        let done = self
            .shell_line(session.number, line, input, self.limits.read)
            .await?;
        Ok(ShellOutput {
            succeeded: done.status == 0,
            output: done.stdout,
            error: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        })
    }

    async fn disconnect(&self) {
        let connection = self.live.lock().await.connection.take();
        if let Some((_, connection)) = connection {
            connection.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scpf_times_have_the_kits_form() {
        assert_eq!(kit_time("20261123041233").as_deref(), Some("1261123041233"));
        assert_eq!(kit_time("19991231235959").as_deref(), Some("0991231235959"));
        assert_eq!(kit_time("2026"), None);
    }
}

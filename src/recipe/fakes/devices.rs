//! The roles of the fake site: each answers what the test has set and notes what was sent.

use super::{Inner, SystemFake, World, copy_state, paths, silent};
use crate::engine::ports::StoreError;
use crate::recipe::log_sink::{Gathered, LogKind, LogLine, LogSink, LogSummary, LogWriter};
use crate::recipe::operator_lock::{LOCK_TAKE, LOCK_WRITE};
use crate::recipe::records::{LOCK_PATH, digest};
use crate::site::*;
use async_trait::async_trait;
use chrono::NaiveDateTime;
use std::time::Duration;

pub(super) struct SourceSide(pub(super) World);

#[async_trait]
impl PartitionView for SourceSide {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        self.0.set().source.clone()
    }
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        self.0.set().attachments.clone()
    }
}

#[async_trait]
impl PartitionView for World {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        self.set().clone.clone()
    }
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl PartitionControl for World {
    async fn profiles(&self) -> Result<Vec<String>, DeviceError> {
        Ok(self.set().profiles.clone())
    }
    async fn power_off(&self) -> Result<PowerJob, DeviceError> {
        self.send("power off");
        self.live(|i| power(i, PartitionState::NotActivated));
        Ok(PowerJob("job-off".into()))
    }
    async fn activate(&self, how: &Activation) -> Result<PowerJob, DeviceError> {
        self.send(format!(
            "activate {:?} {} {:?}",
            how.profile, how.ipl_source, how.keylock
        ));
        self.live(|i| {
            power(i, PartitionState::Running);
            let word = format!("{:?}", how.keylock).to_lowercase();
            i.clone.as_mut().expect("answers").keylock = word;
        });
        Ok(PowerJob("job-on".into()))
    }
    async fn set_keylock(&self, to: Keylock) -> Result<PowerJob, DeviceError> {
        self.set().keylock_answer.clone()?;
        self.send(format!("key {to:?}"));
        self.live(|i| i.clone.as_mut().expect("answers").keylock = "manual".into());
        Ok(PowerJob("job-key".into()))
    }
    async fn job(&self, _job: &PowerJob) -> Result<PowerJobState, DeviceError> {
        Ok(self.set().power_job.clone())
    }
}

#[async_trait]
impl VirtualIo for World {
    async fn observe(&self, _volumes: &[WantedVolume]) -> Result<VirtualIoState, DeviceError> {
        self.set().virtual_io.clone()
    }
    async fn unmap(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        self.send(format!("unmap {}", volumes.len()));
        self.live(|i| i.virtual_io = Ok(paths(false)));
        Ok(())
    }
    async fn map(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError> {
        let names: Vec<&str> = volumes.iter().map(|v| v.vtd.as_str()).collect();
        self.send(format!("map {}", names.join(" ")));
        self.live(|i| i.virtual_io = Ok(paths(true)));
        Ok(())
    }
}

fn power(inner: &mut Inner, state: PartitionState) {
    inner.clone.as_mut().expect("answers").state = state;
}

/// The helper of a living world.
struct Helper(World);

#[async_trait]
impl FreezeSession for Helper {
    async fn state(&mut self) -> Result<HelperState, DeviceError> {
        Ok(HelperState {
            canary: Canary::Off,
            watchdog: Watchdog::Armed,
        })
    }
    async fn suspend(
        &mut self,
        asp: &AspName,
        _seconds: u32,
        _on_timeout: OnBoundaryTimeout,
    ) -> Result<DeviceTime, DeviceError> {
        self.0.send(format!("suspend {asp}"));
        Ok(DeviceTime::default())
    }
    async fn start_canary(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
    async fn force_write(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        self.0.send(format!("force write {asp}"));
        Ok(DeviceTime::default())
    }
    async fn resume(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        self.0.send(format!("resume {asp}"));
        Ok(DeviceTime::default())
    }
    async fn close(&mut self) -> Result<Watchdog, DeviceError> {
        Ok(Watchdog::Ended)
    }
}

impl World {
    fn live(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.set();
        if inner.alive {
            change(&mut inner);
        }
    }
    fn becomes(&self, what: &str) -> Result<(), DeviceError> {
        let mut inner = self.set();
        inner.sent.push(what.into());
        if let (Some(phase), Ok(copy)) = (inner.copy_after, &mut inner.copy) {
            copy.phase = phase;
        }
        Ok(())
    }
}

#[async_trait]
impl CopyServices for World {
    fn family(&self) -> ArrayFamily {
        ArrayFamily::Overwrite
    }
    async fn inventory(&self) -> Result<Inventory, DeviceError> {
        self.set().inventory.clone()
    }
    async fn volumes_of_ports(&self, _ports: &[Wwpn]) -> Result<Vec<Volume>, DeviceError> {
        Ok(self.set().port_volumes.clone())
    }
    async fn observe(&self) -> Result<CopyState, DeviceError> {
        self.set().copy.clone()
    }
    async fn dependants(&self) -> Result<Vec<String>, DeviceError> {
        Ok(self.set().dependants.clone())
    }
    async fn prepare(&self) -> Result<(), DeviceError> {
        self.live(|i| {
            let shown = if i.start_lost { "1" } else { "" };
            i.copy = Ok(copy_state(CopyPhase::Prepared, shown));
        });
        self.becomes("prepare")
    }
    async fn start(&self) -> Result<(), DeviceError> {
        if self.set().start_lost {
            self.live(|i| i.copy = Ok(copy_state(CopyPhase::Idle, "1")));
            self.send("start copy");
            return Err(DeviceError::indeterminate("array", "reset"));
        }
        self.live(|i| i.copy = Ok(copy_state(CopyPhase::Copying, i.copy_start)));
        self.becomes("start copy")
    }
    async fn end(&self) -> Result<(), DeviceError> {
        self.live(|i| i.copy = Ok(copy_state(CopyPhase::Stopped, "")));
        self.becomes("end copy")
    }
    async fn usage(&self) -> Result<Usage, DeviceError> {
        self.set().usage.clone()
    }
}

#[async_trait]
impl SourceFreeze for World {
    async fn open(&self, _plan: &FreezePlan) -> Result<Box<dyn FreezeSession>, DeviceError> {
        if !self.set().alive {
            return Err(silent());
        }
        Ok(Box::new(Helper(self.clone())))
    }
    async fn asps(&self) -> Result<Vec<AspName>, DeviceError> {
        Ok(self.set().asps.clone())
    }
    async fn resume_anyway(&self, asps: &[AspName]) -> Result<(), DeviceError> {
        let names: Vec<&str> = asps.iter().map(AspName::as_str).collect();
        self.send(format!("resume {}", names.join(" ")));
        self.set().resume.clone()
    }
    async fn disarm_watchdog(&self, token: &str) -> Result<Watchdog, DeviceError> {
        self.send(format!("disarm {token}"));
        Ok(self.set().watchdog)
    }
}

pub(super) struct Host(pub(super) World, pub(super) &'static str);

#[async_trait]
impl IbmI for Host {
    fn address(&self) -> String {
        format!("{}.example.com:22", self.1)
    }
    async fn connect(&self) -> Result<Session, DeviceError> {
        self.with(|s| s.session.clone())
    }
    async fn run(&self, _: &Session, command: &ClCommand) -> Result<CommandOutput, DeviceError> {
        if command.as_str().starts_with("CHKOBJ") {
            let refused = |s: &mut SystemFake| {
                let text = command.as_str();
                Ok(s.refuses.iter().any(|r| text.starts_with(r)))
            };
            let refused = self.with(refused)?;
            let succeeded = !self.0.set().missing_tape && !refused;
            return Ok(CommandOutput {
                succeeded,
                messages: Vec::new(),
                text: String::new(),
            });
        }
        self.0.send(format!("{}: {}", self.1, command.as_str()));
        let mut done = self.with(|s| {
            let text = command.as_str();
            if s.refuses.iter().any(|r| text.starts_with(r)) {
                return Ok(CommandOutput {
                    succeeded: false,
                    messages: vec![super::message("CPF9898", 40, "", "", "refused")],
                    text: String::new(),
                });
            }
            let mut done = s.run.clone();
            if let Some((_, said)) = s.says.iter().find(|(begin, _)| text.starts_with(**begin)) {
                done.messages = vec![super::message("CPC1221", 0, "", "", said)];
            }
            Ok(done)
        })?;
        done.succeeded &= !(self.0.set().refuses_to_tell && command.as_str().starts_with("SNDMSG"));
        Ok(done)
    }
    async fn query(&self, _: &Session, sql: &str) -> Result<Vec<Row>, DeviceError> {
        if sql.contains("FROM TABLE(QSYS2.JOBLOG_INFO(") {
            self.0.set().asked_for_news += 1;
            self.with(|s| s.news.clone().map_or(Ok(()), Err))?;
        }
        self.with(|s| {
            let table = s.tables.iter().find(|(part, _)| sql.contains(**part));
            match (s.rows.get(sql), table) {
                (Some(rows), _) => rows.clone(),
                (None, Some((_, rows))) => Ok(rows.clone()),
                (None, None) => Ok(Vec::new()),
            }
        })
    }
    async fn submit(&self, _: &Session, job: &Submission) -> Result<JobName, DeviceError> {
        self.0.send(format!(
            "{}: submit {} {} {}",
            self.1,
            job.name,
            job.job_queue,
            job.command.as_str()
        ));
        let name = JobName::new(format!("123456/CLN/{}", job.name));
        let (hangs, fails) =
            self.with(|s| Ok((s.hangs.contains(&job.name), s.fails.contains(&job.name))))?;
        let state = if self.0.set().function_hangs || hangs {
            JobState::Active
        } else {
            JobState::Ended {
                normal: self.0.set().function_ends_well && !fails,
                severity: 0,
            }
        };
        let ended = JobStatus {
            name: name.clone(),
            state,
            active_milliseconds: Some(1000),
        };
        self.0.live(|i| {
            let system = i.systems.get_mut(self.1).expect("there");
            system.jobs.insert(job.name.clone(), ended);
        });
        Ok(name)
    }
    async fn job(&self, _: &Session, name: &str) -> Result<Option<JobStatus>, DeviceError> {
        let of_name = |job: &JobStatus| job.name.as_str().rsplit('/').next() == Some(name);
        self.with(|s| {
            Ok(s.jobs
                .get(name)
                .or(s.job.as_ref().filter(|j| of_name(j)))
                .cloned())
        })
    }
    async fn messages(
        &self,
        _: &Session,
        log: &LogSource,
        each: EachMessage<'_>,
    ) -> Result<(), DeviceError> {
        let found = self.with(|s| match log {
            LogSource::JobLog(_) => s.job_log.clone(),
            LogSource::History { since } => {
                s.since = Some(since.clone());
                match NaiveDateTime::parse_from_str(since, "%Y-%m-%d-%H.%M.%S%.6f") {
                    Ok(_) => Ok(s.history.clone()),
                    // SQL takes no other form, not the kit's either.
                    Err(_) => Err(DeviceError::refused("fake", "22007", since.clone())),
                }
            }
        })?;
        found.into_iter().for_each(each);
        Ok(())
    }
    async fn put(&self, _: &Session, path: &str, content: &[u8]) -> Result<(), DeviceError> {
        self.0.send(format!("{}: put {path}", self.1));
        self.with(|s| {
            let mut content = content.to_vec();
            if s.cut > 0 && path.ends_with(".part") {
                s.cut -= 1;
                content.pop();
            }
            s.files.insert(path.into(), content);
            Ok(())
        })
    }
    async fn get(&self, _: &Session, path: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        self.with(|s| Ok(s.files.get(path).cloned()))
    }
    async fn remove(&self, _: &Session, path: &str) -> Result<(), DeviceError> {
        self.0.send(format!("{}: remove {path}", self.1));
        self.with(|s| {
            s.files.remove(path);
            Ok(())
        })
    }
    async fn shell(
        &self,
        _: &Session,
        line: &str,
        input: &[u8],
    ) -> Result<ShellOutput, DeviceError> {
        self.0.send(format!("{}: {line}", self.1));
        let new = format!("{LOCK_PATH}.new");
        let output = self.with(|s| {
            if line == LOCK_WRITE {
                s.files.insert(new, input.to_vec());
                return Ok(Vec::new());
            }
            if line == LOCK_TAKE {
                let written = s.files.remove(&new).expect("written before");
                return Ok(s.files.entry(LOCK_PATH.into()).or_insert(written).clone());
            }
            let directory = line.split('\'').nth(1).unwrap_or_default().to_owned();
            let name =
                |path: &String| Some(path.strip_prefix(&directory)?.strip_prefix('/')?.to_owned());
            let listing: Vec<String> = s.files.keys().filter_map(name).collect();
            Ok(listing.join("\n").into_bytes())
        })?;
        Ok(ShellOutput {
            succeeded: true,
            output,
            error: String::new(),
        })
    }
    async fn disconnect(&self) {}
}

impl Host {
    fn with<T>(
        &self,
        use_: impl FnOnce(&mut SystemFake) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        use_(
            self.0
                .set()
                .systems
                .get_mut(self.1)
                .expect("source or clone"),
        )
    }
}

#[async_trait]
impl LogSink for World {
    fn begin(&self, kind: LogKind) -> Box<dyn LogWriter + '_> {
        Box::new(Gathered::new(move |lines| {
            if let Some(why) = self.set().logs_refused.clone() {
                return LogSummary {
                    refused: Some(why),
                    ..LogSummary::default()
                };
            }
            self.set().logs.insert(kind, lines);
            LogSummary::default()
        }))
    }
    async fn text(&self, kind: LogKind, _: usize) -> Result<Option<String>, StoreError> {
        let lines = self.set().logs.get(&kind).cloned();
        Ok(lines.map(|lines| {
            let text = lines
                .iter()
                .map(|l| serde_json::to_string(l).expect("is JSON"));
            text.map(|l| l + "\n").collect()
        }))
    }
    fn wants_news(&self) -> bool {
        self.set().news_wanted
    }
    fn news(&self, job: &JobName, lines: Vec<(u64, LogLine)>, _: Duration) {
        let lines = lines.into_iter();
        let lines = lines.map(|(place, line)| (job.as_str().to_owned(), place, line));
        self.set().news.extend(lines);
    }
    async fn has(&self, kind: LogKind) -> Result<Option<LogSummary>, StoreError> {
        let inner = self.set();
        Ok(inner.logs.get(&kind).map(|lines| LogSummary {
            config_map: format!("run-log-{}-001", kind.as_str()),
            parts: 1,
            lines: i64::try_from(lines.len()).unwrap_or(0),
            digest: digest(format!("{lines:?}").as_bytes()),
            bytes: 0,
            refused: None,
        }))
    }
}

//! The IBM i roles in process, for the crash matrix: the very drivers, over the simulated shell without a network.
//!
//! Dropping a channel is what the end of the operator's process does to it: the helper sees the end of its input and
//! resumes what it touched. A fault `Special("silent-loss")` under `EOF` keeps the helper in the dark, as a network that
//! swallows everything does; then only watchdog, canary and RESUME by another way are left.
//!
//! Channels and connections lock the world when they are dropped: never drop one while holding [`Shared::now`].

use super::helper::{self, Reply};
use super::shell::{self, Login, Outcome};
use super::system::{Answering, answering, view};
use crate::drivers::ibmi::{
    Chunks, Connection, ExecOutput, FreezeOptions, IbmIDriver, IbmIFreeze, Limits, LineChannel,
    Link,
};
use crate::simulators::Shared;
use crate::simulators::faults::{Device, FaultKind};
use crate::site::{DeviceError, Identity};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// A way to an address of the simulated network.
#[derive(Clone)]
pub struct SimulatedLink {
    shared: Shared,
    address: String,
    user: String,
    password: String,
}

impl SimulatedLink {
    /// A link to an address, for a user of the system that holds it.
    pub fn new(shared: &Shared, address: &str, user: &str, password: &str) -> Self {
        Self {
            shared: shared.clone(),
            address: address.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    fn device(&self) -> String {
        format!("IBM i {}", self.address)
    }
}

/// The role `IbmI` for an address.
pub fn ibmi(shared: &Shared, address: &str, user: &str, password: &str) -> Arc<IbmIDriver> {
    let link = Arc::new(SimulatedLink::new(shared, address, user, password));
    Arc::new(IbmIDriver::new(link, Limits::default()))
}

/// The role `SourceFreeze` for production's address.
pub fn freeze(
    shared: &Shared,
    address: &str,
    (user, password): (&str, &str),
    sources: Vec<Identity>,
) -> IbmIFreeze {
    let link = Arc::new(SimulatedLink::new(shared, address, user, password));
    let options = FreezeOptions {
        sources,
        answer: Duration::from_secs(10),
    };
    IbmIFreeze::new(link, ibmi(shared, address, user, password), options)
}

#[async_trait]
impl Link for SimulatedLink {
    fn address(&self) -> String {
        self.address.clone()
    }
    fn user(&self) -> String {
        self.user.clone()
    }
    async fn open(&self) -> Result<Box<dyn Connection>, DeviceError> {
        let (outcome, wait) = {
            let mut world = self.shared.now();
            let wait = world.knobs.login_milliseconds;
            let outcome = match answering(&mut world, &self.address) {
                Answering::Nobody => Err("connection timed out".to_owned()),
                Answering::Refused(p) => Err(format!("connection refused by {p}: sshd is not up")),
                Answering::Partition(p) => {
                    let fault = world.faults.take(Device::IbmI, &p, "LOGIN");
                    if fault.is_some() {
                        Err("connection refused".to_owned())
                    } else if shell::hangs(&world, &p) {
                        Err("login did not answer".to_owned())
                    } else {
                        Ok(p)
                    }
                }
            };
            (outcome, wait)
        };
        self.shared.clock().sleep(Duration::from_millis(wait)).await;
        let partition = outcome.map_err(|why| DeviceError::unreachable(self.device(), why))?;
        let mut world = self.shared.now();
        let Some((system, disk)) = view(&world, &partition) else {
            return Err(DeviceError::unreachable(self.device(), "connection lost"));
        };
        let known = disk
            .user(&self.user)
            .is_some_and(|u| u.password.as_deref() == Some(self.password.as_str()));
        if !known {
            return Err(DeviceError::refused(
                self.device(),
                "LoginFailed",
                format!("{} may not log in: change the Secret", self.user),
            ));
        }
        let login = Login {
            generation: system.generation(),
            user: self.user.to_ascii_uppercase(),
            partition: partition.clone(),
        };
        if let Some(system) = world.systems.get_mut(&partition) {
            system.connections += 1;
        }
        drop(world);
        Ok(Box::new(SimulatedConnection {
            link: self.clone(),
            login,
        }))
    }
}

struct SimulatedConnection {
    link: SimulatedLink,
    login: Login,
}

impl Drop for SimulatedConnection {
    fn drop(&mut self) {
        let mut world = self.link.shared.now();
        if let Some(system) = world.systems.get_mut(&self.login.partition) {
            system.connections = system.connections.saturating_sub(1);
        }
    }
}

impl SimulatedConnection {
    async fn outcome(
        &self,
        command: &str,
        stdin: &[u8],
        limit: Duration,
    ) -> Result<Outcome, DeviceError> {
        let lost = |text: &str| DeviceError::indeterminate(self.link.device(), text);
        let hangs = shell::hangs(&self.link.shared.now(), &self.login.partition);
        let outcome = if hangs {
            Outcome {
                hangs: true,
                ..Outcome::default()
            }
        } else {
            shell::exec(&self.link.shared, &self.login, command, stdin).await
        };
        if outcome.hangs {
            self.link.shared.clock().sleep(limit).await;
            return Err(lost("no answer within the limit"));
        }
        if outcome.dropped {
            return Err(lost("the connection was lost"));
        }
        Ok(outcome)
    }
}

/// As libssh2 shows it: no status is 0.
fn ended(outcome: Outcome) -> ExecOutput {
    let status = outcome.status;
    ExecOutput {
        stdout: outcome.stdout,
        stderr: outcome.stderr,
        status: status.map_or(0, |s| i32::try_from(s).unwrap_or(i32::MAX)),
    }
}

#[async_trait]
impl Connection for SimulatedConnection {
    async fn exec(
        &self,
        command: &str,
        stdin: &[u8],
        limit: Duration,
    ) -> Result<ExecOutput, DeviceError> {
        let outcome = self.outcome(command, stdin, limit).await?;
        let outcome = outcome.whole(&self.link.shared, &self.login);
        if outcome.dropped {
            let lost = "the connection was lost";
            return Err(DeviceError::indeterminate(self.link.device(), lost));
        }
        Ok(ended(outcome))
    }

    async fn stream(
        &self,
        command: &str,
        silence: Duration,
        chunks: Chunks,
    ) -> Result<ExecOutput, DeviceError> {
        let mut outcome = self.outcome(command, b"", silence).await?;
        let (before, mut long, behind) = outcome.halves();
        let gone =
            |_| DeviceError::indeterminate(self.link.device(), "nobody takes its output any more");
        chunks.send(before).await.map_err(gone)?;
        while let Some(more) = long
            .as_mut()
            .and_then(|long| long.more(&self.link.shared, &self.login))
        {
            chunks.send(more).await.map_err(gone)?;
        }
        if long.is_some_and(|long| !long.is_over()) {
            let lost = "the connection was lost";
            return Err(DeviceError::indeterminate(self.link.device(), lost));
        }
        chunks.send(behind).await.map_err(gone)?;
        Ok(ended(outcome))
    }

    async fn start(self: Box<Self>, command: &str) -> Result<Box<dyn LineChannel>, DeviceError> {
        let id = {
            let mut world = self.link.shared.now();
            let able = shell::starts_helper(command)
                && shell::alive(&world, &self.login)
                && !shell::hangs(&world, &self.login.partition);
            able.then(|| helper::start(&mut world, &self.login.partition, &self.login.user))
                .flatten()
        };
        let id = id.ok_or_else(|| {
            DeviceError::unreachable(
                self.link.device(),
                "the helper did not start; is the guest kit installed?",
            )
        })?;
        Ok(Box::new(SimulatedChannel {
            connection: *self,
            id,
        }))
    }

    async fn close(&self) {}
}

struct SimulatedChannel {
    connection: SimulatedConnection,
    id: u64,
}

impl Drop for SimulatedChannel {
    fn drop(&mut self) {
        let login = &self.connection.login;
        let mut world = self.connection.link.shared.now();
        let silent = matches!(
            world.faults.take(Device::IbmI, &login.partition, "EOF"),
            Some(FaultKind::Special(name)) if name == "silent-loss"
        );
        let same = world
            .systems
            .get(&login.partition)
            .is_some_and(|s| s.generation() == login.generation);
        if same && !silent {
            helper::end_of_channel(&mut world, &login.partition, self.id);
        }
    }
}

#[async_trait]
impl LineChannel for SimulatedChannel {
    async fn pause(&mut self, duration: Duration) {
        self.connection.link.shared.clock().sleep(duration).await;
    }

    async fn ask(&mut self, lines: &[String], limit: Duration) -> Result<Vec<String>, DeviceError> {
        let (link, login) = (&self.connection.link, &self.connection.login);
        let mut answers = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let waiting = {
                let mut world = link.shared.now();
                if !shell::alive(&world, login) {
                    return Err(lost(link, at));
                }
                helper::waiting(&mut world, &login.partition, line)
            };
            link.shared
                .clock()
                .sleep(Duration::from_millis(waiting.milliseconds))
                .await;
            let reply = {
                let mut world = link.shared.now();
                if !shell::alive(&world, login) {
                    return Err(lost(link, 1));
                }
                helper::request(&mut world, &login.partition, self.id, line, &waiting)
            };
            match reply {
                Reply::Line(answer) => answers.push(answer),
                Reply::Silence => {
                    link.shared.clock().sleep(limit).await;
                    return Err(DeviceError::indeterminate(
                        link.device(),
                        "the helper did not answer within the limit",
                    ));
                }
                Reply::Gone => {
                    return Err(if waiting.fault.is_some() {
                        lost(link, 1)
                    } else {
                        lost(link, at)
                    });
                }
            }
        }
        Ok(answers)
    }
}

/// The channel has ended: before anything was sent, or after.
fn lost(link: &SimulatedLink, sent: usize) -> DeviceError {
    let text = "the helper's channel has ended";
    if sent == 0 {
        DeviceError::unreachable(link.device(), text)
    } else {
        DeviceError::indeterminate(link.device(), text)
    }
}

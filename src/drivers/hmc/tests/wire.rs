//! A wire that answers as a test says and remembers what was sent.

use crate::drivers::hmc::endpoint::{Endpoint, Wire, address};
use crate::drivers::hmc::{HmcConsole, HmcOptions};
use crate::drivers::transport::http::{Answer, Intent, Request};
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Script = Box<dyn FnMut(&str, &Request) -> Result<Answer, DeviceError> + Send>;

pub(in crate::drivers) struct Scripted {
    sent: Mutex<Vec<String>>,
    script: Mutex<Script>,
}

impl Scripted {
    pub(in crate::drivers) fn new(
        script: impl FnMut(&str, &Request) -> Result<Answer, DeviceError> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            sent: Mutex::new(Vec::new()),
            script: Mutex::new(Box::new(script)),
        })
    }
    /// `METHOD https://host:port/path`, in order.
    pub(in crate::drivers) fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
    pub(in crate::drivers) fn count(&self, part: &str) -> usize {
        self.sent().iter().filter(|s| s.contains(part)).count()
    }
}

#[async_trait]
impl Wire for Arc<Scripted> {
    async fn send(&self, request: Request) -> Result<Answer, DeviceError> {
        let port = request.url.port_or_known_default().unwrap();
        let host = request.url.host_str().unwrap();
        let line = format!("{} {host}:{port}{}", request.method, request.url.path());
        self.sent.lock().unwrap().push(line.clone());
        (self.script.lock().unwrap())(&line, &request)
    }
}

pub(in crate::drivers) fn answer(status: u16, body: &str) -> Result<Answer, DeviceError> {
    Ok(Answer {
        status,
        headers: reqwest::header::HeaderMap::new(),
        body: body.to_owned(),
    })
}

/// As the transport tells of a connection that was refused.
pub(in crate::drivers) fn down() -> Result<Answer, DeviceError> {
    Err(DeviceError::unreachable("HMC x", "connection refused"))
}

/// As the transport tells of an answer that was lost.
pub(in crate::drivers) fn lost(request: &Request) -> Result<Answer, DeviceError> {
    Err(match request.intent {
        Intent::Read => DeviceError::unreachable("HMC x", "no answer"),
        Intent::Effect => DeviceError::indeterminate("HMC x", "no answer"),
    })
}

pub(in crate::drivers) fn token(text: &str) -> String {
    format!("<LogonResponse xmlns='urn:x'><X-API-Session>{text}</X-API-Session></LogonResponse>")
}

pub(in crate::drivers) fn console(
    wire: &Arc<Scripted>,
    endpoints: &[&str],
    idle: Duration,
) -> HmcConsole {
    let mut options = HmcOptions::new(
        Vec::new(),
        "flash".into(),
        "pass<&>word".to_owned().into(),
        Default::default(),
        Default::default(),
    );
    options.idle = idle;
    let endpoints = endpoints
        .iter()
        .map(|e| Endpoint::new(address(e).unwrap(), Arc::new(wire.clone())))
        .collect();
    HmcConsole::over(endpoints, options)
}

/// Answers of a console with one system and the partitions CLONE1 (running, id 16) and PROD.
pub(in crate::drivers) fn usual(line: &str) -> Option<Result<Answer, DeviceError>> {
    let body = match line.split_once("/rest/api/")?.1 {
        "web/Logon" if line.starts_with("DELETE") => return Some(answer(204, "")),
        "web/Logon" => token("abc\n def"),
        "uom/ManagedSystem/quick/All" => {
            r#"[{"SystemName":"P10","UUID":"s-1","MTMS":"9105-42A*78A1234","State":"operating"}]"#
                .into()
        }
        "uom/ManagedSystem/s-1/LogicalPartition/quick/All" => {
            r#"[{"PartitionName":"CLONE1","UUID":"c-1"},{"PartitionName":"PROD","UUID":"P-1"}]"#
                .into()
        }
        "uom/LogicalPartition/C-1" => lpar("C-1", "CLONE1", "running"),
        _ => return None,
    };
    Some(answer(200, &body))
}

pub(in crate::drivers) fn lpar(uuid: &str, name: &str, state: &str) -> String {
    format!(
        "<entry xmlns='http://www.w3.org/2005/Atom'><content><L:LogicalPartition xmlns:L='u' xmlns='u'><PartitionID>16</PartitionID><PartitionName>{name}</PartitionName><PartitionState>{state}</PartitionState><PartitionType>OS400</PartitionType><PartitionUUID>{uuid}</PartitionUUID></L:LogicalPartition></content></entry>"
    )
}

pub(in crate::drivers) fn job(id: &str, target: &str, status: &str) -> String {
    format!(
        "<entry xmlns='http://www.w3.org/2005/Atom'><content><J:JobResponse xmlns:J='u' xmlns='u'><TargetUuid>{target}</TargetUuid><JobID>{id}</JobID><Status>{status}</Status></J:JobResponse></content></entry>"
    )
}

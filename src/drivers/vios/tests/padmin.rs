//! Two VIOSes that understand the commands the driver uses, and a console that carries them.

use crate::drivers::hmc::HmcConsole;
use crate::drivers::hmc::tests::wire::{Scripted, answer, console, lost, usual};
use crate::drivers::transport::http::{Answer, Request};
use crate::drivers::vios::{Adapter, HmcVirtualIo};
use crate::site::{DeviceError, Uid, WantedVolume};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Name, client id, devices as (vtd, hdisk).
type Vhost = (String, i32, Vec<(String, String)>);

/// What one VIOS has.
#[derive(Default)]
pub(super) struct Padmin {
    /// (hdisk, UID, no_reserve)
    pub(super) disks: Vec<(String, String, bool)>,
    /// Found by the next cfgdev.
    pub(super) hidden: Vec<(String, String)>,
    pub(super) vhosts: Vec<Vhost>,
    /// Commands that ran, in order.
    pub(super) commands: Vec<String>,
    /// Beginning of a command that fails, and the text it prints.
    pub(super) fails: Option<(String, String)>,
    /// Beginning of a command whose effect happens but whose answer is lost.
    pub(super) loses: Option<String>,
    pub(super) rmc: String,
    /// Disks are given other numbers when they are listed once.
    pub(super) renumbers: bool,
}

impl Padmin {
    fn run(&mut self, command: &str) -> Result<String, String> {
        self.commands.push(command.to_owned());
        if let Some((start, text)) = &self.fails
            && command.starts_with(start.as_str())
        {
            return Err(text.clone());
        }
        let words: Vec<&str> = command.split(' ').collect();
        match words.as_slice() {
            ["lsmap", "-all", "-fmt", ":"] => Ok(self.lsmap()),
            ["cfgdev"] => {
                for (disk, uid) in self.hidden.drain(..) {
                    self.disks.push((disk, uid, false));
                }
                Ok(String::new())
            }
            ["lsdev", "-dev", disk, "-attr", "unique_id"] => {
                let found = self.disks.iter().find(|(d, _, _)| d == disk);
                let (_, uid, _) = found.ok_or("0514-519 not found")?;
                Ok(format!("value\n\n{}\n", unique_id(uid)))
            }
            ["chdev", "-dev", disk, "-attr", "reserve_policy=no_reserve"] => {
                let found = self.disks.iter_mut().find(|(d, _, _)| d == disk);
                found.ok_or("0514-519 not found")?.2 = true;
                Ok(format!("{disk} changed"))
            }
            ["mkvdev", "-vdev", disk, "-vadapter", vhost, "-dev", vtd] => {
                let mut mapped = self.vhosts.iter().flat_map(|(_, _, d)| d);
                if mapped.any(|(_, d)| d == disk) {
                    return Err(format!(
                        "\"{disk}\" is already being used as a backing device.  Specify the -f flag"
                    ));
                }
                let adapter = self.vhosts.iter_mut().find(|(v, _, _)| v == vhost);
                adapter
                    .ok_or("0514-519")?
                    .2
                    .push(((*vtd).into(), (*disk).into()));
                Ok(format!("{vtd} Available"))
            }
            ["rmvdev", "-vtd", vtd] => {
                for (_, _, devices) in &mut self.vhosts {
                    devices.retain(|(v, _)| v != vtd);
                }
                Ok(format!("{vtd} deleted"))
            }
            ["rmdev", "-dev", disk] => {
                let at = self.disks.iter().position(|(d, _, _)| d == disk);
                let (disk, uid, _) = self.disks.remove(at.ok_or("0514-519")?);
                self.hidden.push((disk.clone(), uid));
                Ok(format!("{disk} deleted"))
            }
            _ => Err(format!("unexpected command {command}")),
        }
    }

    fn lsmap(&self) -> String {
        let line = |(vhost, client, devices): &Vhost| {
            let groups: String = devices
                .iter()
                .map(|(vtd, disk)| {
                    format!(":{vtd}:Available:0x8100000000000000:{disk}:U78-P1:false")
                })
                .collect();
            let groups = if groups.is_empty() {
                ": : : : : : ".into()
            } else {
                groups
            };
            format!("{vhost}:U9105.42A.78A1234-V1-C5:0x{client:08x}{groups}\n")
        };
        self.vhosts.iter().map(line).collect()
    }

    fn listed(&mut self) -> String {
        let volumes: String = self
            .disks
            .iter()
            .map(|(disk, uid, free)| {
                let policy = if *free { "NoReserve" } else { "SinglePath" };
                format!(
                    "<PhysicalVolume><ReservePolicy>{policy}</ReservePolicy><VolumeName>{disk}</VolumeName><VolumeUniqueID>{}</VolumeUniqueID></PhysicalVolume>",
                    unique_id(uid)
                )
            })
            .collect();
        if std::mem::take(&mut self.renumbers) && self.disks.len() > 1 {
            let first = self.disks[0].0.clone();
            self.disks[0].0 = std::mem::replace(&mut self.disks[1].0, first);
        }
        format!("<V:VirtualIOServer xmlns:V='u' xmlns='u'>{volumes}</V:VirtualIOServer>")
    }
}

fn unique_id(uid: &str) -> String {
    format!("33213{uid}04214503IBMfcp")
}

pub(super) type Vioses = Arc<Mutex<Vec<Padmin>>>;

/// UID of volume `n`.
pub(super) fn uid(n: usize) -> String {
    format!("60050768108100DC48000000000000{n:02X}")
}

pub(super) fn wanted(count: usize) -> Vec<WantedVolume> {
    (0..count)
        .map(|n| WantedVolume {
            uid: Uid::new(uid(n)),
            vtd: format!("clone1_{n:02}"),
        })
        .collect()
}

/// Two VIOSes that see `count` volumes under different numbers; vhost3 serves CLONE1 (id 16), vhost7 another.
pub(super) fn vioses(count: usize) -> Vioses {
    let one = |offset: usize| Padmin {
        disks: (0..count)
            .map(|n| (format!("hdisk{}", n + offset), uid(n), false))
            .collect(),
        vhosts: vec![
            ("vhost3".into(), 16, Vec::new()),
            ("vhost7".into(), 2, Vec::new()),
        ],
        rmc: "active".into(),
        ..Padmin::default()
    };
    Arc::new(Mutex::new(vec![one(4), one(11)]))
}

pub(super) struct Rig {
    pub(super) vioses: Vioses,
    pub(super) wire: Arc<Scripted>,
    pub(super) virtual_io: HmcVirtualIo,
    _console: HmcConsole,
}

impl Rig {
    pub(super) fn new(vioses: Vioses) -> Self {
        let adapters = ["VIOS1", "VIOS2"].map(|server| Adapter {
            server: server.into(),
            vhost: "vhost3".into(),
            volumes: vec!["*".to_owned()],
        });
        Self::with(vioses, adapters.to_vec())
    }

    pub(super) fn with(vioses: Vioses, adapters: Vec<Adapter>) -> Self {
        let shared = vioses.clone();
        let mut finished = Vec::new();
        let wire = Scripted::new(move |line, request| {
            respond(&mut shared.lock().unwrap(), &mut finished, line, request)
        });
        let console = console(&wire, &["https://hmc1:12443"], Duration::from_secs(60));
        let virtual_io = HmcVirtualIo::new(&console.view("P10", "CLONE1"), adapters);
        Self {
            vioses,
            wire,
            virtual_io,
            _console: console,
        }
    }

    /// Commands of one VIOS that begin with a word.
    pub(super) fn commands(&self, vios: usize, start: &str) -> Vec<String> {
        let vioses = self.vioses.lock().unwrap();
        vioses[vios]
            .commands
            .iter()
            .filter(|c| c.starts_with(start))
            .cloned()
            .collect()
    }
}

fn respond(
    vioses: &mut [Padmin],
    finished: &mut Vec<(bool, String)>,
    line: &str,
    request: &Request,
) -> Result<Answer, DeviceError> {
    let path = line.split_once("/rest/api").unwrap().1;
    if let Some(id) = path.strip_prefix("/uom/jobs/") {
        let (ok, text) = &finished[id.parse::<usize>().unwrap() - 1];
        return answer(
            200,
            &job(
                id,
                if *ok {
                    "COMPLETED_OK"
                } else {
                    "COMPLETED_WITH_ERROR"
                },
                text,
            ),
        );
    }
    match path {
        "/uom/ManagementConsole" => answer(
            200,
            "<M:ManagementConsole xmlns:M='u' xmlns='u'><Metadata><Atom><AtomID>mc-1</AtomID></Atom></Metadata></M:ManagementConsole>",
        ),
        "/uom/ManagedSystem/s-1/VirtualIOServer/quick/All" => {
            let list: Vec<String> = vioses
                .iter()
                .enumerate()
                .map(|(n, v)| format!(r#"{{"PartitionName":"VIOS{id}","UUID":"v-{n}","PartitionID":{id},"RMCState":"{}","PartitionState":"running"}}"#, v.rmc, id = n + 1))
                .collect();
            answer(200, &format!("[{}]", list.join(",")))
        }
        "/uom/VirtualIOServer/v-0" => answer(200, &vioses[0].listed()),
        "/uom/VirtualIOServer/v-1" => answer(200, &vioses[1].listed()),
        "/uom/ManagementConsole/mc-1/do/CLIRunner" => command(vioses, finished, request),
        _ => usual(line).unwrap(),
    }
}

fn command(
    vioses: &mut [Padmin],
    finished: &mut Vec<(bool, String)>,
    request: &Request,
) -> Result<Answer, DeviceError> {
    let body = String::from_utf8_lossy(&request.body).replace("&quot;", "\"");
    let at = body.find("--id ").unwrap() + 5;
    let vios = &mut vioses[usize::from(body.as_bytes()[at] - b'1')];
    assert!(body.contains("viosvrcmd -m \"9105-42A*78A1234\""), "{body}");
    let text = body
        .split_once("-c \"")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0;
    let loses = vios.loses.clone().is_some_and(|l| text.starts_with(&l));
    let outcome = vios.run(text);
    finished.push(match outcome {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    });
    if loses {
        return lost(request);
    }
    answer(200, &job(&finished.len().to_string(), "NOT_STARTED", ""))
}

fn job(id: &str, status: &str, text: &str) -> String {
    let code = i32::from(status == "COMPLETED_WITH_ERROR");
    let text = text.replace('<', "&lt;");
    format!(
        "<entry><content><J:JobResponse xmlns:J='u' xmlns='u'><JobID>{id}</JobID><Status>{status}</Status><Results><JobParameter><ParameterName>returnCode</ParameterName><ParameterValue>{code}</ParameterValue></JobParameter><JobParameter><ParameterName>result</ParameterName><ParameterValue>{text}</ParameterValue></JobParameter></Results></J:JobResponse></content></entry>"
    )
}

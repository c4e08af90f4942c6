//! The REST API in process: what a person or a vendor's client meets.

mod changes;
mod events;
mod jobs;
mod rules;
mod shape;

use super::{Ask, Reply, route};
use crate::simulators::world::World;
use crate::simulators::world::file::WorldFile;
use chrono::TimeDelta;

/// The demo's world, after a person's changes.
pub(super) fn world(change: impl FnOnce(&mut WorldFile)) -> World {
    let text = include_str!("../../../../../examples/demo/world.yaml");
    let mut file: WorldFile = serde_saphyr::from_str(text).unwrap();
    file.start = Some("2026-11-24T08:00:00Z".parse().unwrap());
    change(&mut file);
    World::from_file(&file).unwrap()
}

/// A logged-on client of one console.
pub(super) struct Client {
    pub(super) world: World,
    pub(super) token: String,
    endpoint: usize,
}

impl Client {
    pub(super) fn of(world: World) -> Self {
        let mut client = Self {
            world,
            token: String::new(),
            endpoint: 0,
        };
        client.log_on("cloneop", "simulated-hmc");
        client
    }
    pub(super) fn usual() -> Self {
        Self::of(world(|_| {}))
    }
    /// The same sessions, asked at the other console.
    pub(super) fn at(mut self, endpoint: usize) -> Self {
        self.endpoint = endpoint;
        self
    }
    pub(super) fn log_on(&mut self, user: &str, password: &str) -> u16 {
        let body = format!(
            "<LogonRequest><UserID>{user}</UserID><Password>{password}</Password></LogonRequest>"
        );
        let reply = self.send("PUT", "web/Logon", &body, "");
        if reply.status == 200 {
            let document = roxmltree::Document::parse(&reply.body).unwrap();
            let token = document
                .descendants()
                .find(|n| n.has_tag_name_local("X-API-Session"));
            let token = token.unwrap().text().unwrap();
            self.token = token.split_whitespace().collect();
        }
        reply.status
    }
    pub(super) fn send(&mut self, method: &str, path: &str, body: &str, known: &str) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let ask = Ask {
            method,
            path,
            query,
            host: "hmc1:12443",
            accept: "*/*",
            token: &self.token.clone(),
            if_match: known,
            if_none_match: known,
            body,
            endpoint: self.endpoint,
        };
        route(&mut self.world, &ask)
    }
    pub(super) fn get(&mut self, path: &str) -> Reply {
        self.send("GET", &format!("uom/{path}"), "", "")
    }
    pub(super) fn put(&mut self, path: &str, parameters: &[(&str, &str)]) -> Reply {
        let all: String = parameters
            .iter()
            .map(|(n, v)| {
                let v = super::atom::escape(v);
                format!("<JobParameter><ParameterName>{n}</ParameterName><ParameterValue>{v}</ParameterValue></JobParameter>")
            })
            .collect();
        let body = format!("<JobRequest><JobParameters>{all}</JobParameters></JobRequest>");
        self.send("PUT", &format!("uom/{path}"), &body, "")
    }
    pub(super) fn pass(&mut self, milliseconds: i64) {
        let now = self.world.now + TimeDelta::milliseconds(milliseconds);
        self.world.advance(now);
    }
    pub(super) fn uuid(&self, partition: &str) -> String {
        self.world.console.partitions[partition].uuid.to_string()
    }
    /// Runs a padmin command to its end: status word, `returnCode`, `result`.
    pub(super) fn run(&mut self, vios: &str, command: &str) -> (String, String, String) {
        let line = format!("viosvrcmd -m P10-PARIS -p {vios} -c \"{command}\"");
        let path = format!(
            "ManagementConsole/{}/do/CLIRunner",
            super::atom::console_uuid(self.endpoint)
        );
        let reply = self.put(
            &path,
            &[
                ("cmd", &line),
                ("acknowledgeThisAPIMayGoAwayInTheFuture", "true"),
            ],
        );
        assert_eq!(reply.status, 200, "{}", reply.body);
        let id = text(&reply.body, "JobID");
        self.pass(1_000);
        let reply = self.get(&format!("jobs/{id}"));
        outcome(&reply.body)
    }
}

/// Status word, `returnCode` and `result` of a job's entry.
pub(super) fn outcome(body: &str) -> (String, String, String) {
    let document = roxmltree::Document::parse(body).unwrap();
    let result = |name: &str| -> String {
        let mut all = document
            .descendants()
            .filter(|n| n.has_tag_name_local("Results"))
            .flat_map(|r| r.children())
            .filter(|n| n.has_tag_name_local("JobParameter"));
        let found = all.find(|p| child(*p, "ParameterName").as_deref() == Some(name));
        found
            .and_then(|p| child(p, "ParameterValue"))
            .unwrap_or_default()
    };
    (text(body, "Status"), result("returnCode"), result("result"))
}

fn child(node: roxmltree::Node<'_, '_>, name: &str) -> Option<String> {
    let found = node.children().find(|n| n.has_tag_name_local(name))?;
    Some(found.text().unwrap_or_default().to_owned())
}

/// Text of the first element of this name.
pub(super) fn text(body: &str, name: &str) -> String {
    let document = roxmltree::Document::parse(body).unwrap();
    let found = document.descendants().find(|n| n.has_tag_name_local(name));
    found
        .and_then(|n| n.text())
        .unwrap_or_else(|| panic!("no {name} in {body}"))
        .to_owned()
}

/// Comparison by local name: prefixes vary.
pub(super) trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for roxmltree::Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

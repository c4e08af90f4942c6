//! The parts of a kept log on a real API server: immutable, each with its digest and its time range; what somebody has
//! changed is refused by its name.

use super::{err, out};
use crate::commands::user::User;
use crate::server::Server;
use crate::support::kube::{namespace, shared};
use flate2::read::GzDecoder;
use ibmi_clone_operator::api::{CloneRun, CloneRunSpec};
use ibmi_clone_operator::controllers::run::logs::RunLogs;
use ibmi_clone_operator::controllers::run::logs::pack::{MEMBER, hex};
use ibmi_clone_operator::recipe::{LogKind, LogLine, LogSink};
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Read;

const RUN: &str = "long";
const KEY: &str = "log.jsonl.gz";

/// Digests do not compress: some thousands of them fill several parts.
fn lines() -> Vec<LogLine> {
    let line = |n: u32| LogLine {
        ts: format!("2026-11-23-04.00.00.{n:06}"),
        part: "clone".to_owned(),
        job: "123456/CLN/C1_16".to_owned(),
        text: hex(&Sha256::digest(n.to_string())),
        ..LogLine::default()
    };
    (0..40_000).map(line).collect()
}

/// A run that nobody executes.
async fn run(client: &Client, namespace: &str) -> CloneRun {
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), namespace);
    let spec: CloneRunSpec = serde_json::from_value(json!({"environment": "nightly"})).unwrap();
    let run = CloneRun::new(RUN, spec);
    runs.create(&PostParams::default(), &run).await.unwrap()
}

struct Long {
    maps: Api<ConfigMap>,
    user: User,
    parts: usize,
    given: Vec<LogLine>,
}

impl Long {
    /// A run that has left a long job log.
    async fn new(server: Server) -> Self {
        let (client, namespace) = server.namespace().await;
        let run = run(&client, &namespace).await;
        let given = lines();
        let logs = RunLogs::new(client.clone(), &run, Some(1), i32::MAX);
        let stored = logs.put(LogKind::JobLog, given.clone()).await.unwrap();
        assert_eq!(stored.refused, None);
        Self {
            maps: Api::namespaced(client, &namespace),
            user: User {
                namespace,
                kubeconfig: server.kubeconfig().display().to_string(),
            },
            parts: usize::try_from(stored.parts).unwrap(),
            given,
        }
    }

    fn name(part: usize) -> String {
        format!("{RUN}-log-joblog-{part:03}")
    }

    async fn part(&self, part: usize) -> ConfigMap {
        self.maps.get(&Self::name(part)).await.unwrap()
    }

    /// Puts another object under the name of one.
    async fn replace(&self, mut map: ConfigMap) {
        let name = map.name_any();
        self.maps.delete(&name, &Default::default()).await.unwrap();
        map.metadata.resource_version = None;
        map.metadata.uid = None;
        self.maps
            .create(&PostParams::default(), &map)
            .await
            .unwrap();
    }

    async fn refused(&self, code: i32, words: &[&str]) {
        let read = self.user.types(&["logs", RUN]).await;
        let said = err(&read);
        assert_eq!(read.status.code(), Some(code), "{said}");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

fn unpacked(map: &ConfigMap) -> String {
    let data = &map.binary_data.as_ref().unwrap()[KEY].0;
    assert!(data.len() <= MEMBER, "{}", data.len());
    let mut text = String::new();
    GzDecoder::new(data.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[apply(on_both!)]
async fn each_part_is_immutable_and_has_its_digest_and_its_time_range(server: Server) {
    let long = Long::new(server).await;
    assert!(long.parts > 1, "one part proves little");
    let mut all = String::new();
    for part in 1..=long.parts {
        let map = long.part(part).await;
        assert_eq!(map.immutable, Some(true));
        let text = unpacked(&map);
        let notes = map.annotations();
        let note = |key: &str| notes[&format!("ibmiclone.dev/{key}")].as_str();
        assert_eq!(note("sha256"), hex(&Sha256::digest(&text)));
        let time = |line: Option<&str>| {
            let line: LogLine = serde_json::from_str(line.unwrap()).unwrap();
            line.ts
        };
        let range = (note("log-from"), note("log-to"));
        let wanted = (time(text.lines().next()), time(text.lines().last()));
        assert_eq!(range, (wanted.0.as_str(), wanted.1.as_str()));
        all.push_str(&text);
    }
    let lines = all.lines().map(serde_json::from_str::<LogLine>);
    let lines: Vec<LogLine> = lines.map(Result::unwrap).collect();
    assert!(lines == long.given, "whole, in order, cut on lines");
    let printed = long.user.types(&["logs", RUN, "-o", "json"]).await;
    assert!(out(&printed) == all, "{}", err(&printed));

    let other: Value = serde_json::to_value(long.part(1).await.binary_data).unwrap();
    let (parameters, patch) = (
        PatchParams::default(),
        Patch::Merge(json!({"binaryData": other})),
    );
    let changed = long.maps.patch(&Long::name(2), &parameters, &patch).await;
    let why = changed.unwrap_err().to_string();
    assert!(why.contains("immutable"), "{why}");
}

#[apply(on_both!)]
async fn a_part_that_was_changed_or_is_missing_is_refused_by_its_name(server: Server) {
    let long = Long::new(server).await;
    let (first, second) = (long.part(1).await, long.part(2).await);
    // Somebody puts other content under the name.
    let mut changed = second.clone();
    changed.binary_data.clone_from(&first.binary_data);
    long.replace(changed).await;
    let name = Long::name(2);
    long.refused(70, &[&name, "SHA-256 differs"]).await;
    // The log was collected again, and this part is of the older one.
    let mut older = second.clone();
    let notes = older.annotations_mut();
    notes.insert(
        "ibmiclone.dev/log-digest".to_owned(),
        "of another".to_owned(),
    );
    long.replace(older).await;
    long.refused(70, &[&name, "of another log"]).await;
    long.maps.delete(&name, &Default::default()).await.unwrap();
    long.refused(66, &[&name, "missing"]).await;
    let mut alone = first.clone();
    alone.annotations_mut().remove("ibmiclone.dev/log-parts");
    long.replace(alone).await;
    long.refused(70, &[&Long::name(1), "how many parts"]).await;
}

/// A log is whole or it is not there: half of one would take the room of the next.
#[tokio::test]
async fn a_quota_that_is_reached_between_two_parts_leaves_none_of_them() {
    let Some(stack) = shared().await else { return };
    let (client, namespace) = namespace(stack).await;
    let run = run(&client, &namespace).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let used = maps.list_metadata(&ListParams::default()).await.unwrap();
    let used = used.items.len();
    // As the quota controller would count, which does not run here.
    let counted = |n: usize| json!({"count/configmaps": n.to_string()});
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &namespace);
    let hard = counted(used + 2);
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": hard}});
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let status = json!({"status": {"hard": hard, "used": counted(used)}});
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(&status));
    let patched = quotas.patch_status("small", &parameters, &patch).await;
    patched.unwrap();

    let logs = RunLogs::new(client, &run, Some(1), i32::MAX);
    let stored = logs.put(LogKind::JobLog, lines()).await.unwrap();
    let why = stored.refused.unwrap_or_default();
    assert!(why.contains("exceeded quota"), "{why}");
    let quota = quotas.get("small").await.unwrap().status.unwrap();
    let used = serde_json::to_value(quota.used.unwrap()).unwrap();
    assert_eq!(used, hard, "two parts were there");
    let of_run = ListParams::default().labels(&format!("ibmiclone.dev/run={RUN}"));
    let left = maps.list_metadata(&of_run).await.unwrap();
    assert_eq!(left.items.len(), 0);
}

//! Reading logs back, for the command `logs`.

use super::{DIGEST, KINDS, LOG_KEY, PARTS, SHA256, live, pack::hex, part_name};
use crate::api::CloneRun;
use crate::recipe::{LogKind, LogLine};
use flate2::read::MultiGzDecoder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, ResourceExt};
use sha2::{Digest, Sha256};
use std::io::Read;

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogReadError {
    /// The API server did not give a part.
    #[error("log part {name} cannot be read: {source}")]
    Api {
        /// Name of the ConfigMap.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// A part is missing.
    #[error("log part {name} is missing: it was deleted, or the log is just being written")]
    Missing {
        /// Name of the ConfigMap.
        name: String,
    },
    /// A part is not what was stored.
    #[error("log part {name} is damaged: {why}")]
    Damaged {
        /// Name of the ConfigMap.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Logs of a run: kind and text (one JSON object per line). `kind` = `None` reads all that are there; a kind that was
/// not stored is left out.
///
/// # Errors
/// When a part that must be there cannot be read or is damaged.
pub async fn read_logs(
    client: &Client,
    namespace: &str,
    run: &str,
    kind: Option<LogKind>,
) -> Result<Vec<(LogKind, String)>, LogReadError> {
    let mut logs = Vec::new();
    for wanted in KINDS
        .into_iter()
        .filter(|k| kind.is_none_or(|only| only == *k))
    {
        let Some(mut log) = StoredLog::open(client, namespace, run, wanted).await? else {
            continue;
        };
        let mut text = String::new();
        while let Some(part) = log.next_part().await? {
            text.push_str(&part);
        }
        logs.push((wanted, text));
    }
    Ok(logs)
}

/// A log that was kept, read part by part: each is proved by its SHA-256 before it is handed over.
pub struct StoredLog {
    maps: Api<ConfigMap>,
    run: String,
    kind: LogKind,
    first: Option<ConfigMap>,
    next: usize,
    parts: usize,
    /// Of the whole log: every part carries it.
    digest: Option<String>,
}

impl StoredLog {
    /// The log of this kind; `None` = it was not kept.
    ///
    /// # Errors
    /// When the API server does not answer or says no.
    pub async fn open(
        client: &Client,
        namespace: &str,
        run: &str,
        kind: LogKind,
    ) -> Result<Option<Self>, LogReadError> {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let Some(first) = get(&maps, &part_name(run, kind, 1)).await? else {
            return Ok(None);
        };
        let note = |key: &str| first.annotations().get(key).cloned();
        let parts = note(PARTS).and_then(|n| n.parse().ok());
        let parts =
            parts.ok_or_else(|| damaged(&first, "it does not say how many parts there are"))?;
        Ok(Some(Self {
            maps,
            run: run.to_owned(),
            kind,
            digest: note(DIGEST),
            first: Some(first),
            next: 1,
            parts,
        }))
    }

    /// How many parts it has.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Whole lines of the next part, proved; `None` = that was all.
    ///
    /// # Errors
    /// When the part cannot be read or is damaged.
    pub async fn next_part(&mut self) -> Result<Option<String>, LogReadError> {
        if self.next > self.parts {
            return Ok(None);
        }
        let name = part_name(&self.run, self.kind, self.next);
        self.next += 1;
        let map = match self.first.take() {
            Some(first) => Some(first),
            None => get(&self.maps, &name).await?,
        };
        let map = map.ok_or(LogReadError::Missing { name })?;
        // A log that is collected again while it is read: half of the one and half of the other is neither.
        if map.annotations().get(DIGEST) != self.digest.as_ref() {
            return Err(damaged(
                &map,
                "it is of another log than the first part; read again",
            ));
        }
        content(&map).map(Some)
    }
}

/// The beginning of a kept log, cut on a line; then its last line says so.
///
/// # Errors
/// As [`StoredLog`].
pub(super) async fn beginning(
    client: &Client,
    namespace: &str,
    run: &str,
    kind: LogKind,
    limit: usize,
) -> Result<Option<String>, LogReadError> {
    let Some(mut log) = StoredLog::open(client, namespace, run, kind).await? else {
        return Ok(None);
    };
    let mut text = String::new();
    while let Some(part) = log.next_part().await? {
        for line in part.split_inclusive('\n') {
            if text.len() + line.len() > limit {
                let cut = LogLine {
                    part: "operator".to_owned(),
                    text: format!(
                        "the rest is not here: `ibmi-clone logs {run} --kind {}` shows all that is kept",
                        kind.as_str()
                    ),
                    ..LogLine::default()
                };
                text.push_str(&serde_json::to_string(&cut).unwrap_or_default());
                text.push('\n');
                return Ok(Some(text));
            }
            text.push_str(line);
        }
    }
    Ok(Some(text))
}

/// The live tail of a run that is under way: one JSON object per line; `None` = there is none now.
///
/// # Errors
/// When the API server does not answer or says no.
pub async fn read_live(
    client: &Client,
    namespace: &str,
    run: &CloneRun,
) -> Result<Option<String>, LogReadError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = get(&maps, &live::live_name(&run.name_any())).await?;
    let found = found.filter(|map| live::is_of(map, run));
    Ok(found.and_then(|map| map.data?.remove(live::LIVE_KEY)))
}

async fn get(maps: &Api<ConfigMap>, name: &str) -> Result<Option<ConfigMap>, LogReadError> {
    maps.get_opt(name)
        .await
        .map_err(|source| LogReadError::Api {
            name: name.to_owned(),
            source: Box::new(source),
        })
}

fn damaged(map: &ConfigMap, why: &str) -> LogReadError {
    LogReadError::Damaged {
        name: map.name_any(),
        why: why.to_owned(),
    }
}

fn content(map: &ConfigMap) -> Result<String, LogReadError> {
    let damaged = |why: &str| damaged(map, why);
    let bytes = map
        .binary_data
        .as_ref()
        .and_then(|d| d.get(LOG_KEY))
        .ok_or_else(|| damaged("the key with the log is missing"))?;
    let mut text = String::new();
    MultiGzDecoder::new(bytes.0.as_slice())
        .read_to_string(&mut text)
        .map_err(|e| damaged(&format!("it does not unpack: {e}")))?;
    let wanted = map.annotations().get(SHA256).map(String::as_str);
    if wanted != Some(hex(&Sha256::digest(&text)).as_str()) {
        return Err(damaged("its SHA-256 differs from the recorded one"));
    }
    Ok(text)
}

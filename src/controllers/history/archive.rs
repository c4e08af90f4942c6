//! The archive of an environment: ConfigMap `<environment>-history`, one JSON line per run that was removed.
//!
//! It has no owner: it outlives the runs, and the environment too, so that a year stays readable after an environment
//! was replaced; a new environment of the same name goes on with it and with its numbers.

use super::line::ArchivedRun;
use super::pack::{self, UnpackError};
use crate::api::ENVIRONMENT_LABEL;
use crate::controllers::answer::store_error;
use crate::controllers::run::store::{call, writes_as_us};
use crate::engine::ports::StoreError;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, ResourceExt};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Label that tells the archive from a ConfigMap that somebody else gave this name.
pub const ARCHIVE_LABEL: &str = "ibmiclone.dev/archive";
/// Key of the gzip members in `binaryData`.
pub const ARCHIVE_KEY: &str = "history.jsonl.gz";
const LINES: &str = "ibmiclone.dev/archive-lines";
const DROPPED: &str = "ibmiclone.dev/archive-dropped";
const LAST_NUMBER: &str = "ibmiclone.dev/archive-last-number";
/// Longest wait for one answer: a whole archive is sent.
const CALL: Duration = Duration::from_secs(15);
/// Tries while somebody else writes too.
const TRIES: usize = 10;

/// Why rows were not archived; then no run is deleted.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The API server does not take it: a quota, an admission rule, a missing right.
    #[error(
        "the API server refuses ConfigMap {name}: {why}; give the namespace room for it (quota of configmaps) or the operator the right"
    )]
    Refused {
        /// Name of the ConfigMap.
        name: String,
        /// Its words.
        why: String,
    },
    /// Somebody else's ConfigMap has the name.
    #[error(
        "ConfigMap {0} is not the archive, it lacks the label {ARCHIVE_LABEL}: rename it, the name is needed"
    )]
    Foreign(String),
    /// The content was changed by hand.
    #[error(
        "ConfigMap {name} cannot be read ({source}): copy it and delete it, a new archive is begun"
    )]
    Unreadable {
        /// Name of the ConfigMap.
        name: String,
        /// What is wrong with it.
        #[source]
        source: UnpackError,
    },
    /// The API server could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ArchiveError {
    /// One word of a fixed list, for condition and event.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "ArchiveRefused",
            Self::Foreign(_) => "ArchiveNameTaken",
            Self::Unreadable { .. } => "ArchiveUnreadable",
            Self::Store(_) => "NoAnswer",
        }
    }
}

/// `<environment>-history`.
pub fn archive_name(environment: &str) -> String {
    format!("{environment}-history")
}

/// Adds rows at the end of the archive. A run that is there already (a crash before its object was deleted) is not
/// added again; a write that comes between is read and respected.
///
/// # Errors
/// The rows are not in the archive, or not for certain: nothing may be deleted.
pub async fn add(
    client: &Client,
    namespace: &str,
    environment: &str,
    rows: &[ArchivedRun],
) -> Result<(), ArchiveError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let name = archive_name(environment);
    for _ in 0..TRIES {
        let found = call(maps.get_opt(&name)).await?;
        let Some(map) = next(found.as_ref(), environment, rows)? else {
            return Ok(());
        };
        let parameters = writes_as_us();
        let request = async {
            match &found {
                Some(_) => maps.replace(&name, &parameters, &map).await,
                None => maps.create(&parameters, &map).await,
            }
        };
        match tokio::time::timeout(CALL, request).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(kube::Error::Api(status)))
                if status.is_conflict() || status.is_already_exists() || status.is_not_found() => {}
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 400..=428 | 430..=499) => {
                let why = status.message.clone();
                return Err(ArchiveError::Refused { name, why });
            }
            Ok(Err(error)) => return Err(store_error(error).into()),
            Err(_) => return Err(lost("the API server did not answer")),
        }
    }
    Err(lost("the archive changes all the time"))
}

fn lost(text: &str) -> ArchiveError {
    ArchiveError::Store(StoreError::Lost(text.to_owned()))
}

/// The archive with the rows that it lacks, on the version that was read; `None` = it has them all.
fn next(
    found: Option<&ConfigMap>,
    environment: &str,
    rows: &[ArchivedRun],
) -> Result<Option<ConfigMap>, ArchiveError> {
    let name = archive_name(environment);
    let unreadable = |source| ArchiveError::Unreadable {
        name: name.clone(),
        source,
    };
    let bytes = found.map(bytes).transpose()?.unwrap_or_default();
    let known = parsed(&pack::unpack(bytes).map_err(unreadable)?);
    let key = |row: &ArchivedRun| (row.uid.clone(), row.name.clone());
    let known: HashSet<(String, String)> = known.iter().map(key).collect();
    let missing = rows.iter().filter(|row| !known.contains(&key(row)));
    let added: Vec<String> = missing.map(ArchivedRun::text).collect();
    if added.is_empty() {
        return Ok(None);
    }
    let archive = pack::append(bytes, &added, pack::LIMIT).map_err(unreadable)?;
    let mut map = found.cloned().unwrap_or_else(|| new(environment));
    map.metadata.managed_fields = None;
    let number = |key| number(&map, key);
    let highest = rows.iter().filter_map(|row| row.number).max();
    let highest = number(LAST_NUMBER).max(highest.unwrap_or_default());
    let dropped = number(DROPPED) + i64::try_from(archive.dropped).unwrap_or_default();
    let notes = [
        (LINES, archive.lines.to_string()),
        (DROPPED, dropped.to_string()),
        (LAST_NUMBER, highest.to_string()),
    ];
    let notes = notes.map(|(key, value)| (key.to_owned(), value));
    map.annotations_mut().extend(notes);
    let labels = new(environment).metadata.labels;
    map.labels_mut().extend(labels.unwrap_or_default());
    let data = map.binary_data.get_or_insert_with(BTreeMap::new);
    data.insert(ARCHIVE_KEY.to_owned(), ByteString(archive.bytes));
    Ok(Some(map))
}

fn bytes(map: &ConfigMap) -> Result<&[u8], ArchiveError> {
    if !map.labels().contains_key(ARCHIVE_LABEL) {
        return Err(ArchiveError::Foreign(map.name_any()));
    }
    let data = map.binary_data.as_ref().and_then(|d| d.get(ARCHIVE_KEY));
    Ok(data.map_or(&[], |d| d.0.as_slice()))
}

fn number(map: &ConfigMap, key: &str) -> i64 {
    let text = map.annotations().get(key);
    text.and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// A line that this version cannot read stays in the archive and is not shown.
fn parsed(lines: &[String]) -> Vec<ArchivedRun> {
    let rows = lines.iter().map(|line| serde_json::from_str(line));
    rows.filter_map(Result::ok).collect()
}

/// The rows of an archive, oldest first; none where there is no archive.
///
/// # Errors
/// The API does not answer or says no, or the ConfigMap is not one we wrote.
pub async fn read(
    client: &Client,
    namespace: &str,
    environment: &str,
) -> Result<Vec<ArchivedRun>, ArchiveReadError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let name = archive_name(environment);
    let Some(map) = maps.get_opt(&name).await? else {
        return Ok(Vec::new());
    };
    // A ConfigMap that only has the name is somebody else's.
    let Ok(bytes) = bytes(&map) else {
        return Ok(Vec::new());
    };
    let lines =
        pack::unpack(bytes).map_err(|source| ArchiveReadError::Unreadable { name, source })?;
    Ok(parsed(&lines))
}

/// Why an archive could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveReadError {
    /// The content was changed by hand.
    #[error("ConfigMap {name} cannot be read: {source}")]
    Unreadable {
        /// Name of the ConfigMap.
        name: String,
        /// What is wrong with it.
        #[source]
        source: UnpackError,
    },
    /// The API does not answer or says no.
    #[error(transparent)]
    Kube(#[from] kube::Error),
}

/// The highest number that an archive knows.
pub fn last_number_of(map: &ConfigMap) -> i64 {
    number(map, LAST_NUMBER)
}

/// The archive of an environment, one without rows where there is none, that knows at least this number: for an export, where the
/// objects that have the numbers come after it.
pub fn with_number(found: Option<ConfigMap>, environment: &str, number: i64) -> ConfigMap {
    let mut map = found.unwrap_or_else(|| new(environment));
    let number = last_number_of(&map).max(number).to_string();
    map.annotations_mut().insert(LAST_NUMBER.to_owned(), number);
    map
}

fn new(environment: &str) -> ConfigMap {
    let labels = [(ARCHIVE_LABEL, "history"), (ENVIRONMENT_LABEL, environment)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(archive_name(environment)),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

/// Highest number of a run in the archive, 0 without one: an environment that was restored or made anew goes on from there.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn last_number(
    client: &Client,
    namespace: &str,
    environment: &str,
) -> Result<i64, StoreError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = call(maps.get_metadata_opt(&archive_name(environment))).await?;
    let ours = found.filter(|m| m.labels().contains_key(ARCHIVE_LABEL));
    let text = ours.and_then(|m| m.annotations().get(LAST_NUMBER).cloned());
    Ok(text.and_then(|n| n.parse().ok()).unwrap_or_default())
}

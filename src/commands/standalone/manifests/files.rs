//! The files of a directory and the objects in them.

use crate::commands::documents;
use chrono::{DateTime, Utc};
use kube::ResourceExt;
use kube::api::DynamicObject;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Larger files are no manifests.
const LARGEST: u64 = 3 * 1024 * 1024;

/// One file: its objects, or why it has none.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Below the directory, with `/`.
    pub name: String,
    /// In the order of the file.
    pub objects: Result<Vec<DynamicObject>, String>,
}

/// What tells whether anything has changed, without reading every file each time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp(BTreeMap<PathBuf, (u64, Option<DateTime<Utc>>)>);

/// Size and time of every manifest below the directory. Follows links: mounted ConfigMaps are links.
///
/// # Errors
/// A directory that cannot be read: then nothing is known, and nothing may be pruned.
pub fn stamp(directory: &Path) -> io::Result<Stamp> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let hidden = path
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            let metadata = std::fs::metadata(&path)?;
            if metadata.is_dir() {
                left.push(path);
            } else if is_manifest(&path) {
                let changed = metadata.modified().ok().map(DateTime::from);
                found.insert(path, (metadata.len(), changed));
            }
        }
    }
    Ok(Stamp(found))
}

impl Stamp {
    /// How many manifests there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads them. A file that cannot be read or parsed has its reason instead of objects.
    pub fn read(&self, directory: &Path, namespace: &str) -> Vec<Manifest> {
        let manifests = self.0.iter().map(|(path, (size, _))| {
            let name = path.strip_prefix(directory).unwrap_or(path);
            let objects = match size {
                0..=LARGEST => std::fs::read_to_string(path)
                    .map_err(|e| e.to_string())
                    .and_then(|text| parse(&text, namespace)),
                _ => Err(format!("{size} bytes are too many for a manifest")),
            };
            Manifest {
                name: name.to_string_lossy().into_owned(),
                objects,
            }
        });
        manifests.collect()
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
}

/// Read as kubectl reads it (`y` is true, `010` is eight). Every object needs kind, version and name: what has none cannot be applied, and a file is taken whole or not at all.
fn parse(text: &str, namespace: &str) -> Result<Vec<DynamicObject>, String> {
    let mut objects = Vec::new();
    for document in documents::split(text) {
        let (line, value) = (document.line, document.value?);
        if value.is_null() {
            continue;
        }
        let mut object: DynamicObject = serde_json::from_value(value)
            .map_err(|e| format!("line {line}: the object is not one: {e}"))?;
        let Some(types) = object.types.as_ref() else {
            return Err(format!(
                "line {line}: the object has no apiVersion and kind"
            ));
        };
        if object.metadata.name.is_none() {
            return Err(format!(
                "line {line}: the {} has no metadata.name (generateName cannot be applied)",
                types.kind
            ));
        }
        if object.metadata.namespace.is_none() && types.kind != "Namespace" {
            object.metadata.namespace = Some(namespace.to_owned());
        }
        objects.push(object);
    }
    no_duplicates(&objects)?;
    Ok(objects)
}

fn no_duplicates(objects: &[DynamicObject]) -> Result<(), String> {
    let mut seen = std::collections::BTreeSet::new();
    for object in objects {
        let key = super::key_of(object);
        if !seen.insert(key.clone()) {
            return Err(format!("{key} is in it twice"));
        }
    }
    Ok(())
}

/// For messages: `CloneEnvironment ibmi/nightly`.
pub fn shown(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("", |t| t.kind.as_str());
    match object.namespace() {
        Some(namespace) => format!("{kind} {namespace}/{}", object.name_any()),
        None => format!("{kind} {}", object.name_any()),
    }
}

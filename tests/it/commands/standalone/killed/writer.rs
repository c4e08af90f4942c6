//! A client that writes to objects of its own, one write after the other, and notes what it was told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;

/// On everything that is written.
pub const LABEL: &str = "storm=true";
pub const KINDS: [Kind; 3] = [Kind::Map, Kind::Secret, Kind::Run];
/// Objects of a writer.
const NAMES: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ConfigMaps.
    Map,
    /// Sealed in the file.
    Secret,
    /// CloneRuns, whose status is replaced as the operator does.
    Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Added,
    Modified,
    Deleted,
}

/// A write.
#[derive(Debug, Clone)]
pub struct Said {
    pub name: String,
    verb: Verb,
    /// What was written; no two writes have the same.
    n: u64,
    /// What it was answered with; a deletion's answer has none.
    revision: Option<u64>,
}

pub struct Writer {
    pub kind: Kind,
    number: usize,
    /// The objects as they were answered.
    known: BTreeMap<String, DynamicObject>,
    pub said: Vec<Said>,
    /// Sent, and not answered.
    pub under_way: Option<Said>,
}

pub fn revision_of(version: &Option<String>) -> u64 {
    version.as_ref().unwrap().parse().unwrap()
}

impl Kind {
    pub fn api(self, client: Client) -> Api<DynamicObject> {
        let (group, version, kind) = match self {
            Self::Map => ("", "v1", "ConfigMap"),
            Self::Secret => ("", "v1", "Secret"),
            Self::Run => ("ibmiclone.dev", "v1alpha1", "CloneRun"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(client, "default", &resource)
    }

    fn object(self, name: &str, n: u64) -> DynamicObject {
        let mut object = json!({"metadata": {"name": name, "labels": {"storm": "true"}}});
        match self {
            Self::Map | Self::Secret => object["data"] = self.data(n)["data"].take(),
            Self::Run => {
                object["metadata"]["annotations"] = json!({"n": n.to_string()});
                object["spec"] = json!({"environment": "nowhere"});
            }
        }
        let kind = self.api_kind();
        (object["apiVersion"], object["kind"]) = (json!(kind.0), json!(kind.1));
        serde_json::from_value(object).unwrap()
    }

    fn api_kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Map => ("v1", "ConfigMap"),
            Self::Secret => ("v1", "Secret"),
            Self::Run => ("ibmiclone.dev/v1alpha1", "CloneRun"),
        }
    }

    /// What a change changes.
    fn data(self, n: u64) -> Value {
        let text = n.to_string();
        match self {
            Self::Map => json!({"data": {"n": text, "more": text.repeat(20)}}),
            Self::Secret => json!({"data": {"n": STANDARD.encode(text)}}),
            Self::Run => json!({"status": {"phase": "Pending", "message": text}}),
        }
    }

    fn n(self, object: &DynamicObject) -> u64 {
        let text = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_str);
        let text = match self {
            Self::Map => text("/data/n").unwrap().to_owned(),
            Self::Secret => {
                String::from_utf8(STANDARD.decode(text("/data/n").unwrap()).unwrap()).unwrap()
            }
            Self::Run => {
                let first = || object.annotations()["n"].as_str();
                text("/status/message").unwrap_or_else(first).to_owned()
            }
        };
        text.parse().unwrap()
    }
}

impl Said {
    /// Whether this is what an event tells of.
    pub fn is(&self, verb: Verb, object: &DynamicObject, kind: Kind) -> bool {
        let revision = revision_of(&object.metadata.resource_version);
        let same = match verb {
            // Its last state is not what the deletion wrote.
            Verb::Deleted => true,
            Verb::Added | Verb::Modified => kind.n(object) == self.n,
        };
        verb == self.verb && same && self.revision.is_none_or(|said| said == revision)
    }
}

impl Writer {
    pub fn new(kind: Kind, number: usize) -> Self {
        Self {
            kind,
            number,
            known: BTreeMap::new(),
            said: Vec::new(),
            under_way: None,
        }
    }

    fn prefix(&self) -> String {
        format!("writer-{}-", self.number)
    }

    pub fn owns(&self, name: &str) -> bool {
        name.starts_with(&self.prefix())
    }

    /// Writes until there is no server any more.
    pub async fn writes(
        mut self,
        client: Client,
        mut random: StdRng,
        answered: watch::Sender<usize>,
    ) -> Self {
        let api = self.kind.api(client);
        loop {
            let name = format!("{}{}", self.prefix(), random.random_range(0..NAMES));
            let verb = match self.known.contains_key(&name) {
                false => Verb::Added,
                true if random.random_bool(0.2) => Verb::Deleted,
                true => Verb::Modified,
            };
            let mut write = Said {
                name,
                verb,
                n: random.random(),
                revision: None,
            };
            self.under_way = Some(write.clone());
            match self.send(&api, &write, &mut random).await {
                Ok(Some(object)) => {
                    write.revision = Some(revision_of(&object.metadata.resource_version));
                    self.known.insert(write.name.clone(), object);
                }
                Ok(None) => drop(self.known.remove(&write.name)),
                Err(kube::Error::Api(refused)) => panic!("{write:?}: {refused:?}"),
                Err(_) => return self,
            }
            self.under_way = None;
            self.said.push(write);
            answered.send_modify(|count| *count += 1);
        }
    }

    /// The object as it is now; nothing when it is gone.
    async fn send(
        &self,
        api: &Api<DynamicObject>,
        write: &Said,
        random: &mut StdRng,
    ) -> Result<Option<DynamicObject>, kube::Error> {
        let (name, post) = (write.name.as_str(), PostParams::default());
        let Some(known) = self.known.get(name) else {
            let object = self.kind.object(name, write.n);
            return api.create(&post, &object).await.map(Some);
        };
        if write.verb == Verb::Deleted {
            let only_this = Preconditions {
                resource_version: known.resource_version(),
                uid: known.uid(),
            };
            let parameters = match random.random() {
                true => DeleteParams::default().preconditions(only_this),
                false => DeleteParams::default(),
            };
            return api.delete(name, &parameters).await.map(|_| None);
        }
        let change = self.kind.data(write.n);
        let mut object = known.clone();
        for (field, value) in change.as_object().unwrap() {
            object.data[field] = value.clone();
        }
        let changed = match self.kind {
            Kind::Run => api.replace_status(name, &post, &object).await,
            Kind::Map | Kind::Secret if random.random() => {
                let parameters = PatchParams::default();
                api.patch(name, &parameters, &Patch::Merge(&change)).await
            }
            Kind::Map | Kind::Secret => api.replace(name, &post, &object).await,
        };
        changed.map(Some)
    }

    /// What is there is word for word what was answered last; only a write without an answer may have been carried out after it.
    /// Says whether it was.
    pub fn compare(
        &mut self,
        found: BTreeMap<String, DynamicObject>,
        before: u64,
        now: u64,
    ) -> bool {
        for revision in self.said.iter().filter_map(|said| said.revision) {
            assert!(before < revision && revision <= now, "{revision} of {now}");
        }
        let asked = self.under_way.take();
        let mut carried_out = false;
        let names: BTreeSet<&String> = self.known.keys().chain(found.keys()).collect();
        for name in names {
            let (said, there) = (self.known.get(name), found.get(name));
            if said.map(contents) == there.map(contents) {
                continue;
            }
            let asked = asked.as_ref().filter(|asked| asked.name == *name);
            carried_out = asked.is_some_and(|asked| match (asked.verb, there) {
                (Verb::Deleted, there) => there.is_none(),
                (Verb::Added | Verb::Modified, there) => {
                    there.is_some_and(|object| self.kind.n(object) == asked.n)
                }
            });
            assert!(
                carried_out,
                "{name} was said to be {said:?}, then {asked:?} was sent; it is {there:?}"
            );
        }
        self.said.extend(asked.filter(|_| carried_out));
        self.known = found;
        carried_out
    }
}

/// Objects in a list do not repeat its kind.
fn contents(object: &DynamicObject) -> (&kube::api::ObjectMeta, &Value) {
    (&object.metadata, &object.data)
}

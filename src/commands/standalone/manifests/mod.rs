//! `--manifests DIR`: GitOps without a cluster. Every file of the directory is applied with server-side apply; what a file
//! had and has no more is deleted; a file that cannot be used is told by name and keeps what it had.

mod files;
mod plan;
#[cfg(test)]
mod tests;

use files::{Stamp, shown, stamp};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, ValidationDirective,
};
use kube::core::{GroupVersionKind, TypeMeta};
use kube::discovery::Discovery;
use kube::{Api, Client, ResourceExt};
use plan::{Applied, Plan, plan};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Field manager of what the files say.
const MANAGER: &str = "ibmi-clone-manifests";
/// Marks what may be pruned.
const LABEL: &str = "ibmiclone.dev/manifests";
/// So often everything is applied again: what was changed or deleted by hand comes back.
const HEAL: Duration = Duration::from_secs(300);
/// The file it came from.
const FILE: &str = "ibmiclone.dev/manifest";

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Like `ibmiclone.dev/v1alpha1`.
    api_version: String,
    kind: String,
    /// Empty = in no namespace.
    namespace: String,
    name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

fn key_of(object: &DynamicObject) -> Key {
    let types = object.types.clone().unwrap_or_default();
    Key {
        api_version: types.api_version,
        kind: types.kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// Follows a directory.
pub struct Manifests {
    client: Client,
    directory: PathBuf,
    namespace: String,
    seen: Option<(Stamp, Instant)>,
    told: BTreeSet<String>,
}

impl Manifests {
    /// `namespace` is that of objects that name none.
    pub fn new(client: Client, directory: PathBuf, namespace: String) -> Self {
        Self {
            client,
            directory,
            namespace,
            seen: None,
            told: BTreeSet::new(),
        }
    }

    /// Looks every so often, until told to stop.
    pub async fn follow(mut self, every: Duration, shutdown: CancellationToken) {
        loop {
            self.look().await;
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Applies and prunes when anything has changed since the last look that went through.
    async fn look(&mut self) {
        let found = match stamp(&self.directory) {
            Ok(found) => found,
            Err(error) => {
                let directory = self.directory.display();
                self.tell(BTreeSet::from([format!(
                    "{directory} cannot be read, nothing is applied and nothing pruned: {error}"
                )]));
                return;
            }
        };
        let healthy = |(stamp, at): &(Stamp, Instant)| *stamp == found && at.elapsed() < HEAL;
        if self.seen.as_ref().is_some_and(healthy) {
            return;
        }
        let manifests = found.read(&self.directory, &self.namespace);
        let mut problems = BTreeSet::new();
        if found.len() == 0 {
            let directory = self.directory.display();
            problems.insert(format!(
                "{directory} has no manifest: nothing is pruned, delete what is not wanted with kubectl"
            ));
        }
        match self.applied().await {
            Ok(applied) => {
                let outcome = self.carry_out(plan(manifests, &applied)).await;
                self.seen = (!outcome.again).then(|| (found, Instant::now()));
                problems.extend(outcome.problems);
            }
            Err(error) => {
                problems.insert(format!("what was applied before cannot be listed: {error}"));
            }
        }
        self.tell(problems);
    }

    /// Each problem is told once, and again when it came back.
    fn tell(&mut self, problems: BTreeSet<String>) {
        for problem in problems.difference(&self.told) {
            tracing::error!("manifests: {problem}");
        }
        if problems.is_empty() && !self.told.is_empty() {
            tracing::info!("manifests: all files are applied again");
        }
        self.told = problems;
    }

    /// Everything that carries the mark.
    async fn applied(&self) -> Result<Vec<Applied>, kube::Error> {
        let mut applied = Vec::new();
        let marked = ListParams::default().labels(LABEL);
        for resource in self.kinds().await? {
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            for mut object in api.list(&marked).await?.items {
                let Some(file) = object.annotations().get(FILE).cloned() else {
                    continue;
                };
                object.types = Some(TypeMeta {
                    api_version: resource.api_version.clone(),
                    kind: resource.kind.clone(),
                });
                let key = key_of(&object);
                applied.push(Applied { key, file });
            }
        }
        Ok(applied)
    }

    /// What can be listed and deleted.
    async fn kinds(&self) -> Result<Vec<ApiResource>, kube::Error> {
        let found = Discovery::new(self.client.clone()).run().await?;
        let kinds = found
            .groups()
            .flat_map(|group| group.recommended_resources());
        let able = kinds.filter(|(_, able)| {
            able.supports_operation("list") && able.supports_operation("delete")
        });
        Ok(able.map(|(resource, _)| resource).collect())
    }

    async fn carry_out(&self, plan: Plan) -> Outcome {
        let mut outcome = Outcome::default();
        for (file, why) in plan.refused {
            outcome
                .problems
                .insert(format!("{file} is left as it was: {why}"));
        }
        for (file, object) in plan.apply {
            if let Err(error) = self.apply(&file, &object).await {
                let what = shown(&object);
                outcome
                    .problems
                    .insert(format!("{file}: {what} was not applied: {error}"));
                outcome.again |= !is_refusal(&error);
            }
        }
        for key in plan.prune {
            match self.prune(&key).await {
                Ok(()) => tracing::info!("manifests: {key} is in no file any more, deleted"),
                Err(error) => {
                    outcome.problems.insert(format!(
                        "{key} is in no file any more and was not deleted: {error}"
                    ));
                    outcome.again = true;
                }
            }
        }
        outcome
    }

    async fn apply(&self, file: &str, object: &DynamicObject) -> Result<(), kube::Error> {
        let mut object = object.clone();
        object
            .labels_mut()
            .insert(LABEL.to_owned(), "true".to_owned());
        object
            .annotations_mut()
            .insert(FILE.to_owned(), file.to_owned());
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply(MANAGER).force()
        };
        let api = self.api(&key_of(&object));
        let name = object.name_any();
        api.patch(&name, &parameters, &Patch::Apply(&object))
            .await?;
        Ok(())
    }

    async fn prune(&self, key: &Key) -> Result<(), kube::Error> {
        match self
            .api(key)
            .delete(&key.name, &DeleteParams::background())
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn api(&self, key: &Key) -> Api<DynamicObject> {
        let (group, version) = key
            .api_version
            .split_once('/')
            .unwrap_or(("", &key.api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &key.kind));
        match key.namespace.as_str() {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }
}

/// What came of a plan.
#[derive(Debug, Default)]
struct Outcome {
    problems: BTreeSet<String>,
    again: bool,
}

/// The server has said no to what the file says; asking again changes nothing until the file changes. A namespace that is
/// missing or going may come.
fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 413 | 415 | 422))
}

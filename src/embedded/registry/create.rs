//! Creating: by a create, by a replace or an apply of what is not there.

use serde_json::Value;

use super::change::Tracking;
use super::request::{self, Target, WriteOptions, Written};
use super::served::Served;
use super::{Registry, decode, meta, refusals};
use crate::embedded::apply::{Manager, track};
use crate::embedded::refusal::Refusal;
use crate::embedded::store::StoreError;

/// So often another generated name is tried when one is taken.
const NAMES_TRIED: usize = 8;

impl Registry {
    /// Creates an object.
    ///
    /// # Errors
    /// 400 unreadable, unknown fields with [`super::Validation::Strict`], or another namespace; 403 the namespace ends; 404 there
    /// is none; 405 the kind is read-only; 409 the object is there; 422 it is invalid.
    pub async fn create(
        &self,
        target: &Target<'_>,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let served = self.writable(target)?;
        self.create_any(&served, target, body, options).await
    }

    pub(super) async fn create_any(
        &self,
        served: &Served,
        target: &Target<'_>,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        if target.status {
            return Err(refusals::method_not_allowed());
        }
        let mut warnings = Vec::new();
        let written = self
            .create_read(served, target, body, options, &mut warnings)
            .await;
        request::told(written, warnings)
    }

    async fn create_read(
        &self,
        served: &Served,
        target: &Target<'_>,
        body: Value,
        options: &WriteOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Written, Refusal> {
        let mut object = decode::body(self, served, body, options, warnings)?;
        decode::place(target, &mut object)?;
        self.insert(served, target, object, options, Tracking::Update)
            .await
    }

    /// Stores what is not there yet.
    pub(super) async fn insert(
        &self,
        served: &Served,
        target: &Target<'_>,
        object: Value,
        options: &WriteOptions,
        tracking: Tracking,
    ) -> Result<Written, Refusal> {
        let _gate = self.inner.gate.read().await;
        self.namespace_open(served, target, meta::text(&object, "name"))
            .await?;
        let base = meta::text(&object, "generateName").to_owned();
        let generated = meta::text(&object, "name").is_empty() && !base.is_empty();
        let tries = if generated { NAMES_TRIED } else { 1 };
        for left in (0..tries).rev() {
            let mut object = object.clone();
            if generated {
                meta::set(&mut object, "name", (self.inner.names)(&base).into());
            }
            match self
                .insert_named(served, target, object, options, tracking)
                .await
            {
                Err(refusal) if refusal.reason == "AlreadyExists" && left > 0 => {}
                done => return done,
            }
        }
        Err(refusals::already_exists(&served.kind, &base))
    }

    async fn insert_named(
        &self,
        served: &Served,
        target: &Target<'_>,
        mut object: Value,
        options: &WriteOptions,
        tracking: Tracking,
    ) -> Result<Written, Refusal> {
        let now = self.now();
        let based_on = meta::text(&object, "resourceVersion").to_owned();
        meta::begin(&mut object, meta::new_uid(), now);
        served.family.begin(&served.kind, &mut object);
        if tracking == Tracking::Update {
            let manager = Manager {
                name: &options.manager,
                subresource: None,
                api_version: &served.kind.api_version(),
                now,
            };
            track(&served.kind, None, &mut object, &manager)?;
        }
        let causes = served.structural.validate(&object, None);
        let name = meta::text(&object, "name").to_owned();
        if !causes.is_empty() {
            return Err(refusals::invalid(&served.of_object(&object), &name, causes));
        }
        if !based_on.is_empty() {
            return Err(refusals::internal(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let warnings = if served.kind.custom {
            meta::finalizer_warnings(&object)
        } else {
            Vec::new()
        };
        served.stored(&mut object);
        let key = served.key(target.namespace.unwrap_or_default(), &name);
        if options.dry_run {
            if self
                .inner
                .store
                .get(&key)
                .await
                .map_err(refusals::store)?
                .is_some()
            {
                return Err(refusals::already_exists(&served.kind, &name));
            }
            let mut object = served.present(object, 0);
            meta::remove(&mut object, "resourceVersion");
            return Ok(Written {
                object,
                created: true,
                warnings,
            });
        }
        match self.inner.store.create(key, object).await {
            Ok(stored) => Ok(Written {
                object: served.present(stored.object, stored.revision),
                created: true,
                warnings,
            }),
            Err(StoreError::Exists) => Err(refusals::already_exists(&served.kind, &name)),
            Err(other) => Err(refusals::store(other)),
        }
    }
}

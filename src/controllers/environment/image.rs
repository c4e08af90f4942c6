//! What is known of an environment's images between its runs: age, space, background copy. The figures are the array's, at
//! each look at the devices (hourly, and when a run ends); a row whose image is live shows them too.

use crate::api::environment::{ImageObserved, ImageSample};
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun, CloneRunStatus};
use crate::controllers::context::Context;
use crate::controllers::locks::lease;
use crate::controllers::run::store::call;
use crate::controllers::run::target_set::lease_of;
use crate::engine::journal::EntryState;
use crate::engine::ports::StoreError;
use crate::engine::time::Timestamp;
use crate::recipe::checks::SeenImage;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

/// Most samples of one image.
const SAMPLES: usize = 24;
/// Samples are at least this far apart, in the devices' time: a look at every change of the spec is no growth.
const APART: Duration = Duration::from_secs(30 * 60);

/// Whose image a look found on a target set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Live {
    run: String,
    taken_at: Option<Timestamp>,
}

/// The run whose image a target set shows: the owner that its lock names, as long as the array shows that run's copy. Its
/// row gets the new figures.
///
/// # Errors
/// When the API server cannot be asked.
pub(super) async fn note(
    context: &Context,
    environment: &CloneEnvironment,
    set: &str,
    seen: &SeenImage,
) -> Result<Option<Live>, StoreError> {
    let lease = lease_of(context, environment, set).await?;
    let Some(owner) = lease.as_ref().and_then(lease::image_owner) else {
        return Ok(None);
    };
    let runs = context.runs(&owner.namespace);
    let found = async {
        match runs.get_opt(&owner.run).await {
            Err(kube::Error::SerdeError(_)) => Ok(None),
            answer => answer,
        }
    };
    let run = call(found).await?;
    let run = run.filter(|r| r.uid().as_deref() == Some(owner.uid.as_str()));
    let Some((run, row)) = run.and_then(|r| Some((r.clone(), r.status?))) else {
        return Ok(None);
    };
    let Some(image) = row.image.as_ref().filter(|i| i.mark == seen.mark) else {
        return Ok(None);
    };
    let (used, copied) = (percent(seen.disk_used_percent), Some(seen.progress.into()));
    let news =
        row.disk_used_percent != used.or(row.disk_used_percent) || image.copied_percent != copied;
    // An open run tells for itself, at its end.
    if row.phase.is_final() && news {
        context.gate.wait().await;
        // On the version that was read: an image that ends in this moment must not come back.
        let patch = json!({
            "metadata": {"uid": run.uid(), "resourceVersion": run.resource_version()},
            "status": {
                "diskUsedPercent": used.or(row.disk_used_percent),
                "image": {"copiedPercent": copied},
            },
        });
        let parameters = PatchParams::default();
        let patch = Patch::Merge(&patch);
        if let Err(error) = call(runs.patch_status(&owner.run, &parameters, &patch)).await {
            tracing::debug!(run = owner.run, %error, "the row's figures are written at the next look");
        }
    }
    Ok(Some(Live {
        run: owner.run,
        taken_at: image.taken_at,
    }))
}

fn percent(value: Option<u8>) -> Option<i32> {
    value.map(i32::from)
}

/// What the look found on the newest target set. `state` is the array's word for it.
pub(super) fn observe(
    status: &mut CloneEnvironmentStatus,
    state: &str,
    progress: Option<u8>,
    seen: Option<(&SeenImage, Option<&Live>)>,
    apart: Duration,
    now: Timestamp,
) {
    let old = status.image.take();
    let mut image = ImageObserved {
        state: state.to_owned(),
        run: None,
        progress_percent: percent(progress),
        taken_at: None,
        disk_used_percent: None,
        growth: Vec::new(),
    };
    match seen {
        Some((seen, Some(live))) => {
            image.run = Some(live.run.clone());
            image.taken_at = live.taken_at;
            let same = old.filter(|o| o.taken_at == live.taken_at);
            image.disk_used_percent =
                percent(seen.disk_used_percent).or(same.as_ref().and_then(|o| o.disk_used_percent));
            image.growth = same.map(|o| o.growth).unwrap_or_default();
            sample(&mut image, apart, now);
        }
        // Nobody's that is known: what was known of another says nothing of it.
        Some((seen, None)) => image.disk_used_percent = percent(seen.disk_used_percent),
        // Not asked, or no image: what was known of one that is gone goes with it.
        None => {}
    }
    status.image = Some(image);
}

/// How far samples are apart on our clock.
pub(super) fn apart(context: &Context) -> Duration {
    context.pace().seconds(APART.as_secs())
}

fn sample(image: &mut ImageObserved, apart: Duration, now: Timestamp) {
    let apart = i64::try_from(apart.as_millis()).unwrap_or(i64::MAX);
    let new = ImageSample {
        at: now,
        disk_used_percent: image.disk_used_percent,
        progress_percent: image.progress_percent,
    };
    let list = &mut image.growth;
    match list.last() {
        Some(last) if now.since(last.at) < apart => return,
        Some(_) | None => list.push(new),
    }
    if list.len() > SAMPLES {
        // Every second one goes; the first and the last stay, so that the whole life is covered.
        let last = list.len() - 1;
        let mut at = 0..;
        list.retain(|_| at.next().is_some_and(|n| n % 2 == 0 || n == last));
    }
}

/// Point in time of the newest image and its space, as its run saw them at its end.
pub(super) fn record(
    status: &mut CloneEnvironmentStatus,
    run: &CloneRun,
    row: &CloneRunStatus,
    now: Timestamp,
) {
    let copied = row.steps.iter().find(|e| e.name == "start-copy");
    let Some(taken) = copied.filter(|e| e.state == EntryState::Done) else {
        return;
    };
    let mut image = ImageObserved {
        state: "copying".to_owned(),
        run: row.image.as_ref().map(|_| run.name_any()),
        progress_percent: None,
        taken_at: taken.end,
        disk_used_percent: row.disk_used_percent,
        growth: Vec::new(),
    };
    sample(&mut image, Duration::ZERO, now);
    status.image = Some(image);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::new(DateTime::from_timestamp(1_800_000_000 + minutes * 60, 0).unwrap())
    }

    fn look(status: &mut CloneEnvironmentStatus, used: u8, run: Option<&str>, minutes: i64) {
        let seen = SeenImage {
            mark: "m".to_owned(),
            progress: 7,
            disk_used_percent: Some(used),
        };
        let live = run.map(|run| Live {
            run: run.to_owned(),
            taken_at: Some(at(0)),
        });
        let found = Some((&seen, live.as_ref()));
        observe(status, "copying", Some(7), found, APART, at(minutes));
    }

    #[test]
    fn growth_keeps_the_first_and_the_last_look_of_a_long_life() {
        let mut status = CloneEnvironmentStatus::default();
        for hour in 0..300 {
            look(
                &mut status,
                u8::try_from(hour / 4).unwrap(),
                Some("r"),
                hour * 60,
            );
        }
        let image = status.image.unwrap();
        let growth = &image.growth;
        assert!((SAMPLES / 2..=SAMPLES).contains(&growth.len()));
        assert_eq!(growth.first().unwrap().at, at(0));
        assert_eq!(growth.last().unwrap().at, at(299 * 60));
        assert!(growth.is_sorted_by_key(|s| s.at));
        assert_eq!(image.disk_used_percent, Some(74));
    }

    #[test]
    fn looks_close_together_are_one_sample_and_another_image_begins_anew() {
        let mut status = CloneEnvironmentStatus::default();
        look(&mut status, 1, Some("r"), 0);
        look(&mut status, 2, Some("r"), 5);
        let image = status.image.clone().unwrap();
        assert_eq!((image.growth.len(), image.disk_used_percent), (1, Some(2)));
        look(&mut status, 9, None, 60);
        let image = status.image.unwrap();
        assert_eq!((image.run, image.taken_at), (None, None));
        assert!(image.growth.is_empty());
    }
}

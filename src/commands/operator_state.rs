//! Whether an operator is at work, from the Lease it renews (`controllers::leader`), for headings.

use super::cluster::Cluster;
use super::text::{clock, seconds_between};
use crate::api::{CloneEnvironment, CloneRun};
use crate::controllers::leader::OPERATOR_LABEL;
use crate::controllers::leader::candidate::holder;
use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

/// Clocks of two machines differ a little: a Lease is called dead only so many seconds after it ran out.
const DOUBT: i64 = 10;

/// Where the Lease is looked for.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LeaseFlags {
    /// Namespace of the operator's Leases, for the line that says whether an operator is at work; default all namespaces.
    #[arg(long, value_name = "NAME")]
    lease_namespace: Option<String>,
}

impl LeaseFlags {
    /// The Leases and how those of operators are chosen.
    pub fn leases(&self, cluster: &Cluster) -> (Api<Lease>, &'static str) {
        let api = match &self.lease_namespace {
            Some(name) => Api::namespaced(cluster.client.clone(), name),
            None => Api::all(cluster.client.clone()),
        };
        (api, OPERATOR_LABEL)
    }

    /// What is known now. Whoever may not read Leases is told so and loses nothing else.
    pub async fn look(&self, cluster: &Cluster) -> OperatorState {
        let (api, label) = self.leases(cluster);
        match api.list(&ListParams::default().labels(label)).await {
            Ok(list) => OperatorState::of(list.items.iter()),
            Err(error) => OperatorState::NotTold(refusal(&error)),
        }
    }
}

/// Why Leases could not be read, in a few words.
pub fn refusal(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            "you may not read the Leases of its namespace".to_owned()
        }
        kube::Error::Api(status) => status.message.clone(),
        other => super::error::chain(other),
    }
}

/// What the Leases say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OperatorState {
    /// Not looked yet.
    #[default]
    NotLooked,
    /// Leases cannot be read; why.
    NotTold(String),
    /// No operator has left a Lease.
    None,
    /// The newest Lease has no holder: its operator was stopped.
    Stopped {
        /// Last write.
        at: Option<DateTime<Utc>>,
    },
    /// Somebody holds the newest Lease.
    Held {
        /// Identity of the process.
        holder: String,
        /// When it took the Lease.
        since: Option<DateTime<Utc>>,
        /// Last renewal.
        renewed: Option<DateTime<Utc>>,
        /// For so many seconds from then on.
        seconds: i64,
    },
}

impl OperatorState {
    /// From the Leases of operators; the one written last counts.
    pub fn of<'a>(leases: impl Iterator<Item = &'a Lease>) -> Self {
        let newest = leases
            .filter_map(|lease| lease.spec.as_ref())
            .max_by_key(|spec| time(spec.renew_time.as_ref()));
        let Some(spec) = newest else {
            return Self::None;
        };
        let renewed = time(spec.renew_time.as_ref());
        match holder(spec) {
            "" => Self::Stopped { at: renewed },
            holder => Self::Held {
                holder: holder.to_owned(),
                since: time(spec.acquire_time.as_ref()),
                renewed,
                seconds: spec.lease_duration_seconds.unwrap_or_default().into(),
            },
        }
    }

    /// One line; `sign` = when an operator was last seen to have written something else.
    pub fn said(&self, sign: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
        let seen = match sign {
            Some(at) => format!("last write seen {} ago", clock(seconds_between(at, now))),
            None => "nothing written by one seen".to_owned(),
        };
        match self {
            Self::NotLooked => "not looked yet".to_owned(),
            Self::NotTold(why) => format!("not known: {why}; {seen}"),
            Self::None => format!("none has left a Lease; {seen}"),
            Self::Stopped { at } => format!("STOPPED {}: no run starts or goes on", stamp(*at)),
            Self::Held {
                holder,
                since,
                renewed,
                seconds,
            } => {
                let silent = renewed.map_or(0, |at| seconds_between(at, now));
                if silent > seconds + DOUBT {
                    let silent = clock(silent);
                    return format!("NO SIGN OF LIFE for {silent} of {holder}: no run goes on");
                }
                format!("active since {}, {holder}", stamp(*since))
            }
        }
    }

    /// Whether a person should look after the operator.
    pub fn alarming(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::NotLooked | Self::NotTold(_) | Self::None => false,
            Self::Stopped { .. } => true,
            Self::Held {
                renewed, seconds, ..
            } => renewed.is_some_and(|at| seconds_between(at, now) > seconds + DOUBT),
        }
    }
}

/// The last time an operator is known to have written something: a look at devices, a step.
pub fn last_sign<'a>(
    environments: impl Iterator<Item = &'a CloneEnvironment>,
    runs: impl Iterator<Item = &'a CloneRun>,
) -> Option<DateTime<Utc>> {
    let looks = environments.filter_map(|e| e.status.as_ref()?.observed_at);
    let steps = runs
        .filter_map(|run| run.status.as_ref())
        .filter_map(|status| {
            let steps = status.steps.iter();
            let last = steps.filter_map(|e| e.end.max(e.start)).max();
            last.max(status.finished_at)
        });
    looks.chain(steps).map(|at| at.utc()).max()
}

/// Key of a Lease among those of several namespaces.
pub fn key(lease: &Lease) -> String {
    format!(
        "{}/{}",
        lease.namespace().unwrap_or_default(),
        lease.name_any()
    )
}

fn time(at: Option<&MicroTime>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(at?.0.as_microsecond())
}

fn stamp(at: Option<DateTime<Utc>>) -> String {
    at.map_or("a time not known".to_owned(), |at| {
        at.format("%Y-%m-%d %H:%M:%SZ").to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lease(holder: &str, renewed: &str) -> Lease {
        let lease = json!({
            "metadata": {"name": "x"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "acquireTime": "2026-11-23T00:00:03.000000Z", "renewTime": renewed},
        });
        serde_json::from_value(lease).expect("is a Lease")
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("is RFC 3339")
    }

    #[test]
    fn the_lease_that_was_written_last_tells_who_is_at_work_since_when() {
        let old = lease("old", "2026-11-23T00:00:00.000000Z");
        let new = lease("operator-0", "2026-11-24T01:00:00.000000Z");
        let state = OperatorState::of([&old, &new].into_iter());
        let now = at("2026-11-24T01:00:05Z");
        assert_eq!(
            state.said(None, now),
            "active since 2026-11-23 00:00:03Z, operator-0"
        );
        assert!(!state.alarming(now));
        let later = at("2026-11-24T01:03:12Z");
        let said = state.said(None, later);
        assert!(
            said.starts_with("NO SIGN OF LIFE for 3:12 of operator-0"),
            "{said}"
        );
        assert!(state.alarming(later));
    }

    #[test]
    fn an_operator_that_was_stopped_and_one_that_may_not_be_seen_are_told_apart() {
        let now = at("2026-11-24T01:00:05Z");
        let given_up = lease("", "2026-11-24T01:00:00.000000Z");
        let stopped = OperatorState::of(std::iter::once(&given_up));
        assert!(
            stopped
                .said(None, now)
                .starts_with("STOPPED 2026-11-24 01:00:00Z")
        );
        assert_eq!(OperatorState::of(std::iter::empty()), OperatorState::None);
        let hidden = OperatorState::NotTold("no right".into());
        let sign = Some(at("2026-11-24T00:59:05Z"));
        assert_eq!(
            hidden.said(sign, now),
            "not known: no right; last write seen 1:00 ago"
        );
        assert!(!hidden.alarming(now));
    }
}

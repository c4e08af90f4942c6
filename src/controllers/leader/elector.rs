//! Takes, renews and gives up the Lease on the API server, for one term.

use super::{Candidate, Election, Look, OPERATOR_LABEL, Term, candidate};
use crate::controllers::run::store::writes_as_us;
use crate::engine::clock::SystemClock;
use crate::engine::ports::Clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After somebody wrote in between. Never at once: a namespace that is gone answers like a Lease that is.
const SOON: Duration = Duration::from_millis(50);

/// By which people and commands find the Lease.
fn label() -> [(String, String); 1] {
    [(OPERATOR_LABEL.to_owned(), "leader".to_owned())]
}

/// Elects this process, or not, for one term.
pub struct Elector {
    leases: Api<Lease>,
    election: Election,
    identity: String,
    candidate: Candidate,
    /// As the API server has it, as far as we know.
    known: Option<Lease>,
    /// What was said last, so that it is said once.
    said: String,
}

/// What one try led to.
enum Try {
    /// Ours until this boot time.
    Ours(Duration),
    /// Another's; look again after this long.
    Another(String, Duration),
    /// Somebody wrote in between: look again.
    Changed,
    /// Nobody knows.
    Unknown(String),
}

impl Elector {
    /// For a process that has not looked yet.
    pub fn new(leases: Api<Lease>, election: Election, identity: &str) -> Self {
        Self {
            candidate: Candidate::new(identity, &election),
            leases,
            election,
            identity: identity.to_owned(),
            known: None,
            said: String::new(),
        }
    }

    /// Stands until the Lease is ours, keeps it until `done`, then gives it up. On a lost Lease the term is ended at once;
    /// this returns when its loops are `done`.
    pub async fn stand(mut self, term: &Term, done: &CancellationToken) {
        if !self.win(term).await {
            return;
        }
        let lease = &self.election.lease;
        tracing::info!(lease, identity = self.identity, "this operator leads");
        self.keep(term, done).await;
        done.cancelled().await;
        if term.leads() {
            self.release().await;
        }
    }

    /// `false` = told to stop while standing by.
    async fn win(&mut self, term: &Term) -> bool {
        while !term.ending().is_cancelled() {
            let wait = match self.look().await {
                Try::Ours(until) => return term.extend(until),
                Try::Another(by, rest) => {
                    self.say(format!("standing by, the leader is {by}"));
                    rest.min(self.election.look_every())
                }
                Try::Changed => SOON,
                Try::Unknown(why) => {
                    self.say(format!("standing by, the Lease cannot be taken: {why}"));
                    self.election.look_every()
                }
            };
            tokio::select! {
                () = term.ending().cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        false
    }

    /// Renews until `done` or until the Lease is lost.
    async fn keep(&mut self, term: &Term, done: &CancellationToken) {
        let mut pause = self.election.renew_every;
        while term.leads() {
            tokio::select! {
                () = done.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            match self.renew().await {
                Try::Ours(until) => {
                    if !term.extend(until) {
                        break;
                    }
                    pause = self.election.renew_every;
                }
                Try::Another(by, _) => {
                    tracing::error!(
                        by,
                        "the leader's Lease was taken from this operator: nothing is started any more"
                    );
                    term.end();
                    return;
                }
                Try::Changed => pause = SOON,
                Try::Unknown(error) => {
                    tracing::warn!(error, "the leader's Lease could not be renewed");
                    pause = self.election.look_every();
                }
            }
        }
        tracing::error!(
            "the leader's Lease ran out, the API server did not take a renewal in time: nothing is started any more"
        );
        term.end();
    }

    /// Reads, then writes if it may.
    async fn look(&mut self) -> Try {
        if let Err(why) = self.read().await {
            return Try::Unknown(why);
        }
        let spec = self.known.as_ref().map(spec_of);
        match self.candidate.saw(spec.as_ref(), SystemClock.boot()) {
            Look::Take | Look::Ours => self.write().await,
            Look::Held { by, rest } => Try::Another(by, rest),
        }
    }

    /// Writes on what is known; looks first when that was out of date. Whoever stood in the Lease meanwhile has led, also
    /// when it would be free to take again.
    async fn renew(&mut self) -> Try {
        if self.known.is_none() {
            if let Err(why) = self.read().await {
                return Try::Unknown(why);
            }
            let other = self.known.as_ref().map(spec_of);
            if let Some(other) = other.filter(|s| candidate::holder(s) != self.identity) {
                return Try::Another(candidate::holder(&other).to_owned(), Duration::ZERO);
            }
        }
        self.write().await
    }

    async fn read(&mut self) -> Result<(), String> {
        self.known = self
            .in_time(self.leases.get_opt(&self.election.lease))
            .await?;
        Ok(())
    }

    async fn write(&mut self) -> Try {
        let spec = self.known.as_ref().and_then(|l| l.spec.as_ref());
        let spec = self.candidate.mine(spec, SystemClock.now());
        let sent = SystemClock.boot();
        match self.put(spec).await {
            Ok(true) => Try::Ours(sent + self.election.renew_deadline),
            Ok(false) => Try::Changed,
            Err(why) => Try::Unknown(why),
        }
    }

    /// A create, or a replace on condition of the version. After anything but success the Lease is read before it is
    /// written again: the write may have been taken all the same.
    async fn put(&mut self, spec: LeaseSpec) -> Result<bool, String> {
        let (parameters, name) = (writes_as_us(), self.election.lease.clone());
        let known = self.known.take();
        let answer = match known {
            Some(mut lease) => {
                lease.spec = Some(spec);
                lease.metadata.managed_fields = None;
                lease.labels_mut().extend(label());
                self.in_time(self.leases.replace(&name, &parameters, &lease))
                    .await
            }
            None => {
                let metadata = ObjectMeta {
                    name: Some(name),
                    labels: Some(label().into()),
                    ..ObjectMeta::default()
                };
                let lease = Lease {
                    metadata,
                    spec: Some(spec),
                };
                self.in_time(self.leases.create(&parameters, &lease)).await
            }
        };
        match answer {
            Ok(lease) => {
                self.known = Some(lease);
                Ok(true)
            }
            Err(why) if why == CHANGED => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// The next leader need not wait for the Lease to run out.
    async fn release(&mut self) {
        // Two tries: somebody may have put a label on it meanwhile.
        for _ in 0..2 {
            if self.known.is_none()
                && let Err(error) = self.read().await
            {
                tracing::warn!(error, "the leader's Lease is left to run out");
                return;
            }
            let spec = self.known.as_ref().map(spec_of);
            let Some(spec) = spec.filter(|s| candidate::holder(s) == self.identity) else {
                return;
            };
            let released = self.candidate.released(&spec, SystemClock.now());
            match self.put(released).await {
                Ok(true) => {
                    tracing::info!("the leader's Lease is given up");
                    return;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error, "the leader's Lease is left to run out");
                    return;
                }
            }
        }
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(self.election.call(), call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status)))
                if status.is_conflict() || status.is_already_exists() || status.is_not_found() =>
            {
                Err(CHANGED.to_owned())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the API server did not answer".to_owned()),
        }
    }

    fn say(&mut self, text: String) {
        if self.said != text {
            tracing::info!(lease = self.election.lease, "{text}");
            self.said = text;
        }
    }
}

fn spec_of(lease: &Lease) -> LeaseSpec {
    lease.spec.clone().unwrap_or_default()
}

/// Somebody created, changed or deleted the Lease between our read and our write.
const CHANGED: &str = "it was changed by another";

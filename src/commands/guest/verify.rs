//! The verdict on an installed kit: the table of `ibmi/CONTRACT.md` § 12, pure.

use super::observe::{Observed, observe};
use super::plan::pair_text;
use crate::recipe::operator_lock::Lock;
use crate::recipe::records::KIT_VERSION;
use crate::site::{DeviceError, IbmI, Identity, Session};

/// What the environment expects of its source.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// The console's pair of the source; `None` when no console shows it.
    pub console: Option<Identity>,
    /// The console's pair of the clone.
    pub clone: Option<Identity>,
    /// `clone.network: Shared`.
    pub shared_network: bool,
    /// `freeze.proof: Canary`.
    pub canary: bool,
    /// Id of this operator; `None` = the lock is only shown.
    pub operator: Option<String>,
    /// A run holds the source just now: its files are no leftovers.
    pub run_holds_source: bool,
}

/// How a row came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Must be mended before a run.
    Bad,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitFinding {
    /// Id of § 12.
    pub id: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found, and for anything but good what to do.
    pub text: String,
}

/// Looks at a source through a proved connection and judges it.
///
/// # Errors
/// A device that does not answer, or a probe that neither says yes nor no.
pub async fn verify(
    source: &dyn IbmI,
    session: &Session,
    expected: &Expectations,
) -> Result<Vec<KitFinding>, DeviceError> {
    Ok(judge(&observe(source, session).await?, expected))
}

/// The rows, in the order of the contract.
pub fn judge(observed: &Observed, expected: &Expectations) -> Vec<KitFinding> {
    let mut rows = Rows(Vec::new());
    if observed.check.is_none() {
        let why = &observed.check_said;
        rows.bad(
            "library",
            format!("kit not installed ({why}): run guest install"),
        );
        rows.lock(observed, expected);
        return rows.0;
    }
    rows.good("library", "CHECK runs");
    rows.installed(observed);
    rows.identities(observed, expected);
    rows.starts(observed, expected);
    rows.rights(observed, expected);
    rows.surroundings(observed, expected);
    rows.job_scheduler(observed);
    rows.lock(observed, expected);
    rows.0
}

struct Rows(Vec<KitFinding>);

impl Rows {
    fn add(&mut self, id: &'static str, verdict: Verdict, text: impl Into<String>) {
        self.0.push(KitFinding {
            id,
            verdict,
            text: text.into(),
        });
    }
    fn good(&mut self, id: &'static str, text: impl Into<String>) {
        self.add(id, Verdict::Good, text);
    }
    fn bad(&mut self, id: &'static str, text: impl Into<String>) {
        self.add(id, Verdict::Bad, text);
    }

    fn installed(&mut self, observed: &Observed) {
        let version = observed.checked("kit");
        if version == KIT_VERSION {
            self.good("version", version);
        } else {
            let text = format!("installed {version:?}, needed {KIT_VERSION}: run guest install");
            self.bad("version", text);
        }
        match observed.version_file.as_deref() {
            Some(KIT_VERSION) => self.good("version-file", KIT_VERSION),
            other => self.bad(
                "version-file",
                format!(
                    "half an install, /ibmiclone/version says {:?}: run guest install",
                    other.unwrap_or_default()
                ),
            ),
        }
    }

    fn identities(&mut self, observed: &Observed, expected: &Expectations) {
        let said = format!(
            "{}/{}",
            observed.checked("serial"),
            observed.checked("partition")
        );
        match &expected.console {
            Some(pair) if pair_text(pair) != said => self.bad(
                "identity",
                format!(
                    "this is not the source: it runs on {said}, the console shows {}",
                    pair_text(pair)
                ),
            ),
            Some(_) => self.good("identity", &said),
            None => self.add(
                "identity",
                Verdict::Note,
                format!("{said}; no console shows the source, so it is not compared"),
            ),
        }
        let listed: Vec<&str> = observed
            .checked("identities")
            .split(',')
            .map(str::trim)
            .collect();
        let pair = expected.console.as_ref().map_or(said, pair_text);
        let clone = expected.clone.as_ref().map(pair_text);
        if let Some(clone) = clone.filter(|c| listed.contains(&c.as_str())) {
            self.bad(
                "identities",
                format!(
                    "the clone's pair {clone} is listed as production: it would start as production; remove it from data area IBMICLONE/CLNIDS"
                ),
            );
        } else if listed.contains(&pair.as_str()) {
            self.good("identities", listed.join(", "));
        } else {
            self.bad(
                "identities",
                format!(
                    "IdentityChanged: production's pair {pair} is not listed, the guard would start nothing at the next IPL: CALL IBMICLONE/ISPROD"
                ),
            );
        }
    }

    fn starts(&mut self, observed: &Observed, expected: &Expectations) {
        match observed.checked("startup") {
            "QGPL/CLNSTRUP" => self.good("guard", "QGPL/CLNSTRUP"),
            other => self.bad(
                "guard",
                format!("QSTRUPPGM is {other}, not the guard: run guest install --yes"),
            ),
        }
        match observed.checked("original") {
            "" | "QGPL/CLNSTRUP" => self.bad(
                "original",
                "original start-up program unknown: put it into data area QGPL/CLNORIG (program and library, 10 characters each)",
            ),
            other => self.good("original", other),
        }
        match observed.checked("strtcp") {
            "No" => self.good("strtcp", "No"),
            other if !expected.shared_network => {
                self.good("strtcp", format!("{other}, clone.network is Isolated"));
            }
            other => self.bad(
                "strtcp",
                format!(
                    "IPL attribute STRTCP is {other}: TCP would start before the guard, with production's addresses: CHGIPLA STRTCP(*NO), and let the start-up program start TCP"
                ),
            ),
        }
        match observed.checked("missing") {
            "" => self.good("objects", "all there"),
            other => self.bad("objects", format!("missing: {other}: run guest install")),
        }
    }

    fn rights(&mut self, observed: &Observed, expected: &Expectations) {
        match (observed.checked("canary"), expected.canary) {
            ("Yes", _) => self.good("canary", "journaled"),
            (_, true) => self.bad(
                "canary",
                "table not journaled: freeze.proof must be Assumed, or run guest install",
            ),
            (_, false) => self.add(
                "canary",
                Verdict::Note,
                "table not journaled: only freeze.proof: Assumed works",
            ),
        }
        match observed.checked("qpmlpmgt") {
            "Yes" => self.good("partition-authority", "Yes"),
            _ => self.bad("partition-authority", "grant *USE on QSYS/QPMLPMGT"),
        }
        match observed.checked("jobctl") {
            "Yes" => self.good("job-control", "Yes"),
            _ => self.bad("job-control", "give the profile *JOBCTL"),
        }
    }

    fn surroundings(&mut self, observed: &Observed, expected: &Expectations) {
        match observed.checked("sshd") {
            "Yes" => self.good("sshd", "starts by itself"),
            "No" => self.bad(
                "sshd",
                "autostart of sshd is off: CHGTCPSVR SVRSPCVAL(*SSHD) AUTOSTART(*YES)",
            ),
            _ => self.add("sshd", Verdict::Note, "autostart of sshd is not known"),
        }
        let away = (observed.clock - observed.ours).num_seconds();
        if away.abs() <= 300 {
            self.good("clock", format!("{away} s from ours"));
        } else {
            let text = format!("{away} s from ours; times of its logs are shifted by that");
            self.add("clock", Verdict::Note, text);
        }
        match observed.checked("leftovers") {
            "" => self.good("leftovers", "none"),
            other if expected.run_holds_source => {
                self.good("leftovers", format!("{other}, of the run under way"));
            }
            other => self.bad(
                "leftovers",
                format!("{other} of an ended run: remove it from /ibmiclone"),
            ),
        }
    }

    fn job_scheduler(&mut self, observed: &Observed) {
        match observed.checked("js1") {
            "Yes" => self.add(
                "job-scheduler",
                Verdict::Note,
                "the Advanced Job Scheduler is installed: its monitor must not start by itself, or it starts on the clone before the guard: CHGDLJS DTALIB(...) AUTOSTART(*NO), and STRJS in the start-up program",
            ),
            "No" => self.good("job-scheduler", "not installed"),
            _ => {}
        }
    }

    fn lock(&mut self, observed: &Observed, expected: &Expectations) {
        match (&observed.lock, &expected.operator) {
            (Lock::Free, _) => self.good("lock", "free"),
            (Lock::Held(id), Some(ours)) if id == ours => self.good("lock", "ours"),
            (Lock::Held(id), None) => {
                self.add("lock", Verdict::Note, format!("held by operator {id}"));
            }
            (Lock::Held(id), Some(ours)) => self.bad(
                "lock",
                format!(
                    "another operator owns this source: {id}, this is {ours}; if it is gone: guest install --take-over"
                ),
            ),
            (Lock::Unreadable, _) => self.bad(
                "lock",
                "the operator's lock cannot be read, which counts as another operator's: guest install --take-over",
            ),
        }
    }
}

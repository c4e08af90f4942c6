//! The guest kit on the source: the essentials of `guest verify` (`ibmi/CONTRACT.md` § 12), pure.

use super::{Finding, GUEST_KIT, Level};
use crate::api::clone_side::Network;
use crate::api::options::Proof;
use crate::recipe::operator_lock::Lock;
use crate::recipe::plan::{Plan, identity_text};
use crate::recipe::records::{KIT_VERSION, Record};
use crate::site::Identity;
use chrono::{DateTime, Utc};

/// What was read of the kit.
pub(super) struct KitLook {
    /// The `check` record; `None` = the program did not run.
    pub(super) record: Option<Record>,
    /// `/ibmiclone/version`.
    pub(super) version_file: Option<Vec<u8>>,
    /// `/ibmiclone/operator.lock`.
    pub(super) operator_lock: Option<Vec<u8>>,
    /// Who answered.
    pub(super) identity: Identity,
    /// The console's pair of the source.
    pub(super) console: Option<Identity>,
    /// The console's pair of the clone.
    pub(super) clone: Option<Identity>,
    /// The source's clock.
    pub(super) now: DateTime<Utc>,
    /// Ours, at the same moment.
    pub(super) ours: DateTime<Utc>,
}

const INSTALL: &str = "run ibmi-clone guest install";

pub(super) fn judge(look: &KitLook, plan: &Plan) -> Vec<Finding> {
    let label = plan.source_label();
    let mut found = Vec::new();
    let mut bad = |reason: &'static str, text: String| {
        found.push(
            Finding::fatal(reason, format!("guest kit on source {label}: {text}")).about(GUEST_KIT),
        );
    };
    match &look.record {
        None => bad(
            "KitNotInstalled",
            format!(
                "not installed, or its program CHECK failed: {INSTALL} {}",
                plan.environment
            ),
        ),
        Some(record) => {
            installed(record, look, plan, &mut bad);
            identities(record, look, &mut bad);
            authorities(record, plan, &mut bad);
        }
    }
    operator(look, plan, &mut bad);
    if let Some(record) = &look.record {
        found.extend(remarks(record, look, &label));
    }
    found
}

fn installed(
    record: &Record,
    look: &KitLook,
    plan: &Plan,
    bad: &mut impl FnMut(&'static str, String),
) {
    let version = record.text("kit");
    if version != KIT_VERSION {
        bad(
            "KitVersion",
            format!(
                "installed {version:?}, needed {KIT_VERSION}: {INSTALL} {}",
                plan.environment
            ),
        );
    } else if look.version_file.as_deref().map(<[u8]>::trim_ascii) != Some(KIT_VERSION.as_bytes()) {
        bad(
            "KitVersion",
            format!(
                "only half installed, /ibmiclone/version is not {KIT_VERSION}: {INSTALL} {}",
                plan.environment
            ),
        );
    }
    if !record.text("missing").is_empty() {
        bad(
            "KitIncomplete",
            format!(
                "objects missing: {}; {INSTALL} {}",
                record.text("missing"),
                plan.environment
            ),
        );
    }
    if record.text("startup") != "QGPL/CLNSTRUP" {
        bad(
            "GuardNotActive",
            format!(
                "QSTRUPPGM is {}, not the guard: a fresh copy would start as production; {INSTALL} {} --yes",
                record.text("startup"),
                plan.environment
            ),
        );
    }
    if matches!(record.text("original"), "" | "QGPL/CLNSTRUP") {
        bad("OriginalStartupUnknown", "the original start-up program is not known, so production would start with QSYS/QSTRUP: put it into data area QGPL/CLNORIG".to_owned());
    }
    let shared = match plan.network {
        Network::Shared => true,
        Network::Isolated => false,
    };
    if shared && record.text("strtcp") != "No" {
        bad(
            "TcpStartsAlone",
            format!(
                "IPL attribute STRTCP is {}: the clone would take production's addresses before the guard runs; CHGIPLA STRTCP(*NO) and let the start-up program start TCP, or set clone.network: Isolated",
                record.text("strtcp")
            ),
        );
    }
}

fn identities(record: &Record, look: &KitLook, bad: &mut impl FnMut(&'static str, String)) {
    let listed: Vec<&str> = record
        .text("identities")
        .split(',')
        .map(str::trim)
        .collect();
    let pair = look.console.as_ref().unwrap_or(&look.identity);
    let said = format!("{}/{}", record.text("serial"), record.text("partition"));
    if said != identity_text(&look.identity) {
        bad(
            "IdentityUnexpected",
            format!(
                "it runs on {said}, but {} answers: this is not the source",
                look.identity
            ),
        );
    }
    if !listed.contains(&identity_text(pair).as_str()) {
        bad(
            "IdentityChanged",
            format!(
                "production's pair {} is not in its list, the guard would start nothing at the next IPL: CALL IBMICLONE/ISPROD on the source",
                identity_text(pair)
            ),
        );
    }
    if let Some(clone) = look
        .clone
        .as_ref()
        .filter(|c| listed.contains(&identity_text(c).as_str()))
    {
        bad(
            "CloneListedAsProduction",
            format!(
                "the clone's pair {} is in its list of production's: the clone would start as production; remove it from data area IBMICLONE/CLNIDS",
                identity_text(clone)
            ),
        );
    }
}

fn authorities(record: &Record, plan: &Plan, bad: &mut impl FnMut(&'static str, String)) {
    if record.text("qpmlpmgt") == "No" {
        bad(
            "AuthorityMissing",
            "the profile cannot read the partition's identity: grant *USE on QSYS/QPMLPMGT"
                .to_owned(),
        );
    }
    if record.text("jobctl") == "No" {
        bad(
            "AuthorityMissing",
            "the profile has no *JOBCTL, which CHGASPACT needs: give it that special authority"
                .to_owned(),
        );
    }
    if record.text("canary") == "No" && plan.freeze.proof == Proof::Canary {
        bad(
            "CanaryNotJournaled",
            "its table is not journaled, so only freeze.proof: Assumed works".to_owned(),
        );
    }
    if record.text("sshd") == "No" && plan.starts_clone() {
        bad(
            "SshdNotStarted",
            "autostart of sshd is off: CHGTCPSVR SVRSPCVAL(*SSHD) AUTOSTART(*YES)".to_owned(),
        );
    }
}

fn operator(look: &KitLook, plan: &Plan, bad: &mut impl FnMut(&'static str, String)) {
    let lock = Lock::read(look.operator_lock.as_deref());
    if let Some(owner) = lock.other_than(&plan.operator_id) {
        bad(
            "OtherOperator",
            format!(
                "it is used by operator {owner}, this is {}: two operators must not use one source; if the other one is gone, {INSTALL} {} --take-over",
                plan.operator_id, plan.environment
            ),
        );
    }
}

fn remarks(record: &Record, look: &KitLook, label: &str) -> Vec<Finding> {
    let mut notes = Vec::new();
    let mut note = |reason: &'static str, text: String| {
        notes.push(Finding::new(
            Level::Note,
            reason,
            format!("guest kit on source {label}: {text}"),
        ));
    };
    if record.text("sshd") == "Unknown" {
        note(
            "SshdUnknown",
            "whether sshd starts by itself is not known".to_owned(),
        );
    }
    if record.text("js1") == "Yes" {
        note(
            "JobScheduler",
            "the Advanced Job Scheduler is installed: its monitor must be started by the start-up program (STRJS), not by itself (CHGDLJS AUTOSTART(*NO)), or it starts on the clone before the guard".to_owned(),
        );
    }
    if !record.text("leftovers").is_empty() {
        note(
            "KitLeftovers",
            format!(
                "{} are there: of a run under way, or left by one that is over",
                record.text("leftovers")
            ),
        );
    }
    let skew = (look.now - look.ours).num_seconds().abs();
    if skew > 300 {
        note(
            "ClockDiffers",
            "its clock is more than 300 s away from the operator's".to_owned(),
        );
    }
    notes
}

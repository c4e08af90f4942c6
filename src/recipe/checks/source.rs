//! Production's IBM i: who answers, its addresses, its pending PTFs, the guest kit.

use super::{Depth, Finding, GUEST_KIT, Level, SiteReport, kit};
use crate::api::options::Function;
use crate::recipe::brms::{There, working_jobs};
use crate::recipe::plan::{Plan, identity_text};
use crate::recipe::queries::{self, INTERFACES, PENDING_PTFS, column};
use crate::recipe::records::{LOCK_PATH, Record, VERSION_PATH};
use crate::recipe::steps::gate;
use crate::recipe::steps::prepare_copy::force_write;
use crate::site::{
    ClCommand, CommandOutput, DeviceError, Identity, ProofError, Row, Session, Site,
};

/// What production's IBM i said; `Err` = the connection itself.
pub(super) struct Production {
    session: Result<Session, ProofError>,
    interfaces: Option<Result<Vec<Row>, DeviceError>>,
    ptfs: Option<Result<Vec<Row>, DeviceError>>,
    check: Option<Result<CommandOutput, DeviceError>>,
    version: Option<Result<Option<Vec<u8>>, DeviceError>>,
    lock: Option<Result<Option<Vec<u8>>, DeviceError>>,
    /// Whether production has a description of the tape device of SAVE21.
    tape: Option<Result<CommandOutput, DeviceError>>,
    brms: Option<Result<Vec<String>, DeviceError>>,
}

impl Production {
    pub(super) async fn read(site: &Site, plan: &Plan) -> Self {
        let session = connect(site, plan).await;
        let mut seen = Self {
            session,
            interfaces: None,
            ptfs: None,
            check: None,
            version: None,
            lock: None,
            tape: None,
            brms: None,
        };
        if let Ok(session) = &seen.session {
            let source = &site.source.0;
            let check = ClCommand::new("CALL PGM(IBMICLONE/CHECK)");
            seen.interfaces = Some(source.query(session, INTERFACES).await);
            seen.ptfs = Some(source.query(session, PENDING_PTFS).await);
            seen.check = Some(source.run(session, &check).await);
            seen.version = Some(source.get(session, VERSION_PATH).await);
            seen.lock = Some(source.get(session, LOCK_PATH).await);
            if let Some(save) = &plan.save21 {
                let look = format!("CHKOBJ OBJ(QSYS/{}) OBJTYPE(*DEVD)", save.device);
                seen.tape = Some(source.run(session, &ClCommand::new(look)).await);
            }
            if plan.function == Function::Brms {
                let system = source.as_ref();
                seen.brms = Some(working_jobs(There { system, session }).await);
            }
        }
        seen
    }
}

async fn connect(site: &Site, plan: &Plan) -> Result<Session, ProofError> {
    if plan.source_identities.is_empty() {
        // The first verify: whoever answers is compared with the console's pair before it is believed.
        return Ok(site.source.0.connect().await?);
    }
    let proof = site.source.prove(&plan.source_identities).await?;
    Ok(proof.session().clone())
}

pub(super) fn judge(
    seen: Production,
    console: Option<&Identity>,
    plan: &Plan,
    report: &mut SiteReport,
) {
    let session = match seen.session {
        Ok(session) => session,
        Err(ProofError::Device(error)) => {
            report.take::<()>(Err(error));
            return;
        }
        Err(other @ (ProofError::IsProduction { .. } | ProofError::Stranger { .. })) => {
            report.add(
                Finding::fatal(
                    "IdentityChanged",
                    format!("{other}: source.host leads to another system, or production has moved; correct the address, or add the pair to source.identities and CALL IBMICLONE/ISPROD there"),
                )
                .about(GUEST_KIT),
            );
            return;
        }
    };
    let identity = session.system.identity.clone();
    judge_learned(&identity, console, plan, report);
    report.facts.source_identity = Some(identity);
    judge_addresses(seen.interfaces, plan, report);
    judge_ptfs(seen.ptfs, plan, report);
    judge_tape(seen.tape, plan, report);
    judge_brms(seen.brms, &session, plan, report);
    judge_kit(
        seen.check,
        seen.version,
        seen.lock,
        console,
        plan,
        &session,
        report,
    );
}

/// A learned identity is only believed when console and system agree.
fn judge_learned(
    found: &Identity,
    console: Option<&Identity>,
    plan: &Plan,
    report: &mut SiteReport,
) {
    let label = plan.source_label();
    match console {
        Some(pair) if pair != found => report.add(Finding::fatal(
            "IdentityUnexpected",
            format!("source.host answers as {found}, but the console shows {label} as {pair}: one of source.host and source.partition is wrong"),
        )),
        // A console that did not answer is no console that does not know the source.
        None if plan.source_identities.is_empty() && !report.unanswered.is_empty() => {}
        None if plan.source_identities.is_empty() => report.add(Finding::fatal(
            "IdentityNotLearned",
            format!("the console does not show source {label}, so its identity cannot be learned: write source.identities: [ {{ serialNumber: {}, partitionId: {} }} ] if that is production", found.serial_number, found.partition_id),
        )),
        Some(_) if plan.source_identities.is_empty() && !plan.run.is_empty() => {
            report.add(Finding::fatal(
                "IdentityNotLearned",
                format!("the environment has not learned production's identity yet: wait until it is Ready, or write source.identities ({})", identity_text(found)),
            ));
        }
        Some(_) | None => {}
    }
}

fn judge_addresses(
    answer: Option<Result<Vec<Row>, DeviceError>>,
    plan: &Plan,
    report: &mut SiteReport,
) {
    let Some(rows) = answer.and_then(|a| report.take(a)) else {
        return;
    };
    let theirs = queries::addresses(&rows);
    for interface in &plan.personality.interfaces {
        if theirs.contains(&interface.address) {
            report.add(Finding::fatal(
                "AddressOfProduction",
                format!("clone.personality.interfaces: {} is an interface of source {}: two systems would have one address; give the clone another one", interface.address, plan.source_label()),
            ));
        }
    }
}

fn judge_ptfs(answer: Option<Result<Vec<Row>, DeviceError>>, plan: &Plan, report: &mut SiteReport) {
    let label = plan.source_label();
    match answer {
        // A release without these columns: the check is a courtesy, not a rule.
        Some(Err(DeviceError::Refused { code, .. })) => report.add(Finding::new(
            Level::Note,
            "PtfsUnknown",
            format!("source {label} does not say whether PTFs are pending ({code})"),
        )),
        Some(answer) => {
            let rows = report.take(answer).unwrap_or_default();
            let pending: i64 = rows
                .first()
                .and_then(|row| column(row, "PENDING").parse().ok())
                .unwrap_or(0);
            if pending > 0 && plan.starts_clone() {
                report.add(Finding::new(
                    Level::Warning,
                    "PtfsPending",
                    format!("{pending} PTFs of source {label} are applied or removed at the next IPL: the clone's IPLs do that, production's have not; the clone then differs"),
                ));
            }
        }
        None => {}
    }
}

/// The clone's devices are only seen when it is too late. Its descriptions are production's, copied with the disks; a
/// device without one gets a name of the clone's own choice (`ibmi.md` § 5.4).
fn judge_tape(
    answer: Option<Result<CommandOutput, DeviceError>>,
    plan: &Plan,
    report: &mut SiteReport,
) {
    let (Some(output), Some(save)) = (answer.and_then(|a| report.take(a)), &plan.save21) else {
        return;
    };
    let device = &save.device;
    if output.succeeded {
        report.add(Finding::new(
            Level::Note,
            "TapeDevice",
            format!("the full save goes to {device}, as its description on source {} is copied to the clone; whether the clone reaches that drive is only known when it saves", plan.source_label()),
        ));
        return;
    }
    report.add(Finding::new(
        Level::Warning,
        "TapeDeviceUnknown",
        format!("save21.device: create {device} on source {}, or correct the name: without a description there the clone makes one by itself at its IPL, if at all, under a name of its own", plan.source_label()),
    ));
}

/// BRMS of production must be at rest: what it does now would be cut off by its FlashCopy process, and be missing in the
/// history that comes back. Whether it is in such a process already is not to be read on any system (no page tells how);
/// BRMS itself refuses a second one, before anything is copied.
fn judge_brms(
    answer: Option<Result<Vec<String>, DeviceError>>,
    session: &Session,
    plan: &Plan,
    report: &mut SiteReport,
) {
    let label = plan.source_label();
    let name = &session.system.host_name;
    let own = plan
        .brms
        .as_ref()
        .is_some_and(|b| b.system_name == "Source");
    if own && answer.is_some() && !(1..=8).contains(&name.len()) {
        report.add(Finding::fatal(
            "BackupNameUnknown",
            format!("{name:?}, the name of source {label}, cannot be a BRMS system name (1 to 8 characters): write brms.systemName as production's BRMS is called"),
        ));
    }
    match answer {
        Some(Err(DeviceError::Refused { code, .. })) => report.add(Finding::new(
            Level::Note,
            "BackupsUnknown",
            format!("source {label} does not say whether BRMS works there now ({code})"),
        )),
        Some(answer) => {
            let jobs = report.take(answer).unwrap_or_default();
            // The environment's own verify comes at any time of the day.
            if !jobs.is_empty() && !plan.run.is_empty() {
                report.add(Finding::fatal(
                    "BackupsActive",
                    format!(
                        "BRMS works on source {label} now: {}; wait for it to end, then run again",
                        jobs.join(", ")
                    ),
                ));
            }
        }
        None => {}
    }
}

fn judge_kit(
    check: Option<Result<CommandOutput, DeviceError>>,
    version: Option<Result<Option<Vec<u8>>, DeviceError>>,
    lock: Option<Result<Option<Vec<u8>>, DeviceError>>,
    console: Option<&Identity>,
    plan: &Plan,
    session: &Session,
    report: &mut SiteReport,
) {
    let Some(output) = check.and_then(|a| report.take(a)) else {
        return;
    };
    let record = output
        .succeeded
        .then(|| Record::find(&output.text).ok())
        .flatten();
    let look = kit::KitLook {
        record,
        version_file: version.and_then(|a| report.take(a)).flatten(),
        operator_lock: lock.and_then(|a| report.take(a)).flatten(),
        identity: session.system.identity.clone(),
        console: console.cloned(),
        clone: report.facts.clone_identity.clone(),
        now: session.system.now,
        ours: chrono::Utc::now(),
    };
    report.facts.kit_version = look.record.as_ref().map(|r| r.text("kit").to_owned());
    for finding in kit::judge(&look, plan) {
        report.add(finding);
    }
}

/// The authority to suspend is proved by a force write, which changes nothing; without the source's lock another run may
/// be in its window, so it is only said that it was not tried.
pub(super) async fn authority(site: &Site, plan: &Plan, depth: Depth, report: &mut SiteReport) {
    match depth {
        Depth::Look => report.add(Finding::new(
            Level::Note,
            "AuthorityNotTried",
            "CHGASPACT was not tried: the source's lock is not held; prepare-copy does it",
        )),
        Depth::Full if report.facts.source_identity.is_none() => {}
        Depth::Full => {
            if let Err(stop) = force_all(site, plan).await {
                match stop {
                    gate::Stop::Device(error) => {
                        report.take::<()>(Err(error));
                    }
                    gate::Stop::Failure(f) => report.add(Finding::fatal(f.reason, f.message)),
                }
            }
        }
    }
}

async fn force_all(site: &Site, plan: &Plan) -> Result<(), gate::Stop> {
    let proof = gate::prove_source(site, plan).await?;
    for asp in site.freeze.asps().await? {
        force_write(site, &proof, &asp, plan).await?;
    }
    Ok(())
}

use super::super::checks::{Depth, GUEST_KIT, Level, SiteReport, VOLUME_DRIFT, inspect};
use super::super::fakes::*;
use crate::api::clone_side::Network;
use crate::api::devices::CopyKind;
use crate::recipe::Plan;
use crate::recipe::queries::{INTERFACES, PENDING_PTFS};
use crate::recipe::records::{LOCK_PATH, digest};
use crate::site::{Attachment, CopyPhase, PartitionUuid, Uid, Wwpn};

async fn look(world: &World, plan: &Plan) -> SiteReport {
    inspect(&world.site(), plan, Depth::Look).await
}

/// The only fatal finding.
fn only(report: &SiteReport) -> (&'static str, &str) {
    let fatal: Vec<_> = report.fatal().collect();
    assert_eq!(fatal.len(), 1, "{fatal:#?}");
    (fatal[0].reason, &fatal[0].message)
}

fn has(report: &SiteReport, level: Level, reason: &str) -> bool {
    report
        .findings
        .iter()
        .any(|f| f.level == level && f.reason == reason)
}

#[tokio::test]
async fn a_good_site_is_ready() {
    let world = world();
    for function in ["HOLD", "USER"] {
        let report = look(&world, &plan(function)).await;
        assert!(report.ready(), "{:#?}", report.findings);
        assert_eq!(report.facts.targets.len(), 2);
        assert!(report.facts.drift.is_empty());
    }
}

#[tokio::test]
async fn each_fault_of_a_map_is_refused_by_its_own_reason() {
    type Fault = fn(&mut crate::site::CopyPair);
    let faults: [(&str, Fault); 8] = [
        ("CopySuspended", |p| p.phase = CopyPhase::Suspended),
        ("MapDeletesItself", |p| p.auto_delete = true),
        ("MapOfRemoteCopy", |p| p.remote_controlled = true),
        ("CopyRateContradicts", |p| p.copy_rate = 50),
        ("SizesDiffer", |p| p.target.capacity_bytes = 999),
        ("TargetIsSource", |p| {
            p.target_is_source_of = vec!["night0".into()]
        }),
        ("SourceVolumeOffline", |p| {
            p.source.status = "offline".into()
        }),
        ("TargetIsProduction", |p| {
            p.target.uid = Uid::new("UID-CLONE1-IN-USE")
        }),
    ];
    for (reason, fault) in faults {
        let world = world();
        fault(&mut world.set().inventory.as_mut().expect("answers").pairs[0]);
        if reason == "TargetIsProduction" {
            world
                .set()
                .attachments
                .as_mut()
                .expect("answers")
                .push(Attachment::Volume {
                    vios: "VIOS1".into(),
                    uid: Some(Uid::new("UID-CLONE1-IN-USE")),
                    disk: "hdisk9".into(),
                });
        }
        let report = look(&world, &plan("USER")).await;
        let found = report.fatal().find(|f| f.reason == reason);
        let message = &found
            .unwrap_or_else(|| panic!("{reason}: {:#?}", report.findings))
            .message;
        assert!(message.contains("map0"), "{message}");
    }
}

#[tokio::test]
async fn sibling_maps_on_the_source_are_normal() {
    let world = world();
    world.set().dependants = vec!["night0".into()];
    assert!(look(&world, &plan("USER")).await.ready());
}

#[tokio::test]
async fn a_full_copy_needs_a_rate() {
    let world = world();
    let mut plan = plan("USER");
    plan.copy_kind = CopyKind::Full;
    let report = look(&world, &plan).await;
    assert!(report.fatal().all(|f| f.reason == "CopyRateContradicts"));
    assert!(!report.ready());
}

#[tokio::test]
async fn a_volume_forgotten_in_the_group_is_drift_unless_it_is_listed() {
    let world = world();
    world
        .set()
        .attachments
        .as_mut()
        .expect("answers")
        .push(Attachment::Volume {
            vios: "VIOS1".into(),
            uid: Some(Uid::new("uid-new")),
            disk: "hdisk7".into(),
        });
    let mut plan = plan("USER");
    let report = look(&world, &plan).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, VOLUME_DRIFT);
    assert!(
        text.contains("UID-NEW") && text.contains("allowPartial"),
        "{text}"
    );
    assert_eq!(report.facts.drift, ["UID-NEW"]);
    assert_eq!(
        report.fatal().next().expect("one").condition,
        Some(VOLUME_DRIFT)
    );
    plan.allow_partial.insert(Uid::new("uid-new"));
    assert!(look(&world, &plan).await.ready());
}

#[tokio::test]
async fn a_map_of_a_volume_production_does_not_use_is_drift() {
    let world = world();
    world.set().attachments.as_mut().expect("answers").pop();
    let report = look(&world, &plan("USER")).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, VOLUME_DRIFT);
    assert!(text.contains("UID-PROD1"), "{text}");
}

#[tokio::test]
async fn an_internal_disk_of_production_is_drift_and_cannot_be_listed() {
    let world = world();
    world
        .set()
        .attachments
        .as_mut()
        .expect("answers")
        .push(Attachment::Volume {
            vios: "VIOS1".into(),
            uid: None,
            disk: "hdisk0".into(),
        });
    let report = look(&world, &plan("USER")).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, VOLUME_DRIFT);
    assert!(text.contains("VIOS1/hdisk0"), "{text}");
}

#[tokio::test]
async fn volumes_of_an_npiv_source_come_from_the_array() {
    let world = world();
    world.set().attachments = Ok(vec![Attachment::Ports(vec![Wwpn::new(
        "C0:50:76:00:00:00:00:01",
    )])]);
    world.set().port_volumes = vec![pair(0).source, pair(1).source];
    assert!(look(&world, &plan("USER")).await.ready());
    world.set().port_volumes.push(pair(0).target);
    let report = look(&world, &plan("USER")).await;
    assert!(has(&report, Level::Fatal, "TargetIsProduction"));
}

#[tokio::test]
async fn one_volume_twice_in_the_group_is_refused() {
    let world = world();
    let mut twice = pair(2);
    twice.source = pair(0).source;
    world
        .set()
        .inventory
        .as_mut()
        .expect("answers")
        .pairs
        .push(twice);
    let report = look(&world, &plan("USER")).await;
    assert_eq!(only(&report).0, "SourceTwice");
}

#[tokio::test]
async fn a_full_pool_refuses_runs_and_an_alarming_one_is_loud() {
    let world = world();
    for (fill, reason) in [(86, "PoolFull"), (93, "PoolAlarm")] {
        world.set().inventory.as_mut().expect("answers").pool_fill = Some(("Pool0".into(), fill));
        let report = look(&world, &plan("HOLD")).await;
        let (found, text) = only(&report);
        assert_eq!(found, reason);
        assert!(text.contains("Pool0"), "{text}");
    }
    world.set().inventory.as_mut().expect("answers").pool_fill = Some(("Pool0".into(), 85));
    assert!(look(&world, &plan("HOLD")).await.ready());
}

#[tokio::test]
async fn an_empty_group_says_what_to_make_and_an_armed_one_warns() {
    let world = world();
    world.set().inventory.as_mut().expect("answers").phase = CopyPhase::Prepared;
    assert!(has(
        &look(&world, &plan("HOLD")).await,
        Level::Warning,
        "GroupPrepared"
    ));
    {
        let mut inner = world.set();
        let inventory = inner.inventory.as_mut().expect("answers");
        inventory.phase = CopyPhase::Empty;
        inventory.pairs.clear();
    }
    assert!(has(
        &look(&world, &plan("HOLD")).await,
        Level::Fatal,
        "GroupEmpty"
    ));
}

#[tokio::test]
async fn partitions_must_be_the_pinned_ones_and_ibm_i() {
    let world = world();
    let mut plan = plan("USER");
    plan.pins.source_partition = Some(PartitionUuid::new("old"));
    assert_eq!(only(&look(&world, &plan).await).0, "PinnedPartitionChanged");
    plan.pins.source_partition = None;
    world.set().clone.as_mut().expect("answers").is_ibm_i = false;
    assert_eq!(only(&look(&world, &plan).await).0, "NotIbmI");
}

#[tokio::test]
async fn the_array_must_be_the_pinned_one_whatever_its_address() {
    let world = world();
    let mut plan = plan("USER");
    plan.pins.array = Some("000002032CA0FF0E".into());
    let report = look(&world, &plan).await;
    assert!(report.ready(), "{:#?}", report.findings);
    plan.pins.array = Some("00000204AA000001".into());
    let report = look(&world, &plan).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, "PinnedArrayChanged");
    assert!(text.contains("000002032CA0FF0E") && text.contains("00000204AA000001"));
    world.set().inventory.as_mut().expect("answers").system = String::new();
    assert_eq!(only(&look(&world, &plan).await).0, "ArrayUnknown");
}

#[tokio::test]
async fn the_clone_must_not_be_production() {
    let world = world();
    let uuid = world.set().source.as_ref().expect("answers").uuid.clone();
    world.set().clone.as_mut().expect("answers").uuid = uuid;
    assert_eq!(
        only(&look(&world, &plan("HOLD")).await).0,
        "CloneIsProduction"
    );
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_named_and_hold_needs_none() {
    let world = world();
    world.set().profiles = vec!["OTHER".into()];
    let report = look(&world, &plan("USER")).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, "ProfileUnknown");
    assert!(
        text.contains("CLONE_PRF") && text.contains("OTHER"),
        "{text}"
    );
    assert!(look(&world, &plan("HOLD")).await.ready());
}

#[tokio::test]
async fn a_refusing_device_is_a_finding_and_a_silent_one_is_remembered() {
    let world = world();
    world.set().clone = Err(no());
    assert_eq!(only(&look(&world, &plan("HOLD")).await).0, "DeviceRefused");
    world.set().clone = Err(silent());
    let report = look(&world, &plan("HOLD")).await;
    assert_eq!(report.unanswered, [silent()]);
    assert_eq!(report.fatal().count(), 0);
    assert!(!report.ready());
}

#[tokio::test]
async fn without_the_source_at_the_console_there_is_a_warning() {
    let world = world();
    world.set().source = Err(no());
    let report = look(&world, &plan("HOLD")).await;
    assert!(has(&report, Level::Warning, "SourceNotAtConsole"));
    assert!(report.ready(), "{:#?}", report.findings);
}

#[tokio::test]
async fn production_that_moved_is_identity_changed() {
    let world = world();
    world.set().source.as_mut().expect("answers").identity = identity(5);
    world.system("source", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(5);
    });
    let report = look(&world, &plan("HOLD")).await;
    assert!(has(&report, Level::Fatal, "IdentityChanged"));
    assert!(report.fatal().all(|f| f.condition == Some(GUEST_KIT)));
}

#[tokio::test]
async fn an_identity_is_learned_only_when_console_and_system_agree() {
    let world = world();
    let (mut spec, mut facts) = sample("HOLD");
    spec.source.identities.clear();
    facts.run.clear();
    facts.run_token.clear();
    let plan = Plan::new(&spec, facts).expect("a plan for verify");
    let report = look(&world, &plan).await;
    assert!(report.ready(), "{:#?}", report.findings);
    assert_eq!(report.facts.source_identity, Some(identity(3)));
    world.system("source", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(6);
    });
    assert!(has(
        &look(&world, &plan).await,
        Level::Fatal,
        "IdentityUnexpected"
    ));
}

#[tokio::test]
async fn a_run_does_not_start_before_an_identity_is_known() {
    let world = world();
    let (mut spec, facts) = sample("HOLD");
    spec.source.identities.clear();
    let plan = Plan::new(&spec, facts).expect("a plan");
    assert_eq!(only(&look(&world, &plan).await).0, "IdentityNotLearned");
}

#[tokio::test]
async fn an_address_of_production_is_refused_for_the_clone() {
    let world = world();
    world.system("source", |s| {
        s.rows.insert(
            INTERFACES.into(),
            Ok(vec![row(&[("INTERNET_ADDRESS", "10.0.8.21")])]),
        );
    });
    let report = look(&world, &plan("HOLD")).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, "AddressOfProduction");
    assert!(text.contains("10.0.8.21"), "{text}");
}

#[tokio::test]
async fn pending_ptfs_warn_and_an_unknown_column_is_a_note() {
    let world = world();
    world.system("source", |s| {
        s.rows
            .insert(PENDING_PTFS.into(), Ok(vec![row(&[("PENDING", "4")])]));
    });
    let report = look(&world, &plan("USER")).await;
    assert!(report.ready() && has(&report, Level::Warning, "PtfsPending"));
    world.system("source", |s| {
        s.rows.insert(PENDING_PTFS.into(), Err(no()));
    });
    let report = look(&world, &plan("USER")).await;
    assert!(report.ready() && has(&report, Level::Note, "PtfsUnknown"));
}

#[tokio::test]
async fn each_fault_of_the_guest_kit_is_refused_by_its_own_reason() {
    for (change, reason) in [
        (("kit", "0.9.0"), "KitVersion"),
        (("missing", "PGM:GUARD"), "KitIncomplete"),
        (("startup", "QSYS/QSTRUP"), "GuardNotActive"),
        (("original", "-"), "OriginalStartupUnknown"),
        (("strtcp", "Yes"), "TcpStartsAlone"),
        (("identities", "-"), "IdentityChanged"),
        (
            ("identities", "78ABCD0/3,78ABCD0/7"),
            "CloneListedAsProduction",
        ),
        (("partition", "9"), "IdentityUnexpected"),
        (("qpmlpmgt", "No"), "AuthorityMissing"),
        (("jobctl", "No"), "AuthorityMissing"),
        (("sshd", "No"), "SshdNotStarted"),
    ] {
        let world = world();
        world.system("source", |s| s.run.text = check_record(&[change]));
        let report = look(&world, &plan("USER")).await;
        assert_eq!(only(&report).0, reason, "{change:?}");
        assert_eq!(
            report.fatal().next().expect("one").condition,
            Some(GUEST_KIT)
        );
    }
}

#[tokio::test]
async fn a_kit_that_is_not_installed_says_how_to_install_it() {
    let world = world();
    world.system("source", |s| s.run.succeeded = false);
    let report = look(&world, &plan("USER")).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, "KitNotInstalled");
    assert!(text.contains("guest install nightly"), "{text}");
}

#[tokio::test]
async fn an_isolated_clone_may_have_tcp_start_by_itself() {
    let world = world();
    world.system("source", |s| {
        s.run.text = check_record(&[("strtcp", "Yes")])
    });
    let mut plan = plan("USER");
    plan.network = Network::Isolated;
    assert!(look(&world, &plan).await.ready());
}

#[tokio::test]
async fn a_second_operator_is_refused_with_both_ids() {
    let world = world();
    let lock = |owner: &str, sum: Option<&str>| {
        let body = format!("operator={owner}\n");
        let sum = sum.map_or_else(|| digest(body.as_bytes()), str::to_owned);
        let text = format!("{body}checksum={sum}\n");
        world.system("source", |s| {
            s.files.insert(LOCK_PATH.into(), text.into_bytes());
        });
    };
    lock("op1", None);
    assert!(look(&world, &plan("USER")).await.ready());
    lock("op2", None);
    let report = look(&world, &plan("USER")).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, "OtherOperator");
    assert!(text.contains("op1") && text.contains("op2"), "{text}");
    // A wrong checksum counts as another id.
    lock("op1", Some("0000"));
    assert_eq!(only(&look(&world, &plan("USER")).await).0, "OtherOperator");
}

#[tokio::test]
async fn every_configured_vios_must_tell_of_the_volumes() {
    let world = world();
    world
        .set()
        .virtual_io
        .as_mut()
        .expect("answers")
        .paths
        .truncate(2);
    let report = look(&world, &plan("USER")).await;
    let (reason, text) = only(&report);
    assert_eq!(reason, "ViosUnknown");
    assert!(text.contains("VIOS2"), "{text}");
}

#[tokio::test]
async fn a_foreign_device_stops_user_and_warns_hold() {
    let world = world();
    world.set().virtual_io.as_mut().expect("answers").foreign =
        vec![stranger("VIOS1/vhost3/x", None)];
    assert!(has(
        &look(&world, &plan("USER")).await,
        Level::Fatal,
        "ForeignMapping"
    ));
    assert!(has(
        &look(&world, &plan("HOLD")).await,
        Level::Warning,
        "ForeignMapping"
    ));
}

#[tokio::test]
async fn the_authority_to_suspend_is_tried_only_by_who_holds_the_sources_lock() {
    let world = world();
    let plan = plan("HOLD");
    let report = look(&world, &plan).await;
    assert!(has(&report, Level::Note, "AuthorityNotTried"));
    assert_eq!(world.sent().len(), 1);
    let report = inspect(&world.site(), &plan, Depth::Full).await;
    assert!(report.ready());
    assert!(
        world
            .sent()
            .contains(&"source: CHGASPACT ASPDEV(*SYSBAS) OPTION(*FRCWRT)".to_owned())
    );
}

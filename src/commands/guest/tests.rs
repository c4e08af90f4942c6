//! `guest install` and `guest verify` against a simulated production system.

mod leaving;

use super::{
    Action, Done, Expectations, InstallError, Lock, Mode, PlanError, Verdict, Wanted, install,
    observe, plan, verify,
};
use crate::drivers::ibmi::IbmIDriver;
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::ibmi::{self, SystemFile, role};
use crate::simulators::world::file::WorldFile;
use crate::simulators::world::{Content, World};
use crate::site::{IbmI, Identity, Session, Uid};
use std::sync::Arc;

const UID: &str = "60050768000000000000000000000001";

struct Site {
    shared: Shared,
    system: Arc<IbmIDriver>,
}

fn production() -> Identity {
    Identity::new("7812345", 3)
}

fn site(change: impl FnOnce(&mut SystemFile)) -> Site {
    let mut file = SystemFile::simple("PROD", &[UID], "10.0.8.11");
    file.kit_installed = false;
    file.strtcp = true;
    change(&mut file);
    let whole: WorldFile = serde_json::from_value(serde_json::json!({
        "sources": ["PROD"],
        "console": {"name": "hmc1", "listen": [], "users": [],
            "systems": [{"name": "P10", "typeModel": "9105-42A", "serial": "7812345"}],
            "partitions": [
                {"name": "PROD", "system": "P10", "id": 3, "kind": "OS400"},
                {"name": "CLONE", "system": "P10", "id": 9, "kind": "OS400"}
            ]},
        "vioses": [],
        "array": {"name": "svc", "users": [], "pools": [], "volumes": []},
        "systems": [],
        "network": []
    }))
    .unwrap();
    let mut world = World::from_file(&whole).unwrap();
    ibmi::set_identity(&mut world, "PROD", production());
    ibmi::install(&mut world, &[file]).unwrap();
    let Content::Part { image, .. } = world.contents[&Uid::new(UID)] else {
        panic!("no image")
    };
    ibmi::run_at_start(&mut world, "PROD", image);
    let clock = SimulatedClock::manual(world.now);
    let shared = Shared::new(world, clock);
    let system = role::ibmi(&shared, "10.0.8.11", "CLONEOP", "cloneop-secret");
    Site { shared, system }
}

fn wanted() -> Wanted {
    Wanted {
        identity: production(),
        installer: "CLONEOP".to_owned(),
        helper: "CLONEOP".to_owned(),
        helper_runs_check: true,
        shared_network: true,
        operator: "cluster-1".to_owned(),
        take_over: false,
    }
}

fn expected() -> Expectations {
    Expectations {
        console: Some(production()),
        clone: Some(Identity::new("7812345", 9)),
        shared_network: true,
        canary: true,
        operator: Some("cluster-1".to_owned()),
        run_holds_source: false,
    }
}

async fn run(
    site: &Site,
    session: &Session,
    wanted: &Wanted,
    mode: Mode,
) -> (Result<(), InstallError>, Vec<(Action, Done)>) {
    let mut told = Vec::new();
    let outcome = install(
        site.system.as_ref(),
        session,
        wanted,
        mode,
        &mut |action, done| told.push((action.clone(), done)),
    )
    .await;
    (outcome.map(drop), told)
}

fn ids(told: &[(Action, Done)], which: Done) -> Vec<&'static str> {
    let mut ids: Vec<&'static str> = told
        .iter()
        .filter(|(_, done)| *done == which)
        .map(|(a, _)| a.id)
        .collect();
    ids.dedup();
    ids
}

async fn bad(site: &Site, session: &Session, expected: &Expectations) -> Vec<&'static str> {
    verify(site.system.as_ref(), session, expected)
        .await
        .unwrap()
        .into_iter()
        .filter(|f| f.verdict == Verdict::Bad)
        .map(|f| f.id)
        .collect()
}

const ALL: [&str; 11] = [
    "library",
    "directory",
    "source-file",
    "upload",
    "installer-member",
    "installer",
    "build",
    "version-file",
    "identity",
    "start-up",
    "ipl-tcp",
];

#[tokio::test]
async fn a_dry_run_shows_everything_and_changes_nothing() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    let before = format!("{:?}", ibmi::disk_of(&site.shared.now(), "PROD"));
    let (outcome, told) = run(&site, &session, &wanted(), Mode::DryRun).await;
    outcome.unwrap();
    assert_eq!(ids(&told, Done::Shown), ALL);
    let after = format!("{:?}", ibmi::disk_of(&site.shared.now(), "PROD"));
    assert_eq!(before, after);
}

#[tokio::test]
async fn production_start_up_is_only_changed_with_yes() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    let (outcome, told) = run(&site, &session, &wanted(), Mode::Careful).await;
    outcome.unwrap();
    assert_eq!(ids(&told, Done::Sent), ALL[..9]);
    assert_eq!(ids(&told, Done::Asks), ["start-up", "ipl-tcp"]);
    let mut found = bad(&site, &session, &expected()).await;
    found.sort_unstable();
    assert_eq!(found, ["guard", "strtcp"]);
    let (outcome, told) = run(&site, &session, &wanted(), Mode::Everything).await;
    outcome.unwrap();
    assert_eq!(ids(&told, Done::Sent), ["start-up", "ipl-tcp"]);
    assert_eq!(bad(&site, &session, &expected()).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_second_installation_does_nothing_and_a_changed_source_is_built_again() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    run(&site, &session, &wanted(), Mode::Everything)
        .await
        .0
        .unwrap();
    let (outcome, told) = run(&site, &session, &wanted(), Mode::Everything).await;
    outcome.unwrap();
    assert_eq!(told, []);
    site.system
        .put(&session, "/ibmiclone/src/guard.clle", b"older")
        .await
        .unwrap();
    let (outcome, told) = run(&site, &session, &wanted(), Mode::Everything).await;
    outcome.unwrap();
    assert_eq!(
        ids(&told, Done::Sent),
        ["upload", "installer-member", "installer", "build"]
    );
}

#[tokio::test]
async fn the_original_start_up_program_survives_a_second_build() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    for _ in 0..2 {
        site.system
            .put(&session, "/tmp", b"")
            .await
            .unwrap_or_default();
        run(&site, &session, &wanted(), Mode::Everything)
            .await
            .0
            .unwrap();
    }
    let observed = observe(site.system.as_ref(), &session).await.unwrap();
    assert_eq!(observed.checked("original"), "QGPL/STRTUP");
}

#[tokio::test]
async fn a_build_that_breaks_off_leaves_production_as_it_was() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    site.shared.now().faults.add(Fault {
        device: Device::IbmI,
        name: String::new(),
        operation: "CALL PGM(IBMICLONE/INSTALL)".to_owned(),
        kind: FaultKind::Refuse {
            code: "CLN0301".to_owned(),
            text: "object not built: HELPER CZM0613".to_owned(),
        },
        times: 1,
    });
    let (outcome, _) = run(&site, &session, &wanted(), Mode::Everything).await;
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("build") && error.contains("HELPER"),
        "{error}"
    );
    let world = site.shared.now();
    let disk = ibmi::disk_of(&world, "PROD").unwrap();
    assert_eq!(disk.start_up_program(), "QGPL/STRTUP");
    assert!(disk.strtcp);
}

#[tokio::test]
async fn the_guard_is_not_activated_while_production_is_not_listed() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    run(&site, &session, &wanted(), Mode::Careful)
        .await
        .0
        .unwrap();
    // A list that is full takes no pair.
    let image = site.shared.now().systems["PROD"].image().unwrap();
    let full = "9999999   7         ".repeat(100);
    let change = |w: &mut World| {
        let disk = &mut w.images.get_mut(&image).unwrap().disk;
        disk.data_areas.insert("IBMICLONE/CLNIDS".to_owned(), full);
    };
    change(&mut site.shared.now());
    let (outcome, _) = run(&site, &session, &wanted(), Mode::Everything).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("CLN0208"), "{error}");
    let world = site.shared.now();
    let disk = ibmi::disk_of(&world, "PROD").unwrap();
    assert_eq!(disk.start_up_program(), "QGPL/STRTUP");
}

#[tokio::test]
async fn another_system_is_left_alone() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    let other = Wanted {
        identity: Identity::new("7812345", 4),
        ..wanted()
    };
    let (outcome, told) = run(&site, &session, &other, Mode::Everything).await;
    assert!(matches!(
        outcome,
        Err(InstallError::Plan(PlanError::NotTheSource { .. }))
    ));
    assert_eq!(told, []);
}

#[tokio::test]
async fn another_operators_lock_is_respected_until_it_is_taken_over() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    run(&site, &session, &wanted(), Mode::Everything)
        .await
        .0
        .unwrap();
    for lock in ["operator=cluster-2\nchecksum=nonsense\n", "operator="] {
        site.system
            .put(&session, "/ibmiclone/operator.lock", lock.as_bytes())
            .await
            .unwrap();
        let (outcome, _) = run(&site, &session, &wanted(), Mode::Everything).await;
        assert!(matches!(
            outcome,
            Err(InstallError::Plan(PlanError::OtherOperator { .. }))
        ));
        assert_eq!(bad(&site, &session, &expected()).await, ["lock"]);
    }
    let over = Wanted {
        take_over: true,
        ..wanted()
    };
    let (outcome, told) = run(&site, &session, &over, Mode::Everything).await;
    outcome.unwrap();
    assert_eq!(ids(&told, Done::Sent), ["lock-drop"]);
    assert_eq!(bad(&site, &session, &expected()).await, Vec::<&str>::new());
}

#[tokio::test]
async fn another_profile_for_the_helper_is_let_in_and_kept_out_of_the_guard() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    let other = Wanted {
        helper: "CLNHELP".to_owned(),
        helper_runs_check: false,
        ..wanted()
    };
    let observed = observe(site.system.as_ref(), &session).await.unwrap();
    let steps = plan(&observed, &other).unwrap();
    let grants: Vec<&str> = steps
        .iter()
        .filter(|a| a.id.starts_with("grant"))
        .map(Action::shown)
        .collect();
    assert_eq!(grants.len(), 12);
    assert_eq!(
        grants[2],
        "GRTOBJAUT OBJ(IBMICLONE/GUARD) OBJTYPE(*PGM) USER(CLNHELP) AUT(*EXCLUDE) REPLACE(*YES)"
    );
    assert_eq!(grants[11], "chown -R CLNHELP /ibmiclone");
}

#[tokio::test]
async fn each_fault_of_an_installed_kit_has_its_row() {
    type Change = fn(&mut ibmi::DiskState);
    let faults: [(&str, Change); 9] = [
        ("version", |d| {
            d.data_areas
                .insert("IBMICLONE/VERSION".to_owned(), "0.9.0".to_owned());
        }),
        ("version-file", |d| {
            d.files.remove("/ibmiclone/version");
        }),
        ("identities", |d| {
            d.data_areas.insert(
                "IBMICLONE/CLNIDS".to_owned(),
                "7812345   9         ".to_owned(),
            );
        }),
        ("guard", |d| {
            d.values
                .insert("QSTRUPPGM".to_owned(), "STRTUP    QGPL      ".to_owned());
        }),
        ("original", |d| {
            d.data_areas.remove("QGPL/CLNORIG");
        }),
        ("strtcp", |d| d.strtcp = true),
        ("objects", |d| {
            d.objects.remove("IBMICLONE/WATCHDOG *PGM");
        }),
        ("canary", |d| {
            d.objects.remove("IBMICLONE/CLNJRN *JRN");
        }),
        ("sshd", |d| d.sshd_autostart = false),
    ];
    for (row, change) in faults {
        let site = site(|f| {
            f.kit_installed = true;
            f.strtcp = false;
        });
        let session = site.system.connect().await.unwrap();
        let image = site.shared.now().systems["PROD"].image().unwrap();
        assert_eq!(bad(&site, &session, &expected()).await, Vec::<&str>::new());
        change(&mut site.shared.now().images.get_mut(&image).unwrap().disk);
        assert_eq!(bad(&site, &session, &expected()).await, [row]);
    }
}

#[tokio::test]
async fn leftovers_count_only_while_no_run_holds_the_source() {
    let site = site(|f| {
        f.kit_installed = true;
        f.strtcp = false;
    });
    let session = site.system.connect().await.unwrap();
    site.system
        .put(&session, "/ibmiclone/run.parm", b"x")
        .await
        .unwrap();
    assert_eq!(bad(&site, &session, &expected()).await, ["leftovers"]);
    let running = Expectations {
        run_holds_source: true,
        ..expected()
    };
    assert_eq!(bad(&site, &session, &running).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_kit_that_is_not_there_says_so() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    assert_eq!(bad(&site, &session, &expected()).await, ["library"]);
}

#[tokio::test]
async fn an_isolated_network_needs_no_change_of_strtcp() {
    let site = site(|_| {});
    let session = site.system.connect().await.unwrap();
    let isolated = Wanted {
        shared_network: false,
        ..wanted()
    };
    let (outcome, told) = run(&site, &session, &isolated, Mode::Everything).await;
    outcome.unwrap();
    assert_eq!(ids(&told, Done::Sent), ALL[..10]);
    let relaxed = Expectations {
        shared_network: false,
        ..expected()
    };
    assert_eq!(bad(&site, &session, &relaxed).await, Vec::<&str>::new());
}

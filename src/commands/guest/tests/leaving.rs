//! `guest show` and `guest uninstall` against a simulated production system.

use super::*;
use crate::commands::guest::{
    Leaving, Remains, Shown, UninstallError, leaving_plan, left_over, remains, uninstall,
};

fn leaving() -> Leaving {
    Leaving {
        identity: production(),
        operator: "cluster-1".to_owned(),
    }
}

fn installed() -> Site {
    site(|f| {
        f.kit_installed = true;
        f.strtcp = false;
    })
}

async fn leave(site: &Site) -> (Result<(), UninstallError>, Vec<&'static str>) {
    let session = site.system.connect().await.unwrap();
    let mut told = Vec::new();
    let system = site.system.as_ref();
    let outcome = uninstall(system, &session, &leaving(), &mut |a| told.push(a.id)).await;
    (outcome, told)
}

async fn found(site: &Site) -> Remains {
    let session = site.system.connect().await.unwrap();
    remains(site.system.as_ref(), &session).await.unwrap()
}

fn change(site: &Site, change: impl FnOnce(&mut ibmi::DiskState)) {
    let mut world = site.shared.now();
    let image = world.systems["PROD"].image().unwrap();
    change(&mut world.images.get_mut(&image).unwrap().disk);
}

fn start_up(site: &Site) -> String {
    let world = site.shared.now();
    ibmi::disk_of(&world, "PROD").unwrap().start_up_program()
}

const ORDER: [&str; 5] = [
    "restore-start-up",
    "remove-stub",
    "remove-original",
    "remove-library",
    "remove-directory",
];

#[tokio::test]
async fn production_gets_its_start_up_program_back_before_anything_is_deleted() {
    let site = installed();
    let (outcome, told) = leave(&site).await;
    outcome.unwrap();
    assert_eq!(told, ORDER);
    assert_eq!(start_up(&site), "QGPL/STRTUP");
    assert!(found(&site).await.is_nothing());
    assert_eq!(leave(&site).await.1, Vec::<&str>::new(), "again: nothing");
}

#[tokio::test]
async fn an_uninstallation_that_breaks_off_anywhere_is_finished_by_the_next_one() {
    for (at, operation) in [
        "CHGSYSVAL",
        "DLTPGM PGM(QGPL/CLNSTRUP)",
        "DLTDTAARA DTAARA(QGPL/CLNORIG)",
        "DLTLIB LIB(IBMICLONE)",
    ]
    .into_iter()
    .enumerate()
    {
        let site = installed();
        let operation = match operation {
            "CHGSYSVAL" => "CHGSYSVAL SYSVAL(QSTRUPPGM) VALUE('STRTUP    QGPL')",
            other => other,
        };
        site.shared.now().faults.add(Fault {
            device: Device::IbmI,
            name: String::new(),
            operation: operation.to_owned(),
            kind: FaultKind::Refuse {
                code: "CPF2114".to_owned(),
                text: "Cannot allocate object.".to_owned(),
            },
            times: 1,
        });
        let (outcome, told) = leave(&site).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("CPF2114"), "{error}");
        assert!(error.contains("run guest uninstall again"), "{error}");
        assert_eq!(told, ORDER[..at]);
        let (outcome, told) = leave(&site).await;
        outcome.unwrap();
        assert_eq!(told, ORDER[at..]);
        assert_eq!(start_up(&site), "QGPL/STRTUP");
        assert!(found(&site).await.is_nothing());
    }
}

#[tokio::test]
async fn nothing_is_deleted_while_production_would_not_start_any_more() {
    type Change = fn(&mut ibmi::DiskState);
    let losses: [(&str, Change); 3] = [
        ("lost or blank", |d| {
            d.objects.remove("QGPL/CLNORIG *DTAARA");
            d.data_areas.remove("QGPL/CLNORIG");
        }),
        ("names the guard", |d| {
            let guard = "CLNSTRUP  QGPL      ".to_owned();
            d.data_areas.insert("QGPL/CLNORIG".to_owned(), guard);
        }),
        ("QGPL/STRTUP does not exist", |d| {
            d.objects.remove("QGPL/STRTUP *PGM");
        }),
    ];
    for (words, lose) in losses {
        let site = installed();
        change(&site, lose);
        let before = format!("{:?}", ibmi::disk_of(&site.shared.now(), "PROD"));
        let (outcome, told) = leave(&site).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(error.contains("CHGSYSVAL"), "{error}");
        assert_eq!(told, Vec::<&str>::new());
        let after = format!("{:?}", ibmi::disk_of(&site.shared.now(), "PROD"));
        assert_eq!(before, after);
    }
}

#[tokio::test]
async fn a_value_that_did_not_change_is_not_believed() {
    let site = installed();
    let command = "CHGSYSVAL SYSVAL(QSTRUPPGM) VALUE('STRTUP    QGPL')";
    site.shared.now().faults.add(Fault {
        device: Device::IbmI,
        name: String::new(),
        operation: command.to_owned(),
        kind: FaultKind::Special("ignored".to_owned()),
        times: 1,
    });
    let (outcome, told) = leave(&site).await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, UninstallError::NotRestored(_)),
        "{error} {told:?}"
    );
    let world = site.shared.now();
    let disk = ibmi::disk_of(&world, "PROD").unwrap();
    assert!(disk.objects.contains("QGPL/CLNSTRUP *PGM"));
}

#[tokio::test]
async fn another_system_and_another_operators_source_keep_their_kit() {
    let site = installed();
    let session = site.system.connect().await.unwrap();
    let seen = found(&site).await;
    let other = Leaving {
        identity: Identity::new("7812345", 4),
        ..leaving()
    };
    assert!(matches!(
        leaving_plan(&seen, &other),
        Err(UninstallError::Plan(PlanError::NotTheSource { .. }))
    ));
    let theirs = crate::recipe::operator_lock::lock_text("cluster-2").unwrap();
    site.system
        .put(&session, "/ibmiclone/operator.lock", theirs.as_bytes())
        .await
        .unwrap();
    let (outcome, told) = leave(&site).await;
    let error = outcome.unwrap_err().to_string();
    for word in ["cluster-1", "cluster-2", "nothing was changed"] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(told, Vec::<&str>::new());
}

#[tokio::test]
async fn strtcp_is_named_and_not_put_back() {
    let site = installed();
    leave(&site).await.0.unwrap();
    assert!(!ibmi::disk_of(&site.shared.now(), "PROD").unwrap().strtcp);
    let said = left_over("No", &Lock::Free);
    assert!(said.contains("CHGIPLA STRTCP(*YES)"), "{said}");
    assert!(left_over("", &Lock::Free).contains("CHGIPLA STRTCP(*YES)"));
}

async fn shown(site: &Site) -> Shown {
    let session = site.system.connect().await.unwrap();
    let system = site.system.as_ref();
    let observed = observe(system, &session).await.unwrap();
    let found = remains(system, &session).await.unwrap();
    Shown::new("nightly", "10.0.8.11:22", "cluster-1", &observed, &found)
}

#[tokio::test]
async fn show_tells_what_is_installed_in_eighty_columns_at_every_stage() {
    let site = installed();
    let text = shown(&site).await.text();
    for words in [
        "7812345/3 at 10.0.8.11:22",
        "QGPL/CLNSTRUP, the guard",
        "QGPL/STRTUP",
        "STRTCP        No",
        "lock          free",
        "missing       none",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let theirs = crate::recipe::operator_lock::lock_text("cluster-2").unwrap();
    change(&site, |d| {
        let files = &mut d.files;
        files.insert("/ibmiclone/operator.lock".to_owned(), theirs.into_bytes());
        files.insert("/ibmiclone/run.parm".to_owned(), b"x".to_vec());
        d.objects.remove("IBMICLONE/WATCHDOG *PGM");
    });
    let worse = shown(&site).await;
    let json = serde_json::to_value(&worse).unwrap();
    assert_eq!(json["lockOwner"], "cluster-2");
    assert_eq!(json["lockIsOurs"], false);
    assert_eq!(json["leftovers"], serde_json::json!(["run.parm"]));
    assert_eq!(json["missing"], serde_json::json!(["*PGM:WATCHDOG"]));
    change(&site, |d| drop(d.files.remove("/ibmiclone/operator.lock")));
    leave(&site).await.0.unwrap();
    let gone = shown(&site).await;
    let words = "library IBMICLONE does not exist";
    assert!(
        gone.text().contains("parts         none"),
        "{}",
        gone.text()
    );
    let joined = gone.text().replace("\n                ", " ");
    assert!(joined.contains(words), "{joined}");
    for text in [text, worse.text(), gone.text()] {
        let longest = text.lines().map(|l| l.chars().count()).max().unwrap();
        assert!(longest <= 80, "{text}");
    }
}

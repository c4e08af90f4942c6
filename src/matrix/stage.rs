//! The site and the plan of every combination, and the world after its first, undisturbed run.

use super::scenario::{RunUnderTest, SOURCE, Setting};
use crate::api::devices::Npiv;
use crate::engine::journal::Phase;
use crate::recipe::records::LOCK_PATH;
use crate::recipe::{Plan, fakes};
use crate::simulators::ibmi;
use crate::simulators::ibmi::brms::BrmsFile;
use crate::simulators::ibmi::file::{ProgramFile, ProgramResult, SystemFile};
use crate::simulators::world::World;
use crate::simulators::world::file::WorldFile;
use chrono::{DateTime, Utc};

/// Volume of the full save.
const SYSTEM_TAPE: &str = "SYS001";

/// A healthy small site: PROD with two volumes behind two VIOSes, its clone, one consistency group.
fn world(npiv: bool) -> World {
    let yaml = r#"
start: 2026-11-23T00:00:00Z
sources: [PROD]
console:
  name: hmc1
  listen: ["127.0.0.1:0"]
  users: [{ name: cloneop, password: x }]
  systems: [{ name: P10-PARIS, typeModel: 9105-42A, serial: 78ABCD0 }]
  partitions:
    - { name: VIOS1, system: P10-PARIS, id: 1, kind: Virtual IO Server, running: true }
    - { name: VIOS2, system: P10-PARIS, id: 2, kind: Virtual IO Server, running: true }
    - name: PROD
      system: P10-PARIS
      id: 3
      kind: OS400
      running: true
      scsi: [{ slot: 4, vios: VIOS1, vhost: vhost0, serverSlot: 10 }, { slot: 5, vios: VIOS2, vhost: vhost0, serverSlot: 10 }]
    - name: CLONE1
      system: P10-PARIS
      id: 21
      kind: OS400
      profiles: [CLONE_PRF]
      scsi: [{ slot: 4, vios: VIOS1, vhost: vhost3, serverSlot: 13 }, { slot: 5, vios: VIOS2, vhost: vhost3, serverSlot: 13 }]
vioses:
  - { name: VIOS1, arrayHost: VIOS1, vtds: [{ vhost: vhost0, vtd: prod_0, volume: PROD_0 }, { vhost: vhost0, vtd: prod_1, volume: PROD_1 }] }
  - { name: VIOS2, arrayHost: VIOS2, vtds: [{ vhost: vhost0, vtd: prod_0, volume: PROD_0 }, { vhost: vhost0, vtd: prod_1, volume: PROD_1 }] }
array:
  name: svc
  users: [{ name: cloneop, password: x }]
  pools: [{ name: P0, gib: 2000 }]
  volumes:
    - { name: PROD_0, gib: 100, pool: P0 }
    - { name: PROD_1, gib: 100, pool: P0 }
    - { name: CLN_0, gib: 100, pool: P0, thin: true }
    - { name: CLN_1, gib: 100, pool: P0, thin: true }
  hosts:
    - { name: VIOS1, wwpns: [c050760000000001], volumes: [PROD_0, PROD_1, CLN_0, CLN_1] }
    - { name: VIOS2, wwpns: [c050760000000002], volumes: [PROD_0, PROD_1, CLN_0, CLN_1] }
  groups:
    - name: CLONE1
      maps: [{ name: m0, source: PROD_0, target: CLN_0 }, { name: m1, source: PROD_1, target: CLN_1 }]
systems: []
network: []
knobs:
  prepareMilliseconds: 3000
  powerOffMilliseconds: 3000
  activationMilliseconds: 2000
  iplMilliseconds: 15000
  personalityMilliseconds: 5000
  forceWriteMilliseconds: 500
  stoppingMilliseconds: 3000
  restrictedStateMilliseconds: 5000
  saveSystemMilliseconds: 20000
  saveLibrariesMilliseconds: 60000
  saveDocumentsMilliseconds: 5000
  saveFilesMilliseconds: 20000
"#;
    let mut file: WorldFile = serde_saphyr::from_str(yaml).unwrap();
    let mut prod = SystemFile::simple("PROD", &["PROD_0", "PROD_1"], SOURCE);
    prod.programs = [("MYSAVE", 20), ("SECOND", 10), ("HOOK", 5)]
        .map(|(name, seconds)| ProgramFile {
            program: format!("CLNLIB/{name}"),
            seconds: Some(seconds),
            result: ProgramResult::Normal,
            messages: Vec::new(),
        })
        .to_vec();
    prod.brms = Some(brms());
    // The last one is for the full save: BRMS knows nothing of it.
    let cartridges =
        ["VOL001", "VOL002", SYSTEM_TAPE].map(|volume| format!("{{ volume: {volume} }}"));
    let tapes = format!(
        "{{ drives: [{{ device: TAP01 }}], cartridges: [{}] }}",
        cartridges.join(", ")
    );
    file.tapes = serde_saphyr::from_str(&tapes).unwrap();
    file.systems.push(prod);
    if npiv {
        by_fibre_channel(&mut file);
    }
    World::from_file(&file).unwrap()
}

/// Two control groups with a volume each, and everything quick.
fn brms() -> BrmsFile {
    let yaml = r#"
controlGroups:
  - { name: DAILY, seconds: 20 }
  - { name: WEEKLY, seconds: 10 }
media: [{ volume: VOL001 }, { volume: VOL002 }]
knobs: { libraryKib: 8, libraryMilliseconds: 2000, maintenanceMilliseconds: 3000 }
"#;
    serde_saphyr::from_str(yaml).unwrap()
}

/// The clone gets virtual Fibre Channel adapters and a host object of its own instead of VIOS maps.
fn by_fibre_channel(file: &mut WorldFile) {
    let partitions = file.console.partitions.iter_mut();
    for clone in partitions.filter(|p| p.name == "CLONE1") {
        clone.scsi.clear();
        let adapters = r#"
- { slot: 4, vios: VIOS1, wwpns: [c050760000000020, c050760000000021] }
- { slot: 5, vios: VIOS2, wwpns: [c050760000000022, c050760000000023] }
"#;
        clone.fibre_channel = serde_saphyr::from_str(adapters).unwrap();
    }
    for vios in &mut file.array.hosts {
        vios.volumes.retain(|v| v.starts_with("PROD"));
    }
    let host = r#"
name: CLONE1
wwpns: [c050760000000020, c050760000000021, c050760000000022, c050760000000023]
"#;
    file.array.hosts.push(serde_saphyr::from_str(host).unwrap());
}

pub(super) fn plan(setting: Setting, run: i64) -> Plan {
    let (function, around) = setting.parts();
    let (mut spec, mut facts) = fakes::sample(function);
    match around {
        "" if function == "BRMS" => spec.brms.as_mut().unwrap().max_frozen_seconds = 3600,
        "" => {}
        "merge" => {
            let brms = spec.brms.as_mut().unwrap();
            brms.history = crate::api::saves::BrmsHistory::Merge;
            brms.maintenance = false;
            brms.max_frozen_seconds = 3600;
        }
        "hooks" => {
            let program = |name: &str| serde_json::json!({"program": format!("CLNLIB/{name}")});
            let programs = [program("MYSAVE"), program("SECOND")];
            spec.user = serde_json::from_value(serde_json::json!({"programs": programs})).unwrap();
            let points = [
                "BeforeFreeze",
                "AfterResume",
                "CloneReady",
                "BeforeFunction",
                "AfterFunction",
                "Always",
            ];
            let hook = |at: &&str| serde_json::json!({"at": at, "program": "CLNLIB/HOOK"});
            let hooks: Vec<_> = points.iter().map(hook).collect();
            spec.hooks = serde_json::from_value(hooks.into()).unwrap();
        }
        "tells" => {
            let wish = serde_json::json!({"directory": "/home/ibmiclone/logs"});
            spec.logs.on_source = serde_json::from_value(wish).unwrap();
        }
        "end" => {
            let after = serde_json::json!({
                "clone": "PowerOff", "image": "End", "onFailure": "Apply",
            });
            spec.after = serde_json::from_value(after).unwrap();
        }
        "asks" => spec.logs.ignore = vec!["CPA4278".into()],
        other => panic!("nothing is known of {other}"),
    }
    if let Some(save) = &mut spec.save21 {
        save.volumes = vec![SYSTEM_TAPE.to_owned()];
    }
    if setting.canary {
        spec.freeze.proof = crate::api::options::Proof::Canary;
    }
    if setting.npiv {
        spec.virtual_io.vscsi = None;
        spec.virtual_io.npiv = Some(Npiv {
            swap_host_mappings: true,
        });
    }
    facts.run_token = format!("RUN{run:08}");
    facts.run_number = run;
    facts.run = format!("nightly-{run}");
    Plan::new(&spec, facts).unwrap()
}

/// What the first, undisturbed run leaves behind: the world every combination starts from.
#[derive(Clone)]
pub struct Stage {
    pub(super) world: World,
    pub(super) at: DateTime<Utc>,
}

impl Stage {
    /// A site on which one USER run has succeeded: the clone runs on its image, so that the next run has to stop,
    /// unmap and end.
    pub fn prepared() -> Self {
        Self::after_one_run(false)
    }

    /// The same with host mappings that runs swap.
    pub fn prepared_for(setting: Setting) -> Self {
        Self::after_one_run(setting.npiv)
    }

    fn after_one_run(npiv: bool) -> Self {
        let world = world(npiv);
        let at = world.now;
        Self { world, at }.and_then("USER", 1, npiv)
    }

    /// The world after one more undisturbed run.
    pub fn after(&self, function: &'static str, number: i64) -> Self {
        self.and_then(function, number, false)
    }

    fn and_then(&self, function: &'static str, number: i64, npiv: bool) -> Self {
        let setting = Setting {
            function,
            canary: false,
            npiv,
            silent: false,
        };
        let run = RunUnderTest::new(self, setting, number, &[]);
        let end = run.to_end();
        assert_eq!(end.phase, Phase::Succeeded, "{:#?}", end.verdict);
        run.leave_off();
        let mut world = run.shared.now().clone();
        // As before the first run of an operator: taking the lock is among the effects of every run.
        ibmi::forget_file(&mut world, "PROD", LOCK_PATH);
        let at = world.now;
        Self { world, at }
    }
}

//! Two clones from the user's side: an API server, the real operator and the binary. The devices are the demo's
//! simulated ones, behind their roles in process instead of on the wire.

use super::text;
use super::user::User;
use crate::server::Server;
use async_trait::async_trait;
use ibmi_clone_operator::api::CloneEnvironmentSpec;
use ibmi_clone_operator::controllers::secrets::SiteSecrets;
use ibmi_clone_operator::controllers::{OpenError, OperatorConfig, SiteFactory, run_operator};
use ibmi_clone_operator::simulators::Shared;
use ibmi_clone_operator::simulators::clock::SimulatedClock;
use ibmi_clone_operator::simulators::hmc::{ControlRole, ViewRole};
use ibmi_clone_operator::simulators::ibmi::role::{freeze, ibmi};
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::ArrayRole;
use ibmi_clone_operator::simulators::vios::VirtualIoRole;
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::site::{CloneSystem, Identity, Site, SourceSystem};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use macro_rules_attribute::apply;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub const SCALE: f64 = 120.0;

/// Opens the roles of the demo's world.
pub struct InProcess(pub Shared);

#[async_trait]
impl SiteFactory for InProcess {
    async fn open(
        &self,
        _namespace: &str,
        spec: &CloneEnvironmentSpec,
        _: &ibmi_clone_operator::recipe::Pins,
        _secrets: &SiteSecrets,
    ) -> Result<Site, OpenError> {
        let world = &self.0;
        let user = ("CLONEOP", "simulated-prod");
        let clone = spec.clone.partition.name.as_str();
        let address = &spec.clone.personality.interfaces[0].address;
        let vscsi = spec.virtual_io.vscsi.as_ref().unwrap();
        let adapters: Vec<(&str, &str)> = vscsi
            .adapters
            .iter()
            .map(|a| (a.server.as_str(), a.vhost.as_str()))
            .collect();
        let array = spec.storage.spectrum_virtualize.as_ref().unwrap();
        let production = vec![Identity::new("78ABCD0", 3)];
        Ok(Site {
            clone_partition: Arc::new(ControlRole::new(world.clone(), clone)),
            source_partition: Arc::new(ViewRole::new(world.clone(), &spec.source.partition.name)),
            virtual_io: Arc::new(VirtualIoRole::new(world.clone(), &adapters)),
            copy: Arc::new(ArrayRole::new(world.clone(), &array.consistency_groups[0])),
            source: SourceSystem(ibmi(world, "10.0.8.20", user.0, user.1)),
            clone: CloneSystem(ibmi(world, address, user.0, user.1)),
            freeze: Arc::new(freeze(world, "10.0.8.20", user, production)),
            transcript: Default::default(),
        })
    }
}

pub fn demo_world() -> Shared {
    let text = include_str!("../../../examples/demo/world.yaml");
    let file = serde_saphyr::from_str(text).unwrap();
    let world = World::from_file(&file).unwrap();
    let clock = SimulatedClock::scaled(world.now, SCALE);
    Shared::new(world, clock)
}

pub async fn apply_demo(client: &Client, namespace: &str) {
    let text = super::examples::filled(include_str!("../../../examples/demo/site.yaml"));
    let objects: Vec<DynamicObject> = serde_saphyr::from_multiple(&text).unwrap();
    for object in objects {
        let types = object.types.clone().unwrap();
        let kind = GroupVersionKind::try_from(&types).unwrap();
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let parameters = PatchParams::apply("test");
        api.patch(&object.name_any(), &parameters, &Patch::Apply(&object))
            .await
            .unwrap();
    }
}

#[apply(on_both!)]
async fn a_user_runs_both_clones_reads_history_and_logs_and_nothing_is_left_behind(server: Server) {
    let (client, namespace) = server.namespace().await;
    let world = demo_world();
    apply_demo(&client, &namespace).await;
    let shutdown = CancellationToken::new();
    let config = OperatorConfig {
        namespaces: vec![namespace.clone()],
        pace: SCALE,
        ..OperatorConfig::new(&namespace, "test", "test")
    };
    let factory = Arc::new(InProcess(world.clone()));
    let operator = tokio::spawn(run_operator(client, config, factory, shutdown.clone()));
    let user = User {
        namespace,
        kubeconfig: server.kubeconfig().display().to_string(),
    };

    let verified = user.types(&["verify", "nightly-user"]).await;
    let said = text(&verified.stdout);
    assert_eq!(
        verified.status.code(),
        Some(0),
        "{said}\n{}",
        text(&verified.stderr)
    );

    // Both at once: production can only be frozen by one, so the other one waits.
    let (hold, clone) = tokio::join!(
        user.types(&["run", "midday-hold", "--wait", "--timeout", "4m"]),
        user.types(&["run", "nightly-user", "--wait", "--timeout", "4m"]),
    );
    for (output, state) in [(&hold, "HOLD"), (&clone, "USER_END")] {
        let said = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{said}\n{}",
            text(&output.stderr)
        );
        let result = said.lines().nth(1).unwrap();
        assert!(
            result.contains(&format!("Succeeded, {state}, number ")),
            "{said}"
        );
        assert!(said.lines().all(|l| l.chars().count() <= 80), "{said}");
    }

    let history = text(&user.types(&["history"]).await.stdout);
    assert!(
        history.contains("USER_END") && history.contains("PREFLIGHT"),
        "{history}"
    );
    assert!(
        history.lines().all(|l| l.chars().count() <= 80),
        "{history}"
    );

    let log = user
        .types(&["logs", "nightly-user/2", "--kind", "joblog"])
        .await;
    assert!(
        text(&log.stdout).contains("objects saved from library ORDERS"),
        "{}",
        text(&log.stderr)
    );

    let status = text(&user.types(&["source-status", "nightly-user"]).await.stdout);
    assert!(status.contains("nothing is owed to production"), "{status}");

    shutdown.cancel();
    operator.await.unwrap().unwrap();
    let mut world = world.now();
    world.check_left_behind();
    assert!(
        world.ledger.violations.is_empty(),
        "{:#?}",
        world.ledger.violations
    );
}

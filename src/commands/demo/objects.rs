//! Objects for simulated sites: `examples/demo/site.yaml` with its placeholders filled in, applied as kubectl would.

use crate::commands::CommandError;
use crate::commands::simulated_site::SimulatedSite;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Secrets, CA and two environments of a small site, as a user would write them, but for the ports. The demo takes its
/// environments from [`super::week`].
pub const SITE: &str = include_str!("../../../examples/demo/site.yaml");
/// The simulated devices of the small site.
pub const WORLD: &str = include_str!("../../../examples/demo/world.yaml");

/// What stands for each `${NAME}` of the file.
pub type Placeholders = BTreeMap<&'static str, Value>;

/// The values of this run of the demo: ports are free ones, certificates and host keys are new.
///
/// # Errors
/// When the world of the demo has not what its environments name.
pub fn placeholders(site: &SimulatedSite) -> Result<Placeholders, CommandError> {
    let missing = |what: &str| CommandError::Other(format!("the demo's world has no {what}"));
    let key = site.host_keys.get("PROD");
    let key = key.ok_or_else(|| missing("host key of PROD"))?;
    let mut values = Placeholders::from([
        ("HMC_ENDPOINT", json!(site.endpoints.hmc.first())),
        ("ARRAY_ENDPOINT", json!(site.endpoints.array)),
        ("PROD_HOST_KEY", json!(key)),
        ("CA_CERTIFICATE", json!(site.authority)),
    ]);
    for (world, address, port) in [
        ("10.0.8.20", "PROD_ADDRESS", "PROD_PORT"),
        ("10.0.8.21", "CLONE1_ADDRESS", "CLONE1_PORT"),
        ("10.0.8.22", "CLONE2_ADDRESS", "CLONE2_PORT"),
    ] {
        let socket = site
            .endpoints
            .ssh
            .get(world)
            .ok_or_else(|| missing(world))?;
        values.insert(address, json!(socket.ip().to_string()));
        values.insert(port, json!(socket.port()));
    }
    Ok(values)
}

/// Fills in the placeholders, each as one YAML value (JSON is YAML), and reads the objects.
///
/// # Errors
/// A placeholder without value, or text that is no YAML.
pub fn objects(template: &str, values: &Placeholders) -> Result<Vec<DynamicObject>, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("a placeholder has no end")?;
        let value = values
            .get(name)
            .ok_or_else(|| format!("placeholder {name} has no value"))?;
        text.push_str(before);
        text.push_str(&value.to_string());
        rest = after;
    }
    text.push_str(rest);
    serde_saphyr::from_multiple(&text).map_err(|e| e.to_string())
}

/// Makes the namespace and applies the objects, in the order of the file, with strict validation.
///
/// # Errors
/// What the API server refuses.
pub async fn apply(
    client: &Client,
    namespace: &str,
    objects: &[DynamicObject],
) -> Result<(), CommandError> {
    let parameters = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("ibmi-clone-demo").force()
    };
    let spaces: Api<Namespace> = Api::all(client.clone());
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    spaces
        .patch(namespace, &parameters, &Patch::Apply(&space))
        .await
        .map_err(|e| CommandError::kube(format!("namespace {namespace}"), &e))?;
    for object in objects {
        let what = format!(
            "{} {}",
            object.types.as_ref().map_or("object", |t| &t.kind),
            object.name_any()
        );
        let types = object.types.as_ref().ok_or_else(|| {
            CommandError::Other(format!("{what} of the demo has no apiVersion and kind"))
        })?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &resource(types)?);
        api.patch(&object.name_any(), &parameters, &Patch::Apply(object))
            .await
            .map_err(|e| CommandError::kube(what, &e))?;
    }
    Ok(())
}

fn resource(types: &TypeMeta) -> Result<ApiResource, CommandError> {
    let kind = GroupVersionKind::try_from(types).map_err(|e| CommandError::other(&e))?;
    Ok(ApiResource::from_gvk(&kind))
}

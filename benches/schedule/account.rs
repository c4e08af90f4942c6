//! The operator's way to the API server as in a pod: the token of a ServiceAccount. The peer has one too
//! (`--use-service-account-credentials`).

use ibmi_clone_operator::commands::kube_stack::KubeStack;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube::config::Kubeconfig;
use std::path::PathBuf;

const NAME: &str = "bench-operator";

/// Makes the account and a kubeconfig with its token, beside the administrator's.
pub async fn kubeconfig(stack: &KubeStack) -> PathBuf {
    let client = stack.client().unwrap();
    let (metadata, none) = (named(), PostParams::default());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let account = ServiceAccount {
        metadata: metadata.clone(),
        ..ServiceAccount::default()
    };
    once(accounts.create(&none, &account).await);
    let binding = ClusterRoleBinding {
        metadata,
        role_ref: RoleRef {
            kind: "ClusterRole".to_owned(),
            name: "cluster-admin".to_owned(),
            ..RoleRef::default()
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: NAME.to_owned(),
            namespace: Some("default".to_owned()),
            ..Subject::default()
        }]),
    };
    let bindings: Api<ClusterRoleBinding> = Api::all(client);
    once(bindings.create(&none, &binding).await);
    let spec = TokenRequestSpec {
        expiration_seconds: Some(4 * 3600),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest {
        spec,
        ..TokenRequest::default()
    };
    let answer = accounts.create_subresource("token", NAME, &none, &request);
    let answer: TokenRequest = answer.await.unwrap();
    write(stack, &answer.status.unwrap().token)
}

/// One account for all numbers of environments.
fn once<T>(created: kube::Result<T>) {
    let there = created.map(drop).or_else(|e| match e {
        kube::Error::Api(s) if s.code == 409 => Ok(()),
        e => Err(e),
    });
    there.unwrap();
}

fn named() -> ObjectMeta {
    ObjectMeta {
        name: Some(NAME.to_owned()),
        ..ObjectMeta::default()
    }
}

fn write(stack: &KubeStack, token: &str) -> PathBuf {
    let beside = |name: &str| stack.kubeconfig().with_file_name(name);
    let (path, file) = (
        beside("bench-operator.kubeconfig"),
        beside("bench-operator.token"),
    );
    std::fs::write(&file, token).unwrap();
    let mut config = Kubeconfig::read_from(stack.kubeconfig()).unwrap();
    let user = config.auth_infos[0].auth_info.as_mut().unwrap();
    user.client_certificate_data = None;
    user.client_key_data = None;
    user.token_file = Some(file.to_str().unwrap().to_owned());
    // JSON is YAML.
    std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
    path
}

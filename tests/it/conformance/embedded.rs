//! The embedded server as `standalone` starts it. The only place that knows how.

use super::place::Place;
use ibmi_clone_operator::commands::embedded_api::{self, EmbeddedApi};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tempfile::TempDir;

/// A server with its data. It ends with the runtime of the test that has started it.
pub struct Embedded {
    pub place: Place,
    pub kubeconfig: PathBuf,
    _api: EmbeddedApi,
    _files: TempDir,
}

/// Starts one, on a free port.
pub async fn start() -> Embedded {
    let files = tempfile::tempdir().unwrap();
    let data = files.path().join("data");
    let place = embedded_api::Place {
        data: data.clone(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        names: Vec::new(),
        namespace: "default".to_owned(),
    };
    let api = EmbeddedApi::start(&place).await.unwrap();
    let token = std::fs::read_to_string(data.join("token")).unwrap();
    Embedded {
        place: Place::with_token("embedded", api.url(), token.trim()),
        kubeconfig: api.kubeconfig().to_owned(),
        _api: api,
        _files: files,
    }
}

//! `/version`. kubectl and Helm compare the minor version with their own; nothing in it may make them think of features that are
//! not here, so it is the one whose answers were compared.

use serde_json::{Value, json};

/// Whose API this is a subset of.
const MAJOR: &str = "1";
const MINOR: &str = "36";

/// The document. People who look closer see that it is no kube-apiserver: build metadata of the version (clients ignore what
/// follows a plus), tree state and compiler.
pub fn document() -> Value {
    json!({
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": MINOR,
        "gitVersion": format!("v{MAJOR}.{MINOR}.0+embedded"),
        "gitCommit": "",
        "gitTreeState": "embedded",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": concat!("ibmi-clone/", env!("CARGO_PKG_VERSION")),
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

//! A client of this process: no socket, no token, the same code as for everybody else.

use super::access::Access;
use super::limits::Limits;
use super::service::{Service, router};
use crate::embedded::registry::Registry;

/// A kube client whose requests are handed to the router. `namespace` is what it means by "default namespace".
///
/// Its requests count towards no other server's limits.
pub fn client(registry: Registry, namespace: &str) -> kube::Client {
    let limits = Limits {
        // Controllers of this process wait for each other at worst, and nobody else can open their watches.
        watches: 16 * 1024,
        requests: 1024,
        ..Limits::default()
    };
    let service = Service::new(registry, Access::InProcess, limits);
    kube::Client::new(router(service), namespace)
}

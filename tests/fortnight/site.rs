//! The objects of the site, as a user writes them, but for the ports.

use ibmi_clone_operator::commands::simulated_site::SimulatedSite;
use kube::api::DynamicObject;
use serde_json::{Value, json};

/// One environment of the site.
pub struct Environment {
    pub name: &'static str,
    pub function: &'static str,
    /// Source partition and its address.
    pub source: (&'static str, &'static str),
    /// Clone partition, also the name of its consistency group, its address and its vhost on both VIOSes.
    pub clone: (&'static str, &'static str, &'static str),
    pub cron: &'static [&'static str],
}

/// What the issue of the schedule promises: four environments, one of them on a second source.
pub const ENVIRONMENTS: [Environment; 4] = [
    Environment {
        name: "nightly",
        function: "USER",
        source: ("PROD", "10.0.8.20"),
        clone: ("NIGHT", "10.0.8.41", "vhost3"),
        cron: &["0 0 * * *"],
    },
    Environment {
        name: "safety",
        function: "HOLD",
        source: ("PROD", "10.0.8.20"),
        clone: ("SAFE", "10.0.8.42", "vhost4"),
        cron: &["0 7 * * *", "30 12 * * *"],
    },
    Environment {
        name: "weekly-test",
        function: "USER",
        source: ("PROD", "10.0.8.20"),
        clone: ("TEST", "10.0.8.43", "vhost5"),
        // The hour that the night of the change has twice.
        cron: &["30 2 * * 0"],
    },
    Environment {
        name: "second",
        function: "HOLD",
        source: ("PROD2", "10.0.8.30"),
        clone: ("SAFE2", "10.0.8.44", "vhost6"),
        cron: &["15 3 * * *"],
    },
];

/// Secrets, authority and environments for a running site.
pub fn objects(site: &SimulatedSite) -> Vec<DynamicObject> {
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "site-ca"}, "data": {"ca.crt": site.authority},
    })];
    for (name, user, password) in [
        ("ibmi", "CLONEOP", "simulated-prod"),
        ("hmc", "cloneop", "simulated-hmc"),
        ("svc", "cloneop", "simulated-svc"),
    ] {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
            "metadata": {"name": name, "labels": {"ibmiclone.dev/credentials": "true"}},
            "stringData": {"username": user, "password": password},
        }));
    }
    objects.extend(ENVIRONMENTS.iter().map(|e| environment(e, site)));
    let read = |object: Value| serde_json::from_value(object).unwrap();
    objects.into_iter().map(read).collect()
}

fn environment(e: &Environment, site: &SimulatedSite) -> Value {
    let host = |address: &str| {
        let socket = site.endpoints.ssh[address];
        json!({"address": socket.ip().to_string(), "port": socket.port(), "credentials": {"name": "ibmi"}})
    };
    let (source, source_address) = e.source;
    let (clone, clone_address, vhost) = e.clone;
    let mut source_host = host(source_address);
    source_host["hostKeys"] = json!([site.host_keys[source]]);
    let tls = json!({"caBundle": {"name": "site-ca"}});
    let partition = |name: &str| json!({"managedSystem": "P10-PARIS", "name": name});
    let mut spec = json!({
        "function": e.function,
        // Ten real seconds: the schedule's clock runs an hour in a second, and a run under load waits for the one before it.
        "schedule": {"cron": e.cron, "timeZone": "Europe/Paris", "startingDeadlineSeconds": 36_000},
        "source": {"partition": partition(source), "host": source_host},
        "clone": {
            "partition": partition(clone),
            "host": host(clone_address),
            "personality": {
                "systemName": clone, "hostName": clone.to_lowercase(), "startSubsystems": ["QSYSWRK"],
                "interfaces": [{"address": clone_address, "netmask": "255.255.255.0", "lineDescription": "ETHLINE", "resource": "CMN03"}],
            },
        },
        "console": {"hmc": {"endpoints": site.endpoints.hmc, "credentials": {"name": "hmc"}, "tls": tls}},
        "virtualIo": {"vscsi": {"adapters": [{"server": "VIOS1", "vhost": vhost}, {"server": "VIOS2", "vhost": vhost}]}},
        "storage": {"spectrumVirtualize": {
            "endpoint": site.endpoints.array, "credentials": {"name": "svc"}, "tls": tls, "consistencyGroups": [clone],
        }},
        // A machine under load must not reach the cap, which is divided like every other time.
        "freeze": {"maxSeconds": 600},
    });
    if e.function == "USER" {
        spec["user"] = json!({"programs": [{"program": "CLNLIB/MYSAVE"}]});
    }
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment", "metadata": {"name": e.name}, "spec": spec,
    })
}

//! Writes as the API server itself counts them.

use kube::Client;
use std::collections::BTreeMap;

/// Accepted writes by resource.
#[derive(Debug, Clone, Default)]
pub struct Writes(BTreeMap<String, f64>);

impl Writes {
    /// All writes so far.
    pub async fn so_far(client: &Client) -> Self {
        let request = axum::http::Request::get("/metrics")
            .body(Vec::new())
            .unwrap();
        let text = client.request_text(request).await.unwrap();
        let mut writes = BTreeMap::new();
        for line in text
            .lines()
            .filter(|l| l.starts_with("apiserver_request_total{"))
        {
            let label = |name: &str| {
                let (_, rest) = line.split_once(&format!("{name}=\""))?;
                rest.split('"').next()
            };
            let write = matches!(label("verb"), Some("POST" | "PUT" | "PATCH" | "DELETE"));
            let accepted = label("code").is_some_and(|c| c.starts_with('2'));
            let count = line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok());
            if let (true, true, Some(resource), Some(count)) =
                (write, accepted, label("resource"), count)
            {
                *writes.entry(resource.to_owned()).or_insert(0.0) += count;
            }
        }
        Self(writes)
    }

    /// What came since.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = |resource: &str| before.0.get(resource).copied().unwrap_or(0.0);
        let since = self.0.iter().map(|(r, n)| (r.clone(), n - earlier(r)));
        Self(since.filter(|(_, n)| *n > 0.0).collect())
    }

    pub fn per_fire(&self, n: usize) -> f64 {
        self.0.values().sum::<f64>() / n as f64
    }

    pub fn by_resource(&self) -> &BTreeMap<String, f64> {
        &self.0
    }
}

//! Requests as the API server itself counts them.

use kube::Client;
use std::collections::BTreeMap;

/// Requests by verb and resource, without watches; how many of them were accepted writes.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    all: BTreeMap<String, f64>,
    writes: BTreeMap<String, f64>,
}

impl Requests {
    /// All requests so far.
    pub async fn so_far(client: &Client) -> Self {
        let request = axum::http::Request::get("/metrics")
            .body(Vec::new())
            .unwrap();
        let text = client.request_text(request).await.unwrap();
        let mut requests = Self::default();
        for line in text
            .lines()
            .filter(|l| l.starts_with("apiserver_request_total{"))
        {
            requests.count(line);
        }
        requests
    }

    fn count(&mut self, line: &str) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        let count = line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok());
        let (Some(verb), Some(resource), Some(count)) = (label("verb"), label("resource"), count)
        else {
            return;
        };
        if matches!(verb, "WATCH" | "CONNECT") || resource.is_empty() {
            return;
        }
        let accepted = label("code").is_some_and(|c| c.starts_with('2'));
        let kind = match label("subresource").filter(|s| !s.is_empty()) {
            Some(subresource) => format!("{verb} {resource}/{subresource}"),
            None => format!("{verb} {resource}"),
        };
        *self.all.entry(kind).or_insert(0.0) += count;
        if accepted && matches!(verb, "POST" | "PUT" | "PATCH" | "DELETE") {
            *self.writes.entry(resource.to_owned()).or_insert(0.0) += count;
        }
    }

    /// What came since.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            all: difference(&self.all, &before.all),
            writes: difference(&self.writes, &before.writes),
        }
    }

    /// Requests of any kind, for each of `n`.
    pub fn per(&self, n: usize) -> f64 {
        self.all.values().sum::<f64>() / n as f64
    }

    /// Requests by verb and resource, for each of `n`, with two digits.
    pub fn each(&self, n: usize) -> BTreeMap<&String, f64> {
        let each = |count: &f64| (count / n as f64 * 100.0).round() / 100.0;
        self.all
            .iter()
            .map(|(kind, count)| (kind, each(count)))
            .collect()
    }

    /// Accepted writes for each of `n`.
    pub fn writes_per(&self, n: usize) -> f64 {
        self.writes.values().sum::<f64>() / n as f64
    }

    /// Accepted writes by resource.
    pub fn writes(&self) -> &BTreeMap<String, f64> {
        &self.writes
    }
}

fn difference(
    now: &BTreeMap<String, f64>,
    before: &BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    let earlier = |kind: &str| before.get(kind).copied().unwrap_or(0.0);
    let since = now
        .iter()
        .map(|(kind, n)| (kind.clone(), n - earlier(kind)));
    since.filter(|(_, n)| *n > 0.0).collect()
}

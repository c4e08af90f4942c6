//! A server that is asked: where it is, and as whom. A request leaves as it is written; only `Host` and, where the server
//! knows people by a token, that are added.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use futures::future::BoxFuture;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::ConfigExt;

/// Sends a request whose URI is complete.
type Sender =
    Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, String>> + Send + Sync>;

/// One server. Its connections end with the tokio runtime it is made in.
#[derive(Clone)]
pub struct Place {
    pub name: &'static str,
    base: String,
    token: Option<String>,
    known: Sender,
    stranger: Sender,
}

impl Place {
    /// A server whose certificate this configuration checks, as its user.
    pub fn of(name: &'static str, config: &Config) -> Self {
        let mut stranger = config.clone();
        stranger.auth_info = Default::default();
        Self {
            name,
            base: config
                .cluster_url
                .to_string()
                .trim_end_matches('/')
                .to_owned(),
            token: None,
            known: sender(config),
            stranger: sender(&stranger),
        }
    }

    /// A server that knows people by a token. Whose certificate it has is not looked at.
    pub fn with_token(name: &'static str, base: &str, token: &str) -> Self {
        let mut config = Config::new(base.parse().unwrap());
        config.accept_invalid_certs = true;
        config.proxy_url = None;
        let mut place = Self::of(name, &config);
        place.token = Some(token.to_owned());
        place
    }

    /// Sends a request with a path for a URI. With an `Authorization` of its own it goes without our credentials, and an empty
    /// one is not sent.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, String> {
        let uri = format!("{}{}", self.base, request.uri());
        *request.uri_mut() = uri.parse().map_err(|error| format!("{uri}: {error}"))?;
        let headers = request.headers_mut();
        let own = headers.get(header::AUTHORIZATION).cloned();
        let sender = match own {
            Some(own) if own.is_empty() => {
                headers.remove(header::AUTHORIZATION);
                &self.stranger
            }
            Some(_) => &self.stranger,
            None => {
                if let Some(token) = &self.token {
                    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
                    headers.insert(header::AUTHORIZATION, value);
                }
                &self.known
            }
        };
        sender(request).await
    }
}

fn sender(config: &Config) -> Sender {
    let connector = config.rustls_https_connector().unwrap();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    Arc::new(move |request| {
        let answer = client.request(request);
        Box::pin(async move {
            let answer = answer.await.map_err(|error| format!("{error:?}"))?;
            Ok(answer.map(Body::new))
        })
    })
}

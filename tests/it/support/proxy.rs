//! A small proxy in front of the API server: plain HTTP on loopback, forwarded by the administrator's client. On
//! command it answers 429 and 500 in place of the API server, or loses the answer to a create that was carried out.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use kube::{Client, Config};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What the proxy does instead of forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Everything is forwarded.
    None,
    /// Every request is answered 429 and 500 in turn and is not forwarded.
    Refuse,
    /// Requests of this method to a path with this ending are answered like that, all others are forwarded.
    RefuseOnly(&'static str, &'static str),
    /// The API server carries out creates of runs, and its answer is replaced by 500.
    LoseCreates,
}

/// The path of a create of runs ends with it.
const RUNS: &str = "/cloneruns";

struct Inner {
    behind: Client,
    trouble: Trouble,
    /// Answers in place of the API server: (method, code).
    refused: BTreeMap<(String, u16), usize>,
    /// Creates of runs: all, refused, lost.
    creates: [usize; 3],
    turn: usize,
}

/// The running proxy; it ends when it is dropped.
pub struct Proxy {
    url: String,
    inner: Arc<Mutex<Inner>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Listens on a free loopback port.
    pub async fn before(behind: Client) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            behind,
            trouble: Trouble::None,
            refused: BTreeMap::new(),
            creates: [0; 3],
            turn: 0,
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, task }
    }

    /// A client that knows only the proxy.
    pub fn client(&self) -> Client {
        Client::try_from(Config::new(self.url.parse().unwrap())).unwrap()
    }

    /// From now on.
    pub fn set(&self, trouble: Trouble) {
        self.inner.lock().unwrap().trouble = trouble;
    }

    /// Creates of runs that came to the proxy.
    pub fn creates(&self) -> usize {
        self.inner.lock().unwrap().creates[0]
    }

    /// Creates of runs that were refused without reaching the API server.
    pub fn refused_creates(&self) -> usize {
        self.inner.lock().unwrap().creates[1]
    }

    /// Creates of runs whose answer was lost.
    pub fn lost_creates(&self) -> usize {
        self.inner.lock().unwrap().creates[2]
    }

    /// How many requests of this method were answered with this code in place of the API server.
    pub fn refused(&self, method: &str, code: u16) -> usize {
        let inner = self.inner.lock().unwrap();
        let key = (method.to_owned(), code);
        inner.refused.get(&key).copied().unwrap_or_default()
    }
}

enum Verdict {
    Forward,
    Refuse,
    Lose,
}

impl Inner {
    fn judge(&mut self, method: &str, path: &str) -> Verdict {
        let create = method == "POST" && path.ends_with(RUNS);
        self.creates[0] += usize::from(create);
        let verdict = match self.trouble {
            Trouble::None => Verdict::Forward,
            Trouble::Refuse => Verdict::Refuse,
            Trouble::RefuseOnly(m, p) if m == method && path.ends_with(p) => Verdict::Refuse,
            Trouble::LoseCreates if create => Verdict::Lose,
            Trouble::RefuseOnly(..) | Trouble::LoseCreates => Verdict::Forward,
        };
        match verdict {
            Verdict::Refuse => self.creates[1] += usize::from(create),
            Verdict::Lose => self.creates[2] += 1,
            Verdict::Forward => {}
        }
        verdict
    }

    /// 429 and 500 in turn.
    fn refuse(&mut self, method: &str) -> Response {
        self.turn += 1;
        let (code, reason) = match self.turn % 2 {
            1 => (429, "TooManyRequests"),
            _ => (500, "InternalError"),
        };
        *self.refused.entry((method.to_owned(), code)).or_default() += 1;
        status(code, reason)
    }
}

fn status(code: u16, reason: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code,
        "message": format!("{reason}, says the proxy of the test"),
    });
    let code = axum::http::StatusCode::from_u16(code).unwrap();
    (code, [("retry-after", "1")], axum::Json(body)).into_response()
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str().to_owned();
    let (verdict, behind) = {
        let mut inner = inner.lock().unwrap();
        let verdict = inner.judge(&method, parts.uri.path());
        (verdict, inner.behind.clone())
    };
    if matches!(verdict, Verdict::Refuse) {
        return inner.lock().unwrap().refuse(&method);
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut forwarded = axum::http::Request::builder()
        .method(parts.method)
        .uri(parts.uri.path_and_query().unwrap().as_str());
    for name in ["accept", "content-type"] {
        if let Some(value) = parts.headers.get(name) {
            forwarded = forwarded.header(name, value);
        }
    }
    let forwarded = forwarded.body(kube::client::Body::from(body)).unwrap();
    let answer = match behind.send(forwarded).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => panic!("the API server behind the proxy: {error}"),
    };
    if matches!(verdict, Verdict::Lose) {
        return status(500, "InternalError");
    }
    answer
}

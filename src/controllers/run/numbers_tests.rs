//! Numbers behind device names, against Leases that are kept in memory.

use super::*;
use axum::http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::Barrier;

enum Trouble {
    /// It is not carried out.
    Refused,
    /// It is carried out, and nobody learns of it.
    AnswerLost,
}

/// Leases of an API server.
struct Server {
    leases: Mutex<BTreeMap<String, Value>>,
    /// Creates are answered when so many are on their way.
    together: Barrier,
    /// What happens to the next create.
    trouble: Mutex<Option<Trouble>>,
}

impl Server {
    fn new(together: usize) -> Arc<Self> {
        Arc::new(Self {
            leases: Mutex::default(),
            together: Barrier::new(together),
            trouble: Mutex::default(),
        })
    }

    fn leases(self: &Arc<Self>) -> Api<Lease> {
        let server = self.clone();
        let answer = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, tower::BoxError>(server.answer(request).await) }
        });
        Api::namespaced(Client::new(answer, "locks"), "locks")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if request.method() == Method::GET {
            let items: Vec<Value> = self.leases.lock().unwrap().values().cloned().collect();
            return response(StatusCode::OK, &json!({"metadata": {}, "items": items}));
        }
        let body = request.into_body().collect_bytes().await.unwrap();
        let lease: Value = serde_json::from_slice(&body).unwrap();
        self.together.wait().await;
        let name = lease["metadata"]["name"].as_str().unwrap().to_owned();
        let lost = match self.trouble.lock().unwrap().take() {
            Some(Trouble::Refused) => return refused(StatusCode::INTERNAL_SERVER_ERROR, "Storage"),
            Some(Trouble::AnswerLost) => true,
            None => false,
        };
        let mut leases = self.leases.lock().unwrap();
        if leases.contains_key(&name) {
            return refused(StatusCode::CONFLICT, "AlreadyExists");
        }
        leases.insert(name, lease.clone());
        if lost {
            return refused(StatusCode::GATEWAY_TIMEOUT, "Timeout");
        }
        response(StatusCode::CREATED, &lease)
    }

    /// Who has which number.
    fn owners(&self) -> BTreeMap<String, String> {
        let leases = self.leases.lock().unwrap();
        let owner = |lease: &Value| lease["spec"]["holderIdentity"].as_str().unwrap().to_owned();
        leases
            .iter()
            .map(|(name, lease)| (name.clone(), owner(lease)))
            .collect()
    }
}

fn refused(code: StatusCode, reason: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
        "message": reason, "code": code.as_u16(),
    });
    response(code, &status)
}

fn response(code: StatusCode, body: &Value) -> Response<Body> {
    let body = Body::from(serde_json::to_vec(body).unwrap());
    Response::builder().status(code).body(body).unwrap()
}

/// A create that waits for another one would never be answered here.
#[tokio::test]
async fn environments_that_are_opened_at_once_reserve_different_numbers_without_waiting_for_each_other()
 {
    let server = Server::new(50);
    let (leases, numbers) = (server.leases(), DeviceNumbers::default());
    let names: Vec<String> = (0..50).map(|i| format!("ibmi/e{i}")).collect();
    let all = names.iter().map(|me| numbers.give(&leases, me));
    let all = futures::future::join_all(all);
    let limit = std::time::Duration::from_secs(60);
    let given = tokio::time::timeout(limit, all).await.unwrap();
    let given: Vec<i64> = given.into_iter().map(Result::unwrap).collect();
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 50);
    assert_eq!(given.iter().max(), Some(&50), "the lowest free ones");
    for (me, number) in names.iter().zip(&given) {
        assert_eq!(server.owners()[&lease_name(*number)], *me);
    }
}

#[tokio::test]
async fn two_operators_never_give_one_number_to_two_environments() {
    let server = Server::new(1);
    let leases = server.leases();
    let (one, two) = (DeviceNumbers::default(), DeviceNumbers::default());
    assert_eq!(one.give(&leases, "ibmi/a").await.unwrap(), 1);
    // Both know the number of `a`, and none what the other gives.
    assert_eq!(two.give(&leases, "ibmi/a").await.unwrap(), 1);
    assert_eq!(one.give(&leases, "ibmi/b").await.unwrap(), 2);
    assert_eq!(two.give(&leases, "ibmi/c").await.unwrap(), 3);
    assert_eq!(one.give(&leases, "ibmi/c").await.unwrap(), 3);
    assert_eq!(server.owners().len(), 3);
}

#[tokio::test]
async fn a_number_whose_reservation_was_not_answered_is_given_to_nobody_else_and_found_again() {
    let server = Server::new(1);
    let (leases, numbers) = (server.leases(), DeviceNumbers::default());
    *server.trouble.lock().unwrap() = Some(Trouble::AnswerLost);
    assert!(numbers.give(&leases, "ibmi/a").await.is_err());
    assert_eq!(numbers.give(&leases, "ibmi/b").await.unwrap(), 2);
    assert_eq!(numbers.give(&leases, "ibmi/a").await.unwrap(), 1);
    // Two runs of one environment, of which neither knows the other.
    let both = tokio::join!(
        numbers.give(&leases, "ibmi/c"),
        numbers.give(&leases, "ibmi/c")
    );
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (3, 3));
    assert_eq!(server.owners().len(), 3);
}

/// The number alone is nothing: another operator would give it to somebody else.
#[tokio::test]
async fn a_number_without_its_lease_is_never_used() {
    let server = Server::new(1);
    let (leases, numbers) = (server.leases(), DeviceNumbers::default());
    *server.trouble.lock().unwrap() = Some(Trouble::Refused);
    assert!(numbers.give(&leases, "ibmi/a").await.is_err());
    assert!(server.owners().is_empty());
    let number = numbers.give(&leases, "ibmi/a").await.unwrap();
    assert_eq!(server.owners()[&lease_name(number)], "ibmi/a");
}

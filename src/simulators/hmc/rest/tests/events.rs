//! `/Event`, and what happens beside the requests.

use super::super::{Ask, events, held, mishaps};
use super::{Client, text};
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::hmc::start_by_hand;
use futures::FutureExt;

fn kinds(body: &str) -> Vec<(String, String)> {
    let document = roxmltree::Document::parse(body).unwrap();
    let of = |n: roxmltree::Node<'_, '_>, name: &str| {
        let found = n.descendants().find(|c| c.tag_name().name() == name);
        found.and_then(|c| c.text()).unwrap_or_default().to_owned()
    };
    let all = document.descendants();
    all.filter(|n| n.tag_name().name() == "entry")
        .map(|n| (of(n, "EventType"), of(n, "EventData")))
        .collect()
}

#[test]
fn a_session_hears_of_its_own_start_then_of_changes_and_then_nothing() {
    let mut client = Client::usual();
    let first = client.get("Event");
    assert_eq!(
        kinds(&first.body),
        [("NEW_CLIENT".to_owned(), String::new())]
    );
    let reply = client.get("Event");
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));

    start_by_hand(&mut client.world, "CLONE1");
    client.run("VIOS2", "mkvdev -vdev hdisk4 -vadapter vhost4 -dev one");
    let heard = kinds(&client.get("Event").body);
    let changed = |partition: &str| {
        let uuid = client.uuid(partition);
        let hit = |(kind, data): &&(String, String)| kind == "MODIFY_URI" && data.ends_with(&uuid);
        heard.iter().filter(hit).count()
    };
    assert_eq!(changed("CLONE1"), 1, "{heard:?}");
    assert_eq!(changed("VIOS2"), 1, "{heard:?}");
    assert_eq!(changed("PROD"), 0, "{heard:?}");

    client.world.console.systems[0].state = "no connection".to_owned();
    let gone = kinds(&client.get("Event").body);
    assert!(
        gone.iter().all(|(kind, _)| kind == "DELETE_URI") && gone.len() > 3,
        "{gone:?}"
    );
    client.world.console.systems[0].state = "operating".to_owned();
    let back = kinds(&client.get("Event").body);
    assert!(back.iter().all(|(kind, _)| kind == "ADD_URI"), "{back:?}");
}

#[test]
fn a_call_for_events_without_a_session_is_401() {
    let mut client = Client::usual();
    client.token = "other".to_owned();
    assert_eq!(client.get("Event").status, 401);
}

#[test]
fn a_call_with_nothing_to_tell_is_held_until_something_changes_or_its_time_is_over() {
    let mut client = Client::usual();
    client.get("Event");
    let token = client.token.clone();
    let clock = SimulatedClock::manual(client.world.now);
    let ask = Ask {
        method: "GET",
        path: events::PATH,
        query: "",
        host: "hmc1:12443",
        accept: "*/*",
        token: &token,
        if_match: "",
        if_none_match: "",
        body: "",
        endpoint: 0,
    };
    let shared = Shared::new(client.world, clock.clone());
    let begin = clock.now();
    let waited = || u64::try_from((clock.now() - begin).num_milliseconds()).unwrap();
    let reply = held(&shared, &ask).now_or_never().unwrap();
    assert_eq!((reply.status, waited()), (204, events::HOLDS));

    // It starts, and is `running` after six seconds: told then, not at the end.
    start_by_hand(&mut shared.now(), "CLONE1");
    let reply = held(&shared, &ask).now_or_never().unwrap();
    assert_eq!(reply.status, 200);
    assert!(waited() < 2 * events::HOLDS);
    shared.now().console.sessions.clear();
    assert_eq!(held(&shared, &ask).now_or_never().unwrap().status, 401);
}

fn happens(client: &mut Client, word: &str) {
    client.world.faults.add(Fault {
        device: Device::Hmc,
        name: String::new(),
        operation: "GET /rest/api/uom/ManagedSystem".to_owned(),
        kind: FaultKind::Special(word.to_owned()),
        times: 1,
    });
    mishaps::happen(&mut client.world, "PUT /rest/api/web/Logon");
    mishaps::happen(
        &mut client.world,
        "GET /rest/api/uom/ManagedSystem/quick/All",
    );
}

#[test]
fn what_happens_beside_the_requests_lasts() {
    let mut client = Client::usual();
    let clone = client.uuid("CLONE1");
    happens(&mut client, "start:CLONE1");
    let state = client.get(&format!("LogicalPartition/{clone}/quick/PartitionState"));
    assert_eq!(state.body, "\"starting\"");

    happens(&mut client, "rmc-off:VIOS1");
    let (status, _, result) = client.run("VIOS1", "lspv");
    assert!(
        status == "COMPLETED_WITH_ERROR" && result.starts_with("HSCL294C"),
        "{result}"
    );
    happens(&mut client, "rmc-on:VIOS1");
    assert_eq!(client.run("VIOS1", "lspv").0, "COMPLETED_OK");

    let production = format!("LogicalPartition/{}", client.uuid("PROD"));
    happens(&mut client, "blank-src:PROD");
    let code = |c: &mut Client| text(&c.get(&production).body, "ReferenceCode");
    assert_eq!(code(&mut client).trim(), "");
    happens(&mut client, "show-src:PROD");
    assert_eq!(code(&mut client), "00000000");

    happens(&mut client, "lock:cloneop");
    assert_eq!(client.log_on("cloneop", "simulated-hmc"), 401);
    client.pass(5 * 60_000);
    assert_eq!(client.log_on("cloneop", "simulated-hmc"), 200);

    happens(&mut client, "state:P10-PARIS:no connection");
    assert_eq!(client.get(&production).status, 404);
}

#[test]
fn a_localised_refusal_keeps_its_code() {
    let mut client = Client::usual();
    client.world.faults.add(Fault {
        device: Device::Hmc,
        name: String::new(),
        operation: "PowerOff".to_owned(),
        kind: FaultKind::Special("localised".to_owned()),
        times: 1,
    });
    let path = format!("LogicalPartition/{}/do/PowerOff", client.uuid("CLONE1"));
    let reply = client.put(&path, &[("operation", "shutdown"), ("immediate", "true")]);
    let id = text(&reply.body, "JobID");
    client.pass(1_000);
    let (_, code, result) = super::outcome(&client.get(&format!("jobs/{id}")).body);
    assert_eq!(code, "1");
    assert!(
        result.starts_with("HSCL1558 ") && !result.contains("already"),
        "{result}"
    );
}

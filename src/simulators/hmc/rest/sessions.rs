//! Logon, logoff, session table: idle time, limit, 401, lock-out after three failures (`hmc.md` § 1.2).

use super::{Ask, Reply};
use crate::simulators::hmc::partition::ConsoleSession;
use crate::simulators::hmc::{FAILURES, LOCK_MINUTES};
use crate::simulators::world::World;
use base64::Engine as _;
use chrono::TimeDelta;
use sha2::{Digest, Sha512};

pub(super) fn logon_or_off(world: &mut World, ask: &Ask<'_>) -> Reply {
    match ask.method {
        "PUT" => logon(world, ask),
        "DELETE" => {
            world.console.sessions.remove(ask.token);
            Reply::empty(204)
        }
        _ => Reply::error(
            405,
            ask.path,
            "The request method is not supported for this resource.",
            "REST0005",
        ),
    }
}

fn logon(world: &mut World, ask: &Ask<'_>) -> Reply {
    let (user, password) = credentials(ask.body);
    let now = world.now;
    let unauthorized = |text: &str| Reply::error(401, ask.path, "Authentication failed.", text);
    let locked = world
        .console
        .failures
        .get(&user)
        .and_then(|(_, until)| *until)
        .filter(|until| *until > now);
    if locked.is_some() {
        // Trying again during the lock starts its time anew.
        let until = Some(now + TimeDelta::minutes(LOCK_MINUTES));
        world.console.failures.insert(user, (FAILURES, until));
        return unauthorized("REST0050 The account is locked due to 3 failed logins.");
    }
    let known = world
        .console
        .users
        .iter()
        .any(|u| u.name == user && u.password == password);
    if !known {
        let count = world.console.failures.get(&user).map_or(0, |(n, _)| *n) + 1;
        let until = (count >= FAILURES).then(|| now + TimeDelta::minutes(LOCK_MINUTES));
        world.console.failures.insert(user, (count, until));
        world.ledger.effect("hmc.logon-failed");
        return unauthorized("REST0051 The user name or password is not valid.");
    }
    world.console.failures.remove(&user);
    end_old(world);
    let open = world
        .console
        .sessions
        .values()
        .filter(|s| s.endpoint == ask.endpoint)
        .count();
    if open >= world.console.max_sessions {
        return Reply::error(
            503,
            ask.path,
            "Unknown internal error.",
            "The maximum number of web sessions for this user was reached.",
        );
    }
    let seed = format!("{user}{}{}", world.now, world.console.next_job);
    world.console.next_job += 1;
    let hash = |n: u8| Sha512::digest(format!("{seed}{n}"));
    let bytes = [hash(1), hash(2), hash(3)].concat();
    let token = base64::engine::general_purpose::URL_SAFE.encode(&bytes[..160]);
    world.console.sessions.insert(
        token.clone(),
        ConsoleSession {
            user,
            since: now,
            used: now,
            endpoint: ask.endpoint,
            watched: None,
        },
    );
    world.ledger.effect("hmc.logon");
    // Some levels break the token over lines: clients must drop the white space.
    let (front, back) = token.split_at(76);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
         <LogonResponse xmlns=\"http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/\" xmlns:ns2=\"http://www.w3.org/XML/1998/namespace/k2\" schemaVersion=\"V1_5_0\">\n\
         <Metadata><Atom/></Metadata>\n<X-API-Session>{front}\n{back}</X-API-Session>\n</LogonResponse>\n"
    );
    Reply {
        status: 200,
        content_type: "application/vnd.ibm.powervm.web+xml; type=LogonResponse",
        body,
        etag: None,
    }
}

fn credentials(body: &str) -> (String, String) {
    let Ok(document) = roxmltree::Document::parse(body) else {
        return Default::default();
    };
    let text = |name: &str| {
        let node = document.descendants().find(|n| n.tag_name().name() == name);
        node.and_then(|n| n.text()).unwrap_or_default().to_owned()
    };
    (text("UserID"), text("Password"))
}

/// Ends sessions that were idle too long or are too old.
fn end_old(world: &mut World) {
    let now = world.now;
    let (idle, whole) = (world.console.idle_minutes, world.console.session_minutes);
    world.console.sessions.retain(|_, s| {
        (idle <= 0 || (now - s.used).num_minutes() < idle)
            && (whole <= 0 || (now - s.since).num_minutes() < whole)
    });
}

/// Whether the caller may only look.
fn is_read_only(world: &World, ask: &Ask<'_>) -> bool {
    let session = world.console.sessions.get(ask.token);
    session.is_some_and(|s| {
        let mut users = world.console.users.iter();
        users.any(|u| u.name == s.user && u.read_only)
    })
}

/// The refusal for a caller who may only look.
pub(super) fn only_looks(world: &World, ask: &Ask<'_>) -> Option<Reply> {
    is_read_only(world, ask).then(|| {
        Reply::error(
            403,
            ask.path,
            "The user is not authorized for this operation.",
            "HSCL350B You do not have the authority to perform this task.",
        )
    })
}

/// Whether the caller's session lives; touches it.
pub(super) fn check(world: &mut World, ask: &Ask<'_>) -> Result<(), Reply> {
    let now = world.now;
    end_old(world);
    match world.console.sessions.get_mut(ask.token) {
        Some(session) if session.endpoint == ask.endpoint => {
            session.used = now;
            Ok(())
        }
        Some(_) | None => Err(Reply::error(
            401,
            ask.path,
            "The session is not valid.",
            "REST0052 Authentication is required: the session has expired or is unknown.",
        )),
    }
}

//! What the REST servers of the simulators have in common on the wire: a connection that breaks off, percent-encoding,
//! and the faults that hit a request whatever the device is.

use super::clock::SimulatedClock;
use super::faults::FaultKind;
use axum::body::{Body, Bytes};
use axum::response::Response;
use std::time::Duration;

/// How a request goes on under its fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// The device answers, with its own words for the faults that are its own.
    ToDevice,
    /// The connection breaks off, without effect.
    BreaksOff,
}

/// Before the device sees the request. With `NoAnswer` it never returns.
pub(crate) async fn before(fault: Option<&FaultKind>) -> Course {
    match fault {
        Some(FaultKind::NoAnswer) => std::future::pending().await,
        Some(FaultKind::Refused) => Course::BreaksOff,
        Some(
            FaultKind::AnswerLost
            | FaultKind::Busy
            | FaultKind::Refuse { .. }
            | FaultKind::Delay { .. }
            | FaultKind::Special(_),
        )
        | None => Course::ToDevice,
    }
}

/// After the effect: `Delay` holds the answer back, `AnswerLost` drops it.
pub(crate) async fn after(
    fault: Option<&FaultKind>,
    clock: &SimulatedClock,
    answer: Response,
) -> Response {
    match fault {
        Some(FaultKind::Delay { milliseconds }) => {
            clock.sleep(Duration::from_millis(*milliseconds)).await;
            answer
        }
        Some(FaultKind::AnswerLost) => broken_connection(),
        Some(
            FaultKind::Refused
            | FaultKind::NoAnswer
            | FaultKind::Busy
            | FaultKind::Refuse { .. }
            | FaultKind::Special(_),
        )
        | None => answer,
    }
}

/// A body that breaks off ends the connection without an answer.
pub(crate) fn broken_connection() -> Response {
    let broken = futures::stream::once(async {
        Err::<Bytes, _>(std::io::Error::other("connection dropped"))
    });
    Response::new(Body::from_stream(broken))
}

/// Decodes `%20` and the like; `None` when it is not valid percent-encoded UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| char::from(b?).to_digit(16);
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use futures::FutureExt;

    #[test]
    fn percent_encoding_is_decoded_or_named_wrong() {
        assert_eq!(percent_decoded("a%20%C3%A9%2Fb").as_deref(), Some("a é/b"));
        for wrong in ["%", "%4", "%zz", "%C3", "a%+1"] {
            assert_eq!(percent_decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_delay_holds_the_answer_back_on_the_world_clock() {
        let clock = SimulatedClock::manual(Utc::now());
        let (start, delay) = (
            clock.now(),
            FaultKind::Delay {
                milliseconds: 1_500,
            },
        );
        let answer = after(Some(&delay), &clock, Response::default()).now_or_never();
        assert!(answer.is_some());
        assert_eq!((clock.now() - start).num_milliseconds(), 1_500);
    }

    #[test]
    fn a_request_that_is_never_answered_reaches_no_device() {
        assert_eq!(before(Some(&FaultKind::NoAnswer)).now_or_never(), None);
        let refused = before(Some(&FaultKind::Refused)).now_or_never();
        assert_eq!(refused, Some(Course::BreaksOff));
        assert_eq!(before(None).now_or_never(), Some(Course::ToDevice));
    }
}

//! The client's side of the helper protocol (`ibmi/CONTRACT.md` § 3).

use super::exec::new_mark;
use super::link::LineChannel;
use crate::site::{
    AspName, Canary, DeviceError, DeviceTime, FreezePlan, FreezeSession, HelperState, Identity,
    OnBoundaryTimeout, Watchdog,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Version of the protocol spoken here.
const PROTOCOL: &str = "1";

/// A canary is believed to wait when it is older than this many of its own trial commits.
const CANARY_FACTOR: i64 = 3;

/// One parsed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    status: Status,
    fields: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Pending,
    Err,
}

impl Answer {
    /// Reads `<seq> STATUS at= ms= …`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut rest = line.trim_end();
        let mut word = || {
            let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = more;
            first.to_owned()
        };
        let _sequence = word();
        let status = match word().as_str() {
            "OK" => Status::Ok,
            "PENDING" => Status::Pending,
            "ERR" => Status::Err,
            _ => return None,
        };
        let mut fields = BTreeMap::new();
        while !rest.is_empty() {
            if let Some(text) = rest.strip_prefix("text=") {
                fields.insert("text".to_owned(), text.to_owned());
                break;
            }
            let (item, more) = rest.split_once(' ').unwrap_or((rest, ""));
            let (key, value) = item.split_once('=')?;
            fields.insert(key.to_owned(), value.to_owned());
            rest = more;
        }
        fields.get("ms")?.parse::<i64>().ok()?;
        Some(Self { status, fields })
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.text(key).parse().ok()
    }

    fn time(&self) -> DeviceTime {
        DeviceTime {
            milliseconds: self.number("ms").unwrap_or(0),
        }
    }
}

/// A running helper.
pub(super) struct Helper {
    device: String,
    channel: Box<dyn LineChannel>,
    prefix: String,
    count: u32,
    limit: Duration,
}

impl Helper {
    pub(super) fn new(device: String, channel: Box<dyn LineChannel>, limit: Duration) -> Self {
        Self {
            device,
            channel,
            prefix: new_mark().chars().skip(3).take(8).collect(),
            count: 0,
            limit,
        }
    }

    /// Sends requests in one write and gives their answers, `ERR` ones included.
    async fn ask_all(
        &mut self,
        requests: &[&str],
        limit: Duration,
    ) -> Result<Vec<Answer>, DeviceError> {
        let lines: Vec<String> = requests
            .iter()
            .map(|r| {
                self.count += 1;
                format!("{}{:X} {r}", self.prefix, self.count)
            })
            .collect();
        let answers = self.channel.ask(&lines, limit).await?;
        answers
            .iter()
            .map(|a| {
                Answer::parse(a).ok_or_else(|| {
                    DeviceError::indeterminate(
                        &self.device,
                        format!("the helper's answer is not of the protocol: {a}"),
                    )
                })
            })
            .collect()
    }

    /// One request; `ERR` becomes `Refused`.
    pub(super) async fn ask(
        &mut self,
        request: &str,
        extra: Duration,
    ) -> Result<Answer, DeviceError> {
        let limit = self.limit + extra;
        let answers = self.ask_all(&[request], limit).await?;
        let answer = answers
            .into_iter()
            .next()
            .ok_or_else(|| DeviceError::indeterminate(&self.device, "the helper gave no answer"))?;
        self.accept(request, answer)
    }

    fn accept(&self, request: &str, answer: Answer) -> Result<Answer, DeviceError> {
        if answer.status != Status::Err {
            return Ok(answer);
        }
        let (id, text) = (answer.text("id"), answer.text("text"));
        if id == "CLN0023" {
            return Err(DeviceError::busy(
                &self.device,
                "an older watchdog of the guest kit is still counting; it is disarmed by the run that armed it, or ends by itself within 720 s",
            ));
        }
        Err(DeviceError::refused(
            &self.device,
            if id.is_empty() { "CLN0000" } else { id },
            format!("{request}: {text}"),
        ))
    }

    /// HELLO, and the proof that the helper runs on one of production's systems.
    pub(super) async fn hello(
        &mut self,
        token: &str,
        spare: bool,
        expected: &[Identity],
    ) -> Result<Answer, DeviceError> {
        let request = format!(
            "HELLO {PROTOCOL} {token}{}",
            if spare { " SPARE" } else { "" }
        );
        let answer = self.ask(&request, Duration::from_secs(20)).await?;
        let found = answer
            .text("partition")
            .parse()
            .map(|id| Identity::new(answer.text("serial"), id));
        match found {
            Ok(found) if expected.contains(&found) => Ok(answer),
            Ok(found) => {
                let list: Vec<String> = expected.iter().map(ToString::to_string).collect();
                Err(DeviceError::refused(
                    &self.device,
                    "IdentityUnexpected",
                    format!(
                        "the helper runs on {found}, production is {}: nothing was suspended; is source.host right?",
                        list.join(" or ")
                    ),
                ))
            }
            Err(_) => Err(DeviceError::indeterminate(
                &self.device,
                "the helper does not say on which partition it runs",
            )),
        }
    }

    /// RESUME of one ASP.
    pub(super) async fn resume(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        let request = format!("RESUME {asp}");
        Ok(self.ask(&request, Duration::ZERO).await?.time())
    }

    /// WATCHDOG DISARM; what it had become. Its end is only proved by a word of the contract.
    pub(super) async fn disarm(&mut self) -> Result<Watchdog, DeviceError> {
        let answer = self.ask("WATCHDOG DISARM", Duration::from_secs(15)).await?;
        match answer.text("state") {
            "ENDED" | "NONE" => Ok(Watchdog::Ended),
            "FIRED" | "FAILED" => Ok(Watchdog::Fired),
            other => Err(DeviceError::indeterminate(
                &self.device,
                format!("WATCHDOG DISARM was answered with state {other:?}: its end is not proved"),
            )),
        }
    }
}

pub(super) fn watchdog_word(state: &str) -> Watchdog {
    match state {
        "ACTIVE" => Watchdog::Armed,
        "FIRING" | "FIRED" | "FAILED" => Watchdog::Fired,
        _ => Watchdog::Ended,
    }
}

/// Spare helper of an open window: shared with [`super::freeze::IbmIFreeze`], which resumes through it.
pub(super) type Spare = Arc<Mutex<Option<Helper>>>;

/// The open window's helper.
pub(super) struct HelperSession {
    pub(super) helper: Helper,
    pub(super) spare: Spare,
    pub(super) uses_canary: bool,
    pub(super) canary_started: bool,
    pub(super) canary_milliseconds: i64,
    /// Last beat of the watchdog: counter, and the helper's clock when it was seen to move.
    pub(super) beat: (i64, i64),
}

impl HelperSession {
    fn judge_watchdog(&mut self, answer: &Answer) -> Watchdog {
        let (beats, at) = (
            answer.number("beats").unwrap_or(0),
            answer.number("at").unwrap_or(0),
        );
        if beats != self.beat.0 {
            self.beat = (beats, at);
        }
        let word = watchdog_word(answer.text("state"));
        if word == Watchdog::Armed && at - self.beat.1 > 3_000 {
            // ACTIVE is only alive while its counter moves (§ 4).
            return Watchdog::Ended;
        }
        word
    }

    /// A canary that has not begun, or is younger than a few trial commits, proves nothing (§ 5): how long to wait.
    fn too_young(&self, answer: &Answer) -> Option<Duration> {
        if answer.status != Status::Pending {
            return None;
        }
        let needed = self.canary_milliseconds * CANARY_FACTOR;
        match (answer.number("began"), answer.number("age")) {
            (Some(_), Some(age)) if age >= needed => None,
            (Some(_), Some(age)) => Some(Duration::from_millis(
                u64::try_from(needed - age).unwrap_or(1).max(1),
            )),
            _ => Some(Duration::from_millis(1)),
        }
    }
}

#[async_trait]
impl FreezeSession for HelperSession {
    async fn state(&mut self) -> Result<HelperState, DeviceError> {
        let limit = self.helper.limit;
        let with_canary = self.uses_canary && self.canary_started;
        for _ in 0..200 {
            let requests: &[&str] = if with_canary {
                &["WATCHDOG STATE", "CANARYSTATE"]
            } else {
                &["WATCHDOG STATE"]
            };
            let mut answers = self.helper.ask_all(requests, limit).await?.into_iter();
            let missing =
                || DeviceError::indeterminate(&self.helper.device, "an answer is missing");
            let first = answers.next().ok_or_else(missing)?;
            let first = self.helper.accept("WATCHDOG STATE", first)?;
            let watchdog = self.judge_watchdog(&first);
            let Some(second) = answers.next() else {
                return Ok(HelperState {
                    canary: Canary::Off,
                    watchdog,
                });
            };
            let second = self.helper.accept("CANARYSTATE", second)?;
            if let Some(wait) = self.too_young(&second) {
                // Part of the proof, not of polling: a commit on a running system takes this long as well.
                self.helper.channel.pause(wait).await;
                continue;
            }
            let canary = match (second.status, second.text("state")) {
                (Status::Pending, _) => Canary::Pending,
                (_, "DONE") => Canary::Completed,
                // FAILED and IDLE prove nothing.
                _ => Canary::Off,
            };
            return Ok(HelperState { canary, watchdog });
        }
        Err(DeviceError::indeterminate(
            &self.helper.device,
            "the canary was ordered and does not begin",
        ))
    }

    async fn suspend(
        &mut self,
        asp: &AspName,
        boundary_seconds: u32,
        on_timeout: OnBoundaryTimeout,
    ) -> Result<DeviceTime, DeviceError> {
        let word = match on_timeout {
            OnBoundaryTimeout::Abort => "END",
            OnBoundaryTimeout::KeepSuspended => "CONT",
        };
        let request = format!("SUSPEND {asp} {boundary_seconds} {word}");
        let extra = Duration::from_secs(u64::from(boundary_seconds));
        Ok(self.helper.ask(&request, extra).await?.time())
    }

    async fn start_canary(&mut self) -> Result<(), DeviceError> {
        if !self.uses_canary {
            return Ok(());
        }
        self.canary_started = true;
        self.helper.ask("CANARY *SYSBAS", Duration::ZERO).await?;
        Ok(())
    }

    async fn force_write(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        let request = format!("FORCEWRITE {asp}");
        let answer = self.helper.ask(&request, Duration::from_secs(600)).await?;
        Ok(answer.time())
    }

    async fn resume(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        self.helper.resume(asp).await
    }

    async fn close(&mut self) -> Result<Watchdog, DeviceError> {
        let mut watchdog = self.helper.disarm().await;
        let spare = self.spare.lock().await.take();
        if let Some(mut spare) = spare {
            // A lost helper does not disarm its watchdog: whoever takes over does (`ibmi/CONTRACT.md` § 3.5).
            if watchdog.is_err() {
                watchdog = spare.disarm().await;
            }
            let _ = spare.ask("QUIT", Duration::ZERO).await;
        }
        // The end of the channel ends a helper as well: a lost answer to QUIT is no reason to doubt the disarm.
        let _ = self.helper.ask("QUIT", Duration::ZERO).await;
        watchdog
    }
}

/// Arms the watchdog of a plan: its list is in the order of resuming.
///
/// Gives its first beat: the counter, and the helper's clock when it was read. The helper may be older by then than a dead
/// watchdog is silent, so the silence counts from here and not from the helper's start.
pub(super) async fn arm(helper: &mut Helper, plan: &FreezePlan) -> Result<(i64, i64), DeviceError> {
    let list: Vec<&str> = plan.asps.iter().rev().map(AspName::as_str).collect();
    let request = format!("WATCHDOG ARM {} {}", plan.watchdog_seconds, list.join(","));
    let patience = Duration::from_secs(35);
    let answer = match helper.ask(&request, patience).await {
        // Left alive by an attempt of ours whose end was not proved: whoever opens a window holds the lock of the source,
        // so it is nobody else's.
        Err(DeviceError::Busy { .. }) => {
            helper.disarm().await?;
            helper.ask(&request, patience).await?
        }
        answer => answer?,
    };
    let number = |key| answer.number(key).unwrap_or(0);
    // `at` is when the request began; the job may have needed 30 s to write its first beat.
    Ok((number("beats"), number("at") + number("ms")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_its_text_last() {
        let a =
            Answer::parse("A1 ERR at=12 ms=3 id=CPFB701 text=*SYSBAS = busy, try again").unwrap();
        assert_eq!(a.status, Status::Err);
        assert_eq!(a.text("id"), "CPFB701");
        assert_eq!(a.text("text"), "*SYSBAS = busy, try again");
        assert_eq!(a.time().milliseconds, 3);
        assert!(Answer::parse("A1 OK").is_none());
        assert!(Answer::parse("A1 MAYBE at=1 ms=1").is_none());
    }
}

//! What the end of a run means to the caller: exit code and last line.

use super::Exit;
use super::text::{clock, freeze, one_line};
use crate::api::CloneRun;
use crate::engine::journal::Phase;
use kube::ResourceExt;

/// The exit code of a phase (`product.md` § 11); `None` while the run is open.
pub fn exit_of(phase: Phase) -> Option<Exit> {
    match phase {
        Phase::Pending | Phase::Queued | Phase::Running | Phase::Cancelling => None,
        Phase::Succeeded => Some(Exit::Done),
        Phase::Warning => Some(Exit::Warning),
        Phase::Failed => Some(Exit::Failed),
        Phase::Cancelled => Some(Exit::Cancelled),
        Phase::Skipped => Some(Exit::Skipped),
    }
}

/// `nightly-x7k2p: Succeeded, USER_END, number 12, 31:37, users held 480 ms: message`.
pub fn result_line(run: &CloneRun) -> String {
    let status = run.status.clone().unwrap_or_default();
    let mut parts = vec![format!("{:?}", status.phase)];
    parts.extend(status.state);
    parts.extend(status.number.map(|n| format!("number {n}")));
    parts.extend(status.duration.or(status.duration_seconds.map(clock)));
    let held = status.frozen.and_then(|f| f.milliseconds);
    parts.extend(held.map(|ms| format!("users held {}", freeze(ms))));
    parts.extend(status.reason);
    let mut line = format!("{}: {}", run.name_any(), parts.join(", "));
    if let Some(message) = status.message.filter(|m| !m.is_empty()) {
        line = format!("{line}: {}", one_line(&message));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::run::{CloneRunStatus, Frozen};

    #[test]
    fn each_final_phase_has_its_own_exit_code_and_an_open_one_has_none() {
        let code = |phase| exit_of(phase).map(Exit::code);
        assert_eq!(code(Phase::Succeeded), Some(0));
        assert_eq!(code(Phase::Warning), Some(1));
        assert_eq!(code(Phase::Failed), Some(2));
        assert_eq!(code(Phase::Cancelled), Some(4));
        assert_eq!(code(Phase::Skipped), Some(5));
        for open in [
            Phase::Pending,
            Phase::Queued,
            Phase::Running,
            Phase::Cancelling,
        ] {
            assert!(code(open).is_none() && !open.is_final());
        }
    }

    #[test]
    fn the_last_line_says_how_it_ended_and_how_long_users_were_held() {
        let mut run = crate::commands::samples::run("nightly-x7k2p");
        run.status = Some(CloneRunStatus {
            phase: Phase::Warning,
            state: Some("USER_END".into()),
            number: Some(12),
            duration: Some("31:37".into()),
            frozen: Some(Frozen {
                milliseconds: Some(480),
                ..Frozen::default()
            }),
            message: Some("3 errors\nin the job log".into()),
            ..CloneRunStatus::default()
        });
        assert_eq!(
            result_line(&run),
            "nightly-x7k2p: Warning, USER_END, number 12, 31:37, users held 480 ms: 3 errors; in the job log"
        );
    }
}

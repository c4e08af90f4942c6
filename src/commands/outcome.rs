//! What the end of a run means to the caller: exit code and last lines.

use super::Exit;
use super::text::{TERMINAL, clock, freeze, hanging, one_line};
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

/// `nightly-x7k2p: Succeeded, USER_END, number 12, 31:37, users held 480 ms: message`; what does not fit the terminal goes on
/// in further lines, which are indented: a line that begins with a name is a result.
pub fn result(run: &CloneRun) -> String {
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
    hanging(&line, TERMINAL).join("\n")
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

    fn ended(name: &str, message: &str) -> CloneRun {
        let mut run = crate::commands::samples::run(name);
        run.status = Some(CloneRunStatus {
            phase: Phase::Warning,
            state: Some("USER_END".into()),
            number: Some(12),
            duration: Some("31:37".into()),
            frozen: Some(Frozen {
                milliseconds: Some(480),
                ..Frozen::default()
            }),
            reason: Some("CompletedWithWarnings".into()),
            message: Some(message.into()),
            ..CloneRunStatus::default()
        });
        run
    }

    #[test]
    fn the_result_says_how_it_ended_and_how_long_users_were_held() {
        let said = result(&ended("nightly-x7k2p", "3 errors\nin the job log"));
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "nightly-x7k2p: Warning, USER_END, number 12, 31:37, users held 480 ms, CompletedWithWarnings: 3 errors; in the job log"
        );
    }

    #[test]
    fn a_result_fits_the_terminal_and_only_its_first_line_begins_with_the_name() {
        let message = "control group DAILY ended abnormally: CPF3770 No objects saved for library ORDERS; \
                       read logs brms and joblog of this run";
        let long = "a".repeat(40) + "-x7k2p";
        for name in ["nightly-x7k2p", &long] {
            let said = result(&ended(name, message));
            let mut lines = said.lines();
            assert!(lines.next().is_some_and(|first| first.starts_with(name)));
            assert!(lines.all(|line| line.starts_with("  ")), "{said}");
            assert!(said.lines().count() > 2);
            let widest = said.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(TERMINAL), "{said}");
        }
    }
}

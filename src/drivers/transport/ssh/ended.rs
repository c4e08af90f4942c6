//! When a command counts as ended: a pure judgement over what came back (`rust-dependencies.md` § 3.4).

/// Everything a channel told us.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended {
    /// Standard output, bytes.
    pub stdout: Vec<u8>,
    /// Standard error, bytes.
    pub stderr: Vec<u8>,
    /// End of file was seen.
    pub eof: bool,
    /// The close was awaited and came.
    pub closed: bool,
    /// Signal that killed it.
    pub signal: Option<String>,
    /// As libssh2 reports it: 0 also when none arrived.
    pub status: i32,
}

/// A command that proved its own end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The status it printed itself.
    pub status: i32,
    /// Standard output between the two marks.
    pub stdout: Vec<u8>,
    /// Standard error, as it came.
    pub stderr: Vec<u8>,
}

impl Completed {
    /// Standard output as text; bytes that are no UTF-8 are replaced (`ibmi.md` § 1.6).
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
    /// Standard error as text.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// `Err` = what is missing from the proof of its end; the effect may or may not have happened.
///
/// A status ≠ 0 printed by the command itself is believed without the rest: it can only say that it failed. Status 0
/// needs everything: both marks, end of file, a clean close, no signal, and the channel's own status 0.
pub(super) fn judge(nonce: &str, ended: Ended) -> Result<Completed, String> {
    let begin = format!("{nonce}:begin");
    let end = format!("{nonce}:end:");
    let Some(start) = find(&ended.stdout, begin.as_bytes()) else {
        return Err(with_stderr("it did not begin", &ended));
    };
    let body_from = after_line(&ended.stdout, start + begin.len());
    let Some(at) = rfind(&ended.stdout, end.as_bytes()).filter(|at| *at >= body_from) else {
        return Err(with_stderr("it did not print its end", &ended));
    };
    let digits: String = ended.stdout[at + end.len()..]
        .iter()
        .map(|b| char::from(*b))
        .take_while(char::is_ascii_digit)
        .collect();
    let complete_line = ended.stdout.get(at + end.len() + digits.len()) == Some(&b'\n');
    let Some(status) = digits.parse::<i32>().ok().filter(|_| complete_line) else {
        return Err(with_stderr("it did not print its status", &ended));
    };
    if status == 0 {
        if let Some(signal) = &ended.signal {
            return Err(format!("it was ended by signal {signal}"));
        }
        if !ended.eof || !ended.closed {
            return Err("the connection ended before the command's clean end".to_owned());
        }
        if ended.status != 0 {
            return Err(format!(
                "it printed status 0 but its channel ended with {}",
                ended.status
            ));
        }
    }
    Ok(Completed {
        status,
        stdout: ended.stdout[body_from..at].to_vec(),
        stderr: ended.stderr,
    })
}

fn with_stderr(what: &str, ended: &Ended) -> String {
    let text = String::from_utf8_lossy(&ended.stderr);
    let text: String = text.trim().chars().take(200).collect();
    let signal = ended.signal.as_deref().unwrap_or_default();
    match (signal, text.is_empty()) {
        ("", true) => what.to_owned(),
        ("", false) => format!("{what} ({text})"),
        (signal, _) => format!("{what}, signal {signal}"),
    }
}

fn after_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(bytes.len(), |n| from + n + 1)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}

fn rfind(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|w| w == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(stdout: &[u8]) -> Ended {
        Ended {
            stdout: stdout.to_vec(),
            eof: true,
            closed: true,
            ..Ended::default()
        }
    }

    #[test]
    fn output_before_the_first_mark_is_login_noise() {
        let ended = clean(b"welcome CPF9999: fake\nN1:begin\nbody without newlineN1:end:0\n");
        let done = judge("N1", ended).expect("ended");
        assert_eq!(done.status, 0);
        assert_eq!(done.stdout, b"body without newline");
    }

    #[test]
    fn status_zero_needs_every_part_of_the_proof() {
        let whole = clean(b"N1:begin\nN1:end:0\n");
        assert!(judge("N1", whole.clone()).is_ok());
        type Spoil = fn(&mut Ended);
        let spoiled: [(&str, Spoil); 7] = [
            ("no end of file", |e| e.eof = false),
            ("no clean close", |e| e.closed = false),
            ("a signal", |e| e.signal = Some("KILL".to_owned())),
            ("another channel status", |e| e.status = 255),
            ("no end mark", |e| e.stdout.truncate(9)),
            ("cut inside the status", |e| e.stdout.truncate(17)),
            ("no begin mark", |e| e.stdout.drain(..9).for_each(drop)),
        ];
        for (what, spoil) in spoiled {
            let mut ended = whole.clone();
            spoil(&mut ended);
            assert!(judge("N1", ended).is_err(), "{what}");
        }
    }

    #[test]
    fn libssh2s_status_zero_without_a_printed_end_is_no_success() {
        assert!(judge("N1", clean(b"")).is_err());
    }

    #[test]
    fn a_failure_that_the_command_printed_is_believed() {
        let mut ended = clean(b"N1:begin\nCPF9801: x\nN1:end:255\n");
        ended.closed = false;
        let done = judge("N1", ended).expect("ended");
        assert_eq!(done.status, 255);
        assert_eq!(done.text(), "CPF9801: x\n");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        let done = judge("N1", clean(b"N1:begin\n\xC4\xE9 \xFFN1:end:0\n")).expect("ended");
        assert!(done.text().contains('\u{FFFD}'));
    }
}

//! A command proves its own end: it prints a mark before, a mark with its exit status after, and exits with that status.
//! Success needs both marks, end of file, a clean close and status 0; libssh2 alone says 0 as well when the connection
//! dropped or no status was sent (`rust-dependencies.md` § 3.4).

use super::link::ExecOutput;
use crate::wire::ibmi::between;
use rand::Rng;

/// A finished command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finished {
    /// Its own exit status.
    pub status: i32,
    /// Standard output without what login scripts printed.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// A mark that no command prints by chance.
pub(super) fn new_mark() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut rng = rand::rng();
    let random: String = (0..12)
        .map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]))
        .collect();
    format!("CLN{random}")
}

/// What the command left, or why its end is not proved.
pub(super) fn unwrap(output: ExecOutput, mark: &str) -> Result<Finished, String> {
    let (stdout, status) = between(&output.stdout, mark).map_err(|why| {
        let text = String::from_utf8_lossy(&output.stderr);
        let text: String = text.trim().chars().take(200).collect();
        if text.is_empty() {
            why.to_owned()
        } else {
            format!("{why}; it said: {text}")
        }
    })?;
    if output.status != status {
        return Err(format!(
            "exit status {} of the channel differs from {status} of the command",
            output.status
        ));
    }
    let stdout = stdout.to_vec();
    Ok(Finished {
        status,
        stdout,
        stderr: output.stderr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(stdout: &str, status: i32) -> ExecOutput {
        ExecOutput {
            stdout: stdout.as_bytes().to_vec(),
            stderr: Vec::new(),
            status,
        }
    }

    #[test]
    fn login_noise_before_the_mark_is_dropped_and_bytes_survive() {
        let found = unwrap(output("Welcome\nM1\nfile\n\nM1 0\n", 0), "M1").unwrap();
        assert_eq!(found.stdout, b"file\n");
        let empty = unwrap(output("M1\n\nM1 3\n", 3), "M1").unwrap();
        assert_eq!((empty.stdout.as_slice(), empty.status), (&b""[..], 3));
    }

    #[test]
    fn an_end_without_a_mark_is_no_end() {
        assert!(unwrap(output("M1\nCPC2102: done\n", 0), "M1").is_err());
        assert!(unwrap(output("", 0), "M1").is_err());
        assert!(unwrap(output("M1\n\nM1 ", 0), "M1").is_err());
    }

    #[test]
    fn a_missing_status_that_libssh2_shows_as_0_is_no_success() {
        assert!(unwrap(output("M1\n\nM1 255\n", 0), "M1").is_err());
    }
}

//! The shell lines sent to an IBM i over SSH (`ibmi.md` §§ 1.2–1.4).
//!
//! A line proves its own end: it prints a mark first, and last the mark with its exit status, and exits with that status.
//! What login profiles print comes before the first mark. Only forms of the plain Bourne shell are used: PASE's default
//! shell is bsh, which knows no `export A=b`.

/// PASE's utility that runs one CL command, given as one word (`ibmi.md` § 1.3).
const SYSTEM: &str = "/QOpenSys/usr/bin/system";
/// Qshell, started from PASE (`ibmi.md` § 1.4).
const QSH: &str = "/QOpenSys/usr/bin/qsh";
/// Starts the resident helper (`ibmi/CONTRACT.md` § 10, `helper-start`). It has no marks: its protocol proves every answer.
pub const HELPER_START: &str = "QIBM_USE_DESCRIPTOR_STDIO=Y; export QIBM_USE_DESCRIPTOR_STDIO; exec /QOpenSys/usr/bin/system -bi \"CALL PGM(IBMICLONE/HELPER)\"";
/// Asks nothing; an answer shows that the connection lives.
pub const ALIVE: &str = "echo alive";

/// Puts a value into one POSIX shell word: nothing inside single quotes means anything to the shell.
pub fn shell_quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// Runs a CL command.
pub fn cl(command: &str) -> String {
    format!("{SYSTEM} {}", shell_quote(command))
}

/// Runs an SQL statement, quoted for Qshell and once more for the shell that starts it.
///
/// Double quotes for Qshell: they need no backslash, whose code point varies between EBCDIC code pages (`ibmi.md` § 1.6).
/// Only a statement with one of the four characters that mean something inside them takes the other form.
pub fn sql(statement: &str) -> String {
    let word = if statement.contains(['"', '$', '`', '\\']) {
        shell_quote(statement)
    } else {
        format!("\"{statement}\"")
    };
    format!("{QSH} -c {}", shell_quote(&format!("db2 -S {word}")))
}

/// Puts the marks around a line. The empty `echo` lets the last mark stand on a line of its own after output that does
/// not end with one; [`between`] takes its line end away again.
pub fn marked(mark: &str, line: &str) -> String {
    format!("echo {mark}; {line}; rc=$?; echo; echo \"{mark} $rc\"; exit $rc")
}

/// What stands between the marks, and the status behind the last one.
///
/// # Errors
/// What is missing: then the line's end is not proved.
pub fn between<'a>(stdout: &'a [u8], mark: &str) -> Result<(&'a [u8], i32), &'static str> {
    let begin = format!("{mark}\n").into_bytes();
    let at = find(stdout, &begin)
        .ok_or("the command's beginning was not confirmed (no mark on standard output)")?;
    let rest = &stdout[at + begin.len()..];
    let end = format!("\n{mark} ").into_bytes();
    let stop = rfind(rest, &end).ok_or("the command's end was not confirmed (no mark)")?;
    let tail = &rest[stop + end.len()..];
    // Without its line end the status may have been cut.
    let status = tail
        .strip_suffix(b"\n")
        .and_then(|t| std::str::from_utf8(t).ok())
        .and_then(|t| t.parse().ok())
        .ok_or("the command's end mark carries no exit status")?;
    Ok((&rest[..stop], status))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|w| w == wanted)
}

fn rfind(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).rposition(|w| w == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What a real POSIX shell makes of a line.
    fn shell(line: &str) -> Vec<u8> {
        let done = Command::new("sh").args(["-c", line]).output().expect("sh");
        done.stdout
    }

    #[test]
    fn a_cl_command_is_one_word() {
        assert_eq!(
            cl("SNDMSG MSG('it $HOME; rm -rf /')"),
            r"/QOpenSys/usr/bin/system 'SNDMSG MSG('\''it $HOME; rm -rf /'\'')'"
        );
    }

    #[test]
    fn only_special_characters_need_the_second_quoting() {
        assert_eq!(
            sql("SELECT 'A' FROM X"),
            r#"/QOpenSys/usr/bin/qsh -c 'db2 -S "SELECT '\''A'\'' FROM X"'"#
        );
        assert!(!sql("SELECT 'A$' FROM X").contains('"'));
    }

    #[test]
    fn a_line_proves_its_own_end() {
        for (line, output, status) in [
            ("printf 'no line end'", "no line end", 0),
            ("echo text; (exit 7)", "text\n", 7),
            ("true", "", 0),
        ] {
            let all = shell(&format!("echo Welcome; {}", marked("M1", line)));
            assert_eq!(
                between(&all, "M1"),
                Ok((output.as_bytes(), status)),
                "{line}"
            );
            for cut in 0..all.len() {
                assert!(between(&all[..cut], "M1").is_err(), "{line} cut at {cut}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_survives_the_shell(text in r"[^\x00\r\n]{1,80}") {
            let out = shell(&format!("printf %s {}", shell_quote(&text)));
            prop_assert_eq!(String::from_utf8_lossy(&out), text.as_str());
        }

        #[test]
        fn any_statement_survives_both_shells(text in r"[^\x00\r\n]{1,80}") {
            // `sh` stands for Qshell, `printf` for db2.
            let line = sql(&text).replace(QSH, "sh").replace("db2 -S ", "printf %s ");
            prop_assume!(!text.contains("db2 -S ") && !text.contains(QSH));
            let out = shell(&line);
            prop_assert_eq!(String::from_utf8_lossy(&out), text.as_str());
        }
    }
}

//! The shell lines sent to an IBM i over SSH, as pure functions, and their inverse.
//!
//! Every line starts with `echo '<nonce>:begin'` and ends with `echo "<nonce>:end:$RC"`: what login profiles print comes
//! before the first mark, and the second proves that the line ran to its end (`ibmi.md` §§ 1.2, 1.3;
//! `rust-dependencies.md` § 3.4). Only forms of the plain Bourne shell are used: PASE's default shell is bsh.
//!
//! SQL goes through Qshell's `db2`, the only SQL runner that is on every system and gives rows (`ibmi.md` § 1.4; RUNSQL
//! gives none). Its table layout is not parsed: one column per row is selected, a mark followed by one JSON object.
//! Unverified on a real system: that `db2` ends with a status ≠ 0 on an SQL error (so the heading of the column is asked
//! for as well), and that it prints a VARCHAR column of this length on one line.

/// PASE's utility that runs one CL command in the language of the shell (`ibmi.md` § 1.3).
pub const SYSTEM: &str = "/QOpenSys/usr/bin/system";
/// Qshell, started from PASE (`ibmi.md` § 1.4).
pub const QSH: &str = "/QOpenSys/usr/bin/qsh";
/// Starts the resident helper (`ibmi/CONTRACT.md` § 3.1); it has no nonce, its protocol proves every answer.
pub const HELPER_START: &str = "QIBM_USE_DESCRIPTOR_STDIO=Y; export QIBM_USE_DESCRIPTOR_STDIO; exec /QOpenSys/usr/bin/system -bi \"CALL PGM(IBMICLONE/HELPER)\"";
/// Heading of the one column of every query: its presence proves that the query ran, also when it has no row.
pub const HEADING: &str = "LINE";
/// Ending of the name under which a file is written before it is renamed (`ibmi/CONTRACT.md` § 1.2).
pub const NEW: &str = ".new";

/// What a line asks for. Paths, commands and statements are plain again: all quoting is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exec {
    /// Nothing: is the connection alive?
    Alive,
    /// One CL command.
    Cl(String),
    /// One SQL query; text as given to `db2`.
    Sql(String),
    /// Standard input becomes `PATH.new`, readable by nobody else.
    Write(String),
    /// `PATH.new` becomes `PATH`.
    Commit(String),
    /// Content of a file.
    Read(String),
    /// Names in a directory.
    List(String),
    /// Removes `PATH` and `PATH.new`, then lists the directory.
    Remove {
        /// The file.
        path: String,
        /// The directory it was in.
        directory: String,
    },
    /// The resident helper.
    Helper,
}

/// A line ready to be sent. `nonce` must be letters and digits only.
pub fn line(nonce: &str, exec: &Exec) -> String {
    let body = match exec {
        Exec::Helper => return HELPER_START.to_owned(),
        Exec::Alive => ":".to_owned(),
        Exec::Cl(command) => format!("{SYSTEM} {}", quote(command)),
        Exec::Sql(statement) => {
            let inner = format!("db2 -S {}", qshell_word(statement));
            format!("{QSH} -c {}", quote(&inner))
        }
        Exec::Write(path) => format!("umask 077; cat > {}", word(&format!("{path}{NEW}"))),
        Exec::Commit(path) => format!("mv -f {} {}", word(&format!("{path}{NEW}")), word(path)),
        Exec::Read(path) => format!("cat {}", word(path)),
        Exec::List(path) => format!("ls -a {}", word(path)),
        Exec::Remove { path, directory } => format!(
            "rm -f {} {}; ls -a {}",
            word(path),
            word(&format!("{path}{NEW}")),
            word(directory)
        ),
    };
    marked(nonce, &body)
}

/// Puts the two marks around a line of the contract that has no form of its own (`ibmi/CONTRACT.md` §§ 10, 11).
pub fn marked(nonce: &str, body: &str) -> String {
    format!("echo '{nonce}:begin'; {body}; RC=$?; echo \"{nonce}:end:$RC\"; exit $RC")
}

/// Takes a marked line apart: nonce and body.
pub fn unmarked(line: &str) -> Option<(&str, &str)> {
    let (nonce, rest) = line.strip_prefix("echo '")?.split_once(":begin'; ")?;
    if nonce.is_empty() || !nonce.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let tail = format!("; RC=$?; echo \"{nonce}:end:$RC\"; exit $RC");
    Some((nonce, rest.strip_suffix(tail.as_str())?))
}

/// Inverse of [`line`]: the nonce (empty for the helper) and what is asked for. `None` = no line of this module.
pub fn parse_exec(text: &str) -> Option<(String, Exec)> {
    if text == HELPER_START {
        return Some((String::new(), Exec::Helper));
    }
    let (nonce, body) = unmarked(text)?;
    let words = words(body)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let exec = match words.as_slice() {
        [":"] => Exec::Alive,
        [SYSTEM, command] => Exec::Cl((*command).to_owned()),
        [QSH, "-c", inner] => match self::words(inner)?.as_slice() {
            [db2, flag, statement] if db2 == "db2" && flag == "-S" => Exec::Sql(statement.clone()),
            _ => return None,
        },
        ["umask", "077;", "cat", ">", path] => Exec::Write(path.strip_suffix(NEW)?.to_owned()),
        ["mv", "-f", new, path] if new.strip_suffix(NEW) == Some(*path) => {
            Exec::Commit((*path).to_owned())
        }
        ["cat", path] => Exec::Read((*path).to_owned()),
        ["ls", "-a", path] => Exec::List((*path).to_owned()),
        ["rm", "-f", path, new, "ls", "-a", directory]
            if new.strip_suffix(';').unwrap_or(new).strip_suffix(NEW) == Some(*path) =>
        {
            Exec::Remove {
                path: (*path).to_owned(),
                directory: (*directory).to_owned(),
            }
        }
        _ => return None,
    };
    Some((nonce.to_owned(), exec))
}

/// A POSIX single-quoted word: nothing inside it means anything to the shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A path as the contract writes it, bare where it needs no quotes.
fn word(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.starts_with('/') && path.chars().all(plain) {
        path.to_owned()
    } else {
        quote(path)
    }
}

/// A word for Qshell inside the quoted script. Double quotes need no backslash, whose code point varies between EBCDIC
/// code pages (`ibmi.md` § 1.6); only a statement with one of their four special characters takes the other form.
fn qshell_word(text: &str) -> String {
    if text.contains(['"', '$', '`', '\\']) {
        quote(text)
    } else {
        format!("\"{text}\"")
    }
}

/// Words of a line of this module. A `;` outside quotes stays at the end of its word.
fn words(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' => all.extend(word.take()),
            '\'' | '"' => {
                let into = word.get_or_insert_with(String::new);
                loop {
                    match chars.next()? {
                        x if x == c => break,
                        '\\' if c == '"' => into.push(chars.next()?),
                        x => into.push(x),
                    }
                }
            }
            '\\' => word.get_or_insert_with(String::new).push(chars.next()?),
            c => word.get_or_insert_with(String::new).push(c),
        }
    }
    all.extend(word);
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_the_contracts_own_between_two_marks() {
        let write = line("N1", &Exec::Write("/ibmiclone/run.parm".to_owned()));
        assert_eq!(
            unmarked(&write),
            Some(("N1", "umask 077; cat > /ibmiclone/run.parm.new"))
        );
        let commit = line("N1", &Exec::Commit("/ibmiclone/run.parm".to_owned()));
        assert_eq!(
            unmarked(&commit).map(|(_, b)| b),
            Some("mv -f /ibmiclone/run.parm.new /ibmiclone/run.parm")
        );
        let remove = Exec::Remove {
            path: "/ibmiclone/run.parm".to_owned(),
            directory: "/ibmiclone".to_owned(),
        };
        assert_eq!(
            unmarked(&line("N1", &remove)).map(|(_, b)| b.to_owned()),
            Some("rm -f /ibmiclone/run.parm /ibmiclone/run.parm.new; ls -a /ibmiclone".to_owned())
        );
    }

    #[test]
    fn a_cl_command_is_one_shell_word() {
        let command = "SNDMSG MSG('it $HOME; rm -rf /')";
        assert_eq!(
            line("A1", &Exec::Cl(command.to_owned())),
            r#"echo 'A1:begin'; /QOpenSys/usr/bin/system 'SNDMSG MSG('\''it $HOME; rm -rf /'\'')'; RC=$?; echo "A1:end:$RC"; exit $RC"#
        );
    }

    #[test]
    fn foreign_lines_are_not_taken_for_ours() {
        for text in [
            "",
            "ls -a /",
            "echo 'A1:begin'; ls -a /",
            r#"echo 'A1:begin'; reboot; RC=$?; echo "A1:end:$RC"; exit $RC"#,
            r#"echo 'A1:begin'; ls -a /; RC=$?; echo "B2:end:$RC"; exit $RC"#,
        ] {
            assert_eq!(parse_exec(text), None, "{text}");
        }
    }

    fn any_exec() -> impl Strategy<Value = Exec> {
        let path = r#"/[a-zA-Z0-9 .$'"_-]{1,30}"#;
        prop_oneof![
            Just(Exec::Alive),
            Just(Exec::Helper),
            r"[^\x00-\x1f]{1,80}".prop_map(Exec::Cl),
            r"[^\x00-\x1f]{1,80}".prop_map(Exec::Sql),
            path.prop_map(Exec::Write),
            path.prop_map(Exec::Commit),
            path.prop_map(Exec::Read),
            path.prop_map(Exec::List),
            (path, path).prop_map(|(path, directory)| Exec::Remove { path, directory }),
        ]
    }

    proptest! {
        #[test]
        fn every_line_is_read_back_as_it_was_meant(exec in any_exec(), nonce in "[A-Z0-9]{1,16}") {
            let text = line(&nonce, &exec);
            let nonce = if exec == Exec::Helper { String::new() } else { nonce };
            prop_assert_eq!(parse_exec(&text), Some((nonce, exec)));
        }
    }
}

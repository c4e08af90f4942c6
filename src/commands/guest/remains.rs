//! What is there of the guest kit on a source, asked without the kit itself: a half uninstalled one has no CHECK any more.
//! Changes nothing.

use super::observe::{exists, probe_shell};
use crate::recipe::operator_lock::{Lock, read_lock};
use crate::site::{DeviceError, IbmI, Identity, Row, Session};

/// System value QSTRUPPGM: program (10), library (10).
const START_UP: &str = "SELECT CURRENT_CHARACTER_VALUE FROM QSYS2.SYSTEM_VALUE_INFO WHERE SYSTEM_VALUE_NAME = 'QSTRUPPGM'";
/// Data area QGPL/CLNORIG, in the same form.
const ORIGINAL: &str = "SELECT DATA_AREA_VALUE FROM QSYS2.DATA_AREA_INFO WHERE DATA_AREA_LIBRARY = 'QGPL' AND DATA_AREA_NAME = 'CLNORIG'";

/// A program as QSTRUPPGM has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartUp {
    /// Program.
    pub program: String,
    /// Library; empty in special values such as `*NONE`.
    pub library: String,
}

impl StartUp {
    /// From 10 + 10 characters; `None` when they are blank.
    fn read(value: &str) -> Option<Self> {
        let characters: Vec<char> = value.chars().collect();
        let part = |range: std::ops::Range<usize>| -> String {
            let (end, start) = (range.end.min(characters.len()), range.start);
            let text: String = characters
                .get(start..end)
                .unwrap_or_default()
                .iter()
                .collect();
            text.trim().to_owned()
        };
        let (program, library) = (part(0..10), part(10..20));
        (!program.is_empty()).then_some(Self { program, library })
    }

    /// Whether it is the guard's stub.
    pub fn is_guard(&self) -> bool {
        self.program == "CLNSTRUP"
    }

    /// Whether there is a program to look for, or a special value.
    pub fn is_special(&self) -> bool {
        self.program.starts_with('*')
    }

    /// As CHGSYSVAL takes it.
    pub fn value(&self) -> String {
        format!("{:<10}{}", self.program, self.library)
            .trim_end()
            .to_owned()
    }
}

impl std::fmt::Display for StartUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.library.is_empty() {
            f.write_str(&self.program)
        } else {
            write!(f, "{}/{}", self.library, self.program)
        }
    }
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Who answered the probe.
    pub identity: Identity,
    /// QSTRUPPGM.
    pub start_up: Option<StartUp>,
    /// QGPL/CLNORIG.
    pub original: Option<StartUp>,
    /// The program that QGPL/CLNORIG names exists, or it is a special value.
    pub original_exists: bool,
    /// Program QGPL/CLNSTRUP.
    pub stub: bool,
    /// Data area QGPL/CLNORIG.
    pub original_area: bool,
    /// Library IBMICLONE.
    pub library: bool,
    /// Directory /ibmiclone.
    pub directory: bool,
    /// The operator's lock.
    pub lock: Lock,
}

impl Remains {
    /// Whether nothing of the kit is left and nothing of it is production's start-up program.
    pub fn is_nothing(&self) -> bool {
        let guarded = self.start_up.as_ref().is_some_and(StartUp::is_guard);
        !(guarded || self.stub || self.original_area || self.library || self.directory)
    }
}

fn only_value(rows: Vec<Row>) -> Option<String> {
    let row = rows.into_iter().next()?;
    row.into_values().next().flatten()
}

/// QSTRUPPGM as it is now.
///
/// # Errors
/// A device that does not answer, or a query that is refused.
pub(super) async fn start_up(
    system: &dyn IbmI,
    session: &Session,
) -> Result<Option<StartUp>, DeviceError> {
    let value = only_value(system.query(session, START_UP).await?);
    Ok(value.as_deref().and_then(StartUp::read))
}

/// Reads everything.
///
/// # Errors
/// A device that does not answer, or a probe that neither says yes nor no.
pub async fn remains(system: &dyn IbmI, session: &Session) -> Result<Remains, DeviceError> {
    let original = only_value(system.query(session, ORIGINAL).await?);
    let original = original.as_deref().and_then(StartUp::read);
    let original_exists = match &original {
        None => false,
        Some(program) if program.is_special() => true,
        Some(program) => exists(system, session, &program.to_string(), "*PGM").await?,
    };
    Ok(Remains {
        identity: session.system.identity.clone(),
        start_up: start_up(system, session).await?,
        original,
        original_exists,
        stub: exists(system, session, "QGPL/CLNSTRUP", "*PGM").await?,
        original_area: exists(system, session, "QGPL/CLNORIG", "*DTAARA").await?,
        library: exists(system, session, "QSYS/IBMICLONE", "*LIB").await?,
        directory: probe_shell(system, session, "ls -d /ibmiclone").await?,
        lock: read_lock(system, session).await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_up_program_is_read_by_its_columns_and_written_back_the_same() {
        let read = StartUp::read("STRTUP    QGPL      ").unwrap();
        assert_eq!(read.to_string(), "QGPL/STRTUP");
        assert_eq!(read.value(), "STRTUP    QGPL");
        assert!(!read.is_guard() && !read.is_special());
        assert!(StartUp::read("CLNSTRUP  QGPL").unwrap().is_guard());
        let none = StartUp::read("*NONE").unwrap();
        assert_eq!(
            (none.value(), none.is_special()),
            ("*NONE".to_owned(), true)
        );
        assert_eq!(StartUp::read("                    "), None);
    }
}

//! From what is there to what must be sent: pure. A kit that is complete gives an empty plan.

use super::observe::Observed;
use super::sources::SOURCES;
use crate::recipe::operator_lock::LOCK_DROP;
use crate::recipe::records::KIT_VERSION;
use crate::site::{Identity, cl_quote};

/// What the source shall become.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Production's pair, as the console shows it.
    pub identity: Identity,
    /// Profile that installs.
    pub installer: String,
    /// Profile of the environment's credentials, which runs the helper.
    pub helper: String,
    /// Whether CHECK runs for the helper's profile. `true` when it is the installer itself.
    pub helper_runs_check: bool,
    /// `clone.network: Shared`: TCP must not start by itself.
    pub shared_network: bool,
    /// Id of this operator, for the lock.
    pub operator: String,
    /// `--take-over`: another operator's lock is removed.
    pub take_over: bool,
}

/// How a step is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Send {
    /// Through PASE `system`.
    Cl(String),
    /// As it stands, with this on standard input.
    Shell(String, Vec<u8>),
}

/// One step of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Id of `ibmi/CONTRACT.md` § 11.
    pub id: &'static str,
    /// What is sent.
    pub send: Send,
    /// Changes how production starts: only with `--yes`.
    pub needs_yes: bool,
    /// What a person must know or decide about it.
    pub remark: &'static str,
}

impl Action {
    pub(super) fn cl(id: &'static str, command: impl Into<String>) -> Self {
        Self {
            id,
            send: Send::Cl(command.into()),
            needs_yes: false,
            remark: "",
        }
    }
    pub(super) fn shell(id: &'static str, line: impl Into<String>, input: &[u8]) -> Self {
        Self {
            id,
            send: Send::Shell(line.into(), input.to_vec()),
            needs_yes: false,
            remark: "",
        }
    }
    pub(super) fn asks(mut self, remark: &'static str) -> Self {
        self.needs_yes = true;
        self.remark = remark;
        self
    }
    /// The line as it is shown.
    pub fn shown(&self) -> &str {
        match &self.send {
            Send::Cl(text) | Send::Shell(text, _) => text,
        }
    }
}

/// Why nothing may be installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Another system answers.
    #[error(
        "{found} answers, but the source is {expected}: nothing was changed; is source.host right?"
    )]
    NotTheSource {
        /// Who answered.
        found: Identity,
        /// Who should have.
        expected: Identity,
    },
    /// Another operator's lock.
    #[error(
        "operator {owner} uses this source, this is {operator}: nothing was changed; if the other one is gone, add --take-over"
    )]
    OtherOperator {
        /// Id in the lock.
        owner: String,
        /// Ours.
        operator: String,
    },
}

/// Programs the helper's profile must not call.
const EXCLUDED: [&str; 9] = [
    "GUARD", "ISPROD", "PERSON", "PERSJS1", "PERSNET", "READY", "SAVE21", "INSTALL", "CLNMSGS",
];

/// The steps that are missing, in the order of sending.
///
/// # Errors
/// Another system answers, or another operator uses the source.
pub fn plan(observed: &Observed, wanted: &Wanted) -> Result<Vec<Action>, PlanError> {
    if observed.identity != wanted.identity {
        return Err(PlanError::NotTheSource {
            found: observed.identity.clone(),
            expected: wanted.identity.clone(),
        });
    }
    let mut actions = Vec::new();
    let owner = observed.lock.other_than(&wanted.operator);
    if let Some(owner) = owner {
        if !wanted.take_over {
            return Err(PlanError::OtherOperator {
                owner: owner.to_owned(),
                operator: wanted.operator.clone(),
            });
        }
        actions.push(Action::shell("lock-drop", LOCK_DROP, b""));
    }
    build(observed, &mut actions);
    identity(observed, wanted, &mut actions);
    grants(observed, wanted, &mut actions);
    start_up(observed, wanted, &mut actions);
    Ok(actions)
}

fn build(observed: &Observed, actions: &mut Vec<Action>) {
    if !observed.library {
        actions.push(Action::cl(
            "library",
            "CRTLIB LIB(IBMICLONE) TYPE(*PROD) TEXT('Clone guest kit') AUT(*EXCLUDE)",
        ));
    }
    if !observed.directory {
        actions.push(Action::shell(
            "directory",
            "umask 077; mkdir -p /ibmiclone/src",
            b"",
        ));
    }
    if !observed.source_file {
        actions.push(Action::cl(
            "source-file",
            "CRTSRCPF FILE(IBMICLONE/QSRC) RCDLEN(112) CCSID(37) TEXT('Clone guest kit sources')",
        ));
    }
    let mut changed = false;
    for (name, text) in SOURCES {
        if !observed.uploaded.contains(name) {
            changed = true;
            let line = format!("umask 077; cat > /ibmiclone/src/{name}");
            actions.push(Action::shell("upload", line, text.as_bytes()));
        }
    }
    let complete = observed.checked("kit") == KIT_VERSION && observed.checked("missing").is_empty();
    if changed || !complete {
        actions.push(Action::cl(
            "installer-member",
            "CPYFRMSTMF FROMSTMF('/ibmiclone/src/install.clle') TOMBR('/QSYS.LIB/IBMICLONE.LIB/QSRC.FILE/INSTALL.MBR') MBROPT(*REPLACE) STMFCCSID(1208) ENDLINFMT(*LF)",
        ));
        actions.push(Action::cl(
            "installer",
            "CRTBNDCL PGM(IBMICLONE/INSTALL) SRCFILE(IBMICLONE/QSRC) SRCMBR(INSTALL) REPLACE(*YES)",
        ));
        actions.push(Action::cl(
            "build",
            format!(
                "CALL PGM(IBMICLONE/INSTALL) PARM({})",
                cl_quote(KIT_VERSION)
            ),
        ));
    }
    if observed.version_file.as_deref() != Some(KIT_VERSION) {
        actions.push(Action::shell(
            "version-file",
            "umask 077; cat > /ibmiclone/version",
            format!("{KIT_VERSION}\n").as_bytes(),
        ));
    }
}

fn identity(observed: &Observed, wanted: &Wanted, actions: &mut Vec<Action>) {
    let pair = pair_text(&wanted.identity);
    let listed = observed
        .checked("identities")
        .split(',')
        .any(|p| p.trim() == pair);
    if !listed {
        actions.push(Action::cl("identity", "CALL PGM(IBMICLONE/ISPROD)"));
    }
}

/// `SERIAL/PARTITIONID`.
pub(super) fn pair_text(identity: &Identity) -> String {
    format!("{}/{}", identity.serial_number, identity.partition_id)
}

/// The installer owns what he builds; another profile needs to be let in.
fn grants(observed: &Observed, wanted: &Wanted, actions: &mut Vec<Action>) {
    let helper = &wanted.helper;
    if !helper.eq_ignore_ascii_case(&wanted.installer) {
        if !wanted.helper_runs_check {
            actions.push(Action::cl(
                "grant-library",
                format!("GRTOBJAUT OBJ(QSYS/IBMICLONE) OBJTYPE(*LIB) USER({helper}) AUT(*USE)"),
            ));
            actions.push(Action::cl(
                "grant-objects",
                format!("GRTOBJAUT OBJ(IBMICLONE/*ALL) OBJTYPE(*ALL) USER({helper}) AUT(*CHANGE)"),
            ));
            actions.extend(EXCLUDED.map(|program| {
                Action::cl(
                    "grant-exclude",
                    format!("GRTOBJAUT OBJ(IBMICLONE/{program}) OBJTYPE(*PGM) USER({helper}) AUT(*EXCLUDE) REPLACE(*YES)"),
                )
            }));
        }
        let owned = observed
            .owner
            .as_ref()
            .is_some_and(|o| o.eq_ignore_ascii_case(helper));
        if !owned {
            actions.push(Action::shell(
                "grant-directory",
                format!("chown -R {helper} /ibmiclone"),
                b"",
            ));
        }
    }
    if observed.checked("qpmlpmgt") == "No" {
        actions.push(Action::cl(
            "grant-partition",
            format!("GRTOBJAUT OBJ(QSYS/QPMLPMGT) OBJTYPE(*SRVPGM) USER({helper}) AUT(*USE)"),
        ));
    }
}

fn start_up(observed: &Observed, wanted: &Wanted, actions: &mut Vec<Action>) {
    if observed.checked("startup") != "QGPL/CLNSTRUP" {
        actions.push(
            Action::cl(
                "start-up",
                "CHGSYSVAL SYSVAL(QSTRUPPGM) VALUE('CLNSTRUP  QGPL')",
            )
            .asks("from the next IPL on, production's start-up program is called by the guard"),
        );
    }
    // Unknown is treated as Yes: a TCP that starts by itself takes production's addresses on the clone.
    if wanted.shared_network && observed.checked("strtcp") != "No" {
        actions.push(Action::cl("ipl-tcp", "CHGIPLA STRTCP(*NO)").asks(
            "only right when production's start-up program starts TCP/IP itself (STRTCP): look into it before you say --yes",
        ));
    }
}

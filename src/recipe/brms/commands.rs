//! The commands, as `ibmi.md` § 4 and public practice write them. Their padding is part of them.

use super::plan::BrmsJob;
use crate::recipe::plan::Plan;

/// State that BRMS is told about its FlashCopy process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::recipe) enum State {
    /// Production freezes itself (spelling [I]).
    StartProcess,
    /// The clone becomes the system that saves.
    StartBackup,
    /// The clone's saves are complete.
    EndBackup,
    /// Production takes up its work.
    EndProcess,
}

/// `INZBRM OPTION(*FLASHCOPY)`.
pub(in crate::recipe) fn flashcopy(state: State) -> String {
    let word = match state {
        State::StartProcess => "*STRPRC",
        State::StartBackup => "*STRBKU",
        State::EndBackup => "*ENDBKU",
        State::EndProcess => "*ENDPRC",
    };
    format!("INZBRM OPTION(*FLASHCOPY) STATE({word})")
}

/// The BRMS system name, whatever the network attributes say.
pub(in crate::recipe) fn system_name(name: &str) -> String {
    format!("CALL PGM(QBRM/Q1AOLD) PARM('BRMSYSNAME' '*SET      ' '{name:<8}')")
}

/// Reference time of incremental saves, `CYYMMDDHHMMSS` of the system's own clock: libraries, then the file system.
pub(in crate::recipe) fn flash_time(time: &str) -> [String; 2] {
    ["*QSYS", "*IFS "].map(|part| {
        format!(
            "CALL PGM(QBRM/Q1AOLD) PARM('FLASHTIME ' '*ENABLE   ' '*SYSBAS   ' '{part}' '{time}')"
        )
    })
}

/// A control group, saved in the job that runs this.
pub(in crate::recipe) fn group(group: &str) -> String {
    format!("STRBKUBRM CTLGRP({group}) SBMJOB(*NO)")
}

/// A control group that needs the restricted state: BRMS submits a job to the controlling subsystem.
pub(in crate::recipe) fn group_restricted(group: &str) -> String {
    format!("STRBKUBRM CTLGRP({group}) SBMJOB(*CTLSBS)")
}

/// Moves media, cleans up, prints the recovery reports: of production, because the history says so.
pub(super) const MAINTAIN: &str = "STRMNTBRM MOVMED(*YES) RUNCLNUP(*YES) PRTRCYRPT(*ALL)";

/// Library of the guest kit, which is on both systems.
const LIBRARY: &str = "IBMICLONE";

impl Plan {
    /// The run's save file, `LIB/FILE`, on clone and production alike.
    pub(in crate::recipe) fn save_file(&self) -> String {
        format!("{LIBRARY}/{}", self.job_name())
    }

    /// The save file as a stream file.
    pub(super) fn save_file_path(&self) -> String {
        format!("/QSYS.LIB/{LIBRARY}.LIB/{}.FILE", self.job_name())
    }

    /// Where the history arrives on production, under its name only when it was proved whole.
    pub(super) fn arrival_path(&self) -> String {
        format!("/ibmiclone/{}.savf", self.job_name())
    }

    /// Its name until then.
    pub(super) fn arriving_path(&self) -> String {
        format!("{}.part", self.arrival_path())
    }

    /// Library that the history is restored to before a merge.
    pub(super) fn merge_library(&self) -> String {
        self.job_name()
    }

    pub(super) fn create_save_file(&self) -> String {
        format!("CRTSAVF FILE({})", self.save_file())
    }

    pub(super) fn clear_save_file(&self) -> String {
        format!("CLRSAVF FILE({})", self.save_file())
    }

    pub(super) fn delete_save_file(&self) -> String {
        format!("DLTF FILE({})", self.save_file())
    }

    pub(super) fn look_for_save_file(&self) -> String {
        format!("CHKOBJ OBJ({}) OBJTYPE(*FILE)", self.save_file())
    }

    pub(super) fn fill_save_file(&self) -> String {
        format!(
            "CPYFRMSTMF FROMSTMF('{}') TOMBR('{}') MBROPT(*REPLACE) CVTDTA(*NONE)",
            self.arrival_path(),
            self.save_file_path()
        )
    }

    pub(super) fn save_history(&self) -> String {
        format!(
            "SAVLIB LIB(QUSRBRM) DEV(*SAVF) SAVF({}) OMITOBJ((*ALL *JRN) (*ALL *JRNRCV))",
            self.save_file()
        )
    }

    /// To `QUSRBRM` itself, or to a library of the run's own.
    pub(super) fn restore_history(&self, library: &str) -> String {
        format!(
            "RSTLIB SAVLIB(QUSRBRM) DEV(*SAVF) SAVF({}) RSTLIB({library}) ALWOBJDIF(*ALL) MBROPT(*ALL)",
            self.save_file()
        )
    }

    pub(super) fn merge_history(&self) -> String {
        format!(
            "INZBRM OPTION(*MERGE) FROMLIB({}) TOLIB(QUSRBRM) MERGE(*ARC *BKU *MED)",
            self.merge_library()
        )
    }

    /// What a job of BRMS runs.
    pub(super) fn brms_command(&self, job: BrmsJob) -> String {
        match job {
            BrmsJob::Freeze => flashcopy(State::StartProcess),
            BrmsJob::Begin => flashcopy(State::StartBackup),
            BrmsJob::Maintain => MAINTAIN.to_owned(),
            BrmsJob::End => flashcopy(State::EndBackup),
            BrmsJob::Save => self.save_history(),
            BrmsJob::Restore => self.restore_history("QUSRBRM"),
            BrmsJob::RestoreAside => self.restore_history(&self.merge_library()),
            BrmsJob::Merge => self.merge_history(),
            BrmsJob::Release => flashcopy(State::EndProcess),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::fakes;

    #[test]
    fn the_commands_are_spelt_as_the_page_spells_them() {
        assert_eq!(
            system_name("PROD"),
            "CALL PGM(QBRM/Q1AOLD) PARM('BRMSYSNAME' '*SET      ' 'PROD    ')"
        );
        assert_eq!(
            flash_time("1261123020000"),
            [
                "CALL PGM(QBRM/Q1AOLD) PARM('FLASHTIME ' '*ENABLE   ' '*SYSBAS   ' '*QSYS' '1261123020000')",
                "CALL PGM(QBRM/Q1AOLD) PARM('FLASHTIME ' '*ENABLE   ' '*SYSBAS   ' '*IFS ' '1261123020000')",
            ]
        );
        let plan = fakes::plan("BRMS");
        assert_eq!(
            plan.brms_command(BrmsJob::Save),
            "SAVLIB LIB(QUSRBRM) DEV(*SAVF) SAVF(IBMICLONE/C1_16) OMITOBJ((*ALL *JRN) (*ALL *JRNRCV))"
        );
        assert_eq!(
            plan.fill_save_file(),
            "CPYFRMSTMF FROMSTMF('/ibmiclone/C1_16.savf') TOMBR('/QSYS.LIB/IBMICLONE.LIB/C1_16.FILE') MBROPT(*REPLACE) CVTDTA(*NONE)"
        );
    }
}

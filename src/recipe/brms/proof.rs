//! What is read of production's BRMS without changing it: does it work now, and has anything in it changed?

use super::errand::There;
use crate::recipe::queries::column;
use crate::recipe::records::digest;
use crate::site::DeviceError;

/// Objects of QUSRBRM with the time of their last change: a save, a movement, a maintenance changes some of them.
const OBJECTS: &str = "SELECT OBJNAME, VARCHAR(CHANGE_TIMESTAMP) AS CHANGED FROM TABLE(QSYS2.OBJECT_STATISTICS('QUSRBRM', '*FILE')) X ORDER BY OBJNAME";

/// Jobs in which a command of BRMS runs now (function of the job [I]).
const WORKING: &str = "SELECT JOB_NAME, FUNCTION FROM TABLE(QSYS2.ACTIVE_JOB_INFO()) X WHERE FUNCTION LIKE '%BRM' ORDER BY JOB_NAME";

/// Digest of QUSRBRM's objects and their change times; `None` = the system does not tell, so nothing can be proved.
///
/// # Errors
/// When the system cannot be asked now.
pub(in crate::recipe) async fn fingerprint(
    there: There<'_>,
) -> Result<Option<String>, DeviceError> {
    let rows = match there.system.query(there.session, OBJECTS).await {
        Ok(rows) => rows,
        Err(DeviceError::Refused { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let told = rows.iter().all(|row| !column(row, "CHANGED").is_empty());
    if rows.is_empty() || !told {
        return Ok(None);
    }
    let lines: String = rows
        .iter()
        .map(|row| format!("{} {}\n", column(row, "OBJNAME"), column(row, "CHANGED")))
        .collect();
    Ok(Some(digest(lines.as_bytes())))
}

/// Jobs that work with BRMS now, with the command.
///
/// # Errors
/// When the system cannot be asked now, or refuses the question.
pub(in crate::recipe) async fn working_jobs(there: There<'_>) -> Result<Vec<String>, DeviceError> {
    let rows = there.system.query(there.session, WORKING).await?;
    let jobs = rows.iter();
    Ok(jobs
        .map(|row| format!("{} ({})", column(row, "JOB_NAME"), column(row, "FUNCTION")))
        .collect())
}

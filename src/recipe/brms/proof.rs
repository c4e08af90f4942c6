//! What is read of production's BRMS without changing it: does it work now, and has anything in it changed?

use super::errand::There;
use crate::recipe::queries::column;
use crate::recipe::records::digest;
use crate::site::{DeviceError, Row};

/// Objects of QUSRBRM with the time of their last change: a save, a movement, a maintenance changes some of them.
const OBJECTS: &str = "SELECT OBJNAME, VARCHAR(CHANGE_TIMESTAMP) AS CHANGED FROM TABLE(QSYS2.OBJECT_STATISTICS('QUSRBRM', '*FILE')) X ORDER BY OBJNAME";

/// Members of its files with theirs: where the object does not tell what its records tell, they do (both [I]).
const MEMBERS: &str = "SELECT TABLE_NAME, TABLE_PARTITION, VARCHAR(LAST_CHANGE_TIMESTAMP) AS CHANGED FROM QSYS2.SYSPARTITIONSTAT WHERE TABLE_SCHEMA = 'QUSRBRM' ORDER BY TABLE_NAME, TABLE_PARTITION";

/// Jobs in which a command of BRMS runs now (function of the job [I]).
const WORKING: &str = "SELECT JOB_NAME, FUNCTION FROM TABLE(QSYS2.ACTIVE_JOB_INFO()) X WHERE FUNCTION LIKE '%BRM' ORDER BY JOB_NAME";

/// Digest of QUSRBRM's objects and members and their change times; `None` = the system does not tell of both, so nothing can
/// be proved.
///
/// # Errors
/// When the system cannot be asked now.
pub(in crate::recipe) async fn fingerprint(
    there: There<'_>,
) -> Result<Option<String>, DeviceError> {
    let objects = changes(there, OBJECTS, &["OBJNAME"]).await?;
    let members = changes(there, MEMBERS, &["TABLE_NAME", "TABLE_PARTITION"]).await?;
    let both = objects.zip(members);
    Ok(both.map(|(objects, members)| digest(format!("{objects}\n{members}").as_bytes())))
}

/// A line for each row; `None` = not told, or not of each of them.
async fn changes(
    there: There<'_>,
    sql: &str,
    names: &[&str],
) -> Result<Option<String>, DeviceError> {
    let rows = match there.system.query(there.session, sql).await {
        Ok(rows) => rows,
        Err(DeviceError::Refused { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let told = rows.iter().all(|row| !column(row, "CHANGED").is_empty());
    if rows.is_empty() || !told {
        return Ok(None);
    }
    let line = |row: &Row| {
        let names: Vec<&str> = names.iter().map(|name| column(row, name)).collect();
        format!("{} {}\n", names.join("/"), column(row, "CHANGED"))
    };
    Ok(Some(rows.iter().map(line).collect()))
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

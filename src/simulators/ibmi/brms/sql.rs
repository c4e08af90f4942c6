//! Views and files of BRMS, and what the catalog says of them (`ibmi.md` § 4.5).

use super::super::sql::Answer;
use super::super::tables::{some, stamp, table};
use super::*;

/// A view or file of QUSRBRM; `None` = there is none of this name.
pub(in crate::simulators::ibmi) fn view(brms: &Brms, name: &str) -> Option<Answer> {
    Some(match name {
        "QUSRBRM.BRMS_LOG_INFO" if brms.sql_services => log_info(brms),
        "QUSRBRM.QA1ALG" => log_file(brms),
        "QUSRBRM.QA1AMM" => table(
            &["TMCVSR", "TMCCRT"],
            brms.volumes
                .iter()
                .map(|(id, v)| vec![some(id), v.written.map(|t| century(t, "%Y%m%d"))])
                .collect(),
        ),
        _ => return None,
    })
}

/// Column names of the views, for the catalog: the severity's spelling varies by release.
fn log_columns(brms: &Brms) -> Vec<String> {
    [
        "AREA",
        "MESSAGE_ID",
        brms.file.knobs.severity_column.as_str(),
        "MESSAGE_TIMESTAMP",
        "QUALIFIED_JOB_NAME",
        "CONTROL_GROUP",
        "MESSAGE_TEXT",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Rows of QSYS2.SYSCOLUMNS.
pub(in crate::simulators::ibmi) fn columns(brms: Option<&Brms>) -> Answer {
    let names = brms.filter(|b| b.sql_services).map(log_columns);
    table(
        &[
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "COLUMN_NAME",
            "ORDINAL_POSITION",
        ],
        names
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(at, c)| vec![some(LIBRARY), some("BRMS_LOG_INFO"), some(c), some(at + 1)])
            .collect(),
    )
}

/// CHANGE_TIMESTAMP of an object of QUSRBRM, as far as the knob lets it follow its records; `None` = not known.
pub(in crate::simulators::ibmi) fn object_changed(
    disk: &DiskState,
    library: &str,
    name: &str,
    kind: &str,
) -> Option<DateTime<Utc>> {
    let brms = disk.brms.as_ref().filter(|_| library == LIBRARY)?;
    let at = brms.changed.get(&format!("{name} {kind}"))?;
    if brms.file.knobs.object_change_follows_records {
        return Some(*at);
    }
    brms.changed.values().min().copied()
}

/// Rows of QSYS2.SYSPARTITIONSTAT: the last change of each member of QUSRBRM.
pub(in crate::simulators::ibmi) fn members(brms: Option<&Brms>) -> Answer {
    let files = brms.iter().flat_map(|b| &b.changed);
    table(
        &[
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "TABLE_PARTITION",
            "LAST_CHANGE_TIMESTAMP",
        ],
        files
            .filter_map(|(object, at)| Some((object.strip_suffix(" *FILE")?, at)))
            .map(|(name, at)| vec![some(LIBRARY), some(name), some(name), some(stamp(*at))])
            .collect(),
    )
}

fn log_info(brms: &Brms) -> Answer {
    let columns = log_columns(brms);
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let or_null = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    table(
        &names,
        brms.log
            .iter()
            .map(|l| {
                vec![
                    some(&l.area),
                    or_null(&l.id),
                    some(l.severity),
                    some(stamp(l.at)),
                    some(&l.job),
                    or_null(&l.group),
                    some(&l.text),
                ]
            })
            .collect(),
    )
}

/// CYYMMDD or the like: the century's digit, then the year without its century.
fn century(at: DateTime<Utc>, format: &str) -> String {
    let text = at.format(format).to_string();
    let hundreds: u32 = text.get(..2).and_then(|c| c.parse().ok()).unwrap_or(20);
    format!(
        "{}{}",
        hundreds.saturating_sub(19),
        text.get(2..).unwrap_or_default()
    )
}

fn log_file(brms: &Brms) -> Answer {
    table(
        &[
            "LGMDTA", "LGDATE", "LGTIME", "LGSEV", "LGUSER", "LGJOB", "LGJNBR", "LGMID", "LGCGNAM",
        ],
        brms.log
            .iter()
            .map(|l| {
                let mut job = l.job.split('/');
                let (number, user, name) = (job.next(), job.next(), job.next());
                vec![
                    some(&l.text),
                    some(century(l.at, "%Y%m%d")),
                    some(l.at.format("%H%M%S")),
                    some(l.severity),
                    user.map(str::to_owned),
                    name.map(str::to_owned),
                    number.map(str::to_owned),
                    some(&l.id),
                    some(&l.group),
                ]
            })
            .collect(),
    )
}

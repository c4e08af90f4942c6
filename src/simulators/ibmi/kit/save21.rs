//! The full save before the personality, as `ibmi/CONTRACT.md` § 14 says: the guard's question, and the job's steps.

use super::*;
use crate::simulators::ibmi::jobs;
use crate::simulators::ibmi::script::{self, Outcome, Script, Step};

const RESULT: &str = "/ibmiclone/result";
const RECORD: &str = "/ibmiclone/save21";
/// Profile that owns the kit: the guard has swapped to it when it submits.
const OWNER: &str = "QSECOFR";
/// Commands that left something out (§ 14 [I]).
const PARTIAL: [&str; 3] = ["CPF3771", "CPF3777", "CPF383E"];
/// Rows of § 14 that commands of the script stand for, and the row that follows.
const ROWS: [(&str, &str, &str); 7] = [
    ("ADDRPYLE", "replies", "end-subsystems"),
    ("ENDSBS", "end-subsystems", "restricted-state"),
    ("await-restricted", "restricted-state", "SAVSYS"),
    ("SAVSYS", "SAVSYS", "SAVLIB"),
    ("SAVLIB", "SAVLIB", "SAVDLO"),
    ("SAVDLO", "SAVDLO", "SAV"),
    ("SAV", "SAV", "SAV"),
];

type Map = BTreeMap<String, String>;

/// What `/ibmiclone` on the clone's disk knows of this run's save (§ 14, first column of the states).
enum Known {
    /// `NONE`, `SUBMITTED`.
    NotBegun,
    /// `SAVING`, with the record.
    Saving(Map),
    /// `RESULT`.
    Over,
}

fn of_run(world: &World, partition: &str, path: &str, run: &Map) -> Option<Map> {
    let bytes = disk_of(world, partition)?.files.get(path)?;
    record::read(bytes).filter(|m| m.get("runToken") == run.get("runToken"))
}

fn known(world: &World, partition: &str, run: &Map) -> Known {
    if of_run(world, partition, RESULT, run).is_some() {
        return Known::Over;
    }
    let record = of_run(world, partition, RECORD, run);
    match record.filter(|m| m.get("state").map(String::as_str) == Some("SAVING")) {
        Some(record) => Known::Saving(record),
        // Whatever else stands there (SUBMITTED), nothing has been written to a tape.
        None => Known::NotBegun,
    }
}

/// ASK: whether the guard ends here, because the save follows.
pub(super) fn comes_first(world: &mut World, partition: &str, run: &Map) -> bool {
    if run.get("function").map(String::as_str) != Some("SAVE21") {
        return false;
    }
    match known(world, partition, run) {
        Known::Over => false,
        Known::Saving(begun) => {
            let row = text(&begun, "step");
            let end = End::failed(&row, "CLN0502");
            write_result(world, partition, run, &begun, &end);
            false
        }
        Known::NotBegun => submit(world, partition, run),
    }
}

fn submit(world: &mut World, partition: &str, run: &Map) -> bool {
    write_record(world, partition, run, ("SUBMITTED", "-", "-"), "submit");
    let queue = text(run, "save21.controllingQueue");
    let there = disk_of(world, partition).is_some_and(|d| d.job_queues.contains_key(&queue));
    if !there {
        let begun = Map::from([
            ("job".to_owned(), "-".to_owned()),
            ("startedAt".to_owned(), "-".to_owned()),
        ]);
        let end = End::failed("submit", "CPF1338");
        write_result(world, partition, run, &begun, &end);
        return false;
    }
    tell_operator(world, partition, "CLN0501", 10, "full save submitted");
    self::queue(world, partition, run, &queue);
    true
}

pub(super) fn queue(world: &mut World, partition: &str, run: &Map, queue: &str) {
    let script = Script::new(steps(run)).going_on();
    script::submit(world, partition, (OWNER, "SAVE21", queue), script);
}

fn text(map: &Map, key: &str) -> String {
    map.get(key).cloned().unwrap_or_default()
}

fn command(text: impl Into<String>) -> Step {
    Step::Command(text.into())
}

/// The job, row by row. A step that fails ends in [`judge`], which leaves the last one: the controlling subsystem.
fn steps(run: &Map) -> Vec<Step> {
    let mut steps = vec![Step::Act(begin)];
    let ids = record::list(run, "save21.replies", ".messageId").unwrap_or_default();
    let replies = record::list(run, "save21.replies", ".reply").unwrap_or_default();
    for (n, (id, reply)) in ids.iter().zip(&replies).enumerate() {
        let line = format!("ADDRPYLE SEQNBR({}) MSGID({id}) RPY({reply})", n + 1);
        steps.extend([command(line), Step::Act(judge)]);
    }
    let answers = if ids.is_empty() { "*DFT" } else { "*SYSRPYL" };
    let seconds: u64 = text(run, "save21.restrictedStateSeconds")
        .parse()
        .unwrap_or(600);
    steps.extend([
        command(format!("CHGJOB INQMSGRPY({answers})")),
        command("ENDHOSTSVR SERVER(*ALL) ENDACTCNN(*ALL)"),
        command("ENDTCPSVR SERVER(*ALL)"),
        command("ENDTCP OPTION(*IMMED)"),
        command("DLYJOB DLY(10)"),
        command("ENDSBS SBS(*ALL) OPTION(*IMMED) BCHTIMLMT(*NOMAX)"),
        Step::Act(judge),
        Step::AwaitRestricted {
            milliseconds: seconds.saturating_mul(1000),
        },
        Step::Act(judge),
    ]);
    let device = text(run, "save21.device");
    steps.push(command(format!(
        "VRYCFG CFGOBJ({device}) CFGTYPE(*DEV) STATUS(*ON)"
    )));
    for line in saves(run, &device) {
        steps.extend([command(line), Step::Act(judge)]);
    }
    steps.extend([Step::Act(succeed), command("STRSBS SBSD(QSYS/QCTL)")]);
    steps
}

/// The four save commands.
fn saves(run: &Map, device: &str) -> [String; 4] {
    let words = |prefix: &str, none: &str| match record::list(run, prefix, "") {
        Some(all) if !all.is_empty() => all.join(" "),
        Some(_) | None => none.to_owned(),
    };
    let expires = match text(run, "save21.expirationDate").as_str() {
        "PERM" => "*PERM".to_owned(),
        "-" | "" => String::new(),
        date => date.to_owned(),
    };
    let expires = match expires.as_str() {
        "" => String::new(),
        date => format!(" EXPDATE('{date}')"),
    };
    let media = format!("{expires} VOL({})", words("save21.volumes", "*MOUNTED"));
    let (first, next) = match text(run, "save21.clear").as_str() {
        "All" => ("*ALL", "*AFTER"),
        "After" => ("*AFTER", "*AFTER"),
        _ => ("*NONE", "*NONE"),
    };
    let end = match text(run, "save21.endOption").as_str() {
        "Leave" => "*LEAVE",
        "Unload" => "*UNLOAD",
        _ => "*REWIND",
    };
    let omit = words("save21.omit", "*NONE");
    [
        format!("SAVSYS DEV({device}) CLEAR({first}) ENDOPT(*LEAVE){media}"),
        format!(
            "SAVLIB LIB(*NONSYS) DEV({device}) ACCPTH(*YES) CLEAR({next}) ENDOPT(*LEAVE){media} OMITLIB({omit})"
        ),
        format!("SAVDLO DLO(*ALL) FLR(*ANY) DEV({device}) CLEAR({next}) ENDOPT(*LEAVE){media}"),
        format!(
            "SAV DEV('/QSYS.LIB/{device}.DEVD') OBJ(('/*') ('/QSYS.LIB' *OMIT) ('/QDLS' *OMIT)) UPDHST(*YES) CLEAR({next}) ENDOPT({end}){media}"
        ),
    ]
}

fn run_of(world: &World, partition: &str) -> Option<Map> {
    disk_of(world, partition)?
        .files
        .get(RUN_PARM)
        .and_then(|b| record::read(b))
}

/// One of them, once: whoever finds the begin or the end of a save does not begin another.
fn begin(world: &mut World, partition: &str, job: &str, _: &[Outcome]) {
    let run = run_of(world, partition)
        .filter(|run| matches!(known(world, partition, run), Known::NotBegun));
    let Some(run) = run else {
        if let Some(job) = running(world, partition).and_then(|r| r.system.jobs.get_mut(job)) {
            let at = job.active.unwrap_or(job.entered);
            jobs::push_log(job, at, "CLN0505", 40, "ESCAPE", "full save refused");
        }
        return jobs::end(world, partition, job, 30);
    };
    let now = clock(world, partition);
    write_record(
        world,
        partition,
        &run,
        ("SAVING", job, &now),
        "end-subsystems",
    );
}

/// How one row ended.
fn row_of(outcome: &Outcome) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let name = outcome
        .command
        .split_whitespace()
        .next()
        .unwrap_or_default();
    ROWS.iter().find(|(command, _, _)| *command == name)
}

fn id_of(outcome: &Outcome) -> String {
    let last = if outcome.ok {
        outcome.ids.first()
    } else {
        outcome.ids.last()
    };
    last.cloned().unwrap_or_else(|| "-".to_owned())
}

fn left_out(outcome: &Outcome) -> bool {
    !outcome.ok && PARTIAL.contains(&id_of(outcome).as_str())
}

/// After each row that may fail: notes the next one, or ends the save.
fn judge(world: &mut World, partition: &str, job: &str, outcomes: &[Outcome]) {
    let Some(run) = run_of(world, partition) else {
        return;
    };
    let Some((outcome, (command, row, next))) = outcomes.last().and_then(|o| Some((o, row_of(o)?)))
    else {
        return;
    };
    let begun = of_run(world, partition, RECORD, &run).unwrap_or_default();
    if outcome.ok || left_out(outcome) {
        let (by, at) = (text(&begun, "job"), text(&begun, "startedAt"));
        return write_record(world, partition, &run, ("SAVING", &by, &at), next);
    }
    let id = match *command {
        "await-restricted" => "CLN0503".to_owned(),
        "ADDRPYLE" => "CLN0506".to_owned(),
        _ => id_of(outcome),
    };
    let end = End {
        failed: Some(((*row).to_owned(), id)),
        outcomes,
    };
    write_result(world, partition, &run, &begun, &end);
    script::leave_last(world, partition, job);
}

fn succeed(world: &mut World, partition: &str, _: &str, outcomes: &[Outcome]) {
    let Some(run) = run_of(world, partition) else {
        return;
    };
    let begun = of_run(world, partition, RECORD, &run).unwrap_or_default();
    let end = End {
        failed: None,
        outcomes,
    };
    write_result(world, partition, &run, &begun, &end);
}

/// How a save ended.
struct End<'o> {
    /// Row and message id.
    failed: Option<(String, String)>,
    outcomes: &'o [Outcome],
}

impl End<'_> {
    fn failed(row: &str, id: &str) -> Self {
        Self {
            failed: Some((row.to_owned(), id.to_owned())),
            outcomes: &[],
        }
    }

    /// `SAVSYS:OK:CPC3722,…`.
    fn steps(&self) -> Vec<String> {
        let saves = self.outcomes.iter().filter_map(|o| {
            let (_, row, _) = row_of(o).filter(|(c, _, _)| c.starts_with("SAV"))?;
            let word = match (o.ok, left_out(o)) {
                (true, _) => "OK",
                (false, true) => "PARTIAL",
                (false, false) => "FAILED",
            };
            Some(format!("{row}:{word}:{}", id_of(o)))
        });
        saves.collect()
    }

    fn restricted_at(&self) -> Option<String> {
        let mut waits = self.outcomes.iter();
        let there = waits.find(|o| o.ok && o.command == "await-restricted")?;
        Some(there.ended.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

fn write_record(
    world: &mut World,
    partition: &str,
    run: &Map,
    (state, job, started): (&str, &str, &str),
    step: &str,
) {
    let now = clock(world, partition);
    let bytes = record::write(
        "save21",
        &[
            ("runToken", text(run, "runToken")),
            ("runNumber", text(run, "runNumber")),
            ("state", state.to_owned()),
            ("job", job.to_owned()),
            ("startedAt", started.to_owned()),
            ("step", step.to_owned()),
            ("scpf", scpf(world, partition)),
            ("changedAt", now),
        ],
    );
    if let Some(r) = running(world, partition) {
        r.disk.files.insert(RECORD.to_owned(), bytes);
    }
}

fn write_result(world: &mut World, partition: &str, run: &Map, begun: &Map, end: &End) {
    let partial: Vec<String> = end
        .outcomes
        .iter()
        .filter(|o| left_out(o))
        .map(id_of)
        .collect();
    let (failed, failed_id) = end
        .failed
        .clone()
        .unwrap_or_else(|| ("-".to_owned(), "-".to_owned()));
    let (state, code) = match (&end.failed, partial.is_empty()) {
        (Some(_), _) => ("FAILED", "40"),
        (None, true) => ("SUCCEEDED", "0"),
        (None, false) => ("SUCCEEDED", "10"),
    };
    let volumes = record::list(run, "save21.volumes", "").unwrap_or_default();
    let bytes = record::write(
        "result",
        &[
            ("runToken", text(run, "runToken")),
            ("runNumber", text(run, "runNumber")),
            ("function", "SAVE21".to_owned()),
            ("state", state.to_owned()),
            ("endCode", code.to_owned()),
            ("startedAt", text(begun, "startedAt")),
            ("endedAt", clock(world, partition)),
            ("job", text(begun, "job")),
            ("failedId", failed_id.clone()),
            ("failed", failed.clone()),
            ("steps", or_dash(end.steps().join(","))),
            ("device", text(run, "save21.device")),
            ("volumes", or_dash(volumes.join(","))),
            (
                "restrictedAt",
                or_dash(end.restricted_at().unwrap_or_default()),
            ),
            ("warnings", or_dash(partial.join(","))),
        ],
    );
    if let Some(r) = running(world, partition) {
        r.disk.files.insert(RESULT.to_owned(), bytes);
    }
    let own = ["CLN0502", "CLN0503", "CLN0506"].contains(&failed_id.as_str());
    let (id, severity) = if own {
        (failed_id.as_str(), 70)
    } else {
        ("CLN0504", 10)
    };
    let said = format!("full save ended: {state} {failed}");
    tell_operator(world, partition, id, severity, &said);
    world
        .ledger
        .effect(format!("ibmi.{partition}.SAVE21-{state}"));
}

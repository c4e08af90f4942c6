//! A program that runs for ten minutes, and the job that calls it.

use super::Bench;
use ibmi_clone_operator::drivers::ibmi::IbmIDriver;
use ibmi_clone_operator::simulators::ibmi::file::{ProgramFile, ProgramMessage, ProgramResult};
use ibmi_clone_operator::site::{ClCommand, IbmI, JobName, Session, Submission};
use std::sync::Arc;

/// A system whose program ends like this after ten minutes and leaves these messages.
pub async fn bench(result: ProgramResult, messages: Vec<ProgramMessage>) -> Bench {
    Bench::with(|f| {
        f.programs.push(ProgramFile {
            program: "CLNLIB/WORK".to_owned(),
            seconds: Some(600),
            result,
            messages,
        });
    })
    .await
}

/// Submits the program as job RUN0042.
pub async fn submit(bench: &Bench) -> (Arc<IbmIDriver>, Session, JobName) {
    let system = bench.system();
    let session = system.connect().await.unwrap();
    let job = Submission {
        name: "RUN0042".to_owned(),
        command: ClCommand::new("CALL PGM(CLNLIB/WORK)"),
        job_queue: "QGPL/QBATCH".to_owned(),
        user: None,
    };
    assert_eq!(system.job(&session, "RUN0042").await, Ok(None));
    let name = system.submit(&session, &job).await.unwrap();
    assert!(name.as_str().ends_with("/RUN0042"), "{name}");
    (system, session, name)
}

//! News of a job that runs, for the live tail: asked for only where somebody wants them, never in the way of the run.

use super::super::fakes::*;
use super::step;
use crate::site::{Inquiry, JobName, JobState, JobStatus};

const JOB: &str = "123456/CLN/C1_16";

/// The job of a program or control group is there, and its log has two messages, the newest first.
fn with(state: JobState) -> World {
    let world = world();
    world.set().news_wanted = true;
    world.system("clone", |s| {
        s.job = Some(JobStatus {
            name: JobName::new(JOB),
            state,
            active_milliseconds: None,
        });
        let message = |place: &str, id: &str, text: &str| {
            row(&[
                ("ORDINAL_POSITION", place),
                ("MESSAGE_ID", id),
                ("MESSAGE_TYPE", "COMPLETION"),
                ("SEVERITY", "0"),
                ("MESSAGE_TIMESTAMP", "2026-11-23-06.00.00.000000"),
                ("MESSAGE_TEXT", text),
            ])
        };
        let newest_first = vec![
            message("12", "CPC3722", "library B"),
            message("11", "CPC3722", "library A"),
        ];
        s.tables.insert("QSYS2.JOBLOG_INFO", newest_first);
    });
    world
}

async fn looked(function: &str, world: &World) {
    let step = step(function, "run-function", world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    waiting(world.look(&*step, &journal).await);
}

fn told(world: &World) -> Vec<(u64, String)> {
    let news = &world.set().news;
    let told = news.iter().map(|(job, place, line)| {
        assert_eq!((job.as_str(), line.job.as_str()), (JOB, JOB));
        assert_eq!((line.part.as_str(), line.id.as_str()), ("clone", "CPC3722"));
        (*place, line.text.clone())
    });
    told.collect()
}

#[tokio::test]
async fn the_newest_messages_of_a_running_program_and_of_a_saved_group_are_told_oldest_first() {
    for function in ["USER", "BRMS"] {
        let asked = Inquiry {
            text: "Load tape".into(),
            place: None,
        };
        for state in [JobState::Active, JobState::MessageWait(asked)] {
            let world = with(state);
            looked(function, &world).await;
            let wanted = [(11, "library A".to_owned()), (12, "library B".to_owned())];
            assert_eq!(told(&world), wanted, "{function}");
        }
    }
}

#[tokio::test]
async fn a_job_that_waits_on_its_queue_has_no_log() {
    let world = with(JobState::Queued);
    looked("USER", &world).await;
    assert_eq!(world.set().asked_for_news, 0);
}

#[tokio::test]
async fn nothing_is_asked_where_nobody_wants_news() {
    let world = with(JobState::Active);
    world.set().news_wanted = false;
    looked("USER", &world).await;
    assert_eq!(world.set().asked_for_news, 0);
    assert!(told(&world).is_empty());
}

/// Somebody asked, and it took its time: who decides when to ask again has to know.
#[tokio::test]
async fn a_log_that_cannot_be_read_now_is_no_news_and_no_trouble() {
    let world = with(JobState::Active);
    world.system("clone", |s| s.news = Some(silent()));
    looked("USER", &world).await;
    assert!(told(&world).is_empty());
    assert_eq!(world.set().asked_for_news, 1);
}

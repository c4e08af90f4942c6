//! The viewer's role is enough for the full-screen view.

use super::{RELEASE, bind, installed};
use crate::commands::morning::Morning;
use crate::support::pty::{ENTER, F3, Terminal};

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_view_sees_rows_archive_and_logs_and_is_told_why_not_the_operator() {
    let Some(stack) = installed().await else {
        return;
    };
    let morning = Morning::new(stack).await;
    let viewer = format!("{RELEASE}-viewer");
    bind(&morning.client, &morning.namespace, &viewer).await;
    let access = stack.access_for(&viewer, None).await.unwrap();
    let kubeconfig = access.kubeconfig().display().to_string();
    let place = ["-n", &morning.namespace, "--kubeconfig", &kubeconfig];
    let mut screen = Terminal::start(&[&["watch"][..], &place].concat(), 80, 24);
    screen
        .until("all rows, and why not the operator", |s| {
            ["11-02", "END_FC", "RUNNING", "not known: you may not"]
                .iter()
                .all(|wanted| s.contains(wanted))
        })
        .await;
    screen.press("/18");
    screen.press(ENTER);
    screen.press("8");
    screen.press(ENTER);
    screen.sees("saved from library ORDERS0").await;
    screen.press(F3);
    screen.sees("Clone History").await;
    screen.press(F3);
    assert_eq!(screen.ends().await, 0);
}

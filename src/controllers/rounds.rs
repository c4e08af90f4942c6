//! What the controllers share that look at many things when they are due: wait for the term, sleep until something is, look
//! at all of it. Each answers `false` when the operator is to stop.

use super::context::Context;
use futures::StreamExt;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Waits for the beginning of this process's term.
pub(super) async fn begun(context: &Context, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = context.term.begun() => true,
    }
}

/// Nothing is due: sleeps until `wait` is over or something has changed.
pub(super) async fn idle(shutdown: &CancellationToken, changed: &Notify, wait: Duration) -> bool {
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = changed.notified() => true,
        () = tokio::time::sleep(wait) => true,
    }
}

/// Looks at everything, `at_once` at the same time, after the creates of due slots. A look is given up at shutdown wherever
/// it is, so it must be found again what it had begun.
pub(super) async fn looks<L>(
    context: &Context,
    shutdown: &CancellationToken,
    at_once: usize,
    looks: impl Iterator<Item = L>,
) -> bool
where
    L: Future<Output = ()>,
{
    context.gate.wait().await;
    let all = futures::stream::iter(looks)
        .buffer_unordered(at_once)
        .for_each(|()| async {});
    tokio::select! {
        () = shutdown.cancelled() => false,
        () = all => true,
    }
}

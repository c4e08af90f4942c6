//! Waiting for a condition that nothing tells of: it is looked at again and again until a deadline.

use std::time::Duration;
use tokio::time::Instant;

/// Far more than any test needs, also on a machine that is busy with other things.
pub const LIMIT: Duration = Duration::from_secs(180);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until the condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    found(what, async || holds().await.then_some(()).ok_or("")).await;
}

/// Waits until there is something; an error says what was seen instead, for who reads why it never came.
pub async fn found<T, E: std::fmt::Display>(
    what: &str,
    look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    found_within(LIMIT, what, look).await
}

/// [`found`] with a limit of its own, for what takes longer or must come sooner.
pub async fn found_within<T, E: std::fmt::Display>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "{what} did not come; {seen}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits for work that ends by itself; a test that waits without a limit hangs, and nobody is told its name.
pub async fn finished<T>(what: &str, work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(LIMIT, work).await;
    ended.unwrap_or_else(|_| panic!("{what} did not end within {LIMIT:?}"))
}

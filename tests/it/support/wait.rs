//! Waiting for a condition that nothing tells of: it is looked at again and again until a deadline.

use std::time::Duration;
use tokio::time::Instant;

/// Far more than any test needs, also on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);
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

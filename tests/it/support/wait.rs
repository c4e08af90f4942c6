//! Waiting for a condition that nothing tells of: it is looked at again and again until a deadline.

use std::time::Duration;
use tokio::time::Instant;

/// Far more than any test needs, also on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until the condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(LOOK).await;
    }
}

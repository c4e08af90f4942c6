//! On whose behalf a device is asked: operator and run, for the audit logs of devices that take such a text (HMC:
//! `X-Audit-Memento`, `hmc.md` § 1.1). Sessions are shared by all runs, so it belongs to the task and not to the session.

use std::future::Future;
use std::sync::Arc;

tokio::task_local! {
    static ERRAND: Arc<str>;
}

/// Does `work`; every request it sends carries `text` (plain ASCII) where the device takes it.
pub async fn on_behalf_of<T>(text: &str, work: impl Future<Output = T>) -> T {
    ERRAND.scope(Arc::from(text), work).await
}

/// The text of this task, if it was given one.
pub fn current() -> Option<Arc<str>> {
    ERRAND.try_with(Arc::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_errands_at_once_are_not_mixed_up() {
        let told = |text| on_behalf_of(text, async { current() });
        let (a, b) = futures::join!(told("a"), told("b"));
        assert_eq!((a.as_deref(), b.as_deref()), (Some("a"), Some("b")));
        assert_eq!(current(), None);
    }
}

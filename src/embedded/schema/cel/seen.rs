//! Which rules have accepted something on this thread: for the test that every rule does.

use super::compile::Rule;
use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    static SEEN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Forgets what was.
pub fn start() {
    SEEN.with_borrow_mut(BTreeSet::clear);
}

/// A rule was true.
pub fn accepted(rule: &Rule) {
    SEEN.with_borrow_mut(|seen| seen.insert(rule.source.clone()));
}

/// Rules that were true since the start.
pub fn stop() -> BTreeSet<String> {
    SEEN.with_borrow_mut(std::mem::take)
}

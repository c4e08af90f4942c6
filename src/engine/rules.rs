//! The fourteen rules of `architecture.md` § 4, by name. In a unit-test build each can be broken on purpose, so that
//! the crash matrix proves that it would notice; in every other build `kept` is the constant `true`.

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// 1: no effect without a journal write accepted just before it; retries too.
    WriteBeforeEffect,
    /// 2: the write is conditional.
    ConditionalWrite,
    /// 3: Absent is said only when it can be proved; unknown is never retried blindly.
    AbsentIsProved,
    /// 4: Done means "differs from the baseline".
    DoneDiffersFromBaseline,
    /// 5: an obligation is in the same write as its intent.
    ObligationWithIntent,
    /// 6: obligations are met before the verdict becomes final.
    ObligationsBeforeVerdict,
    /// 7: meeting an obligation never waits for the journal.
    ObligationNeedsNoJournal,
    /// 8: nothing slow and no Kubernetes inside the window.
    NothingSlowInWindow,
    /// 9: before resuming, prove that the suspension still holds.
    SuspensionProved,
    /// 10: an effect is sent only while holding its lock.
    LockBeforeEffect,
    /// 11: recipe and step list are frozen in the run.
    RecipeFrozen,
    /// 12: suspend and start-copy are never sent by a second pass on one opening write.
    WindowOncePerWrite,
    /// 13: one broken object never stops the others.
    BrokenObjectIsAlone,
    /// 14: a run that was restored, copied or re-created never executes.
    RestoredNeverRuns,
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
}

/// Breaks one rule on this thread (unit tests only).
#[cfg(test)]
pub fn break_rule(rule: Option<Rule>) {
    BROKEN.with(|b| b.set(rule));
}

/// Whether a rule is kept.
#[inline]
pub fn kept(rule: Rule) -> bool {
    #[cfg(test)]
    {
        BROKEN.with(|b| b.get() != Some(rule))
    }
    #[cfg(not(test))]
    {
        let _ = rule;
        true
    }
}

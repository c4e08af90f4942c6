//! What environments, runs and events tell, and that nothing was touched.

use super::*;

impl Stage {
    /// Waits until the current step of the run is this one.
    pub async fn at_step(&self, run: &str, step: &str) {
        self.until(run, |r| {
            let status = r.status.as_ref();
            status.is_some_and(|s| s.step.as_deref() == Some(step) || s.phase.is_final())
        })
        .await;
    }

    /// Waits until the environment was verified that many times more.
    pub async fn verified_again(&self, environment: &str, times: usize) {
        for _ in 0..times {
            let before = self.environments().get(environment).await.unwrap();
            let before = before.status.and_then(|s| s.observed_at);
            self.environment_until(environment, |s| s.observed_at != before)
                .await;
        }
    }

    /// What a person would look at, for a failed test.
    pub(super) async fn told(&self, run: &str) -> String {
        let Ok(run) = self.runs().get(run).await else {
            return format!("{run} is gone");
        };
        let s = run.status.clone().unwrap_or_default();
        let steps: Vec<String> = s
            .steps
            .iter()
            .map(|e| {
                format!(
                    "  {} {:?} x{} {}",
                    e.name,
                    e.state,
                    e.attempts,
                    e.message.as_deref().unwrap_or_default()
                )
            })
            .collect();
        format!(
            "{} is {:?} {:?} {:?}\n{}\nobligations {:?}\n{:#?}",
            run.name_any(),
            s.phase,
            s.reason,
            s.message,
            steps.join("\n"),
            s.obligations,
            self.world(|w| w
                .ledger
                .requests
                .iter()
                .rev()
                .take(12)
                .cloned()
                .collect::<Vec<_>>()),
        )
    }

    /// Reasons and notes of the events about an object.
    async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut found = api.list(&ListParams::default()).await.unwrap().items;
        found.retain(|e| {
            e.regarding
                .as_ref()
                .is_some_and(|o| o.name.as_deref() == Some(name))
        });
        let line = |e: Event| {
            format!(
                "{}: {}",
                e.reason.unwrap_or_default(),
                e.note.unwrap_or_default()
            )
        };
        found.into_iter().map(line).collect()
    }

    /// Waits for an event of an object, which is sent after the write it tells of; gives reason and note.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        let what = format!("event {reason}");
        wait::found(&what, async || {
            let events = self.events(name).await;
            let came = events.iter().find(|e| e.contains(reason));
            came.cloned().ok_or_else(|| format!("{events:?}"))
        })
        .await
    }

    /// A fatal finding of an environment: it says so, and a run ends at once without having touched anything.
    pub async fn refuses(&self, environment: &str, reason: &str, words: &[&str]) {
        let status = self.not_ready(environment, reason).await;
        says_all(&condition(&status, "Ready").1, words);
        let run = self.run(environment).await;
        let end = self.ended(&run).await;
        assert_eq!(end.outcome(), (Phase::Failed, reason), "{}", end.message());
        says_all(end.message(), words);
        self.until_event(&run, reason).await;
        self.untouched();
    }

    /// Nothing was changed on any device.
    pub fn untouched(&self) {
        let effects = self.world(|w| w.ledger.effects.clone());
        let harmless = |kind: &&String| {
            kind.contains("logon")
                || kind.contains("auth")
                || kind.contains("LOGIN")
                || kind.contains("job.")
                || kind.ends_with(".CALL")
                || kind.ends_with(".production-started")
                || kind.ends_with(".IPL")
        };
        let found: Vec<&String> = effects.keys().filter(|k| !harmless(k)).collect();
        assert!(found.is_empty(), "{effects:?}");
    }
}

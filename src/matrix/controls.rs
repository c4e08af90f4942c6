//! Fault controls of the matrix: every write and every effect is a numbered point at which something can go wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What kind of point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A journal write.
    Write,
    /// An effect on a device.
    Effect,
}

/// What goes wrong at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Injected {
    /// The process dies before the call.
    CrashBefore,
    /// The process dies after the call took effect.
    CrashAfter,
    /// Nothing is sent.
    NotSent,
    /// Took effect, the answer is lost.
    AnswerLost,
    /// The device says no (an effect only).
    Refused,
    /// The device is busy (an effect only).
    Busy,
    /// The API server is gone from here on for a while.
    ApiDown,
    /// This leader is stopped here while another one finishes the run; then it continues.
    Stalled,
    /// The same, right after a write was accepted.
    StalledAfter,
    /// The source resumes by itself.
    SelfResume,
    /// A person starts the clone.
    CloneStarted,
}

/// Whether a fault makes sense at a kind of point.
pub fn applies(fault: Injected, point: Point, name: &str) -> bool {
    match fault {
        Injected::CrashBefore
        | Injected::CrashAfter
        | Injected::NotSent
        | Injected::AnswerLost
        | Injected::ApiDown
        | Injected::SelfResume => true,
        // Nor can anything protect against a person who starts the clone in the instant of a map or unmap.
        Injected::CloneStarted => !["map", "unmap"].contains(&name),
        Injected::Refused | Injected::Busy => point == Point::Effect,
        // Between the last check and the first byte of a plain effect nothing can protect; the window checks again and
        // the array refuses.
        Injected::Stalled => point == Point::Write || window_effect(name),
        Injected::StalledAfter => point == Point::Write,
    }
}

fn window_effect(name: &str) -> bool {
    ["suspend", "canary", "start-copy", "resume", "close-helper"].contains(&name)
}

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    next: usize,
    seen: Vec<(Point, String)>,
    planned: Vec<(usize, Injected)>,
    crashed: bool,
    api_down_passes: u32,
    down_after_load: bool,
    stall: Option<Hook>,
    self_resume: Option<Hook>,
    start_clone: Option<Hook>,
    frozen: bool,
    slow_in_window: u32,
}

/// Shared by store, roles and clock of one leader.
#[derive(Clone, Default)]
pub struct Controls {
    state: Arc<Mutex<State>>,
}

impl Controls {
    /// Faults at numbered points.
    pub fn planned(faults: &[(usize, Injected)]) -> Self {
        let controls = Self::default();
        controls.lock().planned = faults.to_vec();
        controls
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What happens at `Stalled`.
    pub fn on_stall(&self, hook: Hook) {
        self.lock().stall = Some(hook);
    }
    /// What happens at `SelfResume`.
    pub fn on_self_resume(&self, hook: Hook) {
        self.lock().self_resume = Some(hook);
    }
    /// What happens at `CloneStarted`.
    pub fn on_clone_started(&self, hook: Hook) {
        self.lock().start_clone = Some(hook);
    }
    /// Points passed so far.
    pub fn points(&self) -> Vec<(Point, String)> {
        self.lock().seen.clone()
    }
    /// The process died.
    pub fn crashed(&self) -> bool {
        self.lock().crashed
    }
    /// A new process takes over.
    pub fn restart(&self) {
        self.lock().crashed = false;
    }
    /// One pass has ended: the API comes back after three.
    pub fn pass_ended(&self) {
        let mut state = self.lock();
        state.api_down_passes = state.api_down_passes.saturating_sub(1);
    }
    /// Whether the API server is gone.
    pub fn api_is_down(&self) -> bool {
        self.lock().api_down_passes > 0
    }
    /// The API server goes away right after the next journal was read.
    pub fn lose_api_after_load(&self) {
        self.lock().down_after_load = true;
    }
    /// A journal was read.
    pub fn loaded(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.down_after_load) {
            state.api_down_passes = 3;
        }
    }
    /// The source is (not) suspended now, as seen by the effects that passed.
    pub fn set_frozen(&self, frozen: bool) {
        self.lock().frozen = frozen;
    }
    /// A call to the API: counted when it happens inside the freeze.
    pub fn api_call(&self) {
        let mut state = self.lock();
        if state.frozen && !state.crashed {
            state.slow_in_window += 1;
        }
    }
    /// Calls to the API while the source was suspended by this very pass.
    pub fn api_calls_in_freeze(&self) -> u32 {
        self.lock().slow_in_window
    }

    /// Before a call. A crash never returns.
    pub async fn before(&self, point: Point, name: &str) -> Option<Injected> {
        let injected = {
            let mut state = self.lock();
            let at = state.next;
            state.next += 1;
            state.seen.push((point, name.to_owned()));
            state
                .planned
                .iter()
                .find(|(n, f)| *n == at && applies(*f, point, name))
                .map(|(_, f)| *f)
        };
        match injected {
            Some(Injected::CrashBefore) => {
                self.crash().await;
                None
            }
            Some(Injected::ApiDown) => {
                self.lock().api_down_passes = 3;
                None
            }
            Some(Injected::Stalled) => {
                self.stall();
                None
            }
            Some(Injected::SelfResume) => {
                let hook = self.lock().self_resume.take();
                if let Some(hook) = hook {
                    hook();
                }
                None
            }
            Some(Injected::CloneStarted) => {
                let hook = self.lock().start_clone.take();
                if let Some(hook) = hook {
                    hook();
                }
                None
            }
            other => other,
        }
    }

    /// After a call that took effect.
    pub async fn after(&self, injected: Option<Injected>) {
        if injected == Some(Injected::CrashAfter) {
            self.crash().await;
        }
        if injected == Some(Injected::StalledAfter) {
            self.stall();
        }
    }

    fn stall(&self) {
        let hook = self.lock().stall.take();
        if let Some(hook) = hook {
            hook();
        }
    }

    async fn crash(&self) {
        {
            let mut state = self.lock();
            state.crashed = true;
            state.frozen = false;
        }
        std::future::pending::<()>().await;
    }
}

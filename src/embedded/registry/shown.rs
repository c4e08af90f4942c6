//! An object as a watch tells it. Of a change that many watches tell, the text is made once for all of them: making it anew for
//! each would be nearly all of their work.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::feed::Told;
use super::served::{self, Served};

/// An object; read as its value, or taken as its text.
#[derive(Clone)]
pub struct Shown {
    value: OnceLock<Value>,
    shared: Option<Shared>,
}

/// Where value and text come from.
#[derive(Clone)]
struct Shared {
    told: Arc<Told>,
    state: State,
    served: Arc<Served>,
}

/// Which state of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The one before the change; where there was none, the one after it.
    Before,
    /// The one after the change.
    After,
}

/// The text of a state, with the kind that it was made for: events have two.
#[derive(Default)]
pub struct Written(OnceLock<(String, Arc<Vec<u8>>)>);

impl Shown {
    /// Of a change.
    pub fn shared(told: &Arc<Told>, state: State, served: &Arc<Served>) -> Self {
        Self {
            value: OnceLock::new(),
            shared: Some(Shared {
                told: Arc::clone(told),
                state,
                served: Arc::clone(served),
            }),
        }
    }

    /// JSON.
    pub fn text(&self) -> Arc<Vec<u8>> {
        let made = || Arc::new(self.to_string().into_bytes());
        let Some(shared) = &self.shared else {
            return made();
        };
        let index = served::index(&shared.served.kind);
        let Written(cell) = shared.told.written(shared.state);
        let (kind, text) = cell.get_or_init(|| (index.clone(), made()));
        if *kind == index {
            Arc::clone(text)
        } else {
            made()
        }
    }
}

impl From<Value> for Shown {
    fn from(value: Value) -> Self {
        Self {
            value: value.into(),
            shared: None,
        }
    }
}

impl Deref for Shown {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value.get_or_init(|| {
            let object = self.shared.as_ref().map(|s| {
                let change = &s.told.change;
                let object = match s.state {
                    State::Before => change.previous.as_ref().unwrap_or(&change.object),
                    State::After => &change.object,
                };
                s.served.present(object.clone(), change.revision)
            });
            object.unwrap_or_default()
        })
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

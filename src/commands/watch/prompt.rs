//! An input field: what to position to, or to find.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Longest input.
const MOST: usize = 40;

/// An open field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What was typed.
    pub text: String,
    /// In the list, not in a text.
    pub in_list: bool,
    /// What the field began with is replaced by the first character.
    fresh: bool,
}

/// What a key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// The field is still open.
    More,
    /// Enter.
    Given(String),
    /// Left without.
    Left,
}

impl Prompt {
    /// Begins with what was typed last.
    pub fn new(last: &str, in_list: bool) -> Self {
        Self {
            text: last.to_owned(),
            in_list,
            fresh: true,
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: &KeyEvent) -> Typed {
        if key.kind == KeyEventKind::Release {
            return Typed::More;
        }
        let fresh = std::mem::replace(&mut self.fresh, false);
        match key.code {
            KeyCode::Enter => return Typed::Given(self.text.clone()),
            KeyCode::Esc | KeyCode::F(3 | 12) => return Typed::Left,
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                self.text.clear();
            }
            KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::CONTROL) => {
                if fresh {
                    self.text.clear();
                }
                if self.text.chars().count() < MOST {
                    self.text.push(c);
                }
            }
            _ => {}
        }
        Typed::More
    }
}

//! Which key does what. Function keys, roll keys and Tab are those of a 5250 display, letters and arrows those of a
//! terminal; both work everywhere.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key means outside of an input field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The table of keys.
    Help,
    /// Leave all screens.
    Exit,
    /// Leave this screen.
    Back,
    /// Read everything again.
    Refresh,
    /// Times instead of durations, and back.
    Times,
    /// One up.
    Up,
    /// One down.
    Down,
    /// One screen up.
    PageUp,
    /// One screen down.
    PageDown,
    /// To the beginning.
    Top,
    /// To the end.
    Bottom,
    /// Do what was typed.
    Enter,
    /// An option in front of the row.
    Option(char),
    /// Take the option away.
    Clear,
    /// Begin to type what to position to, or to find.
    Search,
    /// Find again.
    Next,
    /// Draw the whole screen anew.
    Redraw,
    /// End at once.
    Interrupt,
}

/// Meaning of a key; `None` = none.
pub fn action(key: &KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return control(key.code);
    }
    let shift = key.modifiers.contains(KeyModifiers::SHIFT);
    Some(match key.code {
        KeyCode::F(n) => return function(if shift && n <= 12 { n + 12 } else { n }),
        KeyCode::Char('?') => Action::Help,
        KeyCode::Esc | KeyCode::Char('q') => Action::Back,
        KeyCode::Char('r') => Action::Refresh,
        KeyCode::Char('t') => Action::Times,
        KeyCode::Up | KeyCode::BackTab | KeyCode::Char('k') => Action::Up,
        KeyCode::Down | KeyCode::Tab | KeyCode::Char('j') => Action::Down,
        KeyCode::PageUp | KeyCode::Char('b') => Action::PageUp,
        KeyCode::PageDown | KeyCode::Char('f') => Action::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Action::Top,
        KeyCode::End | KeyCode::Char('G') => Action::Bottom,
        KeyCode::Enter => Action::Enter,
        KeyCode::Char(digit) if digit.is_ascii_digit() => Action::Option(digit),
        KeyCode::Backspace | KeyCode::Delete | KeyCode::Char(' ') => Action::Clear,
        KeyCode::Char('/') => Action::Search,
        KeyCode::Char('n') => Action::Next,
        _ => return None,
    })
}

fn control(code: KeyCode) -> Option<Action> {
    match code {
        KeyCode::Char('c') => Some(Action::Interrupt),
        KeyCode::Char('l') => Some(Action::Redraw),
        KeyCode::Char('f' | 'd') => Some(Action::PageDown),
        KeyCode::Char('b' | 'u') => Some(Action::PageUp),
        _ => None,
    }
}

fn function(number: u8) -> Option<Action> {
    match number {
        1 => Some(Action::Help),
        3 => Some(Action::Exit),
        5 => Some(Action::Refresh),
        11 => Some(Action::Times),
        12 => Some(Action::Back),
        16 => Some(Action::Next),
        17 => Some(Action::Top),
        18 => Some(Action::Bottom),
        _ => None,
    }
}

/// The table that F1 shows: 5250 key, terminal key, meaning.
pub const TABLE: [(&str, &str, &str); 17] = [
    ("F1", "?", "this table"),
    (
        "F3",
        "Ctrl-C",
        "end; from a screen of a run, back to the list",
    ),
    ("F12", "q, Esc", "back; in the list, end"),
    ("F5", "r", "read everything again"),
    (
        "F11",
        "t",
        "times of begin and end instead of durations, and back",
    ),
    ("Tab, cursor", "j, k", "next row, row before"),
    ("Roll keys", "PgUp PgDn, b f", "a screen up or down"),
    ("F17, F18", "g, G", "to the top, to the bottom"),
    (
        "5 Enter",
        "Enter",
        "display the run: steps with times, freeze, conditions",
    ),
    ("6 Enter", "", "its logs, one to be chosen"),
    ("8 Enter", "", "job log of the function's job"),
    (
        "9 Enter",
        "",
        "system log (DSPLOG) of the clone since the flash",
    ),
    ("", "Space, Del", "take an option away"),
    (
        "/ text Enter",
        "/",
        "list: position to a date, number or environment",
    ),
    (
        "/ text Enter",
        "/",
        "logs: find a text; upper and lower case are one",
    ),
    ("F16", "n", "find again"),
    ("", "Ctrl-L", "draw the screen anew"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_5250_and_one_of_a_terminal_mean_the_same() {
        let key = |code| action(&KeyEvent::new(code, KeyModifiers::NONE));
        for (of_5250, of_terminal) in [
            (KeyCode::F(1), KeyCode::Char('?')),
            (KeyCode::F(12), KeyCode::Char('q')),
            (KeyCode::F(12), KeyCode::Esc),
            (KeyCode::F(5), KeyCode::Char('r')),
            (KeyCode::F(11), KeyCode::Char('t')),
            (KeyCode::PageDown, KeyCode::Char('f')),
            (KeyCode::F(17), KeyCode::Char('g')),
            (KeyCode::F(18), KeyCode::Char('G')),
            (KeyCode::F(16), KeyCode::Char('n')),
            (KeyCode::Tab, KeyCode::Char('j')),
        ] {
            assert!(key(of_5250).is_some(), "{of_5250:?}");
            assert_eq!(
                key(of_5250),
                key(of_terminal),
                "{of_5250:?} {of_terminal:?}"
            );
        }
    }

    #[test]
    fn the_upper_row_of_function_keys_is_reached_with_shift() {
        let shifted = KeyEvent::new(KeyCode::F(4), KeyModifiers::SHIFT);
        assert_eq!(action(&shifted), Some(Action::Next));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(action(&interrupt), Some(Action::Interrupt));
    }
}

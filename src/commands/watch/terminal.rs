//! The terminal while the screen has it: given back whatever happens, so that a shell is usable afterwards.

use crate::commands::CommandError;
use ratatui::DefaultTerminal;
use std::io::IsTerminal;

/// The whole screen, in raw mode. Dropped = given back; a panic gives it back before it prints.
pub struct Taken(DefaultTerminal);

impl Taken {
    /// Takes it.
    ///
    /// # Errors
    /// Input or output is no terminal, or it does not obey.
    pub fn take() -> Result<Self, CommandError> {
        must_be_terminal()?;
        let terminal = ratatui::try_init().map_err(|e| CommandError::io("take the terminal", e))?;
        Ok(Self(terminal))
    }

    /// What is drawn on.
    pub fn get(&mut self) -> &mut DefaultTerminal {
        &mut self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // The error is that there is no terminal any more.
        let _ = ratatui::try_restore();
    }
}

/// Said before anything else is asked.
///
/// # Errors
/// Input or output is no terminal.
pub fn must_be_terminal() -> Result<(), CommandError> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(CommandError::Usage(
        "watch needs a terminal for input and output; `ibmi-clone history` prints the same rows"
            .to_owned(),
    ))
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;

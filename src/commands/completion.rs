//! `completion`: the script with which a shell completes the command line.

use super::{CommandError, Exit};
use clap::Command;
use clap_complete::Shell;
use std::io::Write;

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Shell the script is for: `source <(ibmi-clone completion bash)`.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script.
pub fn execute(arguments: &Arguments, command: Command) -> Result<Exit, CommandError> {
    let script = script(arguments.shell, command);
    // A closed pipe is no reason to fail.
    let _ = std::io::stdout().write_all(&script);
    Ok(Exit::Done)
}

fn script(shell: Shell, mut command: Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Cli;
    use clap::{CommandFactory, ValueEnum};

    #[test]
    fn every_shell_completes_commands_and_the_kinds_of_logs() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8_lossy(&script(*shell, Cli::command())).into_owned();
            for word in ["history", "start-held", "source-status", "download"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
        let bash = String::from_utf8_lossy(&script(Shell::Bash, Cli::command())).into_owned();
        assert!(
            bash.contains("\"steps joblog history brms devices\""),
            "{bash}"
        );
    }
}

//! One file or folder per command of the binary, and what commands share.

mod archived;
mod backup;
mod cancel;
mod cluster;
mod completion;
mod crd;
pub mod demo;
mod documents;
pub mod embedded_api;
mod error;
pub mod factory;
mod follow;
pub mod guest;
mod held;
mod history;
pub mod kube_stack;
mod logs;
mod moving;
mod next;
mod operator;
mod operator_state;
mod outcome;
mod progress;
mod reply;
mod run;
#[cfg(test)]
mod samples;
mod schedule;
mod simulate;
pub mod simulated_site;
mod source_status;
mod standalone;
mod status;
mod table;
mod text;
mod validate;
mod verify;
mod watch;

pub use cluster::KubeFlags;
pub use error::{CommandError, Exit};

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Clones IBM i production partitions with the storage array's FlashCopy, driven from Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "ibmi-clone", version, after_help = EXIT_CODES, max_term_width = 80)]
struct Cli {
    #[command(flatten)]
    kube: KubeFlags,
    #[command(subcommand)]
    command: Command,
}

/// Field manager of what a person writes with a command.
const MANAGER: &str = "ibmi-clone";

const EXIT_CODES: &str = "\
Exit codes: 0 done; `verify`, `demo` and, with --wait, `run`, `cancel`, `end`, `start-held`, `release-held`: 0 Succeeded,
1 Warning, 2 Failed, 4 Cancelled, 5 Skipped, 6 wait timed out; `guest verify`, `validate`: 2 something must be mended.
Errors: 64 usage, 65 input file, 66 not found, 69 no Kubernetes API, 70 other, 74 file, 77 refused.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator until it is told to stop.
    Operator(operator::Arguments),
    /// Run the operator with an embedded Kubernetes API, on a machine without a cluster.
    Standalone(standalone::Arguments),
    /// Back up the data of `standalone`, while it runs or not.
    Backup(backup::Arguments),
    /// Print the custom resource definitions, or write them to a directory.
    Crd(crd::Arguments),
    /// Serve simulated devices (HMC, VIOS, array, IBM i) from a world file.
    Simulate(simulate::Arguments),
    /// Show the four functions at work: standalone with simulated devices.
    Demo(demo::Arguments),
    /// Start a run of an environment.
    Run(run::Arguments),
    /// End the image of a run: switch the clone off, unmap its volumes, stop the copy.
    End(held::Arguments),
    /// Start the clone on the image of a HOLD run, at the console only, and pin image and clone.
    StartHeld(held::Start),
    /// Take the pins of a held image away; image and clone stay.
    ReleaseHeld(held::Release),
    /// End a run early: after the step under way, or at once with --abort. The freeze is never interrupted.
    Cancel(cancel::Arguments),
    /// Show the message that a job of a run waits to be answered, or answer it.
    Reply(reply::Arguments),
    /// Show the runs, newest first.
    History(history::Arguments),
    /// Show the runs on the whole screen, as they go on, with details and logs.
    Watch(watch::Arguments),
    /// Show what an environment is doing, and what a person should look at.
    Status(status::Arguments),
    /// Show the coming times of a schedule, in its zone and in UTC.
    Next(next::Arguments),
    /// Pause or continue the scheduled runs of an environment.
    Schedule(schedule::Arguments),
    /// Check files with environments and runs, without a cluster.
    Validate(validate::Arguments),
    /// Show the logs of a run.
    Logs(logs::Arguments),
    /// Check an environment without changing anything (a Preflight run), and wait for the findings.
    Verify(verify::Arguments),
    /// Install, verify, show or uninstall the guest kit on production.
    Guest(guest::Arguments),
    /// Say what to type on production if all else fails. Reads only.
    SourceStatus(source_status::Arguments),
    /// Export environments and history, to be imported elsewhere.
    Export(moving::ExportArguments),
    /// Import what `export` wrote: nothing of it is executed.
    Import(moving::ImportArguments),
    /// Print the script with which a shell completes this command line.
    Completion(completion::Arguments),
}

/// Parses the command line, does the command and says how the process ends.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(refusal) => {
            // A closed pipe is no reason to fail.
            let _ = refusal.print();
            return match refusal.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            }
            .into();
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(source) => return report(&CommandError::io("start threads", source)).into(),
    };
    let exit = match runtime.block_on(execute(cli)) {
        Ok(exit) => exit,
        Err(error) => report(&error),
    };
    // A thread that waits for a device must not keep a command that is done from ending.
    runtime.shutdown_background();
    exit.into()
}

/// One clear line on standard error.
fn report(error: &CommandError) -> Exit {
    eprintln!("error: {}", text::one_line(&error.to_string()));
    error.exit()
}

/// As `kubectl-ibmi` in the PATH it is the plugin `kubectl ibmi`; only the help shows the difference.
fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    if arguments.first().is_some_and(is_plugin) {
        command = command
            .bin_name("kubectl ibmi")
            .display_name("kubectl ibmi");
    }
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn is_plugin(program: &OsString) -> bool {
    Path::new(program)
        .file_stem()
        .is_some_and(|name| name == "kubectl-ibmi")
}

async fn execute(cli: Cli) -> Result<Exit, CommandError> {
    let kube = &cli.kube;
    match cli.command {
        Command::Operator(arguments) => operator::execute(kube, arguments).await,
        Command::Standalone(arguments) => {
            standalone::execute(kube.namespace.as_deref(), arguments).await
        }
        Command::Backup(arguments) => backup::execute(arguments).await,
        Command::Crd(arguments) => crd::execute(&arguments),
        Command::Simulate(arguments) => simulate::execute(arguments).await,
        Command::Demo(arguments) => demo::execute(arguments).await,
        Command::Run(arguments) => run::execute(kube, &arguments).await,
        Command::End(arguments) => held::end(kube, &arguments).await,
        Command::StartHeld(arguments) => held::start(kube, &arguments).await,
        Command::ReleaseHeld(arguments) => held::release(kube, &arguments).await,
        Command::Cancel(arguments) => cancel::execute(kube, &arguments).await,
        Command::Reply(arguments) => reply::execute(kube, &arguments).await,
        Command::History(arguments) => history::execute(kube, &arguments).await,
        Command::Watch(arguments) => watch::execute(kube, &arguments).await,
        Command::Status(arguments) => status::execute(kube, &arguments).await,
        Command::Next(arguments) => next::execute(kube, &arguments).await,
        Command::Schedule(arguments) => schedule::execute(kube, &arguments).await,
        Command::Validate(arguments) => validate::execute(&arguments),
        Command::Logs(arguments) => logs::execute(kube, &arguments).await,
        Command::Verify(arguments) => verify::execute(kube, &arguments).await,
        Command::Guest(arguments) => guest::execute(kube, arguments).await,
        Command::SourceStatus(arguments) => source_status::execute(kube, &arguments).await,
        Command::Export(arguments) => moving::export(kube, &arguments).await,
        Command::Import(arguments) => moving::import(kube, &arguments).await,
        Command::Completion(arguments) => completion::execute(&arguments, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_plugin_calls_itself_kubectl_ibmi_in_its_help() {
        let help = |program: &str| {
            parse(vec![program.into(), "run".into(), "--help".into()])
                .expect_err("help is no command")
                .to_string()
        };
        assert!(help("/usr/local/bin/kubectl-ibmi").contains("kubectl ibmi run"));
        assert!(help("ibmi-clone").contains("ibmi-clone run"));
    }

    #[test]
    fn kubectl_flags_may_stand_before_and_after_the_command() {
        for line in [
            &["ibmi-clone", "-n", "ibmi", "history"][..],
            &["ibmi-clone", "history", "-n", "ibmi"][..],
        ] {
            let cli = parse(line.iter().map(OsString::from).collect()).expect("is a command");
            assert_eq!(cli.kube.namespace.as_deref(), Some("ibmi"));
        }
    }
}

//! How a command ends: an exit code, and for errors one line that says what a person can do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Every exit code of the binary (`product.md` § 11). 1, 2, 4, 5, 6 belong to the outcome of a run and to nothing else;
/// errors use the numbers of sysexits(3), so that a script can tell "the run failed" from "I could not ask".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; a run Succeeded.
    Done,
    /// A run ended as Warning.
    Warning,
    /// A run Failed.
    Failed,
    /// A run was Cancelled.
    Cancelled,
    /// A run was Skipped.
    Skipped,
    /// The wait timed out; the run goes on.
    TimedOut,
    /// The command line is wrong.
    Usage,
    /// A file that was given is wrong.
    Data,
    /// A named thing does not exist.
    NotFound,
    /// The Kubernetes API cannot be reached.
    Unavailable,
    /// Anything else.
    Internal,
    /// A file cannot be read or written.
    File,
    /// The Kubernetes API said no.
    Refused,
    /// Stopped by Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Warning => 1,
            Self::Failed => 2,
            Self::Cancelled => 4,
            Self::Skipped => 5,
            Self::TimedOut => 6,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NotFound => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::File => 74,
            Self::Refused => 77,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// An argument that only this command can judge.
    #[error("{0}")]
    Usage(String),
    /// A file that was given is wrong.
    #[error("{path}: {why}", path = .path.display())]
    Data {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to write.
        why: String,
    },
    /// A named thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// No kubeconfig, or the API does not answer.
    #[error("no Kubernetes API: {0}; give --kubeconfig and --context, or set KUBECONFIG")]
    Unavailable(String),
    /// The API said no.
    #[error("the Kubernetes API refused {what}: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// Its words.
        why: String,
    },
    /// We say no, before the API is asked to: why, and what to do.
    #[error("{0}")]
    Declined(String),
    /// A file or socket.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else: what happened and what to do.
    #[error("{0}")]
    Other(String),
}

impl CommandError {
    /// A file or socket failed.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }

    /// A file that was given cannot be read, or is wrong.
    pub fn data(path: &Path, why: impl fmt::Display) -> Self {
        Self::Data {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    /// Anything else, from an error with its causes.
    pub fn other(error: &dyn std::error::Error) -> Self {
        Self::Other(chain(error))
    }

    /// An answer of the Kubernetes API; `what` was asked for, as `get CloneRun x`.
    pub fn kube(what: impl Into<String>, error: &kube::Error) -> Self {
        let what = what.into();
        match error {
            kube::Error::Api(status) if status.code == 404 => Self::NotFound(format!(
                "{what}: {}",
                if status
                    .message
                    .contains("could not find the requested resource")
                {
                    "the kinds are not installed; `ibmi-clone crd | kubectl apply -f -` installs them"
                } else {
                    &status.message
                }
            )),
            kube::Error::Api(status) => Self::Refused {
                what,
                why: status.message.clone(),
            },
            other => Self::Unavailable(chain(other)),
        }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Data { .. } => Exit::Data,
            Self::NotFound(_) => Exit::NotFound,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::Refused { .. } | Self::Declined(_) => Exit::Refused,
            Self::Io { .. } => Exit::File,
            Self::Other(_) => Exit::Internal,
        }
    }
}

/// An error with its causes, each said once: many libraries repeat the cause in their own text.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_outcomes_and_of_errors_never_meet() {
        let all = [
            (Exit::Done, 0),
            (Exit::Warning, 1),
            (Exit::Failed, 2),
            (Exit::Cancelled, 4),
            (Exit::Skipped, 5),
            (Exit::TimedOut, 6),
            (Exit::Usage, 64),
            (Exit::Data, 65),
            (Exit::NotFound, 66),
            (Exit::Unavailable, 69),
            (Exit::Internal, 70),
            (Exit::File, 74),
            (Exit::Refused, 77),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = io::Error::other("connection refused");
        let outer = CommandError::io("open a socket", inner);
        assert_eq!(chain(&outer), "cannot open a socket: connection refused");
    }
}

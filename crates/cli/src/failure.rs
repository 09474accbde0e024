//! How a command ends: exit codes, and errors in one sentence with what would help.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use api::ProblemCode;
use api::client::ClientError;

/// The exit codes; stable, scripts branch on them. Code 2 is given by the argument parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or the operation finished.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Used wrongly.
    Usage = 2,
    /// The operation was aborted.
    Aborted = 3,
    /// Timed out, or paused while waiting.
    TimedOut = 4,
    /// Nothing can be updated.
    NothingEligible = 5,
    /// The state of the thing does not allow it.
    Conflict = 6,
    /// Not allowed.
    NotAuthorised = 7,
    /// A decision comes out differently when it is made once more.
    Different = 8,
    /// The operation finished, without a part of the fleet that evidence stopped.
    Partial = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// One sentence; empty when there is nobody left to tell.
    pub(crate) message: String,
    /// What would help; may be empty.
    pub(crate) hint: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: String::new() }
    }

    /// Exit code 1 with the words of an error.
    pub(crate) fn of(error: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }

    /// Whoever reads our output has stopped reading: no error, and nothing to say.
    pub(crate) fn reader_gone() -> Self {
        Self::new(Exit::Done, "")
    }

    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let (cause, hint) = match error.kind() {
            io::ErrorKind::NotFound => {
                ("there is no such file", "check its name and the folder you are in")
            }
            io::ErrorKind::PermissionDenied => {
                ("this user may not use it", "change its owner or permissions, or name another one")
            }
            io::ErrorKind::StorageFull => ("the disk is full", "free some space"),
            io::ErrorKind::IsADirectory => {
                ("this is a folder, and a file is needed", "name a file in it")
            }
            io::ErrorKind::NotADirectory => {
                ("a part of this path is a file, not a folder", "correct the path")
            }
            io::ErrorKind::InvalidData => {
                ("this is not text in UTF-8", "save it as UTF-8, or name the file you mean")
            }
            _ => return Self::new(Exit::Failed, format!("{}: {error}", path.display())),
        };
        Self::new(Exit::Failed, format!("{}: {cause}", path.display())).hint(hint)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::BadAddress { .. } => Self::new(Exit::Usage, error.to_string()),
            ClientError::TimedOut { .. } => Self::new(Exit::TimedOut, error.to_string()),
            ClientError::Unreachable { address, detail } => {
                Self::of(format!("no server answers at {address} ({detail})")).hint(
                    "start one with `bellwether serve` or `bellwether dev`, or name yours with \
                     --server URL or BELLWETHER_SERVER",
                )
            }
            ClientError::Refused(mut problem) => {
                let hint = std::mem::take(&mut problem.hint);
                Self::new(exit_of(problem.code, problem.status), problem.to_string()).hint(hint)
            }
            ClientError::Broken { .. } | ClientError::NotUnderstood { .. } => Self::of(error),
        }
    }
}

fn exit_of(code: ProblemCode, status: u16) -> Exit {
    match (code, status) {
        (ProblemCode::Conflict | ProblemCode::AlreadyPublished | ProblemCode::KeyReused, _) => {
            Exit::Conflict
        }
        (ProblemCode::DeviceTimeout, _) => Exit::TimedOut,
        (_, 401 | 403) => Exit::NotAuthorised,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use api::Problem;

    use super::*;

    #[test]
    fn refusals_have_their_exit_codes() {
        for (code, exit) in [
            (ProblemCode::NotFound, Exit::Failed),
            (ProblemCode::Conflict, Exit::Conflict),
            (ProblemCode::AlreadyPublished, Exit::Conflict),
            (ProblemCode::DeviceUnreachable, Exit::Failed),
            (ProblemCode::DeviceTimeout, Exit::TimedOut),
            (ProblemCode::ForgeryToken, Exit::NotAuthorised),
            (ProblemCode::StorageFailed, Exit::Failed),
        ] {
            let problem = Problem::new(code, "no").hint("do this");
            let failure = Failure::from(ClientError::Refused(Box::new(problem)));
            assert_eq!(failure, Failure::new(exit, "no").hint("do this"), "{code:?}");
        }
    }
}

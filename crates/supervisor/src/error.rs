//! The one error of this crate: who is to blame, and what to do about it, in one line.
//!
//! It owns the wording and the exit code of each failure. It must not know how a message
//! reaches the user: the caller prints it or raises it.

use std::fmt;

/// What the process ends with; the numbers are uvicorn's where uvicorn has one.
pub mod exit_code {
    /// Stopped as asked, every worker ended by itself.
    pub const CLEAN: i32 = 0;
    /// Something broke while serving, or the stop had to be forced.
    pub const FAILED: i32 = 1;
    /// The command line, an environment variable or a keyword cannot be used.
    pub const USAGE: i32 = 2;
    /// The service could not start.
    pub const STARTUP: i32 = 3;
}

/// Everything that can go wrong around a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A source gave an option a value that it cannot take.
    UserValue {
        /// Where the value stands: a flag, a variable, a keyword.
        origin: String,
        /// The value as it was given.
        value: String,
        /// What is wrong and what would be right; finishes the sentence "`value` …".
        reason: String,
    },
    /// The command line names an option that does not exist.
    UserUnknownOption {
        /// The option as it was written.
        option: String,
        /// The option that was probably meant.
        suggestion: Option<String>,
    },
    /// A keyword argument names an option that does not exist.
    UserUnknownKeyword {
        /// The keyword as it was written.
        keyword: String,
        /// The keyword that was probably meant.
        suggestion: Option<String>,
    },
    /// The command line is malformed in another way.
    UserArguments(String),
    /// No source names the application.
    UserNoApplication,
    /// The environment file cannot be read or understood.
    UserEnvFile {
        /// The file, as it was named.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused a listening socket.
    OsListen {
        /// The address as a user would write it.
        address: String,
        /// What the system said, and what to do.
        reason: String,
    },
    /// A process was told that it is a worker, and it is not in that place.
    ParentHandover(String),
    /// The operating system refused something that supervision cannot do without.
    OsSupervise(String),
}

impl Error {
    /// The exit code of a process that ends because of this error.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::UserValue { .. }
            | Self::UserUnknownOption { .. }
            | Self::UserUnknownKeyword { .. }
            | Self::UserArguments(_)
            | Self::UserNoApplication
            | Self::UserEnvFile { .. } => exit_code::USAGE,
            Self::OsListen { .. } | Self::ParentHandover(_) => exit_code::STARTUP,
            Self::OsSupervise(_) => exit_code::FAILED,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserValue { origin, value, reason } => write!(f, "{origin}: {value:?} {reason}"),
            Self::UserUnknownOption { option, suggestion: Some(known) } => {
                write!(f, "unknown option {option}; did you mean {known}?")
            }
            Self::UserUnknownOption { option, suggestion: None } => {
                write!(f, "unknown option {option}; weft --help lists them all")
            }
            Self::UserUnknownKeyword { keyword, suggestion: Some(known) } => {
                write!(f, "unknown option {keyword}; did you mean {known}?")
            }
            Self::UserUnknownKeyword { keyword, suggestion: None } => {
                write!(f, "unknown option {keyword}; weft --help lists them all")
            }
            Self::UserArguments(reason) => f.write_str(reason),
            Self::UserNoApplication => f.write_str(
                "no application given; name it as MODULE:ATTRIBUTE, for example: weft main:app",
            ),
            Self::UserEnvFile { path, reason } => write!(f, "environment file {path}: {reason}"),
            Self::OsListen { address, reason } => write!(f, "cannot listen on {address}: {reason}"),
            Self::ParentHandover(reason) => write!(f, "cannot become a worker: {reason}"),
            Self::OsSupervise(reason) => write!(f, "cannot supervise workers: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

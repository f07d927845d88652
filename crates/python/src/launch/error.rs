//! Which Python exception each failure around a worker becomes.
//!
//! It owns the mapping. It must not word anything: the message is the Rust error's own.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use weft_supervisor::Error;

create_exception!(
    weft._core,
    StartupError,
    PyException,
    "The service cannot start; the message says why, and what to do. Exit code 3."
);

/// The exception for a failure in a program that calls weft.
pub(super) fn raise(error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::UserUnknownKeyword { .. } => PyTypeError::new_err(message),
        Error::UserValue { .. }
        | Error::UserUnknownOption { .. }
        | Error::UserArguments(_)
        | Error::UserNoApplication
        | Error::UserEnvFile { .. } => PyValueError::new_err(message),
        Error::OsListen { .. } | Error::ParentHandover(_) => StartupError::new_err(message),
        _ => PyRuntimeError::new_err(message),
    }
}

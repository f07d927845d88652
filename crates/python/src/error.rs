//! Every error of the operating system → one Python exception.

use std::io;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use rustix::io::Errno;

/// `OSError(errno, text)`: Python picks the subclass (`ConnectionResetError`, …) by number.
///
/// PyO3's own conversion keeps only the text, and users look at `errno`.
pub(crate) fn os_error(error: &io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            // Rust appends " (os error N)"; Python's text is the bare strerror.
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((number, text))
        }
        // Only the loop's own refusals have no number: it is closed.
        None => PyRuntimeError::new_err(error.to_string()),
    }
}

/// A system call's result on its way into Python.
pub(crate) trait OsResult<T> {
    /// The value, or the error as an `OSError` with its number.
    fn or_os_error(self) -> PyResult<T>;
}

impl<T> OsResult<T> for io::Result<T> {
    #[inline]
    fn or_os_error(self) -> PyResult<T> {
        self.map_err(|error| os_error(&error))
    }
}

/// Whether a system call failed with this error.
pub(crate) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

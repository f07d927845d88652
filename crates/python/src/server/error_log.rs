//! The logger `uvicorn.error`: what went wrong, in uvicorn's words where it has them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The logger of everything but requests.
pub(super) struct ErrorLog(Py<PyAny>);

impl ErrorLog {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        let logging = py.import("logging")?;
        Ok(Self(logging.call_method1("getLogger", ("uvicorn.error",))?.unbind()))
    }

    /// Something failed that is nobody's exception.
    #[cold]
    pub(super) fn error(&self, py: Python<'_>, message: &str) {
        self.log(py, "error", message, None);
    }

    /// A peer's or an application's mistake that costs one request.
    #[cold]
    pub(super) fn warning(&self, py: Python<'_>, message: &str) {
        self.log(py, "warning", message, None);
    }

    /// An exception, with its traceback.
    #[cold]
    pub(super) fn exception(&self, py: Python<'_>, message: &str, error: PyErr) {
        self.log(py, "error", message, Some(error));
    }

    /// How a WebSocket's handshake has ended, in uvicorn's words.
    pub(super) fn websocket(&self, py: Python<'_>, client: &str, path: &str, outcome: &str) {
        let format = format!("%s - \"WebSocket %s\" {outcome}");
        let logged = self.0.bind(py).call_method1(intern!(py, "info"), (format, client, path));
        if let Err(failure) = logged {
            failure.write_unraisable(py, None);
        }
    }

    fn log(&self, py: Python<'_>, method: &str, message: &str, error: Option<PyErr>) {
        let log = || -> PyResult<()> {
            let details = PyDict::new(py);
            if let Some(error) = error {
                details.set_item(intern!(py, "exc_info"), error.into_value(py))?;
            }
            self.0.bind(py).call_method(method, ("%s", message), Some(&details)).map(drop)
        };
        // A log that cannot be written must not end a connection, let alone the loop.
        if let Err(failure) = log() {
            failure.write_unraisable(py, None);
        }
    }

    pub(super) fn object(&self) -> &Py<PyAny> {
        &self.0
    }
}

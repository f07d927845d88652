//! The program around a supervisor, which here is Python: it starts interpreters and logs.
//!
//! It owns the command of a worker and the way to the log. It must not know when either is
//! wanted.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::process::Child;

use pyo3::prelude::*;
use weft_supervisor::options::Settings;
use weft_supervisor::policy::Level;
use weft_supervisor::supervise::Host;
use weft_supervisor::worker::Launch;

use super::error::StartupError;

/// Starts workers as `python -m weft …` and logs to the logger `uvicorn.error`.
pub(super) struct Interpreter {
    launch: Launch,
    logger: Py<PyAny>,
    set_inheritable: Py<PyAny>,
}

impl Interpreter {
    /// A host whose workers run this interpreter with these settings and sockets.
    pub(super) fn new(py: Python<'_>, settings: &Settings, sockets: Vec<RawFd>) -> PyResult<Self> {
        let executable = py.import("sys")?.getattr("executable")?;
        let program: OsString = executable.extract().unwrap_or_default();
        if program.is_empty() {
            return Err(StartupError::new_err(
                "sys.executable does not say which Python runs this program, so no worker can \
                 be started; use workers=1",
            ));
        }
        let mut arguments = interpreter_flags(py)?;
        arguments.extend(["-m", "weft"].map(OsString::from));
        arguments.extend(settings.arguments.iter().map(OsString::from));
        Ok(Self {
            launch: Launch { program, arguments, sockets },
            logger: logger(py)?.unbind(),
            set_inheritable: py.import("os")?.getattr("set_inheritable")?.unbind(),
        })
    }

    fn set_inheritable(&self, py: Python<'_>, inheritable: bool) -> PyResult<()> {
        for socket in &self.launch.sockets {
            self.set_inheritable.call1(py, (*socket, inheritable))?;
        }
        Ok(())
    }
}

impl Host for Interpreter {
    fn spawn(&mut self, slot: usize) -> io::Result<Child> {
        // The sockets are inheritable only while the GIL is held: no other Python thread can
        // start a process in between.
        Python::attach(|py| {
            self.set_inheritable(py, true)?;
            let child = self.launch.spawn(slot);
            // A worker that was started is reported whatever else fails, or it would be lost.
            if let Err(error) = self.set_inheritable(py, false) {
                error.write_unraisable(py, None);
            }
            child
        })
    }

    fn log(&mut self, level: Level, message: &str) {
        Python::attach(|py| {
            if let Err(error) = log(self.logger.bind(py), level, message) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// The logger of everything but requests.
pub(super) fn logger(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("logging")?.call_method1("getLogger", ("uvicorn.error",))
}

/// Logs a message as it stands, whatever percent signs it has.
pub(super) fn log(logger: &Bound<'_, PyAny>, level: Level, message: &str) -> PyResult<()> {
    let method = match level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    logger.call_method1(method, ("%s", message)).map(drop)
}

/// The options of this interpreter that change how programs behave (`-X dev`, `-W error`), in
/// the words that multiprocessing passes to its children.
fn interpreter_flags(py: Python<'_>) -> PyResult<Vec<OsString>> {
    let subprocess = py.import("subprocess")?;
    match subprocess.getattr_opt("_args_from_interpreter_flags")? {
        Some(flags) => flags.call0()?.extract(),
        None => Ok(Vec::new()),
    }
}

//! The functions of `weft._core` that the command and `weft.serve` are made of.
//!
//! It owns what they take and return. The work is done by the `supervisor` crate.

use std::env;
use std::ffi::OsString;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::process;

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use weft_supervisor::options::{self, Request, Seconds};
use weft_supervisor::policy::Level;
use weft_supervisor::worker::{HANDOVER, Handover};
use weft_supervisor::{exit_code, listeners};

use super::error::raise;
use super::host::{Interpreter, log, logger};
use super::settings::Settings;
use super::signals::Signals;

/// Reads the words of a command line, without the name of the program.
///
/// Help, version and mistakes are printed; then it raises SystemExit with the exit code.
#[pyfunction]
pub(crate) fn parse_command_line(py: Python<'_>, argv: Vec<OsString>) -> PyResult<Settings> {
    let (stream, text, code) = match options::parse(&argv, &|name| env::var_os(name)) {
        Ok(Request::Serve(settings)) => return Ok(Settings::new(*settings)),
        Ok(Request::Help(text)) => ("stdout", text, exit_code::CLEAN),
        Ok(Request::Version) => ("stdout", version(py)?, exit_code::CLEAN),
        Err(error) => ("stderr", format!("weft: error: {error}\n"), error.exit_code()),
    };
    py.import("sys")?.getattr(stream)?.call_method1("write", (text,))?;
    Err(PySystemExit::new_err(code))
}

fn version(py: Python<'_>) -> PyResult<String> {
    let platform = py.import("platform")?;
    let ask = |name: &str| platform.call_method0(name)?.extract::<String>();
    let (python, version) = (ask("python_implementation")?, ask("python_version")?);
    let (system, machine) = (ask("system")?, ask("machine")?);
    let weft = env!("CARGO_PKG_VERSION");
    Ok(format!("weft {weft} ({python} {version}, {system} {machine})\n"))
}

/// Opens the listening sockets; the caller owns the descriptors.
///
/// Raises StartupError if the system refuses.
#[pyfunction]
pub(crate) fn bind(py: Python<'_>, settings: &Settings) -> PyResult<Vec<RawFd>> {
    // A host name may ask a resolver on the network: other threads go on meanwhile.
    let sockets = py.detach(|| listeners::bind(settings.inner()));
    let sockets = sockets.map_err(|error| raise(&error))?;
    Ok(sockets.into_iter().map(OwnedFd::into_raw_fd).collect())
}

/// Removes the file of the Unix socket that `bind` made, unless a server listens there.
///
/// To be called when the sockets are closed.
#[pyfunction]
pub(crate) fn remove_socket_file(settings: &Settings) {
    if let Some(path) = &settings.inner().uds {
        listeners::remove_if_dead(path);
    }
}

/// The sockets that a supervisor handed to this process; None if it is not a worker.
///
/// Ties the process to its supervisor, and takes the hand-over out of the environment, so that
/// processes started by the application do not take themselves for workers.
#[pyfunction]
pub(crate) fn take_worker_sockets(py: Python<'_>) -> PyResult<Option<Vec<RawFd>>> {
    let os = py.import("os")?;
    let taken = os.getattr("environ")?.call_method1("pop", (HANDOVER, py.None()))?;
    let Some(text) = taken.extract::<Option<String>>()? else { return Ok(None) };
    let handover = Handover::decode(&text).map_err(|error| raise(&error))?;
    handover.follow_parent().map_err(|error| raise(&error))?;
    for socket in &handover.sockets {
        os.call_method1("set_inheritable", (*socket, false))?;
    }
    Ok(Some(handover.sockets))
}

/// Runs `settings.workers` processes that accept from `fds`, until a signal; the exit code.
///
/// The descriptors stay the caller's.
#[pyfunction]
pub(crate) fn supervise(py: Python<'_>, settings: &Settings, fds: Vec<RawFd>) -> PyResult<i32> {
    let workers = usize::try_from(settings.inner().workers.get()).unwrap_or(usize::MAX);
    let limit = settings.inner().timeout_graceful_shutdown.map(Seconds::duration);
    let mut host = Interpreter::new(py, settings.inner(), fds)?;
    let signals = Signals::catch(py)?;
    let logger = logger(py)?;
    log(&logger, Level::Info, &format!("Started parent process [{}]", process::id()))?;
    let outcome =
        py.detach(|| weft_supervisor::supervise::supervise(workers, limit, &signals, &mut host));
    log(&logger, Level::Info, &format!("Stopping parent process [{}]", process::id()))?;
    outcome.map_err(|error| raise(&error))
}

//! What goes wrong with a transport, and who hears of it.

use std::cell::Cell;

use pyo3::PyClass;
use pyo3::exceptions::{PyOSError, PyResourceWarning};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::endpoint::Transport;
use crate::event_loop::{EventLoop, describe_callback, failed, leaves_loop, protocol_details};

/// A transport with somebody who hears of its errors.
pub(super) trait Audible: PyClass {
    /// Its protocol, while it has one, and its loop.
    fn audience<'py>(slf: &Bound<'py, Self>) -> (Option<Bound<'py, PyAny>>, Bound<'py, EventLoop>);
}

impl<T: Transport> Audible for T {
    fn audience<'py>(slf: &Bound<'py, Self>) -> (Option<Bound<'py, PyAny>>, Bound<'py, EventLoop>) {
        let endpoint = T::endpoint(slf);
        (endpoint.protocol(slf.py()), endpoint.event_loop(slf.py()).clone())
    }
}

/// A method of the protocol raised where asyncio has no rule but the loop's: it is reported as
/// an exception in a callback, and the transport lives on.
#[cold]
pub(super) fn callback_failed<T: Audible>(
    transport: &Bound<'_, T>,
    error: PyErr,
    name: &Bound<'_, PyString>,
    argument: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (protocol, event_loop) = T::audience(transport);
    let arguments: Vec<_> = argument.iter().map(|argument| (*argument).clone().unbind()).collect();
    let method = protocol.and_then(|protocol| protocol.getattr(name).ok());
    let callback = match method {
        Some(method) => describe_callback(&method, &arguments, is_debug(&event_loop)),
        None => format!("{name}()"),
    };
    report(transport, error, &format!("Exception in callback {callback}"))
}

/// Hands `error` to the loop's exception handler, or back if it leaves the loop.
#[cold]
pub(super) fn report<T: Audible>(
    transport: &Bound<'_, T>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    let (protocol, event_loop) = T::audience(transport);
    let details = protocol_details(transport.as_any(), protocol.as_ref())?;
    failed(&event_loop, error, message, &details)
}

/// Whether the outside world is to blame for `error`: then it is told in debug mode only.
/// Everything else is reported; what leaves the loop is given back.
#[cold]
pub(super) fn report_fatal<T: Audible>(
    transport: &Bound<'_, T>,
    error: &PyErr,
    message: &str,
    expected: impl FnOnce(&PyErr) -> bool,
) -> PyResult<()> {
    let py = transport.py();
    if leaves_loop(py, error) {
        return Err(error.clone_ref(py));
    }
    if !(error.is_instance_of::<PyOSError>(py) && expected(error)) {
        return report(transport, error.clone_ref(py), message);
    }
    if is_debug(&T::audience(transport).1) {
        let keywords = PyDict::new(py);
        keywords.set_item("exc_info", error.value(py))?;
        let text = format!("{}: {message}", transport.as_any().repr()?);
        logger(py)?.call_method("debug", (text,), Some(&keywords))?;
    }
    Ok(())
}

/// Calls a flow-control method of `protocol`; an error in it is reported as one of `reported`, and
/// changes nothing (asyncio's way).
pub(crate) fn tell_flow<'py>(
    event_loop: &Bound<'py, EventLoop>,
    transport: &Bound<'py, PyAny>,
    protocol: &Bound<'py, PyAny>,
    reported: &Bound<'py, PyAny>,
    method: &str,
) -> PyResult<()> {
    let Err(error) = protocol.call_method0(method) else { return Ok(()) };
    let details = protocol_details(transport, Some(reported))?;
    failed(event_loop, error, &format!("protocol.{method}() failed"), &details)
}

/// Counts a write that goes nowhere because the connection is lost, and warns with `text` once
/// `patience` was counted before.
pub(super) fn count_lost_write(
    py: Python<'_>,
    lost: &Cell<u32>,
    patience: u32,
    text: &str,
) -> PyResult<()> {
    if lost.get() >= patience {
        logger(py)?.call_method1("warning", (text,))?;
    }
    lost.set(lost.get().saturating_add(1));
    Ok(())
}

/// Warns of a transport that nobody has closed; `what` is its name and its descriptor. For
/// destructors: a warning that is an error has nowhere to go.
pub(crate) fn warn_unclosed(py: Python<'_>, what: &str) {
    let text = std::ffi::CString::new(format!("unclosed transport <{what}>")).unwrap_or_default();
    if let Err(error) = PyErr::warn(py, &py.get_type::<PyResourceWarning>(), &text, 1) {
        error.write_unraisable(py, None);
    }
}

/// Debug mode: a line about the transport in asyncio's log.
pub(super) fn log<T: Audible>(transport: &Bound<'_, T>, level: &str, event: &str) -> PyResult<()> {
    if is_debug(&T::audience(transport).1) {
        let text = format!("{} {event}", transport.as_any().repr()?);
        logger(transport.py())?.call_method1(level, (text,))?;
    }
    Ok(())
}

fn is_debug(event_loop: &Bound<'_, EventLoop>) -> bool {
    event_loop.get().core(event_loop.py()).is_debug()
}

/// asyncio's logger.
pub(crate) fn logger(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("asyncio.log")?.getattr("logger")
}

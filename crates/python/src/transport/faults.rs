//! What goes wrong with a pipe or datagram transport, and who hears of it.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::endpoint::Transport;
use crate::event_loop::{describe_callback, failed, leaves_loop, protocol_details};

/// A method of the protocol raised where asyncio has no rule but the loop's: it is reported as
/// an exception in a callback, and the transport lives on.
#[cold]
pub(super) fn callback_failed<T: Transport>(
    transport: &Bound<'_, T>,
    error: PyErr,
    name: &Bound<'_, PyString>,
    argument: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = transport.py();
    let endpoint = T::endpoint(transport);
    let arguments: Vec<_> = argument.iter().map(|argument| (*argument).clone().unbind()).collect();
    let method = endpoint.protocol(py).and_then(|protocol| protocol.getattr(name).ok());
    let callback = match method {
        Some(method) => describe_callback(&method, &arguments, endpoint.core(py).is_debug()),
        None => format!("{name}()"),
    };
    report(transport, error, &format!("Exception in callback {callback}"))
}

/// Hands `error` to the loop's exception handler, or back if it leaves the loop.
#[cold]
pub(super) fn report<T: Transport>(
    transport: &Bound<'_, T>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    let py = transport.py();
    let endpoint = T::endpoint(transport);
    let details = protocol_details(transport.as_any(), endpoint.protocol(py).as_ref())?;
    failed(endpoint.event_loop(py), error, message, &details)
}

/// Whether the outside world is to blame for `error`: then it is told in debug mode only.
/// Everything else is reported; what leaves the loop is given back.
#[cold]
pub(super) fn report_fatal<T: Transport>(
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
    if T::endpoint(transport).core(py).is_debug() {
        let keywords = PyDict::new(py);
        keywords.set_item("exc_info", error.value(py))?;
        let text = format!("{}: {message}", transport.as_any().repr()?);
        logger(py)?.call_method("debug", (text,), Some(&keywords))?;
    }
    Ok(())
}

/// Debug mode: a line about the transport in asyncio's log.
pub(super) fn log<T: Transport>(
    transport: &Bound<'_, T>,
    level: &str,
    event: &str,
) -> PyResult<()> {
    let py = transport.py();
    if T::endpoint(transport).core(py).is_debug() {
        let text = format!("{} {event}", transport.as_any().repr()?);
        logger(py)?.call_method1(level, (text,))?;
    }
    Ok(())
}

/// asyncio's logger.
pub(super) fn logger(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("asyncio.log")?.getattr("logger")
}

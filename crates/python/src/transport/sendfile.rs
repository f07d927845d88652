//! The transport's part of `loop.sendfile`: the connection is lent to someone else's writing.
//!
//! From `_begin_sendfile()` to `_end_sendfile()` nobody else writes; what was written before
//! is sent first, and a `close()` or `write_eof()` takes effect after the end.

use pyo3::exceptions::{PyConnectionAbortedError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use weft_reactor::sys::socket::{self, Half};

use super::close;
use super::state::State;
use super::stream::SocketTransport;
use super::write;
use crate::event_loop::{is_done, new_future, wake};

/// A future that is done when everything written before is sent.
pub(super) fn begin<'py>(transport: &Bound<'py, SocketTransport>) -> PyResult<Bound<'py, PyAny>> {
    let py = transport.py();
    let state = transport.get().state(py);
    if state.sendfile.borrow().is_some() {
        let message = "sendfile is in progress on this transport: await it before the next";
        return Err(PyRuntimeError::new_err(message));
    }
    let future = new_future(state.event_loop.bind(py))?;
    state.sendfile.replace(Some(future.clone().unbind()));
    if state.lost.get() > 0 {
        interrupt(state, py);
    } else {
        write::flush(transport)?;
    }
    Ok(future)
}

/// The connection is the transport's again.
pub(super) fn end(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    let ended = state.sendfile.take();
    drop(ended);
    // Given up before its turn: then the flush that sends the rest will do it.
    let drained = state.outbox.borrow().is_empty();
    if drained && !state.is_closed() { close::output_drained(transport, state) } else { Ok(()) }
}

/// Everything written is sent. Whether the connection is lent, so that it must not end now.
pub(super) fn go_ahead(state: &State, py: Python<'_>) -> PyResult<bool> {
    let waiter = state.sendfile.borrow().as_ref().map(|waiter| waiter.bind(py).clone());
    match waiter {
        Some(waiter) => wake(&waiter).map(|()| true),
        None => Ok(false),
    }
}

/// The connection is lost: whoever waits for it or writes to it hears so.
pub(super) fn interrupt(state: &State, py: Python<'_>) {
    let waiter = state.sendfile.borrow().as_ref().map(|waiter| waiter.bind(py).clone());
    let Some(waiter) = waiter else { return };
    if is_done(&waiter) {
        // The borrower has a descriptor of its own, which keeps the connection from ending
        // with the transport's; what is to be sent through it must fail from now on.
        let _ = socket::shutdown(state.fd.get(), Half::Both);
        return;
    }
    let error = PyConnectionAbortedError::new_err("the connection was lost before sendfile");
    if let Err(error) = waiter.call_method1(intern!(py, "set_exception"), (error.into_value(py),)) {
        error.write_unraisable(py, Some(&waiter));
    }
}

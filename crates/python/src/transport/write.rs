//! From the protocol to the socket, and flow control.
//!
//! What one callback writes leaves together when that callback ends, never later; a write
//! that would pass the high-water mark goes to the socket at once, so that `pause_writing`
//! comes before the caller can write more.

use std::io::{self, IoSlice};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use weft_reactor::outbox::MAX_SLICES;
use weft_reactor::sys::socket;

use super::close;
use super::state::{HIGH_WATER, State};
use super::stream::SocketTransport;
use crate::error::os_error;
use crate::event_loop::{failed, protocol_details};
use crate::ffi::buffer::View;

/// `write(data)`.
pub(super) fn write(
    transport: &Bound<'_, SocketTransport>,
    data: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    check_data(data)?;
    check_writable(state, "write")?;
    if refuse_lost(transport, state)? {
        return Ok(());
    }
    push(state, data)?;
    send_soon(transport, state)
}

/// `writelines(list_of_data)`: as one write.
pub(super) fn writelines(
    transport: &Bound<'_, SocketTransport>,
    list: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    check_writable(state, "writelines")?;
    let list: Vec<Bound<'_, PyAny>> = list.try_iter()?.collect::<PyResult<_>>()?;
    list.iter().try_for_each(check_data)?;
    if refuse_lost(transport, state)? {
        return Ok(());
    }
    list.iter().try_for_each(|data| push(state, data))?;
    send_soon(transport, state)
}

pub(super) fn check_data(data: &Bound<'_, PyAny>) -> PyResult<()> {
    if data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
    {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "data argument must be a bytes, bytearray, or memoryview object, not {}",
        data.get_type().name()?.repr()?
    )))
}

fn check_writable(state: &State, method: &str) -> PyResult<()> {
    if state.write.eof.get() {
        return Err(PyRuntimeError::new_err(format!("Cannot call {method}() after write_eof()")));
    }
    if state.sendfile.borrow().is_some() {
        let message = format!("unable to {method}; sendfile is in progress");
        return Err(PyRuntimeError::new_err(message));
    }
    Ok(())
}

/// Whether the connection is lost, so that a write goes nowhere. asyncio warns of the fifth.
fn refuse_lost(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<bool> {
    let lost = state.lost.get();
    if lost == 0 {
        return Ok(false);
    }
    if lost >= 5 {
        let logger = transport.py().import("asyncio.log")?.getattr("logger")?;
        logger.call_method1("warning", ("socket.send() raised exception.",))?;
    }
    state.lost.set(lost.saturating_add(1));
    Ok(true)
}

fn push(state: &State, data: &Bound<'_, PyAny>) -> PyResult<()> {
    match data.cast_exact::<PyBytes>() {
        Ok(bytes) => {
            state.outbox.borrow_mut().push_shared(PyBackedBytes::from(bytes.clone()));
        }
        // A mutable buffer is copied: its owner may change it before it is sent.
        Err(_) => {
            let view = View::readable(data)?;
            state.outbox.borrow_mut().push_copy(view.as_slice(data.py()));
        }
    }
    Ok(())
}

/// Orders a flush for the end of the callback, or flushes now if none runs or too much waits.
fn send_soon(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<()> {
    if !state.write.ready.get() {
        return pause_if_full(transport, state);
    }
    let waiting = state.outbox.borrow().len();
    if waiting < HIGH_WATER.min(state.write.high.get()) {
        if state.write.flush_ordered.get() {
            return Ok(());
        }
        let py = transport.py();
        if let Some(token) = state.token.get()
            && state.event_loop.bind(py).get().core(py).flush_later(token)
        {
            state.write.flush_ordered.set(true);
            return Ok(());
        }
    }
    flush(transport)
}

/// Sends what waits, as far as the socket takes it, and tells the protocol where it stands.
pub(super) fn flush(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let py = transport.py();
    let state = transport.get().state(py);
    state.write.flush_ordered.set(false);
    if state.is_closed() {
        return Ok(());
    }
    if let Err(error) = send(state) {
        state.write.ready.set(false);
        let message = "Fatal write error on socket transport";
        return close::fatal_error(transport, os_error(&error), message);
    }
    // An exit that resume_writing raises must not keep a closing connection open.
    let resumed = resume_if_drained(transport, state);
    let settled = if state.outbox.borrow().is_empty() {
        close::output_drained(transport, state)
    } else {
        pause_if_full(transport, state)
    };
    resumed.and(settled)
}

/// Sends what the running callback wrote before it ended the connection: a last answer, a TLS
/// alert. asyncio's `write()` has sent it by then.
pub(super) fn try_last(state: &State) {
    if state.write.flush_ordered.replace(false) {
        // The connection ends whatever comes of it.
        let _ = send(state);
    }
}

fn send(state: &State) -> io::Result<()> {
    let fd = state.fd.get();
    while state.write.ready.get() {
        let sent = {
            let outbox = state.outbox.borrow();
            let Some(first) = outbox.first() else { return Ok(()) };
            if outbox.is_single() {
                socket::send(fd, first)
            } else {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let count = outbox.fill(&mut slices);
                socket::send_vectored(fd, &slices[..count])
            }
        };
        match sent {
            // Only exact bytes objects are shared with the outbox: dropping one runs no code.
            Ok(sent) => state.outbox.borrow_mut().advance(sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => state.write.ready.set(false),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Calls `pause_writing` when the buffer passes the high-water mark.
pub(super) fn pause_if_full(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<()> {
    let waiting = state.outbox.borrow().len();
    if waiting <= state.write.high.get() || state.write.paused.replace(true) {
        return Ok(());
    }
    tell(transport, state, "pause_writing")
}

/// Calls `resume_writing` when the buffer is down to the low-water mark.
fn resume_if_drained(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<()> {
    let waiting = state.outbox.borrow().len();
    if !state.write.paused.get() || waiting > state.write.low.get() {
        return Ok(());
    }
    state.write.paused.set(false);
    tell(transport, state, "resume_writing")
}

/// The socket has room again.
pub(super) fn write_ready(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    if state.outbox.borrow().is_empty() {
        return Ok(());
    }
    flush(transport)
}

/// Calls a flow-control method; an error in it is reported and changes nothing (asyncio's way).
fn tell(transport: &Bound<'_, SocketTransport>, state: &State, method: &str) -> PyResult<()> {
    let py = transport.py();
    let Some(protocol) = state.protocol(py) else { return Ok(()) };
    match protocol.call_method0(method) {
        Ok(_) => Ok(()),
        Err(error) => {
            let details = protocol_details(transport.as_any(), Some(&protocol))?;
            let message = format!("protocol.{method}() failed");
            failed(state.event_loop.bind(py), error, &message, &details)
        }
    }
}

/// `write_eof()`: shuts the sending half down once everything is sent.
pub(super) fn write_eof(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    if state.closing.get() || state.write.eof.replace(true) {
        return Ok(());
    }
    flush(transport)
}

/// `set_write_buffer_limits(high, low)`, by asyncio's rules.
pub(super) fn set_limits(
    transport: &Bound<'_, SocketTransport>,
    high: Option<isize>,
    low: Option<isize>,
) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    let high = high.unwrap_or_else(|| low.map_or(HIGH_WATER as isize, |low| 4 * low));
    let low = low.unwrap_or(high / 4);
    if !(high >= low && low >= 0) {
        return Err(pyo3::exceptions::PyValueError::new_err(format!(
            "high ({high}) must be >= low ({low}) must be >= 0"
        )));
    }
    state.write.high.set(high as usize);
    state.write.low.set(low as usize);
    pause_if_full(transport, state)
}

/// Bytes not yet taken by the kernel. What a callback wrote is sent first, so that the figure
/// is the one asyncio's transports give.
pub(super) fn buffer_size(transport: &Bound<'_, SocketTransport>) -> PyResult<usize> {
    let state = transport.get().state(transport.py());
    if state.write.flush_ordered.get() {
        flush(transport)?;
    }
    let waiting = state.outbox.borrow().len();
    Ok(waiting)
}

/// `repr()`'s word for the buffer.
pub(super) fn describe(state: &State) -> String {
    let waiting = state.outbox.borrow().len();
    let how = if state.write.ready.get() { "idle" } else { "polling" };
    format!("write=<{how}, bufsize={waiting}>")
}

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
use super::faults;
use super::flow::{self, HIGH_WATER};
use super::native;
use super::state::State;
use super::stream::SocketTransport;
use crate::error::os_error;
use crate::ffi::buffer::View;
use crate::ffi::method::{Arguments, FastMethod, Method};

/// The connection's end counts as one, so this is the fifth write.
const LOST_BEFORE_WARNING: u32 = 5;

/// `write(data)`, the one method worth a fast calling convention.
pub(super) struct Write;

impl FastMethod for Write {
    type Receiver = SocketTransport;
    const NAME: &'static std::ffi::CStr = c"write";
    const DOC: &'static std::ffi::CStr = c"write($self, data)\n--\n\nSend bytes (bytes, bytearray or memoryview; mutable ones are copied).\n\nNever blocks: what the socket does not take is buffered.";
    const BODY: Method<SocketTransport> = |transport, arguments: Arguments<'_, '_>| {
        let data = argument(transport.py(), arguments)?;
        write(transport, &data)?;
        Ok(transport.py().None().into_bound(transport.py()))
    };
}

/// The one argument of a transport's `write`.
#[inline]
pub(crate) fn argument<'a, 'py>(
    py: Python<'py>,
    arguments: Arguments<'a, 'py>,
) -> PyResult<Borrowed<'a, 'py, PyAny>> {
    let known = [pyo3::intern!(py, "data")];
    match (arguments.positional(), arguments.keywords("write", known)?) {
        ([data], [None]) => Ok(*data),
        ([], [Some(data)]) => Ok(data),
        _ => Err(PyTypeError::new_err("write() takes exactly one argument, data")),
    }
}

fn write(transport: &Bound<'_, SocketTransport>, data: &Bound<'_, PyAny>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    check_data(data)?;
    check_writable(state, "write")?;
    if refuse_lost(transport, state)? {
        return Ok(());
    }
    push(state, data)?;
    send_soon(transport, state)
}

/// A native protocol's `write`.
pub(super) fn write_vec(
    transport: &Bound<'_, SocketTransport>,
    data: Vec<u8>,
) -> PyResult<Option<Vec<u8>>> {
    let state = transport.get().state(transport.py());
    if refuse_lost(transport, state)? {
        return Ok(None);
    }
    let room = state.outbox.borrow_mut().push_vec(data);
    send_soon(transport, state)?;
    Ok(room)
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

pub(crate) fn check_data(data: &Bound<'_, PyAny>) -> PyResult<()> {
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
    let lost = state.lost.get() > 0;
    if lost {
        let text = "socket.send() raised exception.";
        faults::count_lost_write(transport.py(), &state.lost, LOST_BEFORE_WARNING, text)?;
    }
    Ok(lost)
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
        return flow::pause_if_full(transport);
    }
    let waiting = state.outbox.borrow().len();
    if waiting < HIGH_WATER.min(state.write.flow.limits().1) {
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
    let resumed = match native::of(py, state) {
        Some((protocol, native)) => native.drained(&protocol),
        None => flow::resume_if_drained(transport),
    };
    let settled = if state.outbox.borrow().is_empty() {
        close::output_drained(transport, state)
    } else {
        flow::pause_if_full(transport)
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

/// The socket has room again.
pub(super) fn write_ready(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    if state.outbox.borrow().is_empty() {
        return Ok(());
    }
    flush(transport)
}

/// `write_eof()`: shuts the sending half down once everything is sent.
pub(super) fn write_eof(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    if state.closing.get() || state.write.eof.replace(true) {
        return Ok(());
    }
    flush(transport)
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

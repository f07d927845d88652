//! From the socket to the protocol.

use std::io;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use weft_reactor::sys::socket;

use super::close;
use super::native::{self, Native};
use super::state::State;
use super::stream::SocketTransport;
use crate::error::os_error;
use crate::event_loop::leaves_loop;
use crate::ffi::buffer::{View, bytes_with};
use crate::ffi::call;

/// From this size on a read goes straight into the bytes object that the protocol gets: the
/// copy out of the shared buffer would cost more than cutting the object to size.
const BULK: usize = 64 * 1024;

/// Room for a bulk read.
const BULK_ROOM: usize = 256 * 1024;

/// One read.
enum Outcome<'py> {
    Data(Bound<'py, PyAny>, usize),
    EndOfStream,
    Nothing,
}

/// Reads once, if somebody takes it; what is left waits until the others had their turn.
pub(super) fn read_ready(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let py = transport.py();
    let state = transport.get().state(py);
    if !wants_data(state) {
        return Ok(());
    }
    let is_buffered = state.protocol.borrow().as_ref().is_some_and(|p| p.is_buffered);
    if let Some((protocol, native)) = native::of(py, state) {
        // It does the rest itself when it takes bytes again.
        if !native.takes(&protocol, state.read.hangup.get()) {
            return Ok(());
        }
        read_native(transport, state, &protocol, native)?;
    } else if is_buffered {
        read_buffered(transport, state)?;
    } else {
        read_streaming(transport, state)?;
    }
    if wants_data(state) {
        super::stream::read_later(transport);
    }
    Ok(())
}

fn wants_data(state: &State) -> bool {
    state.read.ready.get()
        && state.started.get()
        && !state.read.paused.get()
        && !state.read.eof.get()
        && !state.closing.get()
}

/// Remembers what a read of `len` out of `room` bytes says about what is left.
fn note_read(state: &State, len: usize, room: usize) {
    if len < room && state.read.short_read_is_empty && !state.read.hangup.get() {
        state.read.ready.set(false);
    }
}

fn read_streaming(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    let outcome = if state.read.bulk.get() { recv_bulk(py, state) } else { recv(py, state) };
    match outcome? {
        Ok(Outcome::Data(data, len)) => {
            state.read.bulk.set(len >= BULK);
            let Some(protocol) = state.protocol(py) else { return Ok(()) };
            let result = call::in_context(state.context.bind(py), || {
                call::method1(&protocol, intern!(py, "data_received"), &data)
            });
            match result {
                Ok(_) => Ok(()),
                Err(error) => protocol_failed(transport, error, "data_received"),
            }
        }
        Ok(Outcome::EndOfStream) => end_of_stream(transport, state),
        Ok(Outcome::Nothing) => Ok(()),
        Err(error) => read_failed(transport, error),
    }
}

fn outcome<'py>(
    result: io::Result<usize>,
    state: &State,
    room: usize,
    data: impl FnOnce(usize) -> Bound<'py, PyAny>,
) -> io::Result<Outcome<'py>> {
    match result {
        Ok(0) => Ok(Outcome::EndOfStream),
        Ok(len) => {
            note_read(state, len, room);
            Ok(Outcome::Data(data(len), len))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            state.read.ready.set(false);
            Ok(Outcome::Nothing)
        }
        Err(error) => Err(error),
    }
}

fn recv<'py>(py: Python<'py>, state: &State) -> PyResult<io::Result<Outcome<'py>>> {
    let core = state.event_loop.bind(py).get().core(py);
    Ok(core.with_read_buffer(|buffer| {
        let result = socket::recv(state.fd.get(), buffer);
        let room = buffer.len();
        outcome(result, state, room, |len| PyBytes::new(py, &buffer[..len]).into_any())
    }))
}

fn recv_bulk<'py>(py: Python<'py>, state: &State) -> PyResult<io::Result<Outcome<'py>>> {
    let filled = bytes_with(py, BULK_ROOM, |room| {
        socket::recv_uninit(state.fd.get(), room).map(|filled| filled.len())
    })?;
    Ok(match filled {
        Ok(bytes) => {
            let len = bytes.as_bytes().len();
            outcome(Ok(len), state, BULK_ROOM, |_| bytes.into_any())
        }
        Err(error) => outcome(Err(error), state, BULK_ROOM, |_| py.None().into_bound(py)),
    })
}

fn read_native(
    transport: &Bound<'_, SocketTransport>,
    state: &State,
    protocol: &Bound<'_, PyAny>,
    native: Native,
) -> PyResult<()> {
    let py = transport.py();
    let core = state.event_loop.bind(py).get().core(py);
    let mut taken = Ok(());
    let received: io::Result<usize> = core.with_read_buffer(|buffer| {
        let len = socket::recv(state.fd.get(), buffer)?;
        if len > 0 {
            note_read(state, len, buffer.len());
            taken = native.take(protocol, &buffer[..len]);
        }
        Ok(len)
    });
    match received {
        Ok(0) => end_of_stream(transport, state),
        Ok(_) => {
            let context = state.context.bind(py);
            match taken.and_then(|()| call::in_context(context, || native.process(protocol))) {
                Ok(()) => Ok(()),
                // The name that asyncio's own TLS protocol would have in this text.
                Err(error) => protocol_failed(transport, error, "buffer_updated"),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            state.read.ready.set(false);
            Ok(())
        }
        Err(error) => read_failed(transport, error),
    }
}

fn read_buffered(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    let Some(protocol) = state.protocol(py) else { return Ok(()) };
    let context = state.context.bind(py);
    let hint = (-1_i32).into_pyobject(py)?.into_any();
    let buffer =
        call::in_context(context, || call::method1(&protocol, intern!(py, "get_buffer"), &hint));
    let view = buffer.and_then(|buffer| {
        let view = View::writable(&buffer)?;
        if view.len() == 0 {
            return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
        }
        Ok(view)
    });
    let mut view = match view {
        Ok(view) => view,
        Err(error) => return protocol_failed(transport, error, "get_buffer"),
    };
    // get_buffer is the protocol's code: it may have paused or closed the transport.
    if !wants_data(state) {
        return Ok(());
    }
    let room = view.len();
    let result = socket::recv(state.fd.get(), view.as_mut_slice(py));
    drop(view);
    match outcome(result, state, room, |_| py.None().into_bound(py)) {
        Ok(Outcome::Data(_, len)) => {
            let len = len.into_pyobject(py)?.into_any();
            let name = intern!(py, "buffer_updated");
            match call::in_context(context, || call::method1(&protocol, name, &len)) {
                Ok(_) => Ok(()),
                Err(error) => protocol_failed(transport, error, "buffer_updated"),
            }
        }
        Ok(Outcome::EndOfStream) => end_of_stream(transport, state),
        Ok(Outcome::Nothing) => Ok(()),
        Err(error) => read_failed(transport, error),
    }
}

fn end_of_stream(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    state.read.ready.set(false);
    state.read.eof.set(true);
    let Some(protocol) = state.protocol(py) else { return Ok(()) };
    let answer = call::in_context(state.context.bind(py), || {
        protocol.call_method0(intern!(py, "eof_received"))?.is_truthy()
    });
    match answer {
        // The protocol keeps its half open: it goes on writing.
        Ok(true) => Ok(()),
        Ok(false) => close::close(transport),
        Err(error) => protocol_failed(transport, error, "eof_received"),
    }
}

fn read_failed(transport: &Bound<'_, SocketTransport>, error: io::Error) -> PyResult<()> {
    transport.get().state(transport.py()).read.ready.set(false);
    close::fatal_error(transport, os_error(&error), "Fatal read error on socket transport")
}

fn protocol_failed(
    transport: &Bound<'_, SocketTransport>,
    error: PyErr,
    method: &str,
) -> PyResult<()> {
    if leaves_loop(transport.py(), &error) {
        return Err(error);
    }
    let message = format!("Fatal error: protocol.{method}() call failed.");
    close::fatal_error(transport, error, &message)
}

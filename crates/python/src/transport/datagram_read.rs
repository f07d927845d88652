//! From the datagram socket to the protocol.

use std::io;

use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use weft_reactor::sys::datagram;

use super::datagram::DatagramTransport;
use super::datagram_state::State;
use super::{datagram_write, faults};
use crate::address;
use crate::error::os_error;
use crate::event_loop::leaves_loop;
use crate::ffi::call;

/// asyncio's bound on one datagram, in bytes: larger ones are cut. The loop's read buffer has
/// this size too.
const LONGEST_DATAGRAM: usize = 256 * 1024;

/// Datagrams delivered for one event at most; then the others' turn comes.
const DATAGRAMS_PER_EVENT: usize = 16;

/// An event says that one datagram waits, not how many: to find out costs a system call that
/// mostly hears "no more". So after each such answer this many events deliver one datagram each;
/// a burst that begins meanwhile costs some extra waits, which are short.
const QUIET_EVENTS: u8 = 100;

/// One attempt.
enum Received<'py> {
    Datagram(Bound<'py, PyAny>, Bound<'py, PyAny>),
    Nothing,
    Failed(PyErr),
}

/// Delivers what waits, one datagram or several.
pub(super) fn read_ready(transport: &Bound<'_, DatagramTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    let quiet = state.quiet.get();
    let most = if quiet == 0 { DATAGRAMS_PER_EVENT } else { 1 };
    state.quiet.set(quiet.saturating_sub(1));
    for count in 0..most {
        match receive(py, state)? {
            Received::Datagram(data, sender) => deliver(transport, state, &data, &sender)?,
            Received::Nothing => {
                if count < 2 {
                    state.quiet.set(QUIET_EVENTS);
                }
                return Ok(());
            }
            Received::Failed(error) => return read_failed(transport, error),
        }
        if !state.is_reading() {
            return Ok(());
        }
    }
    Ok(())
}

fn deliver(
    transport: &Bound<'_, DatagramTransport>,
    state: &State,
    data: &Bound<'_, PyAny>,
    sender: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = transport.py();
    let Some(protocol) = state.endpoint.protocol(py) else { return Ok(()) };
    let name = intern!(py, "datagram_received");
    let told = state.endpoint.in_context(py, || call::method2(&protocol, name, data, sender));
    // asyncio's way: the error is reported and the transport lives on.
    told.map(drop).or_else(|error| faults::callback_failed(transport, error, name, None))
}

fn receive<'py>(py: Python<'py>, state: &State) -> PyResult<Received<'py>> {
    if state.family.is_none() {
        return receive_by_python(py, state);
    }
    let received = state.endpoint.core(py).with_read_buffer(|buffer| {
        let (len, sender) = datagram::recv_from(state.endpoint.fd(), buffer)?;
        Ok((PyBytes::new(py, &buffer[..len]), sender))
    });
    let (data, sender) = match received {
        Ok(received) => received,
        Err(error) => return Ok(failed(&error)),
    };
    let object = match sender {
        None => py.None().into_bound(py),
        Some(sender) => match state.heard.object(py, &sender) {
            Some(object) => object,
            None => {
                let object = address::sender(py, Some(&sender))?;
                state.heard.remember(sender, &object);
                object
            }
        },
    };
    Ok(Received::Datagram(data.into_any(), object))
}

fn failed<'py>(error: &io::Error) -> Received<'py> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Received::Nothing,
        _ => Received::Failed(os_error(error)),
    }
}

fn receive_by_python<'py>(py: Python<'py>, state: &State) -> PyResult<Received<'py>> {
    let Some(socket) = state.endpoint.file(py) else { return Ok(Received::Nothing) };
    let received = socket
        .call_method1(intern!(py, "recvfrom"), (LONGEST_DATAGRAM,))
        .and_then(|pair| pair.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>());
    Ok(match received {
        Ok((data, sender)) => Received::Datagram(data, sender),
        Err(error) if would_block(py, &error) => Received::Nothing,
        Err(error) => Received::Failed(error),
    })
}

/// Whether Python's socket says that it would have to wait.
pub(super) fn would_block(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyBlockingIOError>(py) || error.is_instance_of::<PyInterruptedError>(py)
}

fn read_failed(transport: &Bound<'_, DatagramTransport>, error: PyErr) -> PyResult<()> {
    let py = transport.py();
    if leaves_loop(py, &error) {
        return Err(error);
    }
    if error.is_instance_of::<PyOSError>(py) {
        return error_received_in_callback(transport, error);
    }
    datagram_write::fatal_error(transport, error, "Fatal read error on datagram transport")
}

/// Tells the protocol of an error that is no end: a port that nobody listens on, for instance.
pub(super) fn error_received(
    transport: &Bound<'_, DatagramTransport>,
    error: PyErr,
) -> PyResult<()> {
    let py = transport.py();
    let state = transport.get().state(py);
    let Some(protocol) = state.endpoint.protocol(py) else { return Ok(()) };
    let error = error.into_value(py).into_bound(py).into_any();
    call::method1(&protocol, intern!(py, "error_received"), &error).map(drop)
}

/// [`error_received`] in a callback of the loop: what it raises is reported.
pub(super) fn error_received_in_callback(
    transport: &Bound<'_, DatagramTransport>,
    error: PyErr,
) -> PyResult<()> {
    let py = transport.py();
    let endpoint = &transport.get().state(py).endpoint;
    endpoint.in_context(py, || error_received(transport, error)).or_else(|error| {
        faults::callback_failed(transport, error, intern!(py, "error_received"), None)
    })
}

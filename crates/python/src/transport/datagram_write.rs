//! From the protocol to the datagram socket.

use std::io;

use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::sys::{datagram, monotonic_ns, socket};

use super::datagram::DatagramTransport;
use super::datagram_read::{error_received, error_received_in_callback, would_block};
use super::datagram_state::{Destination, Peer, State, watch};
use super::{faults, flow, life};
use crate::address;
use crate::error::os_error;
use crate::event_loop::{Deferred, leaves_loop};
use crate::ffi::buffer::{SharedBytes, View};

/// Since this version of Python an empty datagram is sent, and each one that waits counts some
/// bytes for its header.
pub(super) const EMPTY_DATAGRAMS: (u8, u8) = (3, 13);

/// What a datagram that waits counts besides its bytes since then: UDP's header (RFC 768).
pub(super) const HEADER: usize = 8;

/// asyncio warns of datagrams to a transport that is gone from this one on.
const LOST_BEFORE_WARNING: u32 = 4;

/// How long sending rests when a receiver is full, in nanoseconds.
const REST_NS: i64 = 1_000_000;

/// One attempt.
enum Sent {
    Whole,
    WouldBlock,
    Failed(PyErr),
}

/// `sendto(data, addr)`.
pub(super) fn sendto(
    transport: &Bound<'_, DatagramTransport>,
    data: &Bound<'_, PyAny>,
    addr: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = transport.py();
    let state = transport.get().state(py);
    check_data(data)?;
    let view = View::readable(data)?;
    let bytes = view.as_slice(py);
    if bytes.is_empty() && py.version_info() < EMPTY_DATAGRAMS {
        return Ok(());
    }
    let addr = addr.filter(|addr| !addr.is_none());
    if let Some(remote) = &state.remote
        && let Some(addr) = addr
        && !addr.is(remote)
        && addr.ne(remote)?
    {
        let message = format!("Invalid address: must be None or {}", remote.bind(py).str()?);
        return Err(PyValueError::new_err(message));
    }
    if state.endpoint.is_closed() || (state.endpoint.ended.get() && state.remote.is_some()) {
        return faults::count_lost_write(
            py,
            &state.lost,
            LOST_BEFORE_WARNING,
            "socket.send() raised exception.",
        );
    }
    let destination = destination(py, state, addr);
    if !state.is_waiting() {
        match send(py, state, bytes, data, &destination) {
            Sent::Whole => return Ok(()),
            Sent::Failed(error) => return send_failed(transport, error),
            // Nobody would send it any more.
            Sent::WouldBlock if state.endpoint.ended.get() => return Ok(()),
            Sent::WouldBlock => {}
        }
    }
    // A mutable buffer is copied: its owner may change it before it is sent.
    let owner = match SharedBytes::new(data) {
        Some(owner) => owner,
        None => SharedBytes::copied(py, bytes),
    };
    state.queue.borrow_mut().push(owner, destination);
    watch(transport, state)?;
    flow::pause_if_full(transport)
}

fn check_data(data: &Bound<'_, PyAny>) -> PyResult<()> {
    if data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
    {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "data argument must be a bytes-like object, not {}",
        data.get_type().name()?.repr()?
    )))
}

fn destination(py: Python<'_>, state: &State, addr: Option<&Bound<'_, PyAny>>) -> Destination {
    if state.peer == Peer::Named {
        return Destination::Peer;
    }
    let Some(addr) = addr else {
        // Without a peer: Python's socket raises what asyncio's users know.
        let nowhere = || Destination::Python(py.None());
        return if state.peer == Peer::Nameless { Destination::Peer } else { nowhere() };
    };
    if let Some(known) = state.heard.address(addr).or_else(|| state.sent.address(addr)) {
        return Destination::Native(known);
    }
    match state.family.and_then(|family| address::destination(family, addr)) {
        Some(address) => {
            state.sent.remember(address.clone(), addr);
            Destination::Native(address)
        }
        None => Destination::Python(addr.clone().unbind()),
    }
}

fn send(
    py: Python<'_>,
    state: &State,
    bytes: &[u8],
    data: &Bound<'_, PyAny>,
    destination: &Destination,
) -> Sent {
    let fd = state.endpoint.fd();
    let sent = match destination {
        Destination::Peer if state.family.is_none() => {
            return send_by_python(py, state, |socket| {
                socket.call_method1(intern!(py, "send"), (data,))
            });
        }
        Destination::Peer => socket::send(fd, bytes),
        Destination::Native(address) => datagram::send_to(fd, bytes, address),
        Destination::Python(address) => {
            return send_by_python(py, state, |socket| {
                socket.call_method1(intern!(py, "sendto"), (data, address))
            });
        }
    };
    match sent {
        Ok(_) => Sent::Whole,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sent::WouldBlock,
        Err(error) => Sent::Failed(os_error(&error)),
    }
}

fn send_by_python<'py>(
    py: Python<'py>,
    state: &State,
    send: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> Sent {
    let Some(socket) = state.endpoint.file(py) else { return Sent::Whole };
    match send(&socket) {
        Ok(_) => Sent::Whole,
        Err(error) if would_block(py, &error) => Sent::WouldBlock,
        Err(error) => Sent::Failed(error),
    }
}

/// In the protocol's own call: what `error_received` raises is its caller's.
fn send_failed(transport: &Bound<'_, DatagramTransport>, error: PyErr) -> PyResult<()> {
    if error.is_instance_of::<PyOSError>(transport.py()) {
        return error_received(transport, error);
    }
    fatal_error(transport, error, "Fatal write error on datagram transport")
}

/// The socket has room: sends what waits, as far as it takes it.
pub(super) fn write_ready(transport: &Bound<'_, DatagramTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    let mut moved = false;
    while let Some((owner, destination)) = take_first(state) {
        let data = owner.object(py);
        match send(py, state, owner.as_ref(), data.as_any(), &destination) {
            Sent::Whole => moved = true,
            Sent::WouldBlock => {
                state.queue.borrow_mut().push_front(owner, destination);
                break;
            }
            Sent::Failed(error) if leaves_loop(py, &error) => return Err(error),
            // What is behind it has its turn at the next event.
            Sent::Failed(error) if error.is_instance_of::<PyOSError>(py) => {
                error_received_in_callback(transport, error)?;
                moved = true;
                break;
            }
            Sent::Failed(error) => {
                let message = "Fatal write error on datagram transport";
                return fatal_error(transport, error, message);
            }
        }
    }
    if !moved && state.is_waiting() {
        return rest(transport, state);
    }
    state.endpoint.in_context(py, || flow::resume_if_drained(transport))?;
    if state.is_waiting() || state.endpoint.ended.get() {
        return Ok(());
    }
    if state.endpoint.closing.get() {
        return life::end_now(transport);
    }
    watch(transport, state)
}

fn take_first(state: &State) -> Option<(SharedBytes, Destination)> {
    state.queue.borrow_mut().pop()
}

/// The kernel calls a Unix socket writable that has room itself, though the receiver has none:
/// asked again and again it would say so again and again.
fn rest(transport: &Bound<'_, DatagramTransport>, state: &State) -> PyResult<()> {
    state.resting.set(true);
    let retry = Retry(transport.clone().unbind());
    state.endpoint.core(transport.py()).set_alarm(monotonic_ns() + REST_NS, Box::new(retry));
    watch(transport, state)
}

/// Ends a rest.
struct Retry(Py<DatagramTransport>);

impl Deferred for Retry {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        let transport = self.0.bind(py);
        let state = transport.get().state(py);
        state.resting.set(false);
        if state.endpoint.ended.get() || !state.is_waiting() {
            return Ok(());
        }
        watch(transport, state)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

/// Ends the transport with an error that is nobody's but the program's.
pub(super) fn fatal_error(
    transport: &Bound<'_, DatagramTransport>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    let reported = faults::report_fatal(transport, &error, message, |_| true);
    transport.get().state(transport.py()).clear();
    reported.and(life::end(transport, Some(error)))
}

/// `close()`: no more reading; what waits is sent first.
pub(super) fn close(transport: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    if state.endpoint.closing.replace(true) {
        return Ok(());
    }
    if state.is_waiting() { watch(transport, state) } else { life::end(transport, None) }
}

/// `abort()`: what waits is thrown away.
pub(super) fn abort(transport: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    transport.get().state(transport.py()).clear();
    life::end(transport, None)
}

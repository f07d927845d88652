//! From the application to ciphertext, and flow control.
//!
//! What is written is encrypted at once, so that nothing of it has to be kept; the ciphertext
//! of one callback leaves in one send when that callback ends.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use super::protocol::TlsProtocol;
use super::shutdown;
use super::state::{HIGH_WATER_WRITE, Phase, State};
use crate::event_loop::leaves_loop;
use crate::ffi::buffer::View;
use crate::ffi::openssl::Write;
use crate::transport::{tell_flow, write_limits};

/// From so many writes to a closed connection on, each is logged (asyncio's figure).
const LOGGED_WRITES: u32 = 5;

/// Encrypts and sends `list`, items of which are bytes-like.
pub(super) fn write(protocol: &Bound<'_, TlsProtocol>, list: &[Bound<'_, PyAny>]) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if !matches!(state.phase.get(), Phase::Handshake | Phase::Wrapped) {
        if state.lost.get() >= LOGGED_WRITES {
            shutdown::log_text(py, "warning", "SSL connection is closed")?;
        }
        state.lost.set(state.lost.get().saturating_add(1));
        return Ok(());
    }
    let written = list.iter().try_for_each(|data| encrypt(state, data));
    let written = match state.phase.get() {
        Phase::Wrapped => written.and_then(|()| process_outgoing(protocol)),
        _ => written,
    };
    fatal_unless_leaving(protocol, written)
}

fn fatal_unless_leaving(protocol: &Bound<'_, TlsProtocol>, written: PyResult<()>) -> PyResult<()> {
    match written {
        Err(error) if leaves_loop(protocol.py(), &error) => Err(error),
        Err(error) => shutdown::fatal_error(protocol, error, "Fatal error on SSL protocol"),
        Ok(()) => Ok(()),
    }
}

/// Encrypts one item, or keeps it if OpenSSL cannot take it now.
fn encrypt(state: &State, data: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = data.py();
    match data.cast_exact::<PyBytes>() {
        Ok(bytes) => {
            if !encrypt_slice(py, state, bytes.as_bytes())? {
                state.write.backlog.borrow_mut().push_shared(PyBackedBytes::from(bytes.clone()));
            }
        }
        Err(_) => {
            let view = View::readable(data)?;
            if !encrypt_slice(py, state, view.as_slice(py))? {
                // A copy: the owner may change it before it is sent.
                state.write.backlog.borrow_mut().push_copy(view.as_slice(py));
            }
        }
    }
    Ok(())
}

/// Encrypts `bytes` if it is their turn; false if they must be kept.
fn encrypt_slice(py: Python<'_>, state: &State, bytes: &[u8]) -> PyResult<bool> {
    if bytes.is_empty() {
        return Ok(true);
    }
    if state.phase.get() != Phase::Wrapped || !state.write.backlog.borrow().is_empty() {
        return Ok(false);
    }
    offer(py, state, bytes)
}

/// Offers `bytes` to OpenSSL; false if it does not take them now.
fn offer(py: Python<'_>, state: &State, bytes: &[u8]) -> PyResult<bool> {
    let Some(tls) = state.idle_tls() else { return Ok(false) };
    state.busy.set(true);
    let written = tls.session.write(bytes);
    let failure = matches!(written, Write::Failed).then(|| tls.session.failure(py));
    state.busy.set(false);
    match failure {
        Some(failure) => Err(failure),
        None => Ok(matches!(written, Write::Done)),
    }
}

/// After reading: encrypts what was kept, and sends what OpenSSL wrote.
pub(super) fn go_on(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if state.write.backlog.borrow().is_empty()
        && state.idle_tls().is_none_or(|tls| tls.session.output_len() == 0)
    {
        return Ok(());
    }
    loop {
        // A copy: this path is rare, and code of the application's context might run.
        let first = state.write.backlog.borrow().first().map(<[u8]>::to_vec);
        match first {
            Some(first) if offer(py, state, &first)? => {
                state.write.backlog.borrow_mut().advance(first.len());
            }
            _ => break,
        }
    }
    process_outgoing(protocol)
}

/// Gives what OpenSSL wrote to the transport below.
pub(super) fn process_outgoing(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    if !protocol.get().state(protocol.py()).write.lower_paused.get() {
        send_outgoing(protocol)?;
    }
    control_application(protocol)
}

/// The same, even if the transport below asked for a pause: nothing else will come.
pub(super) fn send_outgoing(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let Some(tls) = state.idle_tls() else { return Ok(()) };
    if tls.session.output_len() == 0 {
        return Ok(());
    }
    let bytes = tls.session.take_output();
    if let Some(lower) = state.lower(py)
        && let Some(room) = lower.write(py, bytes)?
    {
        tls.session.reuse(room);
    }
    Ok(())
}

/// Bytes that are not with the kernel, or with the transport below, yet.
fn waiting(py: Python<'_>, state: &State) -> usize {
    let backlog = state.write.backlog.borrow().len();
    let output = state.idle_tls().map_or(0, |tls| tls.session.output_len());
    let lower = state.lower.borrow().as_ref().map_or(0, |lower| lower.waiting(py));
    backlog + output + lower
}

/// Calls `pause_writing` and `resume_writing` by the marks.
///
/// As asyncio's TLS the high mark itself is too much already, unless it is the low mark too:
/// there asyncio pauses a protocol whose buffer is empty.
pub(super) fn control_application(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let is_full = |size| size >= state.write.high.get() && size > state.write.low.get();
    let size = waiting(py, state);
    if state.write.paused.get() {
        if size <= state.write.low.get() {
            state.write.paused.set(false);
            return tell(protocol, "resume_writing");
        }
    } else if is_full(size) {
        if let Some(lower) = state.lower(py) {
            lower.flush(py)?;
        }
        if is_full(waiting(py, state)) && !state.write.paused.replace(true) {
            return tell(protocol, "pause_writing");
        }
    }
    Ok(())
}

/// The socket has taken bytes: less waits, which only a paused protocol wants to know.
pub(super) fn drained(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    if protocol.get().state(protocol.py()).write.paused.get() {
        control_application(protocol)
    } else {
        Ok(())
    }
}

/// Calls a flow-control method; an error in it is reported and changes nothing.
fn tell(protocol: &Bound<'_, TlsProtocol>, method: &str) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let Some(application) = state.protocol(py) else { return Ok(()) };
    let transport = state.transport.borrow().as_ref().map(|transport| transport.clone_ref(py));
    let transport = transport.into_pyobject(py)?.into_any();
    tell_flow(state.event_loop.bind(py), &transport, &application, protocol.as_any(), method)
}

/// Keeps plaintext for later.
pub(super) fn append(protocol: &Bound<'_, TlsProtocol>, data: &[u8]) {
    protocol.get().state(protocol.py()).write.backlog.borrow_mut().push_copy(data);
}

/// `get_write_buffer_size()`.
pub(super) fn buffer_size(protocol: &Bound<'_, TlsProtocol>) -> PyResult<usize> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if let Some(lower) = state.lower(py) {
        lower.flush(py)?;
    }
    Ok(waiting(py, state))
}

/// `set_write_buffer_limits(high, low)`.
pub(super) fn set_limits(
    protocol: &Bound<'_, TlsProtocol>,
    high: Option<isize>,
    low: Option<isize>,
) -> PyResult<()> {
    let (high, low) = write_limits(high, low, HIGH_WATER_WRITE)?;
    let write = &protocol.get().state(protocol.py()).write;
    write.high.set(high);
    write.low.set(low);
    control_application(protocol)
}

//! From ciphertext to the application.
//!
//! Bytes are decrypted where the socket left them, into an object of the right size: until the
//! application's code runs, they have been copied by OpenSSL alone.

use std::convert::Infallible;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::lower::Lower;
use super::protocol::TlsProtocol;
use super::state::{Phase, State};
use super::{handshake, shutdown, write};
use crate::event_loop::leaves_loop;
use crate::ffi::buffer::{View, bytes_with};
use crate::ffi::call;
use crate::ffi::openssl::{Read, Session};

/// Bytes given to the application at once, at most; asyncio's figure.
const MOST: usize = 256 * 1024;

/// What decrypting gave.
pub(super) struct Decrypted {
    data: Option<Py<PyBytes>>,
    end: End,
}

/// Why decrypting stopped.
enum End {
    /// All that has arrived is decrypted.
    Wait,
    /// The buffer was full.
    More,
    /// The peer has sent close_notify.
    Closed,
    Failed(PyErr),
}

/// Whether the socket's bytes are taken now.
///
/// While the application pauses, bytes stay in the kernel. Only when the peer is gone they are
/// fetched, as far as asyncio's TLS would: its end must be noticed even then.
pub(super) fn takes(protocol: &Bound<'_, TlsProtocol>, hangup: bool) -> bool {
    let state = protocol.get().state(protocol.py());
    match state.phase.get() {
        Phase::Wrapped | Phase::Flushing if state.read.paused.get() => {
            hangup && input_len(state) < state.read.high.get().max(1)
        }
        _ => true,
    }
}

/// Bytes from the peer that are not decrypted yet.
pub(super) fn input_len(state: &State) -> usize {
    state.idle_tls().map_or(0, |tls| tls.session.input_len())
}

/// Takes bytes from the peer; runs no code of the application.
pub(super) fn take(protocol: &Bound<'_, TlsProtocol>, bytes: &[u8]) {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let Some(tls) = state.tls() else { return };
    let is_buffered = state.protocol.borrow().as_ref().is_none_or(|p| p.is_buffered);
    let at_once = !is_buffered
        && !state.busy.get()
        && !state.read.paused.get()
        && state.phase.get() == Phase::Wrapped;
    if at_once {
        let decrypted = tls.session.with_input(bytes, || decrypt(py, state, &tls.session));
        let former = state.read.decrypted.replace(Some(decrypted));
        drop(former);
    } else {
        tls.session.feed(bytes);
    }
}

/// Goes on with whatever the connection is at, after bytes came or the application resumed.
pub(super) fn process(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    match protocol.get().state(protocol.py()).phase.get() {
        Phase::Handshake => handshake::step(protocol),
        Phase::Wrapped => do_read(protocol),
        Phase::Flushing => shutdown::flush(protocol),
        Phase::Shutdown => shutdown::shut_down(protocol),
        Phase::Unwrapped => Ok(()),
    }
}

/// Delivers what has arrived, and sends what that has made OpenSSL write.
pub(super) fn do_read(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if !is_open(state) {
        return Ok(());
    }
    let done = deliver(protocol, state)
        .and_then(|()| write::go_on(protocol))
        .and_then(|()| control_lower(protocol));
    match done {
        Err(error) if leaves_loop(py, &error) => Err(error),
        Err(error) => shutdown::fatal_error(protocol, error, "Fatal error on SSL protocol"),
        Ok(()) => Ok(()),
    }
}

fn is_open(state: &State) -> bool {
    matches!(state.phase.get(), Phase::Wrapped | Phase::Flushing)
}

fn deliver(protocol: &Bound<'_, TlsProtocol>, state: &State) -> PyResult<()> {
    while is_open(state) && !state.read.paused.get() {
        let is_buffered = state.protocol.borrow().as_ref().is_some_and(|p| p.is_buffered);
        let end = if is_buffered {
            deliver_buffered(protocol, state)?
        } else {
            deliver_bytes(protocol, state)?
        };
        match end {
            End::More => {}
            End::Wait => break,
            End::Failed(error) => return Err(error),
            End::Closed => {
                shutdown::tell_eof(protocol)?;
                return shutdown::start(protocol);
            }
        }
    }
    Ok(())
}

fn deliver_bytes(protocol: &Bound<'_, TlsProtocol>, state: &State) -> PyResult<End> {
    let py = protocol.py();
    let decrypted = state.read.decrypted.take();
    let decrypted = match decrypted {
        Some(decrypted) => decrypted?,
        None => match state.idle_tls() {
            Some(tls) => decrypt(py, state, &tls.session)?,
            None => return Ok(End::Wait),
        },
    };
    if let Some(data) = &decrypted.data
        && let Some(application) = state.protocol(py)
    {
        call::method1(&application, intern!(py, "data_received"), data.bind(py).as_any())?;
    }
    Ok(decrypted.end)
}

fn decrypt(py: Python<'_>, state: &State, session: &Session) -> PyResult<Decrypted> {
    if is_drained(session) {
        return Ok(Decrypted { data: None, end: End::Wait });
    }
    let room = session.readable_bound().clamp(1, MOST);
    let mut end = End::Wait;
    state.busy.set(true);
    let bytes = bytes_with(py, room, |room| {
        let filled = fill(room.len(), |filled| match room.get_mut(filled..) {
            Some(rest) => session.read(rest),
            None => Read::Wait,
        });
        end = filled.1;
        if filled.2 {
            end = End::Failed(session.failure(py));
        }
        if matches!(end, End::Wait) && !is_drained(session) && filled.0 == room.len() {
            end = End::More;
        }
        Ok::<_, Infallible>(filled.0)
    });
    state.busy.set(false);
    let Ok(bytes) = bytes?;
    let data = (!bytes.as_bytes().is_empty()).then(|| bytes.unbind());
    Ok(Decrypted { data, end })
}

/// Whether OpenSSL has nothing to read and nothing left: a read could only say so.
fn is_drained(session: &Session) -> bool {
    session.input_len() == 0 && session.pending() == 0
}

/// Reads until `room` bytes are there or no more come: how many, why, and whether it failed.
fn fill(room: usize, mut read: impl FnMut(usize) -> Read) -> (usize, End, bool) {
    let mut filled = 0;
    while filled < room {
        match read(filled) {
            Read::Data(len) => filled += len,
            Read::Wait => break,
            Read::Closed => return (filled, End::Closed, false),
            Read::Failed => return (filled, End::Wait, true),
        }
    }
    (filled, End::Wait, false)
}

fn deliver_buffered(protocol: &Bound<'_, TlsProtocol>, state: &State) -> PyResult<End> {
    let py = protocol.py();
    let (Some(tls), Some(application)) = (state.idle_tls(), state.protocol(py)) else {
        return Ok(End::Wait);
    };
    if is_drained(&tls.session) {
        return Ok(End::Wait);
    }
    let hint = tls.session.input_len().into_pyobject(py)?.into_any();
    let buffer = call::method1(&application, intern!(py, "get_buffer"), &hint)?;
    let mut view = View::writable(&buffer)?;
    let room = view.len();
    if room == 0 {
        return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
    }
    // get_buffer is the application's code: it may have ended or paused the connection.
    if !is_open(state) || state.read.paused.get() {
        return Ok(End::Wait);
    }
    state.busy.set(true);
    let target = view.as_mut_slice(py);
    let (filled, mut end, failed) = fill(room, |filled| match target.get_mut(filled..) {
        Some(rest) => tls.session.read_into(rest),
        None => Read::Wait,
    });
    if failed {
        end = End::Failed(tls.session.failure(py));
    }
    state.busy.set(false);
    drop(view);
    if filled > 0 {
        let len = filled.into_pyobject(py)?.into_any();
        call::method1(&application, intern!(py, "buffer_updated"), &len)?;
    }
    if matches!(end, End::Wait) && !is_drained(&tls.session) && filled == room {
        end = End::More;
    }
    Ok(end)
}

/// Pauses and resumes the transport below, if it pushes bytes here: a socket's asks first.
fn control_lower(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if matches!(*state.lower.borrow(), Some(Lower::Socket(_))) {
        return Ok(());
    }
    let Some(Lower::Other(lower)) = state.lower(py) else { return Ok(()) };
    let waiting = input_len(state);
    if waiting >= state.read.high.get() && !state.read.lower_paused.get() {
        state.read.lower_paused.set(true);
        lower.call_method0(py, intern!(py, "pause_reading"))?;
    } else if waiting <= state.read.low.get() && state.read.lower_paused.get() {
        state.read.lower_paused.set(false);
        lower.call_method0(py, intern!(py, "resume_reading"))?;
    }
    Ok(())
}

/// The application takes bytes again. Goes on in the next turn, as asyncio does.
pub(super) fn resume(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if !state.read.paused.replace(false) {
        return Ok(());
    }
    if let Some(lower) = state.lower(py) {
        lower.takes_again(py);
    }
    let read_on = protocol.getattr(intern!(py, "_read_on"))?;
    state.event_loop.bind(py).call_method1(intern!(py, "call_soon"), (read_on,)).map(drop)
}

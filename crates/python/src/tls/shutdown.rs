//! close_notify, end of stream, errors, and the end of a connection.

use pyo3::exceptions::{PyOSError, PyTimeoutError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::handshake;
use super::protocol::TlsProtocol;
use super::state::{Phase, State, Told};
use super::{read, write};
use crate::event_loop::{failed, leaves_loop, protocol_details};
use crate::transport::logger;

/// What an exception of the session object means.
pub(super) enum Kind {
    /// More bytes are needed.
    Again,
    /// TLS has failed.
    Tls,
    /// It is not OpenSSL's.
    Other,
}

/// Sorts an exception that the session object has raised.
pub(super) fn kind(py: Python<'_>, error: &PyErr) -> PyResult<Kind> {
    static CLASSES: PyOnceLock<[Py<PyAny>; 3]> = PyOnceLock::new();
    let [want_read, syscall, tls] = CLASSES.get_or_try_init(py, || {
        let ssl = py.import("ssl")?;
        let class = |name: &str| PyResult::Ok(ssl.getattr(name)?.unbind());
        // asyncio too takes SSLSyscallError for "again": it is what OpenSSL says of a BIO.
        PyResult::Ok([class("SSLWantReadError")?, class("SSLSyscallError")?, class("SSLError")?])
    })?;
    let is = |class: &Py<PyAny>| error.value(py).is_instance(class.bind(py));
    Ok(if is(want_read)? || is(syscall)? {
        Kind::Again
    } else if is(tls)? {
        Kind::Tls
    } else {
        Kind::Other
    })
}

/// `close()`, or the peer's close_notify: the end begins.
pub(super) fn start(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    match state.phase.get() {
        Phase::Flushing | Phase::Shutdown | Phase::Unwrapped => Ok(()),
        Phase::Handshake => {
            state.closed.set(true);
            abort(protocol, None)
        }
        Phase::Wrapped => {
            state.closed.set(true);
            state.enter(Phase::Flushing);
            start_limit(protocol)?;
            flush(protocol)
        }
    }
}

fn start_limit(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let callback = protocol.getattr(intern!(py, "_shutdown_timed_out"))?;
    state.shutdown_limit.start(state.event_loop.bind(py), callback)
}

/// Reads what has arrived to its end, then sends close_notify.
pub(super) fn flush(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    read::do_read(protocol)?;
    if protocol.get().state(protocol.py()).enter(Phase::Shutdown) {
        shut_down(protocol)
    } else {
        Ok(())
    }
}

/// Sends close_notify and waits for the peer's. A peer that has ended the stream gets none.
pub(super) fn shut_down(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if !state.lower_eof.get() {
        let Some(tls) = state.idle_tls() else { return Ok(()) };
        state.busy.set(true);
        let unwrapped = tls.object.bind(py).call_method0(intern!(py, "unwrap"));
        state.busy.set(false);
        if let Err(error) = unwrapped {
            return match kind(py, &error)? {
                Kind::Again => write::process_outgoing(protocol),
                Kind::Tls => complete(protocol, Some(error)),
                Kind::Other => Err(error),
            };
        }
    }
    write::send_outgoing(protocol)?;
    tell_eof(protocol)?;
    complete(protocol, None)
}

fn complete(protocol: &Bound<'_, TlsProtocol>, error: Option<PyErr>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if let Some(error) = error {
        state.shutdown_limit.cancel(py)?;
        return fatal_error(protocol, error, "Fatal error on transport");
    }
    let Some(lower) = state.lower(py) else { return Ok(()) };
    // What is queued is sent before the transport below closes, and a peer that does not read
    // could delay that for ever: the limit ends with the connection, whoever began to close.
    if !state.shutdown_limit.is_running() {
        start_limit(protocol)?;
    }
    let close = lower.object(py).getattr(intern!(py, "close"))?;
    state.event_loop.bind(py).call_method1(intern!(py, "call_soon"), (close,)).map(drop)
}

/// The peer has not answered close_notify in time.
pub(super) fn timed_out(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    match (state.phase.get(), state.lower(py)) {
        (Phase::Flushing | Phase::Shutdown, Some(lower)) => {
            lower.force_close(py, Some(PyTimeoutError::new_err("SSL shutdown timed out")))
        }
        _ => Ok(()),
    }
}

/// `close()` on a transport that is closed already. asyncio's transport then lets go of everything,
/// so that a protocol that keeps its transport keeps no more; here that happens once the
/// connection is lost.
pub(super) fn release_when_lost(state: &State, py: Python<'_>) {
    state.released.set(true);
    state.release_if_over(py);
}

/// `abort()`: closes the connection now.
pub(super) fn abort(protocol: &Bound<'_, TlsProtocol>, error: Option<PyErr>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    state.enter(Phase::Unwrapped);
    match state.lower(py) {
        Some(lower) => lower.force_close(py, error),
        None => Ok(()),
    }
}

/// The stream below has ended. True if the transport below shall stay open: the application
/// has paused, and what has arrived is still to be read.
pub(super) fn eof_received(protocol: &Bound<'_, TlsProtocol>) -> PyResult<bool> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    state.lower_eof.set(true);
    if state.is_debug(py) {
        log(protocol, "debug", "%r received EOF", None)?;
    }
    match state.phase.get() {
        Phase::Handshake => handshake::cut_off(protocol)?,
        Phase::Wrapped => {
            state.enter(Phase::Flushing);
            if state.read.paused.get() {
                return Ok(true);
            }
            flush(protocol)?;
        }
        Phase::Flushing => {
            write::go_on(protocol)?;
            if state.enter(Phase::Shutdown) {
                shut_down(protocol)?;
            }
        }
        Phase::Shutdown => shut_down(protocol)?,
        Phase::Unwrapped => {}
    }
    Ok(false)
}

/// Tells the application that the peer has finished, once. Its answer changes nothing: TLS has
/// no half-closed connections here, as in asyncio.
pub(super) fn tell_eof(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if state.told.get() != Told::Made {
        return Ok(());
    }
    state.told.set(Told::Eof);
    let Some(application) = state.protocol(py) else { return Ok(()) };
    let answer = application.call_method0(intern!(py, "eof_received"));
    match answer.and_then(|answer| answer.is_truthy()) {
        Ok(false) => Ok(()),
        Ok(true) => log_text(
            py,
            "warning",
            "returning true from eof_received() has no effect when using ssl",
        ),
        Err(error) if leaves_loop(py, &error) => Err(error),
        Err(error) => fatal_error(protocol, error, "Error calling eof_received()"),
    }
}

/// The transport below is closed: so is this one.
pub(super) fn connection_lost(
    protocol: &Bound<'_, TlsProtocol>,
    error: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    state.write.backlog.borrow_mut().clear();
    if let Some(tls) = state.idle_tls() {
        tls.session.take_output();
    }
    state.lost.set(state.lost.get().saturating_add(1));
    state.closed.set(true);
    let application = state.protocol(py);
    if state.phase.get() != Phase::Handshake
        && matches!(state.told.get(), Told::Made | Told::Eof)
        && let Some(application) = application
    {
        state.told.set(Told::Lost);
        let lost = application.getattr(intern!(py, "connection_lost"))?;
        state.event_loop.bind(py).call_method1(intern!(py, "call_soon"), (lost, &error))?;
    }
    state.enter(Phase::Unwrapped);
    let held = (state.lower.take(), state.transport.take(), state.protocol.take());
    drop(held);
    state.release_if_over(py);
    let woken = handshake::wake_waiter(py, state, error.as_ref());
    state.shutdown_limit.cancel(py)?;
    state.handshake_limit.cancel(py)?;
    woken
}

/// Ends the connection with an error. What the network and OpenSSL do is no news; what the
/// application does wrong is.
pub(super) fn fatal_error(
    protocol: &Bound<'_, TlsProtocol>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let lower = state.lower(py);
    if let Some(lower) = &lower {
        lower.force_close(py, Some(error.clone_ref(py)))?;
    }
    if error.is_instance_of::<PyOSError>(py) {
        if state.is_debug(py) {
            log_error(protocol, &error, message)?;
        }
        return Ok(());
    }
    let cancelled = py.import("asyncio")?.getattr("CancelledError")?;
    if error.value(py).is_instance(&cancelled)? {
        return Ok(());
    }
    let none = py.None().into_bound(py);
    let transport = lower.as_ref().map_or(&none, |lower| lower.object(py));
    let details = protocol_details(transport, Some(protocol.as_any()))?;
    failed(state.event_loop.bind(py), error, message, &details)
}

/// Writes to asyncio's log.
pub(super) fn log_text(py: Python<'_>, level: &str, text: &str) -> PyResult<()> {
    logger(py)?.call_method1(level, (text,)).map(drop)
}

/// Writes to asyncio's log; `format` names the protocol and, if given, the number.
pub(super) fn log(
    protocol: &Bound<'_, TlsProtocol>,
    level: &str,
    format: &str,
    number: Option<f64>,
) -> PyResult<()> {
    let logger = logger(protocol.py())?;
    match number {
        Some(number) => logger.call_method1(level, (format, protocol, number)),
        None => logger.call_method1(level, (format, protocol)),
    }
    .map(drop)
}

fn log_error(protocol: &Bound<'_, TlsProtocol>, error: &PyErr, message: &str) -> PyResult<()> {
    let py = protocol.py();
    let keywords = pyo3::types::PyDict::new(py);
    keywords.set_item("exc_info", error.value(py))?;
    logger(py)?.call_method("debug", ("%r: %s", protocol, message), Some(&keywords)).map(drop)
}

/// Whether the connection is closed or about to be.
pub(super) fn is_closing(state: &State) -> bool {
    state.closed.get()
}

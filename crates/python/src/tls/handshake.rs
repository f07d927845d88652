//! From connected to encrypted. The steps are taken by the Python object, so that callbacks of the
//! context run and failures are raised as users of `ssl` know them.

use pyo3::exceptions::{PyConnectionAbortedError, PyConnectionResetError};
use pyo3::intern;
use pyo3::prelude::*;

use super::protocol::TlsProtocol;
use super::state::{Phase, State, Told};
use super::{read, shutdown, write};
use crate::event_loop::{is_done, wake};

/// Begins the handshake.
pub(super) fn start(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let event_loop = state.event_loop.bind(py);
    if state.is_debug(py) {
        shutdown::log(protocol, "debug", "%r starts SSL handshake", None)?;
        let now = event_loop.call_method0(intern!(py, "time"))?.extract()?;
        state.handshake_began.set(Some(now));
    }
    if !state.enter(Phase::Handshake) {
        return Ok(());
    }
    let callback = protocol.getattr(intern!(py, "_handshake_timed_out"))?;
    state.handshake_limit.start(event_loop, callback)?;
    step(protocol)
}

/// Goes on with the handshake as far as the bytes that are there allow.
pub(super) fn step(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    let Some(tls) = state.idle_tls() else { return Ok(()) };
    state.busy.set(true);
    let stepped = tls.object.bind(py).call_method0(intern!(py, "do_handshake"));
    state.busy.set(false);
    if state.phase.get() != Phase::Handshake {
        // A callback of the context has ended the connection.
        return Ok(());
    }
    match stepped {
        Ok(_) => complete(protocol),
        Err(error) => match shutdown::kind(py, &error)? {
            shutdown::Kind::Again => write::process_outgoing(protocol),
            shutdown::Kind::Tls => failed(protocol, error),
            shutdown::Kind::Other => Err(error),
        },
    }
}

/// The peer has ended the stream before the handshake was over.
pub(super) fn cut_off(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    failed(protocol, PyConnectionResetError::new_err(()))
}

/// The handshake has taken too long.
pub(super) fn timed_out(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    if state.phase.get() != Phase::Handshake {
        return Ok(());
    }
    let seconds = state.handshake_limit.seconds.bind(py).str()?;
    let error = PyConnectionAbortedError::new_err(format!(
        "SSL handshake is taking longer than {seconds} seconds: aborting the connection"
    ));
    shutdown::fatal_error(protocol, error, "Fatal error on transport")
}

fn complete(protocol: &Bound<'_, TlsProtocol>) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    state.handshake_limit.cancel(py)?;
    if !state.enter(Phase::Wrapped) {
        return Ok(());
    }
    if let Err(error) = describe(py, state) {
        return failed(protocol, error);
    }
    if let Some(began) = state.handshake_began.take() {
        let now: f64 = state.event_loop.bind(py).call_method0("time")?.extract()?;
        let took = (now - began) * 1e3;
        shutdown::log(protocol, "debug", "%r: SSL handshake took %.1f ms", Some(took))?;
    }
    if state.told.get() == Told::Nothing {
        state.told.set(Told::Made);
        let transport = state.transport.borrow().as_ref().map(|transport| transport.clone_ref(py));
        if let Some(application) = state.protocol(py) {
            application.call_method1(intern!(py, "connection_made"), (transport,))?;
        }
    }
    wake_waiter(py, state, None)?;
    // The last message of the handshake leaves even if the application has paused reading.
    write::process_outgoing(protocol)?;
    read::do_read(protocol)
}

/// What `get_extra_info` can tell from now on.
fn describe(py: Python<'_>, state: &State) -> PyResult<()> {
    let Some(tls) = state.tls() else { return Ok(()) };
    let object = tls.object.bind(py);
    let extra = state.extra.bind(py);
    extra.set_item(intern!(py, "peercert"), object.call_method0(intern!(py, "getpeercert"))?)?;
    extra.set_item(intern!(py, "cipher"), object.call_method0(intern!(py, "cipher"))?)?;
    let compression = object.call_method0(intern!(py, "compression"))?;
    extra.set_item(intern!(py, "compression"), compression)?;
    extra.set_item(intern!(py, "ssl_object"), object)
}

fn failed(protocol: &Bound<'_, TlsProtocol>, error: PyErr) -> PyResult<()> {
    let py = protocol.py();
    let state = protocol.get().state(py);
    state.handshake_limit.cancel(py)?;
    state.enter(Phase::Unwrapped);
    let certificate = py.import("ssl")?.getattr("CertificateError")?;
    let message = if error.value(py).is_instance(&certificate)? {
        "SSL handshake failed on verifying the certificate"
    } else {
        "SSL handshake failed"
    };
    let reported = shutdown::fatal_error(protocol, error.clone_ref(py), message);
    wake_waiter(py, state, Some(error.value(py).as_any())).and(reported)
}

/// Tells whoever waits for the connection how it went.
pub(super) fn wake_waiter(
    py: Python<'_>,
    state: &State,
    error: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let waiter = state.waiter.take();
    let Some(waiter) = waiter else { return Ok(()) };
    let waiter = waiter.bind(py);
    match error {
        None => wake(waiter),
        Some(_) if is_done(waiter) => Ok(()),
        Some(error) => waiter.call_method1(intern!(py, "set_exception"), (error,)).map(drop),
    }
}

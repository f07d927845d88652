//! The life of a connection: connection_made, connection_lost, and every error between.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{IntoPyObjectExt, PyTraverseError, PyVisit};
use rustix::io::Errno;
use weft_reactor::sys::socket::{self, Half};

use super::connection::Connection;
use super::faults;
use super::sendfile;
use super::state::State;
use super::stream::SocketTransport;
use super::write;
use crate::error::{is, os_error};
use crate::event_loop::{Deferred, wake};
use crate::ffi::call;

/// Calls connection_made, then starts reading and wakes whoever waits for the connection.
pub(super) struct Start {
    pub(super) transport: Py<SocketTransport>,
    pub(super) waiter: Option<Py<PyAny>>,
}

impl Deferred for Start {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        let transport = self.transport.bind(py);
        let state = transport.get().state(py);
        let name = intern!(py, "connection_made");
        let made = tell(transport, state, name, transport.as_any());
        state.started.set(true);
        if state.read.ready.get() {
            super::stream::read_later(transport);
        }
        if let Some(waiter) = &self.waiter {
            wake(waiter.bind(py))?;
        }
        made
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)?;
        visit.call(&self.waiter)
    }
}

/// Calls connection_lost and releases the connection.
struct Finish {
    transport: Py<SocketTransport>,
    error: Option<PyErr>,
}

impl Deferred for Finish {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        let transport = self.transport.bind(py);
        let state = transport.get().state(py);
        let error = self.error.as_ref().map(|error| error.clone_ref(py).into_value(py));
        let error = error.into_bound_py_any(py)?;
        let told = tell(transport, state, intern!(py, "connection_lost"), &error);
        release(transport, state).and(told)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)
    }
}

/// Calls one of the protocol's two connection methods. What it raises is reported as an
/// exception in a callback, or given back if it leaves the loop.
fn tell(
    transport: &Bound<'_, SocketTransport>,
    state: &State,
    name: &Bound<'_, PyString>,
    argument: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = transport.py();
    let Some(protocol) = state.protocol(py) else { return Ok(()) };
    let told =
        call::in_context(state.context.bind(py), || call::method1(&protocol, name, argument));
    told.map(drop).or_else(|error| faults::callback_failed(transport, error, name, Some(argument)))
}

/// Closes the socket and lets go of protocol and server.
fn release(transport: &Bound<'_, SocketTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    let core = state.event_loop.bind(py).get().core(py);
    if let Some(token) = state.token.take() {
        // A Python socket may have been duplicated: then closing it would not end the watch.
        let native = matches!(*state.connection.borrow(), Connection::Native(..));
        let fd = state.fd.get();
        if native { core.forget(fd, token) } else { core.deregister(fd, token) }
    }
    state.outbox.borrow_mut().clear();
    let connection = state.connection.replace(Connection::Closed);
    state.fd.set(-1);
    let closed = connection.close(py);
    let protocol = state.protocol.take();
    drop(protocol);
    let server = state.server.take();
    if let Some(server) = server {
        detach(server.bind(py), transport)?;
    }
    closed
}

/// `Server._attach`, which takes the transport since 3.13.
pub(super) fn attach(
    server: &Bound<'_, PyAny>,
    transport: &Bound<'_, SocketTransport>,
) -> PyResult<()> {
    let py = server.py();
    if py.version_info() >= (3, 13) {
        server.call_method1(intern!(py, "_attach"), (transport,)).map(drop)
    } else {
        server.call_method0(intern!(py, "_attach")).map(drop)
    }
}

fn detach(server: &Bound<'_, PyAny>, transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let py = server.py();
    if py.version_info() >= (3, 13) {
        server.call_method1(intern!(py, "_detach"), (transport,)).map(drop)
    } else {
        server.call_method0(intern!(py, "_detach")).map(drop)
    }
}

/// `close()`: no more reading; what is written is sent first.
pub(super) fn close(transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    let state = transport.get().state(transport.py());
    if state.closing.replace(true) {
        return Ok(());
    }
    write::flush(transport)
}

/// Everything written is sent: the moment for what was waiting for that.
pub(super) fn output_drained(
    transport: &Bound<'_, SocketTransport>,
    state: &State,
) -> PyResult<()> {
    if sendfile::go_ahead(state, transport.py())? {
        return Ok(());
    }
    if state.closing.get() {
        if state.lost.get() == 0 {
            finish(transport, state, None);
        }
    } else if state.write.eof.get()
        && let Err(error) = socket::shutdown(state.fd.get(), Half::Write)
    {
        // A peer that is gone needs no shutdown; reading will tell.
        if !is(&error, Errno::NOTCONN) {
            return Err(os_error(&error));
        }
    }
    Ok(())
}

/// Ends the connection now; what the socket does not take is thrown away.
pub(super) fn force_close(transport: &Bound<'_, SocketTransport>, error: Option<PyErr>) {
    let state = transport.get().state(transport.py());
    if state.lost.get() > 0 {
        return;
    }
    write::try_last(state);
    state.outbox.borrow_mut().clear();
    state.closing.set(true);
    sendfile::interrupt(state, transport.py());
    finish(transport, state, error);
}

fn finish(transport: &Bound<'_, SocketTransport>, state: &State, error: Option<PyErr>) {
    let py = transport.py();
    state.lost.set(state.lost.get() + 1);
    let finish = Finish { transport: transport.clone().unbind(), error };
    state.event_loop.bind(py).get().core(py).defer(Box::new(finish));
}

/// Reports an error and ends the connection with it. What the network does is no news; what
/// the protocol does wrong is.
pub(super) fn fatal_error(
    transport: &Bound<'_, SocketTransport>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    let reported = faults::report_fatal(transport, &error, message, |_| true);
    force_close(transport, Some(error));
    reported
}

/// The last reference to a transport is gone. Closes what nobody has closed, with a warning.
pub(super) fn abandoned(state: &State, py: Python<'_>) {
    let connection = state.connection.replace(Connection::Closed);
    if matches!(connection, Connection::Closed) {
        return;
    }
    faults::warn_unclosed(py, &format!("SocketTransport fd={}", state.fd.get()));
    // An error has nowhere to go from a destructor.
    if let Err(error) = connection.close(py) {
        error.write_unraisable(py, None);
    }
}

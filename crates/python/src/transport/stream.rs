//! The Python class `SocketTransport`.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::registry::Token;
use weft_reactor::sys::{Interest, Readiness, socket};

use super::close::{self, Start};
use super::connection::{self, Connection};
use super::state::{Protocol, State};
use super::{faults, flow, native, read, sendfile, write};
use crate::error::OsResult;
use crate::event_loop::{EventLoop, Source};
use crate::ffi::call;
use crate::ffi::gil::GilBound;
use crate::ffi::method;

/// A stream connection: the interface of `asyncio.Transport`.
#[pyclass(frozen, weakref, module = "weft")]
pub(crate) struct SocketTransport(GilBound<State>);

/// The registration of a transport with its loop.
struct StreamSource(Py<SocketTransport>);

impl Source for StreamSource {
    fn ready(&self, py: Python<'_>, readiness: Readiness) -> PyResult<()> {
        let transport = self.0.bind(py);
        let state = transport.get().state(py);
        if readiness.is_writable() && !state.write.ready.replace(true) {
            write::write_ready(transport)?;
        }
        if readiness.is_readable() {
            state.read.ready.set(true);
            if readiness.is_hangup() {
                state.read.hangup.set(true);
            }
            if !state.read.queued.get() {
                read::read_ready(transport)?;
            }
        }
        Ok(())
    }

    fn resumed(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.0.bind(py);
        transport.get().state(py).read.queued.set(false);
        read::read_ready(transport)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.0.bind(py);
        if transport.get().state(py).write.flush_ordered.get() {
            write::flush(transport)?;
        }
        Ok(())
    }

    fn describe(&self, py: Python<'_>) -> String {
        self.0.bind(py).repr().map_or_else(|_| "<transport>".to_owned(), |repr| repr.to_string())
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

impl faults::Audible for SocketTransport {
    fn audience<'py>(slf: &Bound<'py, Self>) -> (Option<Bound<'py, PyAny>>, Bound<'py, EventLoop>) {
        let state = slf.get().state(slf.py());
        (state.protocol(slf.py()), state.event_loop.bind(slf.py()).clone())
    }
}

impl flow::FlowControlled for SocketTransport {
    fn flow<'a>(slf: &'a Bound<'_, Self>) -> &'a flow::FlowControl {
        &slf.get().state(slf.py()).write.flow
    }

    fn waiting(slf: &Bound<'_, Self>) -> usize {
        slf.get().state(slf.py()).outbox.borrow().len()
    }

    fn is_told(slf: &Bound<'_, Self>) -> bool {
        native::of(slf.py(), slf.get().state(slf.py())).is_none()
    }
}

/// Reads in the next turn: the kernel will not announce again what it has announced.
pub(super) fn read_later(transport: &Bound<'_, SocketTransport>) {
    let py = transport.py();
    let state = transport.get().state(py);
    if let Some(token) = state.token.get()
        && !state.read.queued.replace(true)
    {
        state.event_loop.bind(py).get().core(py).resume(token);
    }
}

impl SocketTransport {
    #[inline]
    pub(super) fn state<'a>(&'a self, py: Python<'a>) -> &'a State {
        self.0.get(py)
    }

    /// A transport of a connection that the loop has accepted.
    pub(super) fn accepted(
        event_loop: &Bound<'_, EventLoop>,
        fd: OwnedFd,
        peer: Option<SocketAddr>,
        protocol: &Bound<'_, PyAny>,
        server: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let raw = fd.as_raw_fd();
        let context = call::copy_context(event_loop.py())?;
        let state = State::new(event_loop, context, Connection::Native(fd, peer), raw);
        Self::start(event_loop, state, protocol, None, server).map(drop)
    }

    fn start<'py>(
        event_loop: &Bound<'py, EventLoop>,
        state: State,
        protocol: &Bound<'py, PyAny>,
        waiter: Option<Py<PyAny>>,
        server: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = event_loop.py();
        *state.protocol.borrow_mut() = Some(Protocol::new(protocol)?);
        let fd = state.fd.get();
        let transport = Bound::new(py, SocketTransport(GilBound::new(state)))?;
        let state = transport.get().state(py);
        let core = event_loop.get().core(py);
        let source = Rc::new(StreamSource(transport.clone().unbind()));
        let token: Token = core.adopt(fd, Interest::edge(), source).or_os_error()?;
        state.token.set(Some(token));
        if let Some(server) = server {
            close::attach(server, &transport)?;
            *state.server.borrow_mut() = Some(server.clone().unbind());
        }
        core.defer(Box::new(Start { transport: transport.clone().unbind(), waiter }));
        Ok(transport)
    }
}

/// Adds what `#[pymethods]` cannot express.
pub(super) fn install(py: Python<'_>) -> PyResult<()> {
    method::install::<write::Write>(&py.get_type::<SocketTransport>())
}

#[pymethods]
impl SocketTransport {
    #[new]
    #[pyo3(signature = (event_loop, sock, protocol, waiter=None, extra=None, server=None))]
    fn new(
        event_loop: &Bound<'_, EventLoop>,
        sock: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
        waiter: Option<Py<PyAny>>,
        extra: Option<&Bound<'_, PyDict>>,
        server: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<Self>> {
        let py = event_loop.py();
        let fd = Connection::descriptor(sock)?;
        socket::set_nodelay(fd);
        let mut connection = Connection::Python(sock.clone().unbind());
        // Asked for now: the peer of a connection that breaks has no address any more.
        let info = extra.map_or_else(|| Ok(PyDict::new(py)), |extra| extra.copy())?;
        connection::describe(py, &mut connection, &info)?;
        let state = State::new(event_loop, call::copy_context(py)?, connection, fd);
        state.extra.replace(Some(info.unbind()));
        state.extra_is_complete.set(true);
        Ok(Self::start(event_loop, state, protocol, waiter, server)?.unbind())
    }

    /// Sends the list's items, as one write.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        write::writelines(slf, list_of_data)
    }

    /// Shuts the sending half down once everything written is sent.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        write::write_eof(slf)
    }

    /// True: sockets can be shut down by halves.
    fn can_write_eof(&self) -> bool {
        true
    }

    /// Bytes written and not yet taken by the kernel.
    fn get_write_buffer_size(slf: &Bound<'_, Self>) -> PyResult<usize> {
        write::buffer_size(slf)
    }

    /// The low- and the high-water mark of the write buffer, in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.state(py).write.flow.limits()
    }

    /// Sets the marks at which the protocol is paused and resumed, in bytes.
    #[pyo3(signature = (high=None, low=None))]
    fn set_write_buffer_limits(
        slf: &Bound<'_, Self>,
        high: Option<isize>,
        low: Option<isize>,
    ) -> PyResult<()> {
        flow::set_limits(slf, high, low)
    }

    /// Closes the connection once everything written is sent.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        close::close(slf)
    }

    /// Closes the connection now; what is not sent is thrown away.
    fn abort(slf: &Bound<'_, Self>) {
        close::force_close(slf, None);
    }

    #[pyo3(signature = (exc))]
    fn _force_close(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) {
        close::force_close(slf, exc.map(PyErr::from_value));
    }

    #[pyo3(signature = (exc, message="Fatal error on transport"))]
    fn _fatal_error(slf: &Bound<'_, Self>, exc: Bound<'_, PyAny>, message: &str) -> PyResult<()> {
        close::fatal_error(slf, PyErr::from_value(exc), message)
    }

    /// Lends the connection to `loop.sendfile`: a future that is done when everything written
    /// is sent. Until `_end_sendfile()` nobody else may write.
    fn _begin_sendfile<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        sendfile::begin(slf)
    }

    /// Ends what `_begin_sendfile()` began.
    fn _end_sendfile(slf: &Bound<'_, Self>) -> PyResult<()> {
        sendfile::end(slf)
    }

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.state(py).closing.get()
    }

    /// Stops calling data_received until `resume_reading`.
    fn pause_reading(&self, py: Python<'_>) {
        let state = self.state(py);
        if !state.closing.get() {
            state.read.paused.set(true);
        }
    }

    /// Goes on calling data_received.
    fn resume_reading(slf: &Bound<'_, Self>) {
        let state = slf.get().state(slf.py());
        if !state.closing.get() && state.read.paused.replace(false) && state.read.ready.get() {
            read_later(slf);
        }
    }

    /// Whether data_received is called when data arrives.
    fn is_reading(&self, py: Python<'_>) -> bool {
        let state = self.state(py);
        !state.closing.get() && !state.read.paused.get()
    }

    /// Replaces the protocol.
    fn set_protocol(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        let replaced = self.state(protocol.py()).protocol.replace(Some(Protocol::new(protocol)?));
        drop(replaced);
        Ok(())
    }

    /// The current protocol.
    fn get_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state(py).protocol(py)
    }

    /// `socket`, `sockname`, `peername`, or what the maker of the transport added.
    #[pyo3(signature = (name, default=None))]
    fn get_extra_info<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.extra_attribute(py)?.get_item(name)?.or(default))
    }

    #[getter(_extra)]
    fn extra_attribute<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.state(py);
        let known = state.extra.borrow().as_ref().map(|extra| extra.bind(py).clone());
        let extra = match known {
            Some(extra) => extra,
            None => {
                let extra = PyDict::new(py);
                state.extra.replace(Some(extra.clone().unbind()));
                extra
            }
        };
        if !state.extra_is_complete.replace(true) {
            // Taken out, because Python code runs meanwhile; put back whatever comes of it.
            let mut connection = state.connection.replace(Connection::Closed);
            let described = connection::describe(py, &mut connection, &extra);
            state.connection.replace(connection);
            described?;
        }
        Ok(extra)
    }

    #[getter(_loop)]
    fn event_loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.state(py).event_loop.clone_ref(py)
    }

    #[getter(_protocol_paused)]
    fn protocol_paused(&self, py: Python<'_>) -> bool {
        self.state(py).write.flow.is_paused()
    }

    /// `isinstance(transport, asyncio.Transport)` holds, as libraries expect, and asyncio's
    /// own test for flow control too.
    #[getter(__class__)]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("asyncio.transports")?.getattr("_FlowControlMixin")
    }

    #[classattr]
    fn _start_tls_compatible() -> bool {
        true
    }

    #[classattr]
    fn _sendfile_compatible(py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py
            .import("asyncio.constants")?
            .getattr("_SendfileMode")?
            .getattr("TRY_NATIVE")?
            .unbind())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.state(py);
        let mut parts = vec!["SocketTransport".to_owned()];
        if state.is_closed() {
            parts.push("closed".to_owned());
        } else {
            if state.closing.get() {
                parts.push("closing".to_owned());
            }
            parts.push(format!("fd={}", state.fd.get()));
            let read = if state.read.paused.get() { "read=idle" } else { "read=polling" };
            parts.push(read.to_owned());
            parts.push(write::describe(state));
        }
        format!("<{}>", parts.join(" "))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().traverse(&visit)
    }

    fn __clear__(&self) {
        self.0.during_gc().clear();
    }
}

impl Drop for SocketTransport {
    fn drop(&mut self) {
        // While the interpreter ends there is nobody to warn; the kernel closes the rest.
        let _ = Python::try_attach(|py| close::abandoned(self.state(py), py));
    }
}

//! The Python class `TlsProtocol`: what the transport below calls.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};

use super::lower::Lower;
use super::state::{Limit, Phase, ReadState, State, Tls, Told, WriteState};
use super::transport::SslTransport;
use super::{handshake, read, shutdown, write};
use crate::event_loop::EventLoop;
use crate::ffi::buffer::View;
use crate::ffi::gil::GilBound;
use crate::ffi::openssl::Session;
use crate::transport::{NativeProtocol, Protocol, SocketTransport};

/// TLS between a transport and a protocol, as `asyncio.sslproto.SSLProtocol`.
#[pyclass(frozen, weakref, module = "weft")]
pub(crate) struct TlsProtocol(GilBound<State>);

impl TlsProtocol {
    #[inline]
    pub(super) fn state<'a>(&'a self, py: Python<'a>) -> &'a State {
        self.0.get(py)
    }
}

/// What a socket's transport calls instead of `data_received`.
struct Native;

impl NativeProtocol for Native {
    fn takes(&self, protocol: &Bound<'_, PyAny>, hangup: bool) -> bool {
        protocol.cast_exact::<TlsProtocol>().is_ok_and(|protocol| read::takes(protocol, hangup))
    }

    fn take(&self, protocol: &Bound<'_, PyAny>, bytes: &[u8]) -> PyResult<()> {
        read::take(protocol.cast_exact::<TlsProtocol>()?, bytes);
        Ok(())
    }

    fn process(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        read::process(protocol.cast_exact::<TlsProtocol>()?)
    }

    fn drained(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        write::drained(protocol.cast_exact::<TlsProtocol>()?)
    }
}

#[pymethods]
impl TlsProtocol {
    /// A TLS connection over the session in `ssl_object`, which was made over the two
    /// `ssl.MemoryBIO`s and not used yet. `RuntimeError` if its session cannot be driven.
    #[new]
    #[pyo3(signature = (
        event_loop, app_protocol, sslcontext, ssl_object, bios, waiter, *,
        call_connection_made=true, ssl_handshake_timeout, ssl_shutdown_timeout
    ))]
    #[expect(clippy::too_many_arguments, reason = "asyncio's SSLProtocol asks for the same")]
    fn new(
        event_loop: Py<EventLoop>,
        app_protocol: &Bound<'_, PyAny>,
        sslcontext: &Bound<'_, PyAny>,
        ssl_object: &Bound<'_, PyAny>,
        bios: (Bound<'_, PyAny>, Bound<'_, PyAny>),
        waiter: Option<Py<PyAny>>,
        call_connection_made: bool,
        ssl_handshake_timeout: Py<PyAny>,
        ssl_shutdown_timeout: Py<PyAny>,
    ) -> PyResult<Py<Self>> {
        let py = ssl_object.py();
        let session = Session::attach(ssl_object, &bios.0, &bios.1)?.ok_or_else(|| {
            PyRuntimeError::new_err("this session cannot be driven; use asyncio.sslproto for it")
        })?;
        let extra = PyDict::new(py);
        extra.set_item("sslcontext", sslcontext)?;
        let tls = Tls { session, object: ssl_object.clone().unbind() };
        let told = if call_connection_made { Told::Nothing } else { Told::Made };
        let state = State {
            event_loop,
            tls: Some(std::rc::Rc::new(tls)).into(),
            lower: None.into(),
            protocol: Some(Protocol::new(app_protocol)?).into(),
            transport: None.into(),
            waiter: waiter.into(),
            extra: extra.unbind(),
            phase: Phase::Unwrapped.into(),
            told: told.into(),
            handshake_limit: Limit::new(ssl_handshake_timeout),
            shutdown_limit: Limit::new(ssl_shutdown_timeout),
            handshake_began: None.into(),
            closed: false.into(),
            released: false.into(),
            lower_eof: false.into(),
            busy: false.into(),
            lost: 0.into(),
            read: ReadState::default(),
            write: WriteState::default(),
        };
        let protocol = Bound::new(py, TlsProtocol(GilBound::new(state)))?;
        let transport = Bound::new(py, SslTransport::new(&protocol))?;
        protocol.get().state(py).transport.replace(Some(transport.unbind()));
        Ok(protocol.unbind())
    }

    /// The transport for the application.
    #[getter(_app_transport)]
    fn app_transport(&self, py: Python<'_>) -> Option<Py<SslTransport>> {
        self.state(py).transport.borrow().as_ref().map(|transport| transport.clone_ref(py))
    }

    /// The application's protocol.
    #[getter(_app_protocol)]
    fn app_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state(py).protocol(py)
    }

    /// The transport below is connected: the handshake begins.
    fn connection_made(slf: &Bound<'_, Self>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let state = slf.get().state(slf.py());
        let lower = Lower::new(transport);
        if let Lower::Socket(socket) = &lower {
            let paused = SocketTransport::speak_natively(socket.bind(slf.py()), slf, &Native);
            // Told before it was native: nobody will tell it to go on, and the application has
            // heard nothing.
            let told = state.write.lower_paused.replace(false);
            state.write.paused.set(paused && !told);
        }
        let former = state.lower.replace(Some(lower));
        drop(former);
        handshake::start(slf)
    }

    /// The transport below is closed.
    #[pyo3(signature = (exc))]
    fn connection_lost(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        shutdown::connection_lost(slf, exc)
    }

    /// Ciphertext, from a transport that is no socket's.
    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        if slf.get().state(slf.py()).busy.get() {
            return Err(PyRuntimeError::new_err("data_received() in the middle of a handshake"));
        }
        let view = View::readable(data)?;
        read::take(slf, view.as_slice(slf.py()));
        drop(view);
        read::process(slf)
    }

    /// The transport below has ended. True if it shall stay open for now.
    fn eof_received(slf: &Bound<'_, Self>) -> PyResult<bool> {
        shutdown::eof_received(slf)
    }

    /// The transport below has too much to send.
    fn pause_writing(slf: &Bound<'_, Self>) {
        slf.get().state(slf.py()).write.lower_paused.set(true);
    }

    /// The transport below has sent what it had.
    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().state(slf.py()).write.lower_paused.set(false);
        write::process_outgoing(slf)
    }

    /// Gives the session bytes that were read from the connection before TLS began.
    fn _feed(&self, py: Python<'_>, data: &[u8]) {
        if let Some(tls) = self.state(py).idle_tls() {
            tls.session.feed(data);
        }
    }

    fn _handshake_timed_out(slf: &Bound<'_, Self>) -> PyResult<()> {
        handshake::timed_out(slf)
    }

    fn _shutdown_timed_out(slf: &Bound<'_, Self>) -> PyResult<()> {
        shutdown::timed_out(slf)
    }

    fn _read_on(slf: &Bound<'_, Self>) -> PyResult<()> {
        read::process(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().traverse(&visit)
    }

    fn __clear__(&self) {
        self.0.during_gc().clear();
    }
}

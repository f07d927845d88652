//! The Python class `DatagramTransport`: `loop.create_datagram_endpoint`.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::sys::{Readiness, datagram};

use super::connection::{self, Connection};
use super::datagram_state::{Peer, State, watch};
use super::endpoint::Endpoint;
use super::{datagram_read, datagram_write, faults, flow, life};
use crate::error::OsResult;
use crate::event_loop::{EventLoop, Source, is_plain_socket};
use crate::ffi::gil::GilBound;
use crate::ffi::method::{self, Arguments, FastMethod, Method};

const NAME: &str = "DatagramTransport";

/// A datagram socket: the interface of `asyncio.DatagramTransport`.
#[pyclass(frozen, weakref, module = "weft")]
pub(crate) struct DatagramTransport(GilBound<State>);

impl DatagramTransport {
    #[inline]
    pub(super) fn state<'a>(&'a self, py: Python<'a>) -> &'a State {
        self.0.get(py)
    }
}

/// The registration of a transport with its loop.
pub(super) struct DatagramSource(pub(super) Py<DatagramTransport>);

impl Source for DatagramSource {
    fn ready(&self, py: Python<'_>, readiness: Readiness) -> PyResult<()> {
        let transport = self.0.bind(py);
        let state = transport.get().state(py);
        if readiness.is_readable() {
            if state.is_reading() {
                datagram_read::read_ready(transport, state)?;
            } else {
                // Pausing costs nothing until the kernel has something to say; it would say it
                // again and again.
                watch(transport, state)?;
            }
        }
        if readiness.is_writable() && !state.resting.get() {
            datagram_write::write_ready(transport, state)?;
        }
        Ok(())
    }

    fn describe(&self, py: Python<'_>) -> String {
        self.0.bind(py).get().__repr__(py)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

/// `sendto(data, addr=None)`, the one method worth a fast calling convention.
struct SendTo;

impl FastMethod for SendTo {
    type Receiver = DatagramTransport;
    const NAME: &'static std::ffi::CStr = c"sendto";
    const DOC: &'static std::ffi::CStr = c"sendto($self, data, addr=None)\n--\n\nSend a datagram (bytes, bytearray or memoryview; mutable ones are copied).\n\nNever blocks: what the socket does not take is buffered.";
    const BODY: Method<DatagramTransport> = |transport, arguments: Arguments<'_, '_>| {
        let py = transport.py();
        let names = [pyo3::intern!(py, "data"), pyo3::intern!(py, "addr")];
        let (data, addr) = match (arguments.positional(), arguments.keywords("sendto", names)?) {
            ([data], [None, addr]) => (*data, addr),
            ([data, addr], [None, None]) => (*data, Some(*addr)),
            ([], [Some(data), addr]) => (data, addr),
            _ => {
                return Err(PyTypeError::new_err(
                    "sendto() takes the datagram, data, and its destination, addr",
                ));
            }
        };
        datagram_write::sendto(transport, &data, addr.as_deref())?;
        Ok(py.None().into_bound(py))
    };
}

/// Adds what `#[pymethods]` cannot express.
pub(super) fn install(py: Python<'_>) -> PyResult<()> {
    method::install::<SendTo>(&py.get_type::<DatagramTransport>())
}

/// `Peer`, by what `getpeername` said.
fn peer(name: &Bound<'_, PyAny>) -> PyResult<Peer> {
    Ok(match (name.is_none(), name.is_truthy()?) {
        (true, _) => Peer::Nobody,
        (false, false) => Peer::Nameless,
        (false, true) => Peer::Named,
    })
}

#[pymethods]
impl DatagramTransport {
    #[new]
    #[pyo3(signature = (event_loop, sock, protocol, address=None, waiter=None, extra=None))]
    fn new(
        event_loop: &Bound<'_, EventLoop>,
        sock: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
        address: Option<Bound<'_, PyAny>>,
        waiter: Option<Py<PyAny>>,
        extra: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<Self>> {
        let py = event_loop.py();
        let fd = Connection::descriptor(sock)?;
        let info = extra.map_or_else(|| Ok(PyDict::new(py)), |extra| extra.copy())?;
        connection::describe_socket(sock, None, &info)?;
        let peer = peer(&info.as_any().get_item("peername")?)?;
        let remote = match address {
            Some(address) if address.is_truthy()? => Some(address.unbind()),
            _ => None,
        };
        let newer = py.version_info() >= datagram_write::EMPTY_DATAGRAMS;
        let header = if newer { datagram_write::HEADER } else { 0 };
        // The methods of a subclass may be its own.
        let family = match is_plain_socket(sock)? {
            true => datagram::family(fd).or_os_error()?,
            false => None,
        };
        let endpoint = Endpoint::new(event_loop, sock, fd, protocol, info)?;
        let state = State::new(endpoint, family, peer, remote, header);
        let transport = Bound::new(py, Self(GilBound::new(state)))?;
        life::start(&transport, waiter);
        Ok(transport.unbind())
    }

    /// Bytes that wait for the kernel; since Python 3.13 with eight for each datagram.
    fn get_write_buffer_size(&self, py: Python<'_>) -> usize {
        self.state(py).queue.borrow().size()
    }

    /// The low- and the high-water mark of the write buffer, in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.state(py).flow.limits()
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

    /// Closes the transport once everything that waits is sent.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        datagram_write::close(slf)
    }

    /// Closes the transport now; what waits is thrown away.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        datagram_write::abort(slf)
    }

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.state(py).endpoint.closing.get()
    }

    /// Whether datagram_received is called when a datagram arrives.
    fn is_reading(&self, py: Python<'_>) -> bool {
        self.state(py).is_reading()
    }

    /// Stops calling datagram_received until `resume_reading`.
    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().state(slf.py());
        if !state.is_reading() {
            return Ok(());
        }
        state.paused.set(true);
        faults::log(slf, "debug", "pauses reading")
    }

    /// Goes on calling datagram_received.
    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().state(slf.py());
        if state.endpoint.closing.get() || !state.paused.replace(false) {
            return Ok(());
        }
        watch(slf, state)?;
        faults::log(slf, "debug", "resumes reading")
    }

    /// Replaces the protocol.
    fn set_protocol(&self, protocol: Bound<'_, PyAny>) {
        self.state(protocol.py()).endpoint.set_protocol(protocol.clone());
    }

    /// The current protocol.
    fn get_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state(py).endpoint.protocol(py)
    }

    /// `socket`, `sockname`, `peername`, or what the maker of the transport added.
    #[pyo3(signature = (name, default=None))]
    fn get_extra_info<'py>(
        &self,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.state(name.py()).endpoint.extra_info(name, default)
    }

    #[getter(_sock)]
    fn socket<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state(py).endpoint.file(py)
    }

    #[getter(_loop)]
    fn event_loop<'py>(&self, py: Python<'py>) -> Bound<'py, EventLoop> {
        self.state(py).endpoint.event_loop(py).clone()
    }

    #[getter(_protocol_paused)]
    fn protocol_paused(&self, py: Python<'_>) -> bool {
        self.state(py).flow.is_paused()
    }

    /// `isinstance(transport, asyncio.DatagramTransport)` holds, as libraries expect, and what
    /// holds for asyncio's own: it is also an `asyncio.Transport`, and under flow control.
    #[getter(__class__)]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = CLASS.get_or_try_init(py, || {
            let module = py.import("asyncio.transports")?;
            let bases = (module.getattr("_FlowControlMixin")?, module.getattr(NAME)?);
            let body = PyDict::new(py);
            body.set_item("__slots__", ())?;
            body.set_item("__module__", "weft")?;
            PyResult::Ok(py.get_type::<PyType>().call1((NAME, bases, body))?.unbind())
        })?;
        Ok(class.bind(py).clone())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.state(py);
        state.endpoint.describe(py, NAME, || {
            let read = if state.is_reading() { "polling" } else { "idle" };
            let write = if state.is_waiting() { "polling" } else { "idle" };
            let waiting = state.queue.borrow().size();
            format!("read={read} write=<{write}, bufsize={waiting}>")
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().traverse(&visit)
    }

    fn __clear__(&self) {
        self.0.during_gc().endpoint.clear();
    }
}

impl Drop for DatagramTransport {
    fn drop(&mut self) {
        // While the interpreter ends there is nobody to warn; the kernel closes the rest.
        let _ = Python::try_attach(|py| self.state(py).endpoint.warn_if_open(py, NAME));
    }
}

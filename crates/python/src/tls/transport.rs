//! The Python class `SslTransport`: what the application calls.

use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use super::protocol::TlsProtocol;
use super::state::{HIGH_WATER_READ, State};
use super::{read, shutdown, write};
use crate::event_loop::EventLoop;
use crate::ffi::method::{self, Arguments, FastMethod, Method};
use crate::transport::{Protocol, check_data, warn_unclosed, write_argument, write_limits};

/// An encrypted connection: the interface of `asyncio.Transport`.
#[pyclass(frozen, weakref, module = "weft")]
pub(crate) struct SslTransport {
    protocol: Py<TlsProtocol>,
}

impl SslTransport {
    pub(super) fn new(protocol: &Bound<'_, TlsProtocol>) -> Self {
        Self { protocol: protocol.clone().unbind() }
    }

    fn state<'a>(&'a self, py: Python<'a>) -> &'a State {
        self.protocol.get().state(py)
    }
}

/// `write(data)`.
struct Write;

impl FastMethod for Write {
    type Receiver = SslTransport;
    const NAME: &'static std::ffi::CStr = c"write";
    const DOC: &'static std::ffi::CStr = c"write($self, data)\n--\n\nSend bytes (bytes, bytearray or memoryview); they are encrypted at once.\n\nNever blocks: what the socket does not take is buffered.";
    const BODY: Method<SslTransport> = |transport, arguments: Arguments<'_, '_>| {
        let py = transport.py();
        let data = write_argument(py, arguments)?;
        check_data(&data)?;
        write::write(transport.get().protocol.bind(py), std::slice::from_ref(&data))?;
        Ok(py.None().into_bound(py))
    };
}

/// Adds what `#[pymethods]` cannot express.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    method::install::<Write>(&py.get_type::<SslTransport>())
}

#[pymethods]
impl SslTransport {
    /// Sends the list's items.
    fn writelines(&self, py: Python<'_>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        let list: Vec<Bound<'_, PyAny>> = list_of_data.try_iter()?.collect::<PyResult<_>>()?;
        list.iter().try_for_each(check_data)?;
        write::write(self.protocol.bind(py), &list)
    }

    /// Not supported: TLS has no half-closed connections (as in asyncio).
    fn write_eof(&self) -> PyResult<()> {
        Err(PyNotImplementedError::new_err(
            "a TLS connection cannot be closed by halves; call close()",
        ))
    }

    /// False: see `write_eof`.
    fn can_write_eof(&self) -> bool {
        false
    }

    /// Bytes written and not yet taken by the kernel.
    fn get_write_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        write::buffer_size(self.protocol.bind(py))
    }

    /// The low- and the high-water mark of the write buffer, in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        let write = &self.state(py).write;
        (write.low.get(), write.high.get())
    }

    /// Sets the marks at which the protocol is paused and resumed, in bytes.
    #[pyo3(signature = (high=None, low=None))]
    fn set_write_buffer_limits(
        &self,
        py: Python<'_>,
        high: Option<isize>,
        low: Option<isize>,
    ) -> PyResult<()> {
        write::set_limits(self.protocol.bind(py), high, low)
    }

    /// Bytes received and not yet decrypted.
    fn get_read_buffer_size(&self, py: Python<'_>) -> usize {
        read::input_len(self.state(py))
    }

    /// The low- and the high-water mark of what is received and not yet decrypted, in bytes.
    fn get_read_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        let read = &self.state(py).read;
        (read.low.get(), read.high.get())
    }

    /// Sets these marks.
    #[pyo3(signature = (high=None, low=None))]
    fn set_read_buffer_limits(
        &self,
        py: Python<'_>,
        high: Option<isize>,
        low: Option<isize>,
    ) -> PyResult<()> {
        let (high, low) = write_limits(high, low, HIGH_WATER_READ)?;
        let read = &self.state(py).read;
        read.high.set(high);
        read.low.set(low);
        Ok(())
    }

    /// Closes the connection once everything written is sent and the peer has agreed.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.state(py).closed.replace(true) {
            shutdown::release_when_lost(self.state(py), py);
            return Ok(());
        }
        shutdown::start(self.protocol.bind(py))
    }

    /// Closes the connection now; what is not sent is thrown away.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self.force_close(py, None)
    }

    #[pyo3(name = "_force_close", signature = (exc))]
    fn force_close(&self, py: Python<'_>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        self.state(py).closed.set(true);
        shutdown::abort(self.protocol.bind(py), exc.map(PyErr::from_value))
    }

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        shutdown::is_closing(self.state(py))
    }

    /// Stops calling data_received until `resume_reading`.
    fn pause_reading(&self, py: Python<'_>) {
        self.state(py).read.paused.set(true);
    }

    /// Goes on calling data_received.
    fn resume_reading(&self, py: Python<'_>) -> PyResult<()> {
        read::resume(self.protocol.bind(py))
    }

    /// Whether data_received is called when data arrives.
    fn is_reading(&self, py: Python<'_>) -> bool {
        !self.state(py).read.paused.get()
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

    /// `sslcontext`, `ssl_object`, `peercert`, `cipher`, `compression`, or what the transport
    /// below knows.
    #[pyo3(signature = (name, default=None))]
    fn get_extra_info<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let state = self.state(py);
        if let Some(value) = state.extra.bind(py).get_item(name)? {
            return Ok(Some(value));
        }
        match state.lower(py) {
            Some(lower) => {
                lower.object(py).call_method1("get_extra_info", (name, default)).map(Some)
            }
            None => Ok(default),
        }
    }

    #[getter(_loop)]
    fn event_loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.state(py).event_loop.clone_ref(py)
    }

    #[getter(_ssl_protocol)]
    fn ssl_protocol(&self, py: Python<'_>) -> Py<TlsProtocol> {
        self.protocol.clone_ref(py)
    }

    #[getter(_protocol_paused)]
    fn protocol_paused(&self, py: Python<'_>) -> bool {
        self.state(py).write.paused.get()
    }

    /// Fills the backlog without writing: CPython's own test of trailing data needs it.
    #[pyo3(name = "_test__append_write_backlog")]
    fn append_write_backlog(&self, py: Python<'_>, data: &[u8]) {
        write::append(self.protocol.bind(py), data);
    }

    /// The class of asyncio's own TLS transports, which is an `asyncio.Transport`: what libraries
    /// ask for by `isinstance` or by name holds.
    #[getter(__class__)]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("asyncio.sslproto")?.getattr("_SSLProtocolTransport")
    }

    #[classattr]
    fn _start_tls_compatible() -> bool {
        true
    }

    #[classattr]
    fn _sendfile_compatible(py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.import("asyncio.constants")?.getattr("_SendfileMode")?.getattr("FALLBACK")?.unbind())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let state = self.state(py);
        Ok(match state.lower(py) {
            None => "<SslTransport closed>".to_owned(),
            Some(lower) => {
                let closing = if state.closed.get() { " closing" } else { "" };
                format!("<SslTransport{closing} over {}>", lower.object(py).repr()?)
            }
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.protocol)
    }
}

impl Drop for SslTransport {
    fn drop(&mut self) {
        // While the interpreter ends there is nobody to warn.
        let _ = Python::try_attach(|py| {
            if self.state(py).closed.replace(true) {
                return;
            }
            warn_unclosed(py, "SslTransport");
        });
    }
}

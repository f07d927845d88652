//! The Python class `WritePipeTransport`: `loop.connect_write_pipe`.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;

use pyo3::exceptions::PyBrokenPipeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::outbox::{MAX_SLICES, Outbox};
use weft_reactor::sys::{Interest, Readiness, pipe};

use super::endpoint::{Endpoint, Transport};
use super::flow::{self, FlowControl, FlowControlled};
use super::{faults, life};
use super::{pipe_file, write};
use crate::error::{OsResult, os_error};
use crate::event_loop::{EventLoop, Source};
use crate::ffi::buffer::View;
use crate::ffi::gil::GilBound;

const NAME: &str = "WritePipeTransport";

/// asyncio warns of writes to a pipe that is gone from this one on.
const LOST_WRITES_BEFORE_WARNING: u32 = 5;

/// The writing end of a pipe: the interface of `asyncio.WriteTransport`.
#[pyclass(frozen, weakref, module = "weft")]
pub(crate) struct WritePipeTransport(GilBound<State>);

struct State {
    endpoint: Endpoint,
    outbox: RefCell<Outbox<PyBackedBytes>>,
    flow: FlowControl,
    /// Whether the kernel tells that the reader is gone: of pipes and sockets. A terminal is
    /// readable for reasons of its own.
    hears_reader: bool,
    /// Writes that went nowhere.
    lost: Cell<u32>,
}

impl Transport for WritePipeTransport {
    fn endpoint<'a>(slf: &'a Bound<'_, Self>) -> &'a Endpoint {
        &slf.get().0.get(slf.py()).endpoint
    }

    fn begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().0.get(slf.py());
        if state.endpoint.closing.get() { Ok(()) } else { watch(slf, state) }
    }
}

impl FlowControlled for WritePipeTransport {
    fn flow<'a>(slf: &'a Bound<'_, Self>) -> &'a FlowControl {
        &slf.get().0.get(slf.py()).flow
    }

    fn waiting(slf: &Bound<'_, Self>) -> usize {
        slf.get().0.get(slf.py()).waiting()
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.outbox.borrow().len()
    }

    /// Throws away what is not written. The bytes objects are dropped without a borrow.
    fn clear(&self) {
        let outbox = self.outbox.take();
        drop(outbox);
    }
}

/// Watches for what matters now: room, if something waits for it, and the reader's end.
fn watch(transport: &Bound<'_, WritePipeTransport>, state: &State) -> PyResult<()> {
    let endpoint = &state.endpoint;
    let core = endpoint.core(transport.py());
    let waits = state.waiting() > 0;
    if !state.hears_reader && !waits {
        endpoint.subscription.end(core);
        return Ok(());
    }
    let source = || -> Rc<dyn Source> { Rc::new(PipeSource(transport.clone().unbind())) };
    let interest = Interest::level(state.hears_reader, waits);
    endpoint.subscription.set(core, endpoint.fd(), interest, source).or_os_error()
}

struct PipeSource(Py<WritePipeTransport>);

impl Source for PipeSource {
    fn ready(&self, py: Python<'_>, readiness: Readiness) -> PyResult<()> {
        let transport = self.0.bind(py);
        let state = transport.get().0.get(py);
        if state.hears_reader && readiness.is_readable() {
            return reader_gone(transport, state);
        }
        if readiness.is_writable() && state.waiting() > 0 {
            return write_ready(transport, state);
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

/// Nobody will read what is written. (On a socket this also means that the peer sent something,
/// which nobody would ever read: asyncio treats both alike.)
fn reader_gone(transport: &Bound<'_, WritePipeTransport>, state: &State) -> PyResult<()> {
    faults::log(transport, "info", "was closed by peer")?;
    let error = (state.waiting() > 0).then(|| PyBrokenPipeError::new_err(()));
    state.clear();
    life::end(transport, error)
}

fn write_ready(transport: &Bound<'_, WritePipeTransport>, state: &State) -> PyResult<()> {
    let fd = state.endpoint.fd();
    let written = {
        let outbox = state.outbox.borrow();
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = outbox.fill(&mut slices);
        pipe::write_vectored(fd, &slices[..count])
    };
    match written {
        // Only exact bytes objects are shared with the outbox: dropping one runs no code.
        Ok(written) => state.outbox.borrow_mut().advance(written),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return write_failed(transport, state, &error),
    }
    // More than asyncio does: it keeps its protocol paused until the very last byte is written.
    state.endpoint.in_context(transport.py(), || flow::resume_if_drained(transport))?;
    if state.endpoint.ended.get() || state.waiting() > 0 {
        return Ok(());
    }
    if state.endpoint.closing.get() {
        return life::end_now(transport);
    }
    watch(transport, state)
}

fn write_failed(
    transport: &Bound<'_, WritePipeTransport>,
    state: &State,
    error: &io::Error,
) -> PyResult<()> {
    state.lost.set(state.lost.get().saturating_add(1));
    state.clear();
    let error = os_error(error);
    let message = "Fatal write error on pipe transport";
    let reported = faults::report_fatal(transport, &error, message, |_| true);
    reported.and(life::end(transport, Some(error)))
}

fn write_data(transport: &Bound<'_, WritePipeTransport>, data: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    let state = transport.get().0.get(py);
    write::check_data(data)?;
    let view = View::readable(data)?;
    let bytes = view.as_slice(py);
    if bytes.is_empty() {
        return Ok(());
    }
    if state.lost.get() > 0 || state.endpoint.closing.get() {
        let text = "pipe closed by peer or os.write(pipe, data) raised exception.";
        return faults::count_lost_write(py, &state.lost, LOST_WRITES_BEFORE_WARNING, text);
    }
    if state.waiting() > 0 {
        push(state, data, bytes, 0);
        return flow::pause_if_full(transport);
    }
    match pipe::write(state.endpoint.fd(), bytes) {
        Ok(written) if written == bytes.len() => return Ok(()),
        Ok(written) => push(state, data, bytes, written),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => push(state, data, bytes, 0),
        Err(error) => return write_failed(transport, state, &error),
    }
    watch(transport, state)?;
    flow::pause_if_full(transport)
}

/// Queues what is left of `bytes`, which are those of `data`. A mutable buffer is copied: its
/// owner may change it before it is written.
fn push(state: &State, data: &Bound<'_, PyAny>, bytes: &[u8], written: usize) {
    let mut outbox = state.outbox.borrow_mut();
    match data.cast_exact::<PyBytes>() {
        Ok(object) => {
            outbox.push_shared(PyBackedBytes::from(object.clone()));
            outbox.advance(written);
        }
        Err(_) => outbox.push_copy(bytes.get(written..).unwrap_or_default()),
    }
}

/// `write_eof()` and `close()`: what is written reaches the reader, then the pipe is closed.
fn close_when_drained(transport: &Bound<'_, WritePipeTransport>) -> PyResult<()> {
    let state = transport.get().0.get(transport.py());
    if state.endpoint.closing.replace(true) || state.waiting() > 0 {
        return Ok(());
    }
    life::end(transport, None)
}

#[pymethods]
impl WritePipeTransport {
    #[new]
    #[pyo3(signature = (event_loop, pipe, protocol, waiter=None, extra=None))]
    fn new(
        event_loop: &Bound<'_, EventLoop>,
        pipe: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
        waiter: Option<Py<PyAny>>,
        extra: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<Self>> {
        let (fd, kind) = pipe_file::open(pipe)?;
        let extra = pipe_file::extra(pipe, extra)?;
        let state = State {
            endpoint: Endpoint::new(event_loop, pipe, fd, protocol, extra)?,
            outbox: RefCell::default(),
            flow: FlowControl::default(),
            hears_reader: kind != pipe::Kind::CharacterDevice,
            lost: Cell::new(0),
        };
        let transport = Bound::new(event_loop.py(), Self(GilBound::new(state)))?;
        life::start(&transport, waiter);
        Ok(transport.unbind())
    }

    /// Writes bytes (bytes, bytearray or memoryview; mutable ones are copied).
    ///
    /// Never blocks: what the pipe does not take is buffered.
    fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        write_data(slf, data)
    }

    /// Writes the list's items, as one write.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        write_data(slf, &PyBytes::new(py, b"").call_method1("join", (list_of_data,))?)
    }

    /// Closes the pipe once everything written has left.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        close_when_drained(slf)
    }

    /// True: the reader of a closed pipe sees the end of file.
    fn can_write_eof(&self) -> bool {
        true
    }

    /// Bytes written and not yet taken by the kernel.
    fn get_write_buffer_size(&self, py: Python<'_>) -> usize {
        self.0.get(py).waiting()
    }

    /// The low- and the high-water mark of the write buffer, in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.0.get(py).flow.limits()
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

    /// Closes the pipe once everything written has left.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        close_when_drained(slf)
    }

    /// Closes the pipe now; what has not left is thrown away.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().0.get(slf.py()).clear();
        life::end(slf, None)
    }

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.0.get(py).endpoint.closing.get()
    }

    /// Replaces the protocol.
    fn set_protocol(&self, protocol: Bound<'_, PyAny>) {
        self.0.get(protocol.py()).endpoint.set_protocol(protocol.clone());
    }

    /// The current protocol.
    fn get_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.0.get(py).endpoint.protocol(py)
    }

    /// `pipe`, or what the maker of the transport added.
    #[pyo3(signature = (name, default=None))]
    fn get_extra_info<'py>(
        &self,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.get(name.py()).endpoint.extra_info(name, default)
    }

    #[getter(_pipe)]
    fn pipe<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.0.get(py).endpoint.file(py)
    }

    #[setter(_pipe)]
    fn set_pipe(&self, py: Python<'_>, pipe: Option<Py<PyAny>>) {
        self.0.get(py).endpoint.set_file(pipe);
    }

    #[getter(_loop)]
    fn event_loop<'py>(&self, py: Python<'py>) -> Bound<'py, EventLoop> {
        self.0.get(py).endpoint.event_loop(py).clone()
    }

    #[getter(_protocol_paused)]
    fn protocol_paused(&self, py: Python<'_>) -> bool {
        self.0.get(py).flow.is_paused()
    }

    /// `isinstance(transport, asyncio.WriteTransport)` holds, as libraries expect, and
    /// asyncio's own test for flow control too.
    #[getter(__class__)]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("asyncio.transports")?.getattr("_FlowControlMixin")
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.0.get(py);
        state.endpoint.describe(py, NAME, || {
            let waiting = state.waiting();
            let how = if waiting > 0 { "polling" } else { "idle" };
            format!("{how} bufsize={waiting}")
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().endpoint.traverse(&visit)
    }

    fn __clear__(&self) {
        self.0.during_gc().endpoint.clear();
    }
}

impl Drop for WritePipeTransport {
    fn drop(&mut self) {
        // While the interpreter ends there is nobody to warn; the kernel closes the rest.
        let _ = Python::try_attach(|py| self.0.get(py).endpoint.warn_if_open(py, NAME));
    }
}

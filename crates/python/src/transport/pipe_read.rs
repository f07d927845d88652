//! The Python class `ReadPipeTransport`: `loop.connect_read_pipe`.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pyo3::{PyTraverseError, PyVisit};
use rustix::io::Errno;
use weft_reactor::sys::{Interest, Readiness, pipe};

use super::endpoint::{Endpoint, Transport};
use super::pipe_file;
use super::{faults, life};
use crate::error::{OsResult, os_error};
use crate::event_loop::{EventLoop, Source};
use crate::ffi::buffer::bytes_with;
use crate::ffi::call;
use crate::ffi::construction::new_with_dict;
use crate::ffi::gil::GilBound;

/// asyncio's bound on one read, in bytes.
const LONGEST_READ: usize = 256 * 1024;

const NAME: &str = "ReadPipeTransport";

/// The reading end of a pipe: the interface of `asyncio.ReadTransport`.
///
/// It takes attributes, as asyncio's does: tests put mocks in place of its methods.
#[pyclass(frozen, weakref, dict, module = "weft")]
pub(crate) struct ReadPipeTransport(GilBound<State>);

struct State {
    endpoint: Endpoint,
    /// The user has paused reading.
    paused: Cell<bool>,
    /// What a full pipe holds, or what a read takes at most.
    capacity: usize,
    /// The last read was a large one: the next goes straight into the bytes object that the
    /// protocol gets, since copying would cost more than cutting the object to size.
    bulk: Cell<bool>,
}

impl Transport for ReadPipeTransport {
    fn endpoint<'a>(slf: &'a Bound<'_, Self>) -> &'a Endpoint {
        &slf.get().0.get(slf.py()).endpoint
    }

    fn begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().0.get(slf.py());
        if state.is_reading() { watch(slf, state) } else { Ok(()) }
    }
}

impl State {
    fn is_reading(&self) -> bool {
        !self.paused.get() && !self.endpoint.closing.get()
    }
}

fn watch(transport: &Bound<'_, ReadPipeTransport>, state: &State) -> PyResult<()> {
    let endpoint = &state.endpoint;
    let source = || -> Rc<dyn Source> { Rc::new(PipeSource(transport.clone().unbind())) };
    let core = endpoint.core(transport.py());
    endpoint
        .subscription
        .set(core, endpoint.fd(), Interest::level(true, false), source)
        .or_os_error()
}

struct PipeSource(Py<ReadPipeTransport>);

impl Source for PipeSource {
    fn ready(&self, py: Python<'_>, _readiness: Readiness) -> PyResult<()> {
        let transport = self.0.bind(py);
        let state = transport.get().0.get(py);
        if state.is_reading() {
            return read_ready(transport, state);
        }
        // Pausing costs nothing until the kernel has something to say; it would say it again
        // and again, and a hangup cannot be masked.
        state.endpoint.subscription.end(state.endpoint.core(py));
        Ok(())
    }

    fn describe(&self, py: Python<'_>) -> String {
        self.0.bind(py).get().__repr__(py)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

fn read_ready(transport: &Bound<'_, ReadPipeTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    let endpoint = &state.endpoint;
    match read(py, state)? {
        Ok(data) if data.as_bytes().is_empty() => end_of_file(transport, state),
        Ok(data) => {
            state.bulk.set(data.as_bytes().len() * 2 >= state.capacity);
            let Some(protocol) = endpoint.protocol(py) else { return Ok(()) };
            let name = intern!(py, "data_received");
            endpoint
                .in_context(py, || call::method1(&protocol, name, &data))
                .map(drop)
                .or_else(|error| faults::callback_failed(transport, error, name, None))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => {
            let error = os_error(&error);
            let message = "Fatal read error on pipe transport";
            // A terminal whose other side was closed answers EIO: that is no fault of anybody.
            let expected = |error: &PyErr| is_hangup(py, error);
            let reported = faults::report_fatal(transport, &error, message, expected);
            reported.and(life::end(transport, Some(error)))
        }
    }
}

fn is_hangup(py: Python<'_>, error: &PyErr) -> bool {
    let number = error.value(py).getattr("errno").and_then(|number| number.extract::<i32>());
    number.is_ok_and(|number| number == Errno::IO.raw_os_error())
}

fn read<'py>(py: Python<'py>, state: &State) -> PyResult<io::Result<Bound<'py, PyBytes>>> {
    let fd = state.endpoint.fd();
    if state.bulk.get() {
        return bytes_with(py, state.capacity, |room| pipe::read_uninit(fd, room));
    }
    Ok(state.endpoint.core(py).with_read_buffer(|buffer| {
        let len = pipe::read(fd, buffer)?;
        Ok(PyBytes::new(py, &buffer[..len]))
    }))
}

fn end_of_file(transport: &Bound<'_, ReadPipeTransport>, state: &State) -> PyResult<()> {
    let py = transport.py();
    faults::log(transport, "info", "was closed by peer")?;
    state.endpoint.closing.set(true);
    life::tell_later(transport, intern!(py, "eof_received").clone());
    life::end(transport, None)
}

#[pymethods]
impl ReadPipeTransport {
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
        let capacity = match kind {
            pipe::Kind::Pipe => pipe::capacity(fd).map_or(LONGEST_READ, |c| c.min(LONGEST_READ)),
            _ => LONGEST_READ,
        };
        let extra = pipe_file::extra(pipe, extra)?;
        let state = State {
            endpoint: Endpoint::new(event_loop, pipe, fd, protocol, extra)?,
            paused: Cell::new(false),
            capacity,
            bulk: Cell::new(false),
        };
        let transport = new_with_dict(event_loop.py(), Self(GilBound::new(state)))?;
        life::start(&transport, waiter);
        Ok(transport.unbind())
    }

    /// Closes the transport; what is not read is lost.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        life::end(slf, None)
    }

    /// Whether the transport is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.0.get(py).endpoint.closing.get()
    }

    /// Whether data_received is called when data arrives.
    fn is_reading(&self, py: Python<'_>) -> bool {
        self.0.get(py).is_reading()
    }

    /// Stops calling data_received until `resume_reading`.
    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().0.get(slf.py());
        if !state.is_reading() {
            return Ok(());
        }
        state.paused.set(true);
        faults::log(slf, "debug", "pauses reading")
    }

    /// Goes on calling data_received.
    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().0.get(slf.py());
        if state.endpoint.closing.get() || !state.paused.replace(false) {
            return Ok(());
        }
        watch(slf, state)?;
        faults::log(slf, "debug", "resumes reading")
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

    /// `isinstance(transport, asyncio.ReadTransport)` holds, as libraries expect.
    #[getter(__class__)]
    fn class<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("asyncio.transports")?.getattr("ReadTransport")
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.0.get(py);
        state.endpoint.describe(py, NAME, || {
            if state.is_reading() && state.endpoint.subscription.is_live() {
                "polling"
            } else {
                "idle"
            }
            .to_owned()
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().endpoint.traverse(&visit)
    }

    fn __clear__(&self) {
        self.0.during_gc().endpoint.clear();
    }
}

impl Drop for ReadPipeTransport {
    fn drop(&mut self) {
        // While the interpreter ends there is nobody to warn; the kernel closes the rest.
        let _ = Python::try_attach(|py| self.0.get(py).endpoint.warn_if_open(py, NAME));
    }
}

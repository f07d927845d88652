//! What `receive()` and `send()` return: native awaitables.
//!
//! Most end at their first step. One that must wait yields a real `asyncio.Future` of the
//! loop, so that cancellation, timeouts and debuggers see what they know.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{PyTraverseError, PyVisit};

use super::coroutine::Exchange;
use super::receive;
use crate::event_loop::block_on;
use crate::ffi::coroutine::{Awaitable, Step, thrown};

/// What is awaited.
enum Kind {
    /// Nothing: a `send()` that found room.
    Done,
    /// The next message of the request.
    Receive(Py<Exchange>),
    /// Room in the write buffer.
    Drain(Py<Exchange>),
}

/// An awaitable of `receive()` or `send()`.
#[pyclass(frozen, module = "weft._core")]
pub(crate) struct Operation(Kind);

impl Operation {
    /// The one awaitable that is always done.
    #[inline]
    pub(super) fn done(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        static DONE: PyOnceLock<Py<Operation>> = PyOnceLock::new();
        let done = DONE.get_or_try_init(py, || Py::new(py, Operation(Kind::Done)))?;
        Ok(done.bind(py).clone().into_any())
    }

    pub(super) fn receive<'py>(exchange: &Bound<'py, Exchange>) -> PyResult<Bound<'py, PyAny>> {
        let kind = Kind::Receive(exchange.clone().unbind());
        Ok(Bound::new(exchange.py(), Operation(kind))?.into_any())
    }

    pub(super) fn drain<'py>(exchange: &Bound<'py, Exchange>) -> PyResult<Bound<'py, PyAny>> {
        let kind = Kind::Drain(exchange.clone().unbind());
        Ok(Bound::new(exchange.py(), Operation(kind))?.into_any())
    }
}

impl Awaitable for Operation {
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Step<'py>> {
        let py = slf.py();
        let future = match &slf.get().0 {
            Kind::Done => return Ok(Step::Return(py.None().into_bound(py))),
            Kind::Receive(exchange) => match receive::next_message(exchange.bind(py))? {
                receive::Next::Message(message) => return Ok(Step::Return(message.into_any())),
                receive::Next::Wait(future) => future,
            },
            Kind::Drain(exchange) => match exchange.get().state(py).wait_for_room(py)? {
                None => return Ok(Step::Return(py.None().into_bound(py))),
                Some(future) => future,
            },
        };
        block_on(&future)?;
        Ok(Step::Yield(future))
    }
}

#[pymethods]
impl Operation {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::next(slf)
    }

    fn send<'py>(
        slf: &Bound<'py, Self>,
        _value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::next(slf)
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw<'py>(
        _slf: &Bound<'py, Self>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        drop(traceback);
        Err(thrown(kind, value))
    }

    fn close(_slf: &Bound<'_, Self>) {}

    fn __repr__(&self) -> &'static str {
        match self.0 {
            Kind::Done => "<awaitable of send(), done>",
            Kind::Receive(_) => "<awaitable of receive()>",
            Kind::Drain(_) => "<awaitable of send(), waiting for room>",
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.0 {
            Kind::Done => Ok(()),
            Kind::Receive(exchange) | Kind::Drain(exchange) => visit.call(exchange),
        }
    }
}

//! The coroutine that a request's task runs.
//!
//! It stands between the task and the application's own coroutine, so that the end of the
//! application is seen where it happens, without a callback on the task; and it is the `self`
//! of `receive` and `send`.

use std::rc::Rc;

use pyo3::exceptions::{
    PyAttributeError, PyGeneratorExit, PyKeyboardInterrupt, PyRuntimeError, PyStopIteration,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};
use weft_protocol::http1::Head;

use super::connection::Connection;
use super::exchange::State;
use super::request_body::RequestBody;
use super::websocket::{self, Session};
use super::{receive, send};
use crate::ffi::coroutine::{Awaitable, Step, is_coroutine, resume, stop_iteration, thrown};
use crate::ffi::gil::GilBound;

/// The coroutine of one request.
#[pyclass(frozen, module = "weft._core")]
pub(crate) struct Exchange(GilBound<State>);

impl Exchange {
    pub(super) fn new<'py>(
        py: Python<'py>,
        connection: &Rc<Connection>,
        head: &Head<'_, '_>,
        scope: Bound<'py, PyDict>,
        body: RequestBody,
        websocket: Option<Box<Session>>,
    ) -> PyResult<Bound<'py, Self>> {
        let state = State::new(py, connection, head, scope, body, websocket);
        Bound::new(py, Self(GilBound::new(state)))
    }

    #[inline]
    pub(super) fn state<'a>(&'a self, py: Python<'a>) -> &'a State {
        self.0.get(py)
    }

    /// The application's coroutine, made at the first step: inside the task, so that an
    /// application that is no coroutine function sees its task too.
    fn coroutine<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = slf.get().state(py);
        if let Some(coroutine) = state.coroutine.borrow().as_ref() {
            return Ok(coroutine.bind(py).clone());
        }
        let Some(scope) = state.scope.take() else {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
        };
        let app = state.server(py).app(py)?;
        let send = match &state.websocket {
            None => send::function(slf)?,
            Some(_) => websocket::send::function(slf)?,
        };
        let made = app.call1((scope, receive::function(slf)?, send))?;
        let coroutine =
            if is_coroutine(&made) { made } else { made.call_method0(intern!(py, "__await__"))? };
        state.coroutine.replace(Some(coroutine.clone().unbind()));
        Ok(coroutine)
    }

    /// What a step of the application means for the task.
    fn conclude<'py>(slf: &Bound<'py, Self>, result: PyResult<Step<'py>>) -> PyResult<Step<'py>> {
        let py = slf.py();
        let state = slf.get().state(py);
        match result {
            Ok(Step::Yield(future)) => Ok(Step::Yield(future)),
            Ok(Step::Return(value)) => {
                state.returned(py, &value)?;
                Ok(Step::Return(py.None().into_bound(py)))
            }
            Err(error) if is_interruption(py, &error) => {
                state.interrupted(py, &error)?;
                Err(error)
            }
            Err(error) => {
                state.failed(py, error)?;
                Ok(Step::Return(py.None().into_bound(py)))
            }
        }
    }
}

/// Whether an exception ends the task, and is not the application's failure to answer.
fn is_interruption(py: Python<'_>, error: &PyErr) -> bool {
    static CANCELLED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let cancelled = CANCELLED.get_or_try_init(py, || {
        PyResult::Ok(py.import("asyncio")?.getattr("CancelledError")?.unbind())
    });
    error.is_instance_of::<PyKeyboardInterrupt>(py)
        || error.is_instance_of::<PyGeneratorExit>(py)
        || cancelled.is_ok_and(|cancelled| error.is_instance(py, cancelled.bind(py)))
}

impl Awaitable for Exchange {
    #[inline]
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Step<'py>> {
        let result = Self::coroutine(slf).and_then(|coroutine| resume(&coroutine));
        Self::conclude(slf, result)
    }
}

#[pymethods]
impl Exchange {
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
        slf: &Bound<'py, Self>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let coroutine = slf.get().state(py).coroutine.borrow().as_ref().map(|it| it.clone_ref(py));
        drop(traceback);
        let error = thrown(kind, value);
        let result = match coroutine {
            None => Err(error),
            Some(coroutine) => coroutine
                .bind(py)
                .call_method1(intern!(py, "throw"), (error.into_value(py),))
                .map(Step::Yield)
                .or_else(|error| returned_by(py, error)),
        };
        match Self::conclude(slf, result)? {
            Step::Yield(future) => Ok(future),
            Step::Return(value) => Err(stop_iteration(&value)),
        }
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let state = slf.get().state(py);
        let coroutine = state.coroutine.borrow().as_ref().map(|it| it.clone_ref(py));
        if let Some(coroutine) = coroutine {
            coroutine.call_method0(py, intern!(py, "close"))?;
        }
        state.cut_off(py)
    }

    /// What debuggers ask a coroutine for (`cr_frame`, `cr_code`, `__qualname__`, …) is the
    /// application's own.
    fn __getattr__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let coroutine = slf.get().state(py).coroutine.borrow().as_ref().map(|it| it.clone_ref(py));
        match coroutine {
            Some(coroutine) => coroutine.into_bound(py).getattr(name),
            None => absent(py, name),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().traverse(&visit)
    }

    fn __clear__(&self) {
        self.0.during_gc().drop_objects();
    }
}

/// The value that a coroutine has returned with, if `error` says that it has.
fn returned_by(py: Python<'_>, error: PyErr) -> PyResult<Step<'_>> {
    if error.is_instance_of::<PyStopIteration>(py) {
        Ok(Step::Return(error.value(py).getattr(intern!(py, "value"))?))
    } else {
        Err(error)
    }
}

/// A coroutine that has ended, or not begun, has the attributes of one but no frame.
fn absent<'py>(py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    match name.to_str()? {
        "cr_running" | "cr_suspended" => Ok(PyBool::new(py, false).to_owned().into_any()),
        "cr_frame" | "cr_code" | "cr_await" | "cr_origin" => Ok(py.None().into_bound(py)),
        "__name__" | "__qualname__" => Ok(intern!(py, "Exchange").clone().into_any()),
        other => Err(PyAttributeError::new_err(format!("'Exchange' has no attribute '{other}'"))),
    }
}

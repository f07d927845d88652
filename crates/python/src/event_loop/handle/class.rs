//! What handles look like from Python: names, attributes, methods.

use std::ffi::{CStr, c_int};

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyTuple, PyType};

use super::{Handle, HandleState, TimerHandle, TimerState, run};
use crate::event_loop::report::Asyncio;
use crate::ffi::method::{self, Arguments, FastMethod, Method};
use crate::ffi::plain::{self, PlainClass};

impl HandleState {
    pub(super) fn attribute<'py>(
        &self,
        py: Python<'py>,
        index: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match ATTRIBUTES.get(index).map(|name| name.to_bytes()) {
            Some(b"_callback") => {
                self.callback(py).map(|(callable, _)| callable).into_bound_py_any(py)
            }
            Some(b"_args") => {
                let arguments = self.callback(py).map(|(_, arguments)| arguments);
                let arguments = arguments.map(|args| PyTuple::new(py, &args)).transpose()?;
                arguments.into_bound_py_any(py)
            }
            Some(b"_context") => self.context(py)?.into_bound_py_any(py),
            Some(b"_cancelled") => self.is_cancelled().into_bound_py_any(py),
            // `isinstance(handle, asyncio.Handle)` holds, as libraries expect.
            Some(b"__class__") => Ok(Asyncio::get(py)?.handle.bind(py).clone()),
            Some(b"_loop") => self.event_loop(py).into_bound_py_any(py),
            _ => self.source_traceback(py).into_bound_py_any(py),
        }
    }
}

const ATTRIBUTES: &[&CStr] = &[
    c"_callback",
    c"_args",
    c"_context",
    c"_cancelled",
    c"_loop",
    c"_source_traceback",
    c"__class__",
];

impl PlainClass for HandleState {
    const NAME: &'static str = "Handle";
    const QUALIFIED_NAME: &'static CStr = c"weft.Handle";
    const DOC: &'static CStr = c"What loop.call_soon() returns; the interface of asyncio.Handle.";
    const ATTRIBUTES: &'static [&'static CStr] = ATTRIBUTES;

    fn cell() -> &'static PyOnceLock<Py<PyType>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        &CLASS
    }

    fn base(_py: Python<'_>) -> PyResult<Option<Bound<'_, PyType>>> {
        Ok(None)
    }

    fn repr<'py>(slf: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let handle = slf.cast::<Handle>()?;
        plain::value(handle).describe(slf.py(), Self::NAME, None).into_bound_py_any(slf.py())
    }

    fn attribute<'py>(slf: &Bound<'py, PyAny>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        plain::value(slf.cast::<Handle>()?).attribute(slf.py(), index)
    }
}

impl PlainClass for TimerState {
    const NAME: &'static str = "TimerHandle";
    const QUALIFIED_NAME: &'static CStr = c"weft.TimerHandle";
    const DOC: &'static CStr =
        c"What loop.call_later() and loop.call_at() return; the interface of asyncio.TimerHandle.";
    const ATTRIBUTES: &'static [&'static CStr] = &[c"_when", c"_scheduled", c"__class__"];

    fn cell() -> &'static PyOnceLock<Py<PyType>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        &CLASS
    }

    fn base(py: Python<'_>) -> PyResult<Option<Bound<'_, PyType>>> {
        plain::class::<HandleState>(py).cloned().map(Some)
    }

    fn repr<'py>(slf: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        plain::value(slf.cast::<TimerHandle>()?).describe(slf.py()).into_bound_py_any(slf.py())
    }

    fn attribute<'py>(slf: &Bound<'py, PyAny>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let state = plain::value(slf.cast::<TimerHandle>()?);
        match index {
            0 => state.when.into_bound_py_any(slf.py()),
            1 => state.timer.get().is_some().into_bound_py_any(slf.py()),
            _ => Ok(Asyncio::get(slf.py())?.timer_handle.bind(slf.py()).clone()),
        }
    }

    fn compare<'py>(
        slf: &Bound<'py, PyAny>,
        other: &Bound<'py, PyAny>,
        op: c_int,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (Ok(mine), Ok(theirs), Some(op)) =
            (slf.cast::<TimerHandle>(), other.cast::<TimerHandle>(), CompareOp::from_raw(op))
        else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let (mine, theirs) = (plain::value(mine), plain::value(theirs));
        let answer = match op {
            CompareOp::Lt => mine.when < theirs.when,
            CompareOp::Gt => mine.when > theirs.when,
            CompareOp::Le => mine.when < theirs.when || mine.equals(theirs, py)?,
            CompareOp::Ge => mine.when > theirs.when || mine.equals(theirs, py)?,
            CompareOp::Eq => mine.equals(theirs, py)?,
            CompareOp::Ne => !mine.equals(theirs, py)?,
        };
        answer.into_bound_py_any(py)
    }

    fn hash_key<'py>(slf: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyAny>>> {
        let timer = slf.cast::<TimerHandle>().ok()?;
        Some(Ok(PyFloat::new(slf.py(), plain::value(timer).when).into_any()))
    }
}

struct Cancel;
struct CancelTimer;
struct Cancelled;
struct GetContext;
struct Run;
struct When;

impl FastMethod for Cancel {
    type Receiver = Handle;
    const NAME: &'static CStr = c"cancel";
    const DOC: &'static CStr =
        c"Cancel the callback. Cancelling twice, or after it ran, does nothing.";
    const BODY: Method<Handle> = |handle, _: Arguments<'_, '_>| {
        let py = handle.py();
        plain::value(handle).cancel(py, HandleState::NAME, None);
        Ok(py.None().into_bound(py))
    };
}

impl FastMethod for CancelTimer {
    type Receiver = TimerHandle;
    const NAME: &'static CStr = Cancel::NAME;
    const DOC: &'static CStr = Cancel::DOC;
    const BODY: Method<TimerHandle> = |handle, _: Arguments<'_, '_>| {
        let py = handle.py();
        let state = plain::value(handle);
        if state.handle.cancel(py, TimerState::NAME, Some(state.when))
            && let Some(id) = state.timer.take()
            && let Some(event_loop) = state.handle.event_loop(py)
        {
            event_loop.get().core(py).timer_cancelled(py, id);
        }
        Ok(py.None().into_bound(py))
    };
}

impl FastMethod for Cancelled {
    type Receiver = Handle;
    const NAME: &'static CStr = c"cancelled";
    const DOC: &'static CStr = c"Whether the callback was cancelled.";
    const BODY: Method<Handle> = |handle, _: Arguments<'_, '_>| {
        plain::value(handle).is_cancelled().into_bound_py_any(handle.py())
    };
}

impl FastMethod for GetContext {
    type Receiver = Handle;
    const NAME: &'static CStr = c"get_context";
    const DOC: &'static CStr = c"The context in which the callback runs.";
    const BODY: Method<Handle> = |handle, _: Arguments<'_, '_>| {
        plain::value(handle).context(handle.py())?.into_bound_py_any(handle.py())
    };
}

impl FastMethod for Run {
    type Receiver = Handle;
    const NAME: &'static CStr = c"_run";
    const DOC: &'static CStr = c"Run the callback now, unless cancelled.";
    const BODY: Method<Handle> = |handle, _: Arguments<'_, '_>| {
        run(handle)?;
        Ok(handle.py().None().into_bound(handle.py()))
    };
}

impl FastMethod for When {
    type Receiver = TimerHandle;
    const NAME: &'static CStr = c"when";
    const DOC: &'static CStr = c"The scheduled time, in seconds on the clock of loop.time().";
    const BODY: Method<TimerHandle> =
        |handle, _: Arguments<'_, '_>| plain::value(handle).when.into_bound_py_any(handle.py());
}

/// Makes the classes and exports them.
pub(in crate::event_loop) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let handle = plain::class::<HandleState>(py)?;
    method::install::<Cancel>(handle)?;
    method::install::<Cancelled>(handle)?;
    method::install::<GetContext>(handle)?;
    method::install::<Run>(handle)?;
    module.add(HandleState::NAME, handle)?;
    let timer = plain::class::<TimerState>(py)?;
    method::install::<CancelTimer>(timer)?;
    method::install::<When>(timer)?;
    module.add(TimerState::NAME, timer)?;
    super::threadsafe::install(module)
}

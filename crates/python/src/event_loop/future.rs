//! Futures and tasks of the loop, made and completed from native code.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyTuple};

use super::EventLoop;
use super::core::Step;
use super::entry::Entry;
use super::report::Asyncio;
use crate::ffi::call;

/// A new `asyncio.Future` of the loop.
pub(crate) fn new_future<'py>(event_loop: &Bound<'py, EventLoop>) -> PyResult<Bound<'py, PyAny>> {
    of_class(Asyncio::get(event_loop.py())?.future.bind(event_loop.py()), event_loop)
}

/// `class(loop=event_loop)`
pub(super) fn of_class<'py>(
    class: &Bound<'py, PyAny>,
    event_loop: &Bound<'py, EventLoop>,
) -> PyResult<Bound<'py, PyAny>> {
    static NAMES: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    let names = keyword_names(event_loop.py(), &NAMES, &["loop"])?;
    call::call_keywords(class, [event_loop.as_any()], names)
}

/// Declares that the awaitable which yields `future` next waits for it: the protocol between a
/// future and the task that awaits it (asyncio/futures.py).
pub(crate) fn block_on(future: &Bound<'_, PyAny>) -> PyResult<()> {
    future.setattr(intern!(future.py(), "_asyncio_future_blocking"), true)
}

/// Completes `future` with None, unless it is done or cancelled already.
pub(crate) fn wake(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if !is_done(future) {
        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
    }
    Ok(())
}

/// Whether `future` has a result or was cancelled.
pub(crate) fn is_done(future: &Bound<'_, PyAny>) -> bool {
    // A future of asyncio always has an answer.
    future
        .call_method0(intern!(future.py(), "done"))
        .is_ok_and(|done| done.is_truthy().unwrap_or(true))
}

/// Starts a task that runs `coroutine` in `context`, and takes its first step at once, as
/// `asyncio.Task(..., eager_start=True)` of Python 3.12 does.
///
/// To be called where no task runs, as the loop's own entries are. An `Err` that is no
/// failure to make the task leaves the loop. In debug mode the first step of Python 3.11 is
/// scheduled, so that it is timed like any other.
pub(crate) fn start_task<'py>(
    event_loop: &Bound<'py, EventLoop>,
    coroutine: &Bound<'py, PyAny>,
    context: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let asyncio = Asyncio::get(py)?;
    let class = asyncio.task.bind(py);
    if asyncio.eager_tasks {
        static NAMES: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
        let names = keyword_names(py, &NAMES, &["loop", "context", "eager_start"])?;
        let yes = PyBool::new(py, true).to_owned().into_any();
        return call::call_keywords(class, [coroutine, event_loop.as_any(), context, &yes], names);
    }
    static NAMES: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    let names = keyword_names(py, &NAMES, &["loop", "context"])?;
    let core = event_loop.get().core(py);
    let (task, steps) = core.capture_steps(|| {
        call::call_keywords(class, [coroutine, event_loop.as_any(), context], names)
    });
    let task = task?;
    let alone = steps.len() == 1;
    for Step { callable, context } in steps {
        // A finalizer that ran in between may have started a task of its own.
        if alone || callable.getattr(py, intern!(py, "__self__"))?.is(&task) {
            let (callable, context) = (callable.into_bound(py), context.into_bound(py));
            call::in_context(&context, || call::call0(&callable))?;
        } else {
            core.schedule(Entry::Call { callable, argument: None, context });
        }
    }
    Ok(task)
}

/// `names` as the tuple that a call with keywords takes, kept in `cell`.
pub(super) fn keyword_names<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyTuple>>,
    names: &[&str],
) -> PyResult<&'py Bound<'py, PyTuple>> {
    Ok(cell.get_or_try_init(py, || PyResult::Ok(PyTuple::new(py, names)?.unbind()))?.bind(py))
}

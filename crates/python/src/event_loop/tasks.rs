//! `create_future` and `create_task`, as asyncio programs call them all day.
//!
//! What is made are the interpreter's own futures and tasks. Only the plain call is answered
//! here; task factories, debug mode, a closed loop and what later versions of Python add go to
//! `BaseEventLoop`, whose rules differ from version to version.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use super::EventLoop;
use super::future;
use super::report::Asyncio;
use crate::ffi::call;
use crate::ffi::method::{Arguments, FastMethod, Method};

/// `create_future()`
pub(super) struct CreateFuture;
/// `create_task(coro, *, name=None, context=None, ...)`
pub(super) struct CreateTask;

impl FastMethod for CreateFuture {
    type Receiver = EventLoop;
    const NAME: &'static std::ffi::CStr = c"create_future";
    const DOC: &'static std::ffi::CStr =
        c"create_future($self)\n--\n\nCreate an asyncio.Future attached to the loop.";
    const BODY: Method<EventLoop> = create_future;
}

impl FastMethod for CreateTask {
    type Receiver = EventLoop;
    const NAME: &'static std::ffi::CStr = c"create_task";
    const DOC: &'static std::ffi::CStr = c"create_task($self, coro, *, name=None, context=None, **kwargs)\n--\n\nSchedule a coroutine: an asyncio.Task, or what the task factory makes.\n\nSince Python 3.13.3 any other keyword goes to the task or its factory.";
    const BODY: Method<EventLoop> = create_task;
}

fn create_future<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    arguments.keywords("create_future", [])?;
    if let given @ 1.. = arguments.positional().len() {
        return Err(PyTypeError::new_err(format!(
            "create_future() takes no arguments ({given} given)"
        )));
    }
    // Looked up at each call: a program may put a class of its own there.
    let class = Asyncio::get(py)?.futures.bind(py).getattr(intern!(py, "Future"))?;
    future::of_class(&class, event_loop)
}

fn create_task<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    static NAMES: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    let py = event_loop.py();
    let core = event_loop.get().core(py);
    let plain = !core.debug.get() && !core.closed.get() && core.task_factory.borrow().is_none();
    let known = [intern!(py, "name"), intern!(py, "context")];
    let ([coroutine], true, Ok(keywords)) =
        (arguments.positional(), plain, arguments.keywords("create_task", known))
    else {
        return arguments.call_behind(Asyncio::get(py)?.create_task.bind(py), event_loop);
    };
    let class = Asyncio::get(py)?.tasks.bind(py).getattr(intern!(py, "Task"))?;
    let names = future::keyword_names(py, &NAMES, &["loop", "name", "context"])?;
    let none = py.None().into_bound(py);
    let [name, context] =
        keywords.map(|value| value.map_or(none.clone(), |value| value.to_owned()));
    call::call_keywords(&class, [coroutine, event_loop.as_any(), &name, &context], names)
}

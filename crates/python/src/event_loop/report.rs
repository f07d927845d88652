//! What goes wrong and what is slow: the way to the loop's exception handler and its log.

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use super::EventLoop;

/// The few things of asyncio that native code calls, looked up once.
pub(crate) struct Asyncio {
    pub(crate) iscoroutine: Py<PyAny>,
    pub(crate) iscoroutinefunction: Py<PyAny>,
    pub(crate) future: Py<PyAny>,
    pub(crate) handle: Py<PyAny>,
    pub(crate) timer_handle: Py<PyAny>,
    /// What `call_soon_threadsafe` gives back since Python 3.14.
    pub(crate) thread_safe_handle: Option<Py<PyAny>>,
    pub(crate) task: Py<PyAny>,
    /// The modules `asyncio.futures` and `asyncio.tasks`.
    pub(super) futures: Py<PyModule>,
    pub(super) tasks: Py<PyModule>,
    /// `BaseEventLoop.create_task`.
    pub(super) create_task: Py<PyAny>,
    /// Whether tasks can take their first step while they are made (Python 3.12).
    pub(crate) eager_tasks: bool,
    format_callback: Py<PyAny>,
    format_handle: Py<PyAny>,
    extract_stack: Py<PyAny>,
    getframe: Py<PyAny>,
}

static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();

impl Asyncio {
    /// Imports asyncio at the first call.
    pub(crate) fn get(py: Python<'_>) -> PyResult<&Asyncio> {
        ASYNCIO.get_or_try_init(py, || {
            let of = |module: &str, name: &str| -> PyResult<Py<PyAny>> {
                Ok(py.import(module)?.getattr(name)?.unbind())
            };
            Ok(Asyncio {
                iscoroutine: of("asyncio.coroutines", "iscoroutine")?,
                // asyncio's own iscoroutinefunction is deprecated since 3.14.
                iscoroutinefunction: of("inspect", "iscoroutinefunction")?,
                future: of("asyncio", "Future")?,
                handle: of("asyncio", "Handle")?,
                timer_handle: of("asyncio", "TimerHandle")?,
                thread_safe_handle: of("asyncio.events", "_ThreadSafeHandle").ok(),
                task: of("asyncio", "Task")?,
                futures: py.import("asyncio.futures")?.unbind(),
                tasks: py.import("asyncio.tasks")?.unbind(),
                create_task: of("asyncio", "BaseEventLoop")?.getattr(py, "create_task")?,
                eager_tasks: py.version_info() >= (3, 12),
                format_callback: of("asyncio.format_helpers", "_format_callback_source")?,
                format_handle: of("asyncio.base_events", "_format_handle")?,
                extract_stack: of("asyncio.format_helpers", "extract_stack")?,
                getframe: of("sys", "_getframe")?,
            })
        })
    }
}

/// The stack of the Python caller, for debug mode.
pub(super) fn extract_stack(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let asyncio = Asyncio::get(py)?;
    let frame = asyncio.getframe.bind(py).call0()?;
    asyncio.extract_stack.bind(py).call1((frame,))
}

/// `callback(args) at file:line`, as asyncio writes it. Since Python 3.13 arguments are shown
/// in debug mode only: they may be secrets.
pub(crate) fn describe_callback(
    callable: &Bound<'_, PyAny>,
    arguments: &[Py<PyAny>],
    debug: bool,
) -> String {
    let py = callable.py();
    let format = || -> PyResult<String> {
        let arguments = PyTuple::new(py, arguments)?;
        let options = PyDict::new(py);
        if py.version_info() >= (3, 13) {
            options.set_item("debug", debug)?;
        }
        let format = Asyncio::get(py)?.format_callback.bind(py);
        format.call((callable, arguments), Some(&options))?.extract()
    };
    format().unwrap_or_else(|_| "<callback>".to_owned())
}

/// Whether an exception leaves the loop instead of going to the exception handler.
#[inline]
pub(crate) fn leaves_loop(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}

/// A callback raised: `Err` if the exception leaves the loop, else it has been reported.
#[cold]
pub(super) fn callback_failed(
    event_loop: &Bound<'_, EventLoop>,
    error: PyErr,
    message: &str,
    handle: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = event_loop.py();
    let details = PyDict::new(py);
    if let Some(handle) = handle {
        details.set_item("handle", handle)?;
        let stack = handle.getattr("_source_traceback")?;
        if stack.is_truthy()? {
            details.set_item("source_traceback", stack)?;
        }
    }
    failed(event_loop, error, message, &details)
}

/// Something that belongs to the loop raised `error`; `details` holds what else the handler
/// should see. `Err` if the exception leaves the loop, else it has been reported.
#[cold]
pub(crate) fn failed(
    event_loop: &Bound<'_, EventLoop>,
    error: PyErr,
    message: &str,
    details: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let py = event_loop.py();
    if leaves_loop(py, &error) {
        return Err(error);
    }
    details.set_item("message", message)?;
    details.set_item("exception", error.into_value(py))?;
    // The handler itself may raise only what leaves the loop (asyncio's contract).
    event_loop.call_method1("call_exception_handler", (details,)).map(drop)
}

/// `details` of an error in a protocol's callback.
pub(crate) fn protocol_details<'py>(
    transport: &Bound<'py, PyAny>,
    protocol: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let details = PyDict::new(transport.py());
    details.set_item("transport", transport)?;
    if let Some(protocol) = protocol {
        details.set_item("protocol", protocol)?;
    }
    Ok(details)
}

/// Debug mode: says so if a callback was slow.
pub(super) fn slow(
    event_loop: &Bound<'_, EventLoop>,
    seconds: f64,
    name: impl FnOnce() -> PyResult<String>,
) -> PyResult<()> {
    let limit: f64 = event_loop.getattr("slow_callback_duration")?.extract()?;
    if seconds >= limit {
        let logger = event_loop.py().import("asyncio.base_events")?.getattr("logger")?;
        logger.call_method1("warning", ("Executing %s took %.3f seconds", name()?, seconds))?;
    }
    Ok(())
}

/// A handle as the slow-callback log writes it: the task of a task's step, else the handle.
pub(super) fn describe_handle(handle: &Bound<'_, PyAny>) -> PyResult<String> {
    Asyncio::get(handle.py())?.format_handle.bind(handle.py()).call1((handle,))?.extract()
}

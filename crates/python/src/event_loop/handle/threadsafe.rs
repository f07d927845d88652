//! What `call_soon_threadsafe` gives back since Python 3.14: a handle for other threads.
//!
//! While the callback runs, another thread that cancels the handle or asks whether it was
//! cancelled waits for the end. So what it hears stays true, and what it frees after a
//! `cancel()` no callback still uses. Everything but the wait itself happens under the GIL.

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::{Callback, HandleState, run};
use crate::event_loop::EventLoop;
use crate::event_loop::contexts::CallContext;
use crate::event_loop::report::Asyncio;
use crate::ffi::method::{self, Arguments, FastMethod, Method};
use crate::ffi::plain::{self, Plain, PlainClass};

/// How often a thread that waits looks for signals: only the main thread ever gets one.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

/// A handle for other threads as a Python object.
pub(crate) type ThreadSafeHandle = Plain<ThreadSafeState>;

/// What such a handle holds.
#[repr(C)]
pub(crate) struct ThreadSafeState {
    handle: HandleState,
    /// The thread that runs the callback now.
    runner: Cell<Option<ThreadId>>,
    /// Made by the first thread that waits for the end.
    end: Cell<Option<Arc<End>>>,
}

/// The end of a callback, for those who wait for it.
#[derive(Default)]
struct End {
    reached: Mutex<bool>,
    changed: Condvar,
}

impl End {
    fn reach(&self) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn wait(&self, limit: Duration) {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.changed.wait_timeout_while(reached, limit, |reached| !*reached);
    }
}

impl AsRef<HandleState> for ThreadSafeState {
    fn as_ref(&self) -> &HandleState {
        &self.handle
    }
}

impl ThreadSafeState {
    /// Returns when no other thread runs the callback.
    fn wait_for_end(&self, py: Python<'_>) -> PyResult<()> {
        let here = thread::current().id();
        while self.runner.get().is_some_and(|runner| runner != here) {
            let end = self.end.take().unwrap_or_default();
            self.end.set(Some(Arc::clone(&end)));
            py.detach(|| end.wait(SIGNAL_CHECK));
            py.check_signals()?;
        }
        Ok(())
    }
}

/// A new handle for other threads.
pub(in crate::event_loop) fn new_threadsafe_handle<'py>(
    event_loop: &Bound<'py, EventLoop>,
    callback: Callback,
    context: CallContext,
) -> PyResult<Bound<'py, ThreadSafeHandle>> {
    let handle = HandleState::new(event_loop, callback, context);
    let state = ThreadSafeState { handle, runner: Cell::new(None), end: Cell::new(None) };
    plain::create(event_loop.py(), state)
}

/// [`run`] for these handles.
pub(in crate::event_loop) fn run_threadsafe(handle: &Bound<'_, ThreadSafeHandle>) -> PyResult<()> {
    let state = plain::value(handle);
    state.runner.set(Some(thread::current().id()));
    let result = run(plain::as_base(handle));
    state.runner.set(None);
    if let Some(end) = state.end.take() {
        end.reach();
    }
    result
}

impl PlainClass for ThreadSafeState {
    const NAME: &'static str = "ThreadSafeHandle";
    const QUALIFIED_NAME: &'static CStr = c"weft.ThreadSafeHandle";
    const DOC: &'static CStr =
        c"What loop.call_soon_threadsafe() returns since Python 3.14: a Handle for other threads.";
    const ATTRIBUTES: &'static [&'static CStr] = &[c"__class__"];

    fn cell() -> &'static PyOnceLock<Py<PyType>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        &CLASS
    }

    fn base(py: Python<'_>) -> PyResult<Option<Bound<'_, PyType>>> {
        plain::class::<HandleState>(py).cloned().map(Some)
    }

    fn repr<'py>(slf: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let state = plain::value(slf.cast::<ThreadSafeHandle>()?);
        state.handle.describe(slf.py(), Self::NAME, None).into_bound_py_any(slf.py())
    }

    fn attribute<'py>(slf: &Bound<'py, PyAny>, _index: usize) -> PyResult<Bound<'py, PyAny>> {
        // `__class__`, as of the other handles.
        let asyncio = Asyncio::get(slf.py())?;
        let class = asyncio.thread_safe_handle.as_ref().unwrap_or(&asyncio.handle);
        Ok(class.bind(slf.py()).clone())
    }
}

struct Cancel;
struct Cancelled;
struct Run;

impl FastMethod for Cancel {
    type Receiver = ThreadSafeHandle;
    const NAME: &'static CStr = c"cancel";
    const DOC: &'static CStr = c"Cancel the callback; if another thread runs it, wait for its end.";
    const BODY: Method<ThreadSafeHandle> = |handle, _: Arguments<'_, '_>| {
        let py = handle.py();
        let state = plain::value(handle);
        state.wait_for_end(py)?;
        state.handle.cancel(py, ThreadSafeState::NAME, None);
        Ok(py.None().into_bound(py))
    };
}

impl FastMethod for Cancelled {
    type Receiver = ThreadSafeHandle;
    const NAME: &'static CStr = c"cancelled";
    const DOC: &'static CStr =
        c"Whether the callback was cancelled; if another thread runs it, wait for its end.";
    const BODY: Method<ThreadSafeHandle> = |handle, _: Arguments<'_, '_>| {
        let state = plain::value(handle);
        state.wait_for_end(handle.py())?;
        state.handle.is_cancelled().into_bound_py_any(handle.py())
    };
}

impl FastMethod for Run {
    type Receiver = ThreadSafeHandle;
    const NAME: &'static CStr = c"_run";
    const DOC: &'static CStr = c"Run the callback now, unless cancelled.";
    const BODY: Method<ThreadSafeHandle> = |handle, _: Arguments<'_, '_>| {
        run_threadsafe(handle)?;
        Ok(handle.py().None().into_bound(handle.py()))
    };
}

/// Makes the class, after its base, and exports it.
pub(super) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = plain::class::<ThreadSafeState>(module.py())?;
    method::install::<Cancel>(class)?;
    method::install::<Cancelled>(class)?;
    method::install::<Run>(class)?;
    module.add(ThreadSafeState::NAME, class)
}

/// Makes such a handle let go of what it refers to.
pub(in crate::event_loop) fn clear_threadsafe(handle: &Py<ThreadSafeHandle>) {
    plain::value_during_gc(handle).handle.clear();
}

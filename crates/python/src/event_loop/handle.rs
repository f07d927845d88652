//! Handles: what `call_soon`, `call_later` and `call_at` give back.
//!
//! Handles are plain classes, unknown to the cycle collector. The loop answers for those that
//! it alone holds ([`traverse_queued`]), and a handle lets go of its callback when it has run,
//! is cancelled, or its loop is closed.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyTuple, PyType};
use pyo3::{IntoPyObjectExt, PyTraverseError, PyVisit};
use weft_reactor::timers::TimerId;

use super::EventLoop;
use super::report::{self, Asyncio};
use crate::ffi::call::{self, Args};
use crate::ffi::gil;
use crate::ffi::method::{self, Arguments, FastMethod, Method};
use crate::ffi::plain::{self, Plain, PlainClass};

/// A handle as a Python object.
pub(crate) type Handle = Plain<HandleState>;
/// A timer's handle as a Python object.
pub(crate) type TimerHandle = Plain<TimerState>;

/// A callback with its arguments, not yet called.
pub(super) struct Callback {
    pub(super) callable: Py<PyAny>,
    pub(super) arguments: Args,
}

/// What a handle holds.
pub(crate) struct HandleState {
    /// Taken while the callback runs, dropped when the handle is cancelled.
    callback: RefCell<Option<Callback>>,
    context: RefCell<Option<Py<PyAny>>>,
    event_loop: RefCell<Option<Py<EventLoop>>>,
    cancelled: Cell<bool>,
    /// Only in debug mode: where the handle was made, and what it was before it was cancelled.
    debug: RefCell<Option<Box<DebugInfo>>>,
}

#[derive(Default)]
struct DebugInfo {
    source_traceback: Option<Py<PyAny>>,
    repr: Option<String>,
}

impl HandleState {
    #[inline]
    fn new(
        event_loop: &Bound<'_, EventLoop>,
        callback: Callback,
        context: Bound<'_, PyAny>,
    ) -> Self {
        let py = event_loop.py();
        let debug = event_loop.get().core(py).debug.get().then(|| {
            let source_traceback = report::extract_stack(py).ok().map(Bound::unbind);
            Box::new(DebugInfo { source_traceback, repr: None })
        });
        Self {
            callback: RefCell::new(Some(callback)),
            context: RefCell::new(Some(context.unbind())),
            event_loop: RefCell::new(Some(event_loop.clone().unbind())),
            cancelled: Cell::new(false),
            debug: RefCell::new(debug),
        }
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, EventLoop>> {
        self.event_loop.borrow().as_ref().map(|event_loop| event_loop.bind(py).clone())
    }

    /// `Name cancelled when=… callback() at … created at …`, as asyncio writes it.
    fn describe(&self, py: Python<'_>, name: &str, when: Option<f64>) -> String {
        if let Some(repr) = self.debug.borrow().as_ref().and_then(|debug| debug.repr.clone()) {
            return repr;
        }
        let mut parts = vec![name.to_owned()];
        if self.cancelled.get() {
            parts.push("cancelled".to_owned());
        }
        if let Some(when) = when {
            parts.push(format!("when={when}"));
        }
        if let Some(callback) = self.callback.borrow().as_ref() {
            let callable = callback.callable.bind(py);
            parts.push(report::describe_callback(callable, &callback.arguments));
        }
        parts.extend(self.created_at(py));
        format!("<{}>", parts.join(" "))
    }

    fn created_at(&self, py: Python<'_>) -> Option<String> {
        let debug = self.debug.borrow();
        let stack = debug.as_ref()?.source_traceback.as_ref()?.bind(py);
        let frame = stack.get_item(-1).ok()?;
        let (file, line): (String, usize) =
            (frame.get_item(0).ok()?.extract().ok()?, frame.get_item(1).ok()?.extract().ok()?);
        Some(format!("created at {file}:{line}"))
    }

    /// Marks the handle cancelled and lets go of callback and arguments; false if it was.
    fn cancel(&self, py: Python<'_>, name: &str, when: Option<f64>) -> bool {
        if self.cancelled.replace(true) {
            return false;
        }
        if self.debug.borrow().is_some() {
            let repr = self.describe(py, name, when);
            if let Some(debug) = self.debug.borrow_mut().as_mut() {
                debug.repr = Some(repr);
            }
        }
        // Taken out first: dropping an argument may run code that looks at this handle.
        let callback = self.callback.take();
        drop(callback);
        true
    }

    /// Drops what the handle refers to.
    pub(super) fn clear(&self) {
        let callback = self.callback.take();
        let context = self.context.take();
        let event_loop = self.event_loop.take();
        let debug = self.debug.take();
        drop((callback, context, event_loop, debug));
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(callback) = self.callback.try_borrow()
            && let Some(callback) = callback.as_ref()
        {
            visit.call(&callback.callable)?;
            callback.arguments.iter().try_for_each(|argument| visit.call(argument))?;
        }
        if let Ok(context) = self.context.try_borrow() {
            visit.call(&*context)?;
        }
        if let Ok(event_loop) = self.event_loop.try_borrow() {
            visit.call(&*event_loop)?;
        }
        if let Ok(debug) = self.debug.try_borrow()
            && let Some(debug) = debug.as_ref()
        {
            visit.call(&debug.source_traceback)?;
        }
        Ok(())
    }

    fn attribute<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        match ATTRIBUTES.get(index).map(|name| name.to_bytes()) {
            Some(b"_callback") => {
                let callback = self.callback.borrow();
                callback.as_ref().map(|c| c.callable.clone_ref(py)).into_bound_py_any(py)
            }
            Some(b"_args") => {
                let callback = self.callback.borrow();
                let args = callback.as_ref().map(|c| PyTuple::new(py, &c.arguments)).transpose()?;
                args.into_bound_py_any(py)
            }
            Some(b"_context") => {
                let context = self.context.borrow();
                context.as_ref().map(|c| c.clone_ref(py)).into_bound_py_any(py)
            }
            Some(b"_cancelled") => self.is_cancelled().into_bound_py_any(py),
            Some(b"_loop") => self.event_loop(py).into_bound_py_any(py),
            _ => {
                let debug = self.debug.borrow();
                let stack = debug.as_ref().and_then(|debug| debug.source_traceback.as_ref());
                stack.map(|stack| stack.clone_ref(py)).into_bound_py_any(py)
            }
        }
    }
}

const ATTRIBUTES: &[&CStr] =
    &[c"_callback", c"_args", c"_context", c"_cancelled", c"_loop", c"_source_traceback"];

/// A new handle.
#[inline]
pub(super) fn new_handle<'py>(
    event_loop: &Bound<'py, EventLoop>,
    callback: Callback,
    context: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, Handle>> {
    plain::create(event_loop.py(), HandleState::new(event_loop, callback, context))
}

/// Runs the callback in its context, unless cancelled, and lets go of it.
#[inline]
pub(super) fn run(handle: &Bound<'_, Handle>) -> PyResult<()> {
    run_and(handle, false)
}

/// [`run`], but keeps the callback: a watched descriptor calls it at every event.
pub(super) fn run_again(handle: &Bound<'_, Handle>) -> PyResult<()> {
    run_and(handle, true)
}

#[inline]
fn run_and(handle: &Bound<'_, Handle>, keep: bool) -> PyResult<()> {
    let py = handle.py();
    let state = plain::value(handle);
    if state.cancelled.get() {
        return Ok(());
    }
    let Some(callback) = state.callback.take() else { return Ok(()) };
    let Some(context) = state.context.borrow().as_ref().map(|c| c.bind(py).clone()) else {
        return Ok(());
    };
    let callable = callback.callable.bind(py);
    let result = call::in_context(&context, || call::call(callable, &callback.arguments).map(drop));
    let message = result.is_err().then(|| {
        let callback = report::describe_callback(callable, &callback.arguments);
        format!("Exception in callback {callback}")
    });
    // In debug mode the slow-callback log names the callback after it has run.
    let keep = keep || result.is_err() || state.debug.borrow().is_some();
    if keep && !state.cancelled.get() {
        state.callback.replace(Some(callback));
    }
    match (result, state.event_loop(py)) {
        (Ok(()), _) => Ok(()),
        (Err(error), Some(event_loop)) => {
            let message = message.unwrap_or_default();
            report::callback_failed(&event_loop, error, &message, Some(handle.as_any()))
        }
        (Err(error), None) => Err(error),
    }
}

/// For the loop's traversal: visits what a queued handle refers to, if the queue is its only
/// owner. A handle that someone else holds too might be reachable from outside.
pub(super) fn traverse_queued(
    handle: &Py<Handle>,
    visit: &PyVisit<'_>,
) -> Result<(), PyTraverseError> {
    if gil::is_unshared(handle) { plain::value_during_gc(handle).traverse(visit) } else { Ok(()) }
}

/// Makes a timer's handle let go of what it refers to.
pub(super) fn clear_timer(handle: &Py<TimerHandle>) {
    plain::value_during_gc(handle).handle.clear();
}

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

/// What a timer's handle holds.
#[repr(C)]
pub(crate) struct TimerState {
    handle: HandleState,
    /// Seconds, on the loop's clock.
    when: f64,
    /// Its place in the heap, while it is there.
    timer: Cell<Option<TimerId>>,
}

impl AsRef<HandleState> for TimerState {
    fn as_ref(&self) -> &HandleState {
        &self.handle
    }
}

impl TimerState {
    pub(super) fn set_timer(&self, id: Option<TimerId>) {
        self.timer.set(id);
    }

    fn describe(&self, py: Python<'_>) -> String {
        self.handle.describe(py, Self::NAME, Some(self.when))
    }

    fn equals(&self, other: &Self, py: Python<'_>) -> PyResult<bool> {
        if self.when != other.when || self.handle.is_cancelled() != other.handle.is_cancelled() {
            return Ok(false);
        }
        for index in [0, 1] {
            let (mine, theirs) =
                (self.handle.attribute(py, index)?, other.handle.attribute(py, index)?);
            if !mine.eq(theirs)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A new timer handle.
#[inline]
pub(super) fn new_timer_handle<'py>(
    event_loop: &Bound<'py, EventLoop>,
    when: f64,
    callback: Callback,
    context: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, TimerHandle>> {
    let handle = HandleState::new(event_loop, callback, context);
    plain::create(event_loop.py(), TimerState { handle, when, timer: Cell::new(None) })
}

impl PlainClass for TimerState {
    const NAME: &'static str = "TimerHandle";
    const QUALIFIED_NAME: &'static CStr = c"weft.TimerHandle";
    const DOC: &'static CStr =
        c"What loop.call_later() and loop.call_at() return; the interface of asyncio.TimerHandle.";
    const ATTRIBUTES: &'static [&'static CStr] = &[c"_when", c"_scheduled"];

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
            _ => state.timer.get().is_some().into_bound_py_any(slf.py()),
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
        let context = plain::value(handle).context.borrow();
        context.as_ref().map(|c| c.clone_ref(handle.py())).into_bound_py_any(handle.py())
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

/// Makes both classes and exports them.
pub(super) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
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
    module.add(TimerState::NAME, timer)
}

/// Refuses what no handle can hold, as asyncio's debug mode does.
pub(super) fn check_callable(callback: &Bound<'_, PyAny>, method: &str) -> PyResult<()> {
    let py = callback.py();
    let asyncio = Asyncio::get(py)?;
    let is_coroutine = asyncio.iscoroutine.bind(py).call1((callback,))?.is_truthy()?
        || asyncio.iscoroutinefunction.bind(py).call1((callback,))?.is_truthy()?;
    if is_coroutine {
        return Err(PyTypeError::new_err(format!("coroutines cannot be used with {method}()")));
    }
    if !callback.is_callable() {
        return Err(PyTypeError::new_err(format!(
            "a callable object was expected by {method}(), got {}",
            callback.repr()?
        )));
    }
    Ok(())
}

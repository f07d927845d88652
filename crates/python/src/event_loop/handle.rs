//! Handles: what `call_soon`, `call_later` and `call_at` give back.
//!
//! Handles are plain classes, unknown to the cycle collector. The loop answers for those that
//! it alone holds ([`traverse_queued`]), and a handle lets go of its callback when it has run,
//! is cancelled, or its loop is closed.

mod class;
mod threadsafe;

use std::cell::Cell;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::timers::TimerId;

pub(super) use self::class::install;
pub(super) use self::threadsafe::{
    ThreadSafeHandle, clear_threadsafe, new_threadsafe_handle, run_threadsafe,
};

use super::EventLoop;
use super::contexts::CallContext;
use super::report::{self, Asyncio};
use crate::ffi::call::{self, Args};
use crate::ffi::gil;
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
    callback: Slot<Callback>,
    context: Slot<Py<PyAny>>,
    /// Whether `context` is shared with other handles, so that only copies of it are entered.
    is_snapshot: Cell<bool>,
    event_loop: Slot<Py<EventLoop>>,
    /// Only in debug mode: where the handle was made, and what it was before it was cancelled.
    debug: Slot<Box<DebugInfo>>,
    cancelled: Cell<bool>,
}

/// A place that may be empty. A `RefCell` would spend a word on each of a handle's four.
struct Slot<T>(Cell<Option<T>>);

impl<T> Slot<T> {
    fn new(value: Option<T>) -> Self {
        Self(Cell::new(value))
    }

    fn take(&self) -> Option<T> {
        self.0.take()
    }

    fn put(&self, value: T) {
        let replaced = self.0.replace(Some(value));
        drop(replaced);
    }

    /// Shows the value to `look`, which must not run Python code: the place is empty
    /// meanwhile.
    fn peek<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        let value = self.0.take();
        let result = look(value.as_ref());
        self.0.set(value);
        result
    }

    fn is_some(&self) -> bool {
        self.peek(|value| value.is_some())
    }
}

impl<T> Slot<Py<T>> {
    fn bound<'py>(&self, py: Python<'py>) -> Option<Bound<'py, T>> {
        self.peek(|value| value.map(|value| value.bind(py).clone()))
    }
}

#[derive(Default)]
struct DebugInfo {
    source_traceback: Option<Py<PyAny>>,
    repr: Option<String>,
}

impl HandleState {
    #[inline]
    fn new(event_loop: &Bound<'_, EventLoop>, callback: Callback, context: CallContext) -> Self {
        let py = event_loop.py();
        let debug = event_loop.get().core(py).debug.get().then(|| {
            let source_traceback = report::extract_stack(py).ok().map(Bound::unbind);
            Box::new(DebugInfo { source_traceback, repr: None })
        });
        Self {
            callback: Slot::new(Some(callback)),
            context: Slot::new(Some(context.object)),
            is_snapshot: Cell::new(context.is_snapshot),
            event_loop: Slot::new(Some(event_loop.clone().unbind())),
            debug: Slot::new(debug),
            cancelled: Cell::new(false),
        }
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, EventLoop>> {
        self.event_loop.bound(py)
    }

    /// The context in which the callback runs. One that has been seen is the handle's own.
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let context = self.context.bound(py);
        match context {
            Some(snapshot) if self.is_snapshot.get() => {
                let copy = call::copy_of_context(&snapshot)?;
                self.is_snapshot.set(false);
                self.context.put(copy.clone().unbind());
                Ok(Some(copy))
            }
            context => Ok(context),
        }
    }

    /// What is to be called, with its arguments.
    fn callback<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyAny>, Args)> {
        self.callback.peek(|callback| {
            let callback = callback?;
            let arguments = callback.arguments.iter().map(|argument| argument.clone_ref(py));
            Some((callback.callable.bind(py).clone(), arguments.collect()))
        })
    }

    fn source_traceback<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.debug.peek(|debug| Some(debug?.source_traceback.as_ref()?.bind(py).clone()))
    }

    /// `Name cancelled when=… callback() at … created at …`, as asyncio writes it.
    fn describe(&self, py: Python<'_>, name: &str, when: Option<f64>) -> String {
        if let Some(repr) = self.debug.peek(|debug| debug?.repr.clone()) {
            return repr;
        }
        let mut parts = vec![name.to_owned()];
        if self.cancelled.get() {
            parts.push("cancelled".to_owned());
        }
        if let Some(when) = when {
            parts.push(format!("when={when}"));
        }
        if let Some((callable, arguments)) = self.callback(py) {
            parts.push(report::describe_callback(&callable, &arguments, self.debug.is_some()));
        }
        parts.extend(self.created_at(py));
        format!("<{}>", parts.join(" "))
    }

    fn created_at(&self, py: Python<'_>) -> Option<String> {
        let frame = self.source_traceback(py)?.get_item(-1).ok()?;
        let (file, line): (String, usize) =
            (frame.get_item(0).ok()?.extract().ok()?, frame.get_item(1).ok()?.extract().ok()?);
        Some(format!("created at {file}:{line}"))
    }

    /// Marks the handle cancelled and lets go of callback and arguments; false if it was.
    fn cancel(&self, py: Python<'_>, name: &str, when: Option<f64>) -> bool {
        if self.cancelled.replace(true) {
            return false;
        }
        if self.debug.is_some() {
            let repr = Some(self.describe(py, name, when));
            let source_traceback = self.source_traceback(py).map(Bound::unbind);
            self.debug.put(Box::new(DebugInfo { source_traceback, repr }));
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
        self.callback.peek(|callback| match callback {
            Some(callback) => {
                visit.call(&callback.callable)?;
                callback.arguments.iter().try_for_each(|argument| visit.call(argument))
            }
            None => Ok(()),
        })?;
        self.context.peek(|context| visit.call(context))?;
        self.event_loop.peek(|event_loop| visit.call(event_loop))?;
        self.debug.peek(|debug| match debug {
            Some(debug) => visit.call(&debug.source_traceback),
            None => Ok(()),
        })
    }
}

/// A new handle.
#[inline]
pub(super) fn new_handle<'py>(
    event_loop: &Bound<'py, EventLoop>,
    callback: Callback,
    context: CallContext,
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
    // Whoever holds the handle may ask for its context, then and later: the one it runs in.
    let copies = state.is_snapshot.get() && gil::is_unshared(handle.as_unbound());
    let context = if copies { state.context.bound(py) } else { state.context(py)? };
    let (Some(context), Some(event_loop)) = (context, state.event_loop(py)) else {
        return Ok(());
    };
    let callable = callback.callable.bind(py);
    let body = || call::call(callable, &callback.arguments).map(drop);
    let result = if copies {
        let contexts = &event_loop.get().core(py).contexts;
        // The exception handler runs in the context of the callback that has failed.
        contexts.in_copy_of(&context, body, |copy| {
            state.is_snapshot.set(false);
            state.context.put(copy.clone().unbind());
        })
    } else {
        call::in_context(&context, body)
    };
    let debug = state.debug.is_some();
    let message = result.is_err().then(|| {
        let callback = report::describe_callback(callable, &callback.arguments, debug);
        format!("Exception in callback {callback}")
    });
    // In debug mode the slow-callback log names the callback after it has run.
    let keep = keep || result.is_err() || debug;
    if keep && !state.cancelled.get() {
        state.callback.put(callback);
    }
    result.or_else(|error| {
        let message = message.unwrap_or_default();
        report::callback_failed(&event_loop, error, &message, Some(handle.as_any()))
    })
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
    context: CallContext,
) -> PyResult<Bound<'py, TimerHandle>> {
    let handle = HandleState::new(event_loop, callback, context);
    plain::create(event_loop.py(), TimerState { handle, when, timer: Cell::new(None) })
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

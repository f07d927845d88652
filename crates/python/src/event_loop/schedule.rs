//! `call_soon` and its kin: the calls that everything else is made of.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use weft_reactor::sys::monotonic_ns;

use super::EventLoop;
use super::contexts::CallContext;
use super::core::{Alarm, Core, Step};
use super::entry::Entry;
use super::handle::{self, Callback, check_callable};
use super::report::Asyncio;
use crate::error::OsResult;
use crate::ffi::method::{Arguments, FastMethod, Method};
use crate::ffi::plain;

/// `call_soon(callback, *args, context=None)`
pub(super) struct CallSoon;
/// `call_soon_threadsafe(callback, *args, context=None)`
pub(super) struct CallSoonThreadsafe;
/// `call_later(delay, callback, *args, context=None)`
pub(super) struct CallLater;
/// `call_at(when, callback, *args, context=None)`
pub(super) struct CallAt;

impl FastMethod for CallSoon {
    type Receiver = EventLoop;
    const NAME: &'static std::ffi::CStr = c"call_soon";
    const DOC: &'static std::ffi::CStr = c"call_soon($self, callback, *args, context=None)\n--\n\nArrange for callback(*args) to be called in the next turn of the loop.\n\nCallbacks run in the order in which they are registered, each exactly once, in context\nor in a copy of the current one. Returns a Handle.";
    const DROPS: bool = false;
    const BODY: Method<EventLoop> = call_soon;
}

impl FastMethod for CallSoonThreadsafe {
    type Receiver = EventLoop;
    const NAME: &'static std::ffi::CStr = c"call_soon_threadsafe";
    const DOC: &'static std::ffi::CStr = c"call_soon_threadsafe($self, callback, *args, context=None)\n--\n\nLike call_soon(), from any thread.";
    const DROPS: bool = false;
    const BODY: Method<EventLoop> = call_soon_threadsafe;
}

impl FastMethod for CallLater {
    type Receiver = EventLoop;
    const NAME: &'static std::ffi::CStr = c"call_later";
    const DOC: &'static std::ffi::CStr = c"call_later($self, delay, callback, *args, context=None)\n--\n\nArrange for callback(*args) to be called after delay seconds (int or float), never\nearlier. Returns a TimerHandle.";
    const DROPS: bool = false;
    const BODY: Method<EventLoop> = call_later;
}

impl FastMethod for CallAt {
    type Receiver = EventLoop;
    const NAME: &'static std::ffi::CStr = c"call_at";
    const DOC: &'static std::ffi::CStr = c"call_at($self, when, callback, *args, context=None)\n--\n\nLike call_later(), at an absolute time of loop.time().";
    const DROPS: bool = false;
    const BODY: Method<EventLoop> = call_at;
}

/// The callback, its arguments and the context of one call.
struct Request<'a, 'py> {
    callable: Borrowed<'a, 'py, PyAny>,
    arguments: &'a [Borrowed<'a, 'py, PyAny>],
    context: Option<Borrowed<'a, 'py, PyAny>>,
}

impl<'a, 'py> Request<'a, 'py> {
    /// `method(callback, *args, context=None)`.
    #[inline]
    fn parse(
        event_loop: &Bound<'py, EventLoop>,
        method: &str,
        arguments: Arguments<'a, 'py>,
    ) -> PyResult<Self> {
        let py = event_loop.py();
        let known = [intern!(py, "context"), intern!(py, "callback")];
        let [context, callback] = arguments.keywords(method, known)?;
        Self::assemble(method, arguments.positional(), callback, context)
    }

    /// `method(time, callback, *args, context=None)`, where `time` is called `name`.
    #[inline]
    fn parse_timed(
        event_loop: &Bound<'py, EventLoop>,
        method: &str,
        arguments: Arguments<'a, 'py>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<(Borrowed<'a, 'py, PyAny>, Self)> {
        let py = event_loop.py();
        let known = [intern!(py, "context"), intern!(py, "callback"), name];
        let [context, callback, time] = arguments.keywords(method, known)?;
        let (time, rest) = match (time, arguments.positional()) {
            (Some(time), rest) => (time, rest),
            (None, [time, rest @ ..]) => (*time, rest),
            (None, []) => return Err(missing(method, &name.to_string_lossy())),
        };
        Ok((time, Self::assemble(method, rest, callback, context)?))
    }

    #[inline]
    fn assemble(
        method: &str,
        positional: &'a [Borrowed<'a, 'py, PyAny>],
        callback: Option<Borrowed<'a, 'py, PyAny>>,
        context: Option<Borrowed<'a, 'py, PyAny>>,
    ) -> PyResult<Self> {
        let context = context.filter(|context| !context.is_none());
        match (callback, positional) {
            (None, [callable, arguments @ ..]) => {
                Ok(Self { callable: *callable, arguments, context })
            }
            (Some(callable), []) => Ok(Self { callable, arguments: &[], context }),
            (None, []) => Err(missing(method, "callback")),
            (Some(_), _) => Err(PyTypeError::new_err(format!(
                "{method}() got multiple values for argument 'callback'"
            ))),
        }
    }

    #[inline]
    fn context(&self, py: Python<'py>, core: &Core) -> PyResult<CallContext> {
        match self.context {
            Some(context) => Ok(CallContext::own(context.to_owned())),
            None => core.contexts.current(py),
        }
    }

    #[inline]
    fn callback(&self) -> Callback {
        Callback {
            callable: self.callable.to_owned().unbind(),
            arguments: self.arguments.iter().map(|argument| Py::from(*argument)).collect(),
        }
    }
}

#[cold]
fn missing(method: &str, argument: &str) -> PyErr {
    PyTypeError::new_err(format!("{method}() missing 1 required positional argument: '{argument}'"))
}

#[cold]
fn closed() -> PyErr {
    PyRuntimeError::new_err("Event loop is closed")
}

#[inline]
fn admit(
    event_loop: &Bound<'_, EventLoop>,
    core: &Core,
    request: &Request<'_, '_>,
    method: &str,
    own_thread: bool,
) -> PyResult<()> {
    if core.closed.get() {
        return Err(closed());
    }
    if core.debug.get() {
        if own_thread {
            event_loop.call_method0("_check_thread")?;
        }
        check_callable(&request.callable, method)?;
    }
    Ok(())
}

#[inline]
fn soon<'py>(
    event_loop: &Bound<'py, EventLoop>,
    core: &Core,
    request: &Request<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let handle = handle::new_handle(event_loop, request.callback(), request.context(py, core)?)?;
    core.schedule(Entry::Handle(handle.clone().unbind()));
    Ok(handle.into_any())
}

fn call_soon<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let core = event_loop.get().core(py);
    let request = Request::parse(event_loop, "call_soon", arguments)?;
    admit(event_loop, core, &request, "call_soon", true)?;
    if let Some(context) = request.context
        && request.arguments.len() <= 1
        && !core.debug.get()
    {
        let mut task_callables = core.task_callables.get();
        let own = task_callables.recognise(&request.callable);
        core.task_callables.set(task_callables);
        if own {
            let callable = request.callable.to_owned().unbind();
            let context = context.to_owned().unbind();
            let argument = request.arguments.first().map(|argument| Py::from(*argument));
            let step = match argument {
                None => core.offer_step(Step { callable, context }),
                Some(_) => Some(Step { callable, context }),
            };
            if let Some(Step { callable, context }) = step {
                core.schedule(Entry::Call { callable, argument, context });
            }
            return Ok(py.None().into_bound(py));
        }
    }
    soon(event_loop, core, &request)
}

fn call_soon_threadsafe<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let core = event_loop.get().core(py);
    let request = Request::parse(event_loop, "call_soon_threadsafe", arguments)?;
    admit(event_loop, core, &request, "call_soon_threadsafe", false)?;
    let handle = if Asyncio::get(py)?.thread_safe_handle.is_some() {
        let (callback, context) = (request.callback(), request.context(py, core)?);
        let handle = handle::new_threadsafe_handle(event_loop, callback, context)?;
        core.schedule(Entry::ThreadSafe(handle.clone().unbind()));
        handle.into_any()
    } else {
        soon(event_loop, core, &request)?
    };
    core.wake().or_os_error()?;
    Ok(handle)
}

fn timer<'py>(
    event_loop: &Bound<'py, EventLoop>,
    core: &Core,
    when: f64,
    request: &Request<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let context = request.context(py, core)?;
    let handle = handle::new_timer_handle(event_loop, when, request.callback(), context)?;
    // Rounded up, so that a timer never fires early; the cast saturates (inf, NaN).
    let deadline = (when * 1e9).ceil() as i64;
    let alarm = Alarm::Handle(handle.clone().unbind());
    let id = core.timers.borrow_mut().insert(deadline, alarm);
    plain::value(&handle).set_timer(Some(id));
    Ok(handle.into_any())
}

fn call_later<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let core = event_loop.get().core(event_loop.py());
    let name = intern!(event_loop.py(), "delay");
    let (delay, request) = Request::parse_timed(event_loop, "call_later", arguments, name)?;
    if delay.is_none() {
        return Err(PyTypeError::new_err("delay must not be None"));
    }
    let delay: f64 = delay.extract()?;
    admit(event_loop, core, &request, "call_later", true)?;
    timer(event_loop, core, monotonic_ns() as f64 / 1e9 + delay, &request)
}

fn call_at<'py>(
    event_loop: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let core = event_loop.get().core(event_loop.py());
    let name = intern!(event_loop.py(), "when");
    let (when, request) = Request::parse_timed(event_loop, "call_at", arguments, name)?;
    if when.is_none() {
        return Err(PyTypeError::new_err("when cannot be None"));
    }
    let when: f64 = when.extract()?;
    admit(event_loop, core, &request, "call_at", true)?;
    timer(event_loop, core, when, &request)
}

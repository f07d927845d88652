//! Entries of the ready queue.

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::registry::Token;
use weft_reactor::sys::Readiness;

use super::EventLoop;
use super::handle::{self, Handle, ThreadSafeHandle, TimerHandle};
use super::report;
use super::source::Deferred;
use crate::ffi::{call, plain};

/// One thing to do in a turn.
pub(crate) enum Entry {
    /// A callback whose handle nobody can have: a task's own step or wake-up.
    Call {
        /// What to call.
        callable: Py<PyAny>,
        /// Its argument, if it takes one.
        argument: Option<Py<PyAny>>,
        /// Where to call it.
        context: Py<PyAny>,
    },
    /// A callback with a handle.
    Handle(Py<Handle>),
    /// A callback with a handle for other threads.
    ThreadSafe(Py<ThreadSafeHandle>),
    /// A timer that is due.
    Timer(Py<TimerHandle>),
    /// A descriptor that is ready.
    Io(Token, Readiness),
    /// A source that left something undone.
    Resume(Token),
    /// Native work.
    Native(Box<dyn Deferred>),
}

impl Entry {
    /// Does it; an `Err` leaves the loop.
    #[inline]
    pub(super) fn run(self, event_loop: &Bound<'_, EventLoop>) -> PyResult<()> {
        let py = event_loop.py();
        match self {
            Entry::Call { callable, argument, context } => {
                // `into_bound`: dropping a bound reference needs no look at the thread state.
                let (callable, context) = (callable.into_bound(py), context.into_bound(py));
                let argument = argument.map(|argument| argument.into_bound(py));
                let result = call::in_context(&context, || match &argument {
                    None => call::call0(&callable),
                    Some(argument) => call::call1(&callable, argument),
                });
                match result {
                    Ok(_) => Ok(()),
                    Err(error) => {
                        let arguments: Vec<_> =
                            argument.iter().map(|argument| argument.clone().unbind()).collect();
                        let callback = report::describe_callback(&callable, &arguments, false);
                        let message = format!("Exception in callback {callback}");
                        report::callback_failed(event_loop, error, &message, None)
                    }
                }
            }
            Entry::Handle(handle) => handle::run(&handle.into_bound(py)),
            Entry::ThreadSafe(handle) => handle::run_threadsafe(&handle.into_bound(py)),
            Entry::Timer(handle) => handle::run(plain::as_base(&handle.into_bound(py))),
            Entry::Io(token, readiness) => match event_loop.get().core(py).source(token) {
                Some(source) => source.ready(py, readiness),
                None => Ok(()),
            },
            Entry::Resume(token) => match event_loop.get().core(py).source(token) {
                Some(source) => source.resumed(py),
                None => Ok(()),
            },
            Entry::Native(work) => work.run(py),
        }
    }

    /// [`run`](Self::run), and a line in the log if it took long.
    #[cold]
    pub(super) fn run_timed(self, event_loop: &Bound<'_, EventLoop>) -> PyResult<()> {
        let py = event_loop.py();
        let name: Box<dyn FnOnce() -> PyResult<String>> = match &self {
            Entry::Call { callable, .. } => {
                let callable = callable.clone_ref(py).into_bound(py);
                Box::new(move || Ok(report::describe_callback(&callable, &[], true)))
            }
            Entry::Handle(handle) => {
                let handle = handle.clone_ref(py).into_bound(py).into_any();
                Box::new(move || report::describe_handle(&handle))
            }
            Entry::ThreadSafe(handle) => {
                let handle = handle.clone_ref(py).into_bound(py).into_any();
                Box::new(move || report::describe_handle(&handle))
            }
            Entry::Timer(handle) => {
                let handle = handle.clone_ref(py).into_bound(py).into_any();
                Box::new(move || report::describe_handle(&handle))
            }
            Entry::Io(token, _) | Entry::Resume(token) => {
                let source = event_loop.get().core(py).source(*token);
                Box::new(move || {
                    Ok(source.map_or_else(|| "<closed>".to_owned(), |source| source.describe(py)))
                })
            }
            Entry::Native(_) => Box::new(|| Ok("<native>".to_owned())),
        };
        let start = weft_reactor::sys::monotonic_ns();
        let result = self.run(event_loop);
        let seconds = (weft_reactor::sys::monotonic_ns() - start) as f64 / 1e9;
        report::slow(event_loop, seconds, name)?;
        result
    }

    /// Makes a queued handle let go of its callback: it will never run.
    pub(super) fn clear(&self) {
        match self {
            Entry::Handle(handle) => plain::value_during_gc(handle).clear(),
            Entry::ThreadSafe(handle) => handle::clear_threadsafe(handle),
            Entry::Timer(handle) => handle::clear_timer(handle),
            _ => {}
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Entry::Call { callable, argument, context } => {
                visit.call(callable)?;
                visit.call(argument)?;
                visit.call(context)
            }
            Entry::Handle(handle) => handle::traverse_queued(handle, visit),
            Entry::ThreadSafe(handle) => {
                handle::traverse_queued(plain::as_base_during_gc(handle), visit)
            }
            Entry::Timer(handle) => {
                handle::traverse_queued(plain::as_base_during_gc(handle), visit)
            }
            Entry::Io(..) | Entry::Resume(_) => Ok(()),
            Entry::Native(work) => work.traverse(visit),
        }
    }
}

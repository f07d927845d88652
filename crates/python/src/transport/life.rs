//! The life of a pipe or datagram transport: from connection_made to connection_lost.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{IntoPyObjectExt, PyTraverseError, PyVisit};

use super::endpoint::Transport;
use super::faults::{callback_failed, report};
use crate::event_loop::{Deferred, wake};
use crate::ffi::call;

/// Schedules connection_made; when it was called, `waiter` is woken.
pub(super) fn start<T: Transport>(transport: &Bound<'_, T>, waiter: Option<Py<PyAny>>) {
    let core = T::endpoint(transport).core(transport.py());
    core.defer(Box::new(Start { transport: transport.clone().unbind(), waiter }));
}

struct Start<T: Transport> {
    transport: Py<T>,
    waiter: Option<Py<PyAny>>,
}

impl<T: Transport> Deferred for Start<T> {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        let transport = self.transport.bind(py);
        let made = tell(transport, intern!(py, "connection_made"), Some(transport.as_any()));
        // asyncio does each of these in a callback of its own: none depends on another.
        let begun = T::begin(transport).or_else(|error| {
            let message = "Exception in callback: the transport cannot be watched";
            report(transport, error, message)
        });
        if let Some(waiter) = &self.waiter {
            wake(waiter.bind(py))?;
        }
        made.and(begun)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)?;
        visit.call(&self.waiter)
    }
}

/// Schedules connection_lost with `error`, once; from now on nothing is read or written.
pub(super) fn end<T: Transport>(transport: &Bound<'_, T>, error: Option<PyErr>) -> PyResult<()> {
    let py = transport.py();
    let endpoint = T::endpoint(transport);
    endpoint.closing.set(true);
    if endpoint.ended.replace(true) {
        return Ok(());
    }
    let core = endpoint.core(py);
    endpoint.subscription.end(core);
    if core.is_closed() {
        // There is no next turn in which the protocol could hear of it.
        return endpoint.release(py);
    }
    core.defer(Box::new(Finish { transport: transport.clone().unbind(), error }));
    Ok(())
}

/// [`end`] from the loop's own callback: connection_lost is called at once.
pub(super) fn end_now<T: Transport>(transport: &Bound<'_, T>) -> PyResult<()> {
    let endpoint = T::endpoint(transport);
    endpoint.closing.set(true);
    if endpoint.ended.replace(true) {
        return Ok(());
    }
    finish(transport, None)
}

struct Finish<T: Transport> {
    transport: Py<T>,
    error: Option<PyErr>,
}

impl<T: Transport> Deferred for Finish<T> {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        finish(self.transport.bind(py), self.error)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)
    }
}

fn finish<T: Transport>(transport: &Bound<'_, T>, error: Option<PyErr>) -> PyResult<()> {
    let py = transport.py();
    let error = error.map(|error| error.into_value(py)).into_bound_py_any(py)?;
    let told = tell(transport, intern!(py, "connection_lost"), Some(&error));
    let released = T::endpoint(transport).release(py);
    told.and(released.or_else(|error| {
        report(transport, error, "Exception in callback: the transport cannot be closed")
    }))
}

/// Calls a method of the protocol in a callback of its own.
pub(super) fn tell_later<T: Transport>(transport: &Bound<'_, T>, name: Bound<'_, PyString>) {
    let core = T::endpoint(transport).core(transport.py());
    core.defer(Box::new(Tell { transport: transport.clone().unbind(), name: name.unbind() }));
}

struct Tell<T: Transport> {
    transport: Py<T>,
    name: Py<PyString>,
}

impl<T: Transport> Deferred for Tell<T> {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        tell(self.transport.bind(py), self.name.bind(py), None)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.transport)
    }
}

/// Calls a method of the protocol. What it raises is reported as an exception in a callback
/// and changes nothing, or is given back if it leaves the loop.
fn tell<T: Transport>(
    transport: &Bound<'_, T>,
    name: &Bound<'_, PyString>,
    argument: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = transport.py();
    let endpoint = T::endpoint(transport);
    let Some(protocol) = endpoint.protocol(py) else { return Ok(()) };
    let told = endpoint.in_context(py, || match argument {
        Some(argument) => call::method1(&protocol, name, argument),
        None => protocol.call_method0(name),
    });
    told.map(drop).or_else(|error| callback_failed(transport, error, name, argument))
}

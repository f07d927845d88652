//! Who waits for one direction of a watched descriptor.

use std::cell::{Cell, RefCell};

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::event_loop::future::wake;
use crate::event_loop::handle::{self, Handle};

/// What waits for one direction of a descriptor.
#[derive(Default)]
pub(super) struct Half {
    /// The user's callback.
    pub(super) handle: RefCell<Option<Py<Handle>>>,
    /// Futures of `sock_*` operations that wait.
    pub(super) waiters: RefCell<Vec<Py<PyAny>>>,
    /// Edge-triggered only: whether the next operation is worth a system call.
    pub(super) ready: Cell<bool>,
}

impl Half {
    /// Whether anybody waits.
    pub(super) fn wanted(&self) -> bool {
        self.handle.borrow().is_some() || !self.waiters.borrow().is_empty()
    }

    /// The descriptor is ready: completes the waits, runs the callback.
    pub(super) fn fire(&self, py: Python<'_>) -> PyResult<()> {
        self.ready.set(true);
        let waiters = self.waiters.take();
        for waiter in waiters {
            wake(&waiter.into_bound(py))?;
        }
        let handle = self.handle.borrow().as_ref().map(|handle| handle.clone_ref(py));
        match handle {
            Some(handle) => handle::run_again(handle.bind(py)),
            None => Ok(()),
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(handle) = self.handle.try_borrow()
            && let Some(handle) = handle.as_ref()
        {
            handle::traverse_queued(handle, visit)?;
        }
        if let Ok(waiters) = self.waiters.try_borrow() {
            waiters.iter().try_for_each(|waiter| visit.call(waiter))?;
        }
        Ok(())
    }
}

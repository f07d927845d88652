//! The contexts of callbacks that were scheduled without one.
//!
//! asyncio runs each such callback in its own copy of the context of whoever scheduled it. Most
//! callbacks set no variable, so copies would be made, tracked by the cycle collector and
//! thrown away for nothing. Here the calls that see the same variables share one snapshot, and a
//! callback gets its copy when it runs: the copy of the callback before, if nothing changed it.
//! Nobody can tell the difference: a snapshot is never entered, and a handle that somebody
//! holds has a context of its own as soon as it runs or is asked for it.

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::ffi::context::ContextLayout;
use crate::ffi::{call, gil};

/// Where a callback runs.
pub(super) struct CallContext {
    pub(super) object: Py<PyAny>,
    /// Whether `object` is a snapshot, to be copied and not to be entered.
    pub(super) is_snapshot: bool,
}

impl CallContext {
    /// A context of the callback's own.
    pub(super) fn own(context: Bound<'_, PyAny>) -> Self {
        Self { object: context.unbind(), is_snapshot: false }
    }
}

/// The contexts that are kept for reuse.
pub(super) struct Contexts {
    layout: Option<ContextLayout>,
    snapshot: Cell<Option<Py<PyAny>>>,
    working: Cell<Option<Py<PyAny>>>,
    used: Cell<bool>,
}

impl Contexts {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self {
            layout: ContextLayout::probe(py)?,
            snapshot: Cell::new(None),
            working: Cell::new(None),
            used: Cell::new(false),
        })
    }

    /// What `copy_context()` gives, for a callback that has not run yet.
    #[inline]
    pub(super) fn current(&self, py: Python<'_>) -> PyResult<CallContext> {
        let current = call::copy_context(py)?;
        let Some(layout) = self.layout else { return Ok(CallContext::own(current)) };
        self.used.set(true);
        let kept = self.snapshot.take().map(|kept| kept.into_bound(py));
        let snapshot = match &kept {
            Some(kept) if layout.same_variables(kept, &current) => kept,
            _ => &current,
        };
        self.snapshot.set(Some(snapshot.clone().unbind()));
        Ok(CallContext { object: snapshot.clone().unbind(), is_snapshot: true })
    }

    /// Runs `body` inside a copy of `snapshot`. If it fails, `failed` gets the copy first.
    #[inline]
    pub(super) fn in_copy_of<'py, R>(
        &self,
        snapshot: &Bound<'py, PyAny>,
        body: impl FnOnce() -> PyResult<R>,
        failed: impl FnOnce(&Bound<'py, PyAny>),
    ) -> PyResult<R> {
        let kept = self.working.take().map(|kept| kept.into_bound(snapshot.py()));
        let copy = match (self.layout, kept) {
            (Some(layout), Some(kept)) if layout.same_variables(&kept, snapshot) => kept,
            _ => call::copy_of_context(snapshot)?,
        };
        let result = call::in_context(&copy, body);
        if result.is_err() {
            failed(&copy);
        }
        // One that was changed, that somebody else holds or that could not be left is not ours.
        let same = self.layout.is_some_and(|layout| layout.same_variables(&copy, snapshot));
        if result.is_ok() && same && gil::is_unshared(copy.as_unbound()) {
            let nested = self.working.replace(Some(copy.unbind()));
            drop(nested);
        }
        result
    }

    /// Forgets contexts that no call has asked for since the last time: they may hold large
    /// values. Once a turn.
    #[inline]
    pub(super) fn age(&self) {
        if !self.used.replace(false) {
            self.forget();
        }
    }

    /// Forgets what is kept: whether there was anything. The values in it may run code when they
    /// go, and that code may schedule something.
    #[inline]
    pub(super) fn forget(&self) -> bool {
        let (snapshot, working) = (self.snapshot.take(), self.working.take());
        let kept = snapshot.is_some() || working.is_some();
        drop((snapshot, working));
        kept
    }

    /// Visits what is kept, for the cycle collector.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for place in [&self.snapshot, &self.working] {
            let kept = place.take();
            let visited = visit.call(&kept);
            place.set(kept);
            visited?;
        }
        Ok(())
    }
}

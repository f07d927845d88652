//! What the loop calls: the two contracts between the loop and the rooms above it.
//!
//! An `Err` that comes back from either leaves `run_forever`: only `SystemExit`,
//! `KeyboardInterrupt` and the loop's own failures may travel that way. Everything else is
//! the callee's to report, through [`Core::report`](super::Core).

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::sys::Readiness;

/// Something registered with the loop under a descriptor.
pub(crate) trait Source {
    /// The descriptor is ready. Runs as an entry of the ready queue, so what was scheduled
    /// before the event is over.
    fn ready(&self, py: Python<'_>, readiness: Readiness) -> PyResult<()>;

    /// Goes on with what it left undone, to be fair or because it was paused: the kernel does
    /// not announce again what it has announced.
    fn resumed(&self, py: Python<'_>) -> PyResult<()> {
        self.ready(py, Readiness::READABLE)
    }

    /// The callback that marked this source dirty is over: send what it wrote.
    fn flush(&self, _py: Python<'_>) -> PyResult<()> {
        Ok(())
    }

    /// The loop is being closed and has forgotten this source already.
    fn abandon(&self, _py: Python<'_>) {}

    /// What the log calls this source when it was slow.
    fn describe(&self, py: Python<'_>) -> String;

    /// Visits the Python objects that only this source refers to.
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError>;
}

/// Native work for the ready queue.
pub(crate) trait Deferred {
    /// Does it.
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()>;

    /// Visits the Python objects that only this work refers to.
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError>;
}

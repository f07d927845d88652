//! Instances that have a `__dict__`, made without the cycle collector looking on.
//!
//! CPython 3.11 makes the dict of such an instance inside `object.__new__`, and may collect
//! while it does so: the collector then visits an instance whose Rust half is not written
//! yet. Later versions collect between bytecodes only.

use pyo3::prelude::*;
use pyo3::pyclass_init::PyClassInitializer;
use pyo3::{PyClass, ffi};

/// An instance of a class with `dict`.
pub(crate) fn new_with_dict<T: PyClass>(
    py: Python<'_>,
    value: impl Into<PyClassInitializer<T>>,
) -> PyResult<Bound<'_, T>> {
    // SAFETY: both calls change one flag of the interpreter, whose GIL is held.
    let was_enabled = unsafe { ffi::PyGC_Disable() };
    let made = Bound::new(py, value);
    if was_enabled == 1 {
        // SAFETY: as above.
        unsafe { ffi::PyGC_Enable() };
    }
    made
}

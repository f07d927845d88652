//! State that belongs to whoever holds the GIL.

use pyo3::prelude::*;

/// A value that only the thread that holds the GIL may look at.
///
/// A `#[pyclass]` has to be `Send` and `Sync`; the loop's state is neither (`Cell`,
/// `RefCell`, `Rc`), and locks on it would be paid at every callback. The `Python` token is
/// the proof that stands in for the lock.
pub(crate) struct GilBound<T>(T);

// SAFETY: the value is reached only through `get` and `get_mut`, which ask for a `Python`
// token, through `during_gc`, which the collector calls with the GIL held, and by its
// destructor, which PyO3 runs attached. The module declares `gil_used`, so even a
// free-threaded interpreter runs it with the GIL.
unsafe impl<T> Send for GilBound<T> {}
// SAFETY: as above: the GIL orders all accesses.
unsafe impl<T> Sync for GilBound<T> {}

impl<T> GilBound<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    #[inline]
    pub(crate) fn get<'a>(&'a self, _py: Python<'a>) -> &'a T {
        &self.0
    }

    /// For `__traverse__` and `__clear__`, which have no token but run with the GIL held.
    #[inline]
    pub(crate) fn during_gc(&self) -> &T {
        &self.0
    }
}

/// Whether this is the only reference to the object. For the collector's traversal.
pub(crate) fn is_unshared<T>(object: &Py<T>) -> bool {
    // SAFETY: reads the count of a live object; the GIL is held during a traversal.
    unsafe { pyo3::ffi::Py_REFCNT(object.as_ptr()) == 1 }
}

/// Whether no other thread of the interpreter could take the GIL if it were released now. A
/// thread that C code attaches at this moment may be missed once.
#[inline]
pub(crate) fn is_only_thread(_py: Python<'_>) -> bool {
    // SAFETY: attached, so the current state and its interpreter are valid. The list of states
    // is read, not walked: only the address of its first element and this thread's own link
    // are looked at, and both are words that other threads replace whole.
    unsafe {
        let own = pyo3::ffi::PyThreadState_Get();
        pyo3::ffi::PyInterpreterState_ThreadHead(pyo3::ffi::PyInterpreterState_Get()) == own
            && pyo3::ffi::PyThreadState_Next(own).is_null()
    }
}

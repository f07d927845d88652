//! `am_send` for native awaitables.
//!
//! PyO3 offers `__next__`, whose result travels in a `StopIteration` object. With `am_send`
//! (PEP 492's protocol in C, since 3.10) `await` takes the result directly. [`resume`] is the
//! same protocol from the other side.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::method::attached;

/// How one step of an awaitable ended.
pub(crate) enum Step<'py> {
    /// It waits: the object for the task, a future or `None`.
    Yield(Bound<'py, PyAny>),
    /// It is done.
    Return(Bound<'py, PyAny>),
}

/// A native awaitable: one step at a time.
pub(crate) trait Awaitable: pyo3::PyClass {
    /// Goes on until the next suspension or the end.
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Step<'py>>;

    /// A step as `__next__` and `send` report it: the end is a `StopIteration`.
    fn next<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match Self::step(slf)? {
            Step::Yield(future) => Ok(future),
            Step::Return(value) => Err(stop_iteration(&value)),
        }
    }
}

/// Gives the class of `T` an `am_send` slot. Call once, when the module is made.
pub(crate) fn install<T: Awaitable>(class: &Bound<'_, PyType>) {
    // SAFETY: `class` is a heap type made by PyO3, so `tp_as_async` points into the type
    // object itself and is writable; no instance exists yet. `am_send` needs no type flag
    // to be found by `PyIter_Send`.
    unsafe {
        let methods = (*class.as_type_ptr()).tp_as_async;
        if !methods.is_null() {
            (*methods).am_send = Some(send::<T>);
        }
    }
}

/// One step of a coroutine or another iterator.
#[inline]
pub(crate) fn resume<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Step<'py>> {
    let py = coroutine.py();
    let mut result = std::ptr::null_mut();
    // SAFETY: live objects in; a new reference out, or null with an exception set if and only
    // if the status says so.
    unsafe {
        match ffi::PyIter_Send(coroutine.as_ptr(), ffi::Py_None(), &raw mut result) {
            ffi::PySendResult::PYGEN_RETURN => Ok(Step::Return(Bound::from_owned_ptr(py, result))),
            ffi::PySendResult::PYGEN_NEXT => Ok(Step::Yield(Bound::from_owned_ptr(py, result))),
            ffi::PySendResult::PYGEN_ERROR => Err(PyErr::fetch(py)),
        }
    }
}

/// Whether `object` is a native coroutine, which needs no `__await__`.
#[inline]
pub(crate) fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: looks at the type of a live object.
    unsafe { ffi::PyCoro_CheckExact(object.as_ptr()) != 0 }
}

/// `StopIteration(value)`, with a tuple or an exception kept whole: how `__next__` returns.
pub(crate) fn stop_iteration(value: &Bound<'_, PyAny>) -> PyErr {
    pyo3::exceptions::PyStopIteration::new_err((value.clone().unbind(),))
}

/// The exception that a call of `throw(kind, value, traceback)` means.
pub(crate) fn thrown<'py>(kind: Bound<'py, PyAny>, value: Option<Bound<'py, PyAny>>) -> PyErr {
    match value {
        Some(value) => PyErr::from_value(value),
        None => PyErr::from_value(kind),
    }
}

unsafe extern "C" fn send<T: Awaitable>(
    receiver: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    let mut status = ffi::PySendResult::PYGEN_ERROR;
    let object = attached(&mut |py| {
        // SAFETY: the slot belongs to the class of `T`, so the receiver is one.
        let receiver = unsafe { Bound::from_borrowed_ptr(py, receiver).cast_into_unchecked::<T>() };
        Ok(match T::step(&receiver)? {
            Step::Yield(object) => {
                status = ffi::PySendResult::PYGEN_NEXT;
                object
            }
            Step::Return(object) => {
                status = ffi::PySendResult::PYGEN_RETURN;
                object
            }
        })
    });
    // SAFETY: the caller lends room for one pointer.
    unsafe { *result = object };
    status
}

//! Builtin functions bound to a native object.
//!
//! An ASGI application gets `receive` and `send` anew with every request. As builtin functions
//! whose `self` is the exchange they cost one small object each, and a call goes straight to
//! Rust: no tuple of arguments, no lookup of `__call__`.

use std::ffi::CStr;

use pyo3::ffi;
use pyo3::prelude::*;

use super::method::attached;

/// A function of one argument. Implemented by zero-sized markers so that the C entry point
/// can name the body without a closure.
pub(crate) trait UnaryFunction {
    /// What the function is bound to.
    type Receiver;
    /// Its name in Python.
    const NAME: &'static CStr;
    /// Its docstring.
    const DOC: &'static CStr;
    /// The body.
    fn call<'py>(
        receiver: &Bound<'py, Self::Receiver>,
        argument: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// A function without arguments.
pub(crate) trait NullaryFunction {
    /// What the function is bound to.
    type Receiver;
    /// Its name in Python.
    const NAME: &'static CStr;
    /// Its docstring.
    const DOC: &'static CStr;
    /// The body.
    fn call<'py>(receiver: &Bound<'py, Self::Receiver>) -> PyResult<Bound<'py, PyAny>>;
}

/// `F` as a function object whose `self` is `receiver`.
#[inline]
pub(crate) fn bind_unary<'py, F: UnaryFunction>(
    receiver: &Bound<'py, F::Receiver>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the definition calls `unary::<F>`, which takes a receiver of this very type.
    unsafe { bind(receiver.as_any(), const { &unary_definition::<F>() }) }
}

/// `F` as a function object whose `self` is `receiver`.
#[inline]
pub(crate) fn bind_nullary<'py, F: NullaryFunction>(
    receiver: &Bound<'py, F::Receiver>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the definition calls `nullary::<F>`, which takes a receiver of this very type.
    unsafe { bind(receiver.as_any(), const { &nullary_definition::<F>() }) }
}

/// Never written after it was made, so that threads may share it.
struct Definition(ffi::PyMethodDef);

// SAFETY: CPython only reads a definition.
unsafe impl Sync for Definition {}

const fn unary_definition<F: UnaryFunction>() -> Definition {
    Definition(ffi::PyMethodDef {
        ml_name: F::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: unary::<F> },
        ml_flags: ffi::METH_O,
        ml_doc: F::DOC.as_ptr(),
    })
}

const fn nullary_definition<F: NullaryFunction>() -> Definition {
    Definition(ffi::PyMethodDef {
        ml_name: F::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: nullary::<F> },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: F::DOC.as_ptr(),
    })
}

/// # Safety
///
/// The definition's entry point must take a receiver of the type that `receiver` has.
unsafe fn bind<'py>(
    receiver: &Bound<'py, PyAny>,
    definition: &'static Definition,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the definition is static; the function object keeps a reference to its receiver.
    unsafe {
        Bound::from_owned_ptr_or_err(
            receiver.py(),
            ffi::PyCFunction_NewEx(
                (&raw const definition.0).cast_mut(),
                receiver.as_ptr(),
                std::ptr::null_mut(),
            ),
        )
    }
}

unsafe extern "C" fn unary<F: UnaryFunction>(
    receiver: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    attached(&mut |py| {
        // SAFETY: the function object lends its `self`, whose type `bind` was promised, and the
        // interpreter lends the argument.
        let (receiver, argument) = unsafe {
            (
                Bound::ref_from_ptr(py, &receiver).cast_unchecked::<F::Receiver>(),
                Bound::ref_from_ptr(py, &argument),
            )
        };
        F::call(receiver, argument)
    })
}

unsafe extern "C" fn nullary<F: NullaryFunction>(
    receiver: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    attached(&mut |py| {
        // SAFETY: as above.
        let receiver =
            unsafe { Bound::ref_from_ptr(py, &receiver).cast_unchecked::<F::Receiver>() };
        F::call(receiver)
    })
}

//! Methods with the `METH_FASTCALL | METH_KEYWORDS` convention.
//!
//! PyO3 collects `*args` into a tuple; for `call_soon` that tuple would cost as much as the
//! rest of the call. Here a method sees its arguments where the interpreter put them.

use std::ffi::CStr;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

/// The arguments of one call, borrowed from the interpreter's stack.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a, 'py> {
    positional: &'a [Borrowed<'a, 'py, PyAny>],
    keyword_values: &'a [Borrowed<'a, 'py, PyAny>],
    keyword_names: Option<Borrowed<'a, 'py, PyTuple>>,
}

impl<'a, 'py> Arguments<'a, 'py> {
    #[inline]
    pub(crate) fn positional(&self) -> &'a [Borrowed<'a, 'py, PyAny>] {
        self.positional
    }

    /// The values of the keywords `known`, where given; `TypeError` for any other.
    #[inline]
    pub(crate) fn keywords<const N: usize>(
        &self,
        method: &str,
        known: [&Bound<'py, PyString>; N],
    ) -> PyResult<[Option<Borrowed<'a, 'py, PyAny>>; N]> {
        let mut values = [None; N];
        let Some(names) = self.keyword_names else { return Ok(values) };
        for (given, value) in names.iter_borrowed().zip(self.keyword_values) {
            // Names that come from source code are interned: identity nearly always decides.
            let mut index = known.iter().position(|name| given.is(*name));
            if index.is_none() {
                for (candidate, name) in known.iter().enumerate() {
                    if given.eq(name)? {
                        index = Some(candidate);
                    }
                }
            }
            match index.and_then(|index| values.get_mut(index)) {
                Some(place) => *place = Some(*value),
                None => {
                    return Err(PyTypeError::new_err(format!(
                        "{method}() got an unexpected keyword argument {given:?}"
                    )));
                }
            }
        }
        Ok(values)
    }

    /// `callable(first, *positional, **keywords)`
    pub(crate) fn call_behind(
        &self,
        callable: &Bound<'py, PyAny>,
        first: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let arguments = self.positional.iter().chain(self.keyword_values);
        let stack: Vec<_> =
            iter::once(first.as_ptr()).chain(arguments.map(|argument| argument.as_ptr())).collect();
        let names = self.keyword_names.map_or(std::ptr::null_mut(), |names| names.as_ptr());
        // SAFETY: the stack holds the positional arguments and then one value for each name;
        // all of them are lent to this call for longer than it lasts.
        unsafe {
            Bound::from_owned_ptr_or_err(
                callable.py(),
                ffi::PyObject_Vectorcall(
                    callable.as_ptr(),
                    stack.as_ptr(),
                    self.positional.len() + 1,
                    names,
                ),
            )
        }
    }
}

/// What a method implemented here looks like: receiver and arguments in, result out.
pub(crate) type Method<T> =
    for<'a, 'py> fn(&'a Bound<'py, T>, Arguments<'a, 'py>) -> PyResult<Bound<'py, PyAny>>;

/// A method body with the type it belongs to; implemented by zero-sized markers so that the
/// C entry point below can name the body without a closure.
pub(crate) trait FastMethod {
    /// The class that gets the method.
    type Receiver: pyo3::PyTypeInfo;
    /// Its name in Python.
    const NAME: &'static CStr;
    /// Its docstring.
    const DOC: &'static CStr;
    /// Whether the body drops any `Py`. PyO3 must then know that the thread is attached, or
    /// it puts the reference aside; telling it costs a look at thread-local state.
    const DROPS: bool = true;
    /// The body.
    const BODY: Method<Self::Receiver>;
}

/// Adds `M` to its class, as a method descriptor with vectorcall.
pub(crate) fn install<M: FastMethod>(class: &Bound<'_, PyType>) -> PyResult<()> {
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: M::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry::<M> },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: M::DOC.as_ptr(),
    }));
    // SAFETY: `class` is the type of `M::Receiver` (the descriptor checks every receiver
    // against it), and the definition lives as long as the process.
    let descriptor = unsafe {
        Bound::from_owned_ptr_or_err(
            class.py(),
            ffi::PyDescr_NewMethod(class.as_type_ptr(), definition),
        )?
    };
    class.setattr(PyString::new(class.py(), &M::NAME.to_string_lossy()), descriptor)
}

unsafe extern "C" fn entry<M: FastMethod>(
    receiver: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keyword_names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let enter = if M::DROPS { attached } else { attached_unannounced };
    enter(&mut |py| {
        // SAFETY: the interpreter lends the receiver, `count` positional arguments followed
        // by one value for each name, and the tuple of names (or null) for this call. A
        // `Borrowed` is one non-null pointer, so the C array may be viewed as a slice of
        // them; the descriptor has checked the receiver's type.
        let (receiver, arguments) = unsafe {
            let names = Bound::from_borrowed_ptr_or_opt(py, keyword_names);
            let receiver = Bound::from_borrowed_ptr(py, receiver).cast_into_unchecked();
            let names_count = if keyword_names.is_null() {
                0
            } else {
                ffi::PyTuple_GET_SIZE(keyword_names) as usize
            };
            let all = if arguments.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(
                    arguments.cast::<Borrowed<'_, '_, PyAny>>(),
                    count as usize + names_count,
                )
            };
            (receiver, (all, names))
        };
        let (all, names) = arguments;
        let (positional, keyword_values) = all.split_at(count as usize);
        // SAFETY: keyword names are always a tuple of strings (PEP 590).
        let names: Option<Bound<'_, PyTuple>> =
            names.map(|names| unsafe { names.cast_into_unchecked() });
        let arguments = Arguments {
            positional,
            keyword_values,
            keyword_names: names.as_ref().map(|names| names.as_borrowed()),
        };
        (M::BODY)(&receiver, arguments)
    })
}

/// What a C entry point does.
pub(crate) type Body<'a> = &'a mut dyn for<'py> FnMut(Python<'py>) -> PyResult<Bound<'py, PyAny>>;

/// Runs `body` for a C entry point that the interpreter calls: panics become an exception.
#[inline(always)]
pub(crate) fn attached(body: Body<'_>) -> *mut ffi::PyObject {
    // Destructors run while the interpreter ends, when PyO3 attaches nobody any more.
    Python::try_attach(|py| guarded(py, body)).unwrap_or_else(|| attached_unannounced(body))
}

/// [`attached`], without telling PyO3: for bodies that drop no `Py` unless they fail.
#[inline(always)]
fn attached_unannounced(body: Body<'_>) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls C entry points attached.
    guarded(unsafe { Python::assume_attached() }, body)
}

#[inline(always)]
fn guarded(py: Python<'_>, body: Body<'_>) -> *mut ffi::PyObject {
    let result = catch_unwind(AssertUnwindSafe(|| body(py)))
        .unwrap_or_else(|_| Err(PyRuntimeError::new_err("weft: internal error (a panic)")));
    match result {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

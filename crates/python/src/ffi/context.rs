//! Whether two contexts hold the same variables, told without looking at a variable.
//!
//! A context is a pointer to an immutable mapping (PEP 567): `ContextVar.set` replaces the
//! pointer, `copy_context` copies it. Two live contexts with equal pointers therefore hold the
//! same variables. The C API does not show the pointer, so its place is probed before it is
//! relied on.

use std::ffi::c_void;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// CPython 3.11 to 3.14 (`Include/internal/pycore_context.h`): the object's header, the context
/// entered before, the variables, the list of weak references, whether it is entered.
#[repr(C)]
struct Layout {
    header: ffi::PyObject,
    previous: *mut ffi::PyObject,
    variables: *mut c_void,
    weak_references: *mut ffi::PyObject,
    entered: std::ffi::c_int,
}

/// The proof that contexts of this interpreter look as expected.
#[derive(Clone, Copy)]
pub(crate) struct ContextLayout(());

impl ContextLayout {
    /// Tries it once a process; None if this interpreter's contexts look different.
    pub(crate) fn probe(py: Python<'_>) -> PyResult<Option<Self>> {
        static KNOWN: PyOnceLock<bool> = PyOnceLock::new();
        let known = *KNOWN.get_or_try_init(py, || behaves_as_expected(py))?;
        Ok(known.then_some(Self(())))
    }

    /// Whether both contexts hold exactly the same variables now.
    #[inline]
    pub(crate) fn same_variables(self, one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
        variables(one).is_some_and(|mapping| Some(mapping) == variables(other))
    }
}

#[inline]
fn variables(context: &Bound<'_, PyAny>) -> Option<*mut c_void> {
    // SAFETY: reads a word of a live object of exactly the context type, whose instances are
    // at least this large wherever `has_room` holds; where it does not, nothing calls this.
    // What the word means has been probed, and it is only ever compared.
    unsafe {
        (ffi::PyContext_CheckExact(context.as_ptr()) != 0)
            .then(|| (*context.as_ptr().cast::<Layout>()).variables)
    }
}

fn has_room() -> bool {
    // SAFETY: reads a field of a static type object that the interpreter has set up.
    unsafe { ffi::PyContext_Type.tp_basicsize as usize == size_of::<Layout>() }
}

/// A copy shares the word, an assignment changes it, and entering does not.
fn behaves_as_expected(py: Python<'_>) -> PyResult<bool> {
    if !has_room() {
        return Ok(false);
    }
    let module = py.import("contextvars")?;
    let variable = module.call_method1("ContextVar", ("weft.probe",))?;
    let context = module.call_method0("Context")?;
    let run = intern!(py, "run");
    context.call_method1(run, (variable.getattr("set")?, 1))?;
    let twin = context.call_method0("copy")?;
    let before = variables(&context);
    context.call_method1(run, (variable.getattr("get")?,))?;
    let copied = before.is_some_and(|word| !word.is_null()) && before == variables(&twin);
    let kept = before == variables(&context);
    context.call_method1(run, (variable.getattr("set")?, 2))?;
    let changed = before != variables(&context) && before == variables(&twin);
    Ok(copied && kept && changed)
}

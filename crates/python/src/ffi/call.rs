//! Calling callables and entering contexts, by pointer.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::SmallVec;

/// Arguments of a scheduled call, kept inline.
pub(crate) type Args = SmallVec<[Py<PyAny>; 2]>;

/// `callable()`.
#[inline]
pub(crate) fn call0<'py>(callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a live callable in, a new reference or null with an exception set out.
    unsafe {
        Bound::from_owned_ptr_or_err(callable.py(), ffi::PyObject_CallNoArgs(callable.as_ptr()))
    }
}

/// `callable(argument)`.
#[inline]
pub(crate) fn call1<'py>(
    callable: &Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: live objects in, a new reference or null with an exception set out.
    unsafe {
        Bound::from_owned_ptr_or_err(
            callable.py(),
            ffi::PyObject_CallOneArg(callable.as_ptr(), argument.as_ptr()),
        )
    }
}

/// `object.name(argument)`, without a bound method in between.
#[inline]
pub(crate) fn method1<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let stack = [object.as_ptr(), argument.as_ptr()];
    // SAFETY: receiver and argument are live for the call; a new reference or null with an
    // exception set comes out.
    unsafe {
        Bound::from_owned_ptr_or_err(
            object.py(),
            ffi::PyObject_VectorcallMethod(
                name.as_ptr(),
                stack.as_ptr(),
                stack.len(),
                std::ptr::null_mut(),
            ),
        )
    }
}

/// `object.name(first, second)`, without a bound method in between.
#[inline]
pub(crate) fn method2<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    first: &Bound<'py, PyAny>,
    second: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let stack = [object.as_ptr(), first.as_ptr(), second.as_ptr()];
    // SAFETY: as above.
    unsafe {
        Bound::from_owned_ptr_or_err(
            object.py(),
            ffi::PyObject_VectorcallMethod(
                name.as_ptr(),
                stack.as_ptr(),
                stack.len(),
                std::ptr::null_mut(),
            ),
        )
    }
}

/// `callable(*arguments)`.
#[inline]
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    match arguments {
        [] => call0(callable),
        [argument] => call1(callable, argument.bind(py)),
        _ => {
            // One free slot in front lets a bound method put its `self` there (PEP 590).
            let mut stack = SmallVec::<[*mut ffi::PyObject; 8]>::new();
            stack.push(std::ptr::null_mut());
            stack.extend(arguments.iter().map(|argument| argument.as_ptr()));
            // SAFETY: the callee may use the free slot for the length of the call and
            // leaves the rest alone; the arguments outlive the call.
            unsafe {
                Bound::from_owned_ptr_or_err(
                    py,
                    ffi::PyObject_Vectorcall(
                        callable.as_ptr(),
                        stack.as_mut_ptr().add(1),
                        arguments.len() | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
                        std::ptr::null_mut(),
                    ),
                )
            }
        }
    }
}

/// `callable(*arguments, **{names: values})`; `arguments` holds the values behind the
/// positional ones, as in PEP 590.
#[inline]
pub(crate) fn call_keywords<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; N],
    names: &Bound<'py, pyo3::types::PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let stack = arguments.map(|argument| argument.as_ptr());
    let positional = N.saturating_sub(names.len());
    // SAFETY: `names` has one string for each value behind the positional arguments, and
    // everything outlives the call.
    unsafe {
        Bound::from_owned_ptr_or_err(
            callable.py(),
            ffi::PyObject_Vectorcall(callable.as_ptr(), stack.as_ptr(), positional, names.as_ptr()),
        )
    }
}

/// Runs `body` inside `context`, as `Context.run` does.
#[inline]
pub(crate) fn in_context<'py, R>(
    context: &Bound<'py, PyAny>,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    let py = context.py();
    // SAFETY: `PyContext_Enter` refuses what is not a context.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(py));
    }
    let result = body();
    // SAFETY: entered above on this thread; `PyContext_Exit` refuses a context that is no
    // longer the current one.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } != 0 {
        // Fetched in any case: an error left behind would surface in a stranger's call.
        let error = PyErr::fetch(py);
        return result.and(Err(error));
    }
    result
}

/// A copy of the current context, as `contextvars.copy_context()`.
#[inline]
pub(crate) fn copy_context(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: gives a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// A copy of `context`, as `context.copy()`.
#[inline]
pub(crate) fn copy_of_context<'py>(context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: refuses what is not a context; a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(context.py(), ffi::PyContext_Copy(context.as_ptr())) }
}

/// Which of CPython's own scheduling callables `callback` is, if any.
///
/// `_asyncio` schedules a task's steps and wake-ups through `loop.call_soon` and throws the
/// handle away, so for these no handle has to exist. They are told by type: a step is a
/// `TaskStepMethWrapper`; a wake-up is the builtin `task_wakeup` bound to a task.
#[derive(Clone, Copy, Default)]
pub(crate) struct TaskCallables {
    step: Option<std::ptr::NonNull<ffi::PyTypeObject>>,
    wakeup: Option<std::ptr::NonNull<ffi::PyMethodDef>>,
}

impl TaskCallables {
    /// Whether `callback` is a task's own; learns the types at first sight.
    #[inline]
    pub(crate) fn recognise(&mut self, callback: &Bound<'_, PyAny>) -> bool {
        let class = callback.get_type_ptr();
        if self.step.is_some_and(|step| step.as_ptr() == class) {
            return true;
        }
        // SAFETY: reads the type of a live object; for exactly the builtin-function type
        // the object is a PyCFunctionObject, whose definition outlives it.
        let definition = unsafe {
            if class != &raw mut ffi::PyCFunction_Type {
                std::ptr::null_mut()
            } else {
                (*callback.as_ptr().cast::<ffi::PyCFunctionObject>()).m_ml
            }
        };
        if self.wakeup.is_some_and(|wakeup| wakeup.as_ptr() == definition) {
            return true;
        }
        self.learn(class, definition)
    }

    #[cold]
    fn learn(&mut self, class: *mut ffi::PyTypeObject, definition: *mut ffi::PyMethodDef) -> bool {
        // SAFETY: type and method names are NUL-terminated and live as long as their
        // owners; both owners belong to the `_asyncio` module, which is never unloaded.
        unsafe {
            if self.wakeup.is_none()
                && !definition.is_null()
                && std::ffi::CStr::from_ptr((*definition).ml_name) == c"task_wakeup"
            {
                self.wakeup = std::ptr::NonNull::new(definition);
                return true;
            }
            let name = std::ffi::CStr::from_ptr((*class).tp_name);
            if self.step.is_none()
                && (name == c"TaskStepMethWrapper" || name == c"_asyncio.TaskStepMethWrapper")
            {
                self.step = std::ptr::NonNull::new(class);
                return true;
            }
        }
        false
    }
}

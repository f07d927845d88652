//! Bytes objects filled in place, and foreign buffers.

use std::mem::MaybeUninit;

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

unsafe extern "C" {
    /// Cuts a bytes object that has one owner; pyo3-ffi does not declare it.
    fn _PyBytes_Resize(object: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> std::ffi::c_int;
}

/// A bytes object of up to `capacity` bytes that `fill` writes directly; the object is cut
/// to the length `fill` reports, which must not exceed what it was given.
pub(crate) fn bytes_with<E>(
    py: Python<'_>,
    capacity: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<usize, E>,
) -> PyResult<Result<Bound<'_, PyBytes>, E>> {
    // SAFETY: a bytes object with one reference may be written until it is handed out; its
    // buffer has `capacity` bytes. `_PyBytes_Resize` cuts it or frees it and sets null.
    unsafe {
        let mut object =
            ffi::PyBytes_FromStringAndSize(std::ptr::null(), capacity as ffi::Py_ssize_t);
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        let room = std::slice::from_raw_parts_mut(
            ffi::PyBytes_AsString(object).cast::<MaybeUninit<u8>>(),
            capacity,
        );
        match fill(room) {
            Ok(len) => {
                let len = len.min(capacity);
                if len < capacity && _PyBytes_Resize(&raw mut object, len as ffi::Py_ssize_t) != 0 {
                    return Err(PyErr::fetch(py));
                }
                if object.is_null() {
                    return Err(PyMemoryError::new_err(()));
                }
                Ok(Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked()))
            }
            Err(error) => {
                ffi::Py_DECREF(object);
                Ok(Err(error))
            }
        }
    }
}

/// An immutable bytes object kept as a buffer.
pub(crate) struct SharedBytes(Py<PyBytes>);

impl SharedBytes {
    /// `None` for a subclass: what Python code may override is copied.
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> Option<Self> {
        Some(Self(object.cast_exact::<PyBytes>().ok()?.clone().unbind()))
    }

    /// A copy of `bytes`.
    pub(crate) fn copied(py: Python<'_>, bytes: &[u8]) -> Self {
        Self(PyBytes::new(py, bytes).unbind())
    }

    /// The object itself.
    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.0.bind(py).clone()
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: a bytes object never changes, and this reference keeps it where it is.
        unsafe {
            let object = self.0.as_ptr();
            let len = ffi::PyBytes_Size(object).max(0) as usize;
            std::slice::from_raw_parts(ffi::PyBytes_AsString(object).cast::<u8>(), len)
        }
    }
}

/// A view of an object that supports the buffer protocol; released when dropped.
pub(crate) struct View {
    raw: Box<ffi::Py_buffer>,
}

impl View {
    /// A contiguous read-only view.
    pub(crate) fn readable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::get(object, ffi::PyBUF_SIMPLE)
    }

    /// A contiguous writable view; `BufferError` if the object is read-only.
    pub(crate) fn writable(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::get(object, ffi::PyBUF_WRITABLE)
    }

    fn get(object: &Bound<'_, PyAny>, flags: std::ffi::c_int) -> PyResult<Self> {
        let mut raw = Box::new(ffi::Py_buffer::new());
        // SAFETY: the exporter fills `raw`, which keeps its address until it is released.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *raw, flags) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(Self { raw })
    }

    /// Bytes in the view.
    pub(crate) fn len(&self) -> usize {
        self.raw.len.max(0) as usize
    }

    /// The bytes. Python code that runs while the slice lives could change them: copy or
    /// send them before any runs.
    pub(crate) fn as_slice(&self, _py: Python<'_>) -> &[u8] {
        if self.raw.buf.is_null() {
            return &[];
        }
        // SAFETY: the exporter keeps the memory in place until the view is released, and
        // the GIL, which the token proves, keeps other threads' Python code away.
        unsafe { std::slice::from_raw_parts(self.raw.buf.cast(), self.len()) }
    }

    /// The bytes, to be written. Only for views made by [`writable`](Self::writable).
    pub(crate) fn as_mut_slice(&mut self, _py: Python<'_>) -> &mut [u8] {
        if self.raw.buf.is_null() || self.raw.readonly != 0 {
            return &mut [];
        }
        // SAFETY: as above, and the exporter granted writing.
        unsafe { std::slice::from_raw_parts_mut(self.raw.buf.cast(), self.len()) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: acquired once in `get`; views are only dropped with the GIL held, since
        // they live on the stack of functions that have a token.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.raw) };
    }
}

//! Classes without the cycle collector's header.
//!
//! PyO3 gives every class a collector header and tracks every instance. For an object that is
//! made for each scheduled callback the collector's own work then outweighs the callback's:
//! 200,000 pending handles cost three times as much with it as without. A plain class is a
//! heap type with a Rust value and a weak-reference list, nothing else. Its owner answers for
//! cycles through it.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::method::attached;

/// The value of a plain class's instances, and how the class looks from Python.
///
/// A subclass's value is `repr(C)` and starts with its base's, so that the base's methods
/// find theirs.
pub(crate) trait PlainClass: Sized + 'static {
    /// The name without its module.
    const NAME: &'static str;
    /// The qualified name, `module.Name`.
    const QUALIFIED_NAME: &'static CStr;
    /// The class docstring.
    const DOC: &'static CStr;
    /// The attributes that [`attribute`](Self::attribute) answers for.
    const ATTRIBUTES: &'static [&'static CStr];

    /// Where the class is kept once it is made, which the module's initialisation does.
    fn cell() -> &'static PyOnceLock<Py<PyType>>;

    /// The base class, if it is not `object`.
    fn base(py: Python<'_>) -> PyResult<Option<Bound<'_, PyType>>>;

    /// `repr()`.
    fn repr<'py>(slf: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>;

    /// The read-only attribute `ATTRIBUTES[index]`.
    fn attribute<'py>(slf: &Bound<'py, PyAny>, index: usize) -> PyResult<Bound<'py, PyAny>>;

    /// Ordering and equality; `NotImplemented` by default.
    fn compare<'py>(
        slf: &Bound<'py, PyAny>,
        _other: &Bound<'py, PyAny>,
        _op: c_int,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(slf.py().NotImplemented().into_bound(slf.py()))
    }

    /// What `hash()` hashes instead of the identity.
    fn hash_key<'py>(_slf: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyAny>>> {
        None
    }
}

#[repr(C)]
struct Instance<V> {
    header: ffi::PyObject,
    weak_references: *mut ffi::PyObject,
    value: V,
}

/// The class object, made at first use.
pub(crate) fn class<'py, C: PlainClass>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyType>> {
    Ok(C::cell().get_or_try_init(py, || make_class::<C>(py))?.bind(py))
}

fn make_class<C: PlainClass>(py: Python<'_>) -> PyResult<Py<PyType>> {
    let mut members = [
        ffi::PyMemberDef {
            name: c"__weaklistoffset__".as_ptr(),
            type_code: ffi::Py_T_PYSSIZET,
            offset: offset_of!(Instance<C>, weak_references) as ffi::Py_ssize_t,
            flags: ffi::Py_READONLY,
            doc: std::ptr::null(),
        },
        // SAFETY: an all-zero definition ends the list.
        unsafe { std::mem::zeroed() },
    ];
    let attributes: Vec<ffi::PyGetSetDef> = C::ATTRIBUTES
        .iter()
        .enumerate()
        .map(|(index, name)| ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(attribute::<C>),
            set: None,
            doc: std::ptr::null(),
            closure: index as *mut c_void,
        })
        // SAFETY: an all-zero definition ends the list.
        .chain([unsafe { std::mem::zeroed() }])
        .collect();
    // The type keeps pointers into this list for as long as it lives, which is for ever.
    let attributes: &'static mut [ffi::PyGetSetDef] = attributes.leak();
    let slot = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
    let mut slots = [
        slot(ffi::Py_tp_dealloc, deallocate::<C> as *mut c_void),
        slot(ffi::Py_tp_repr, repr::<C> as *mut c_void),
        slot(ffi::Py_tp_richcompare, compare::<C> as *mut c_void),
        slot(ffi::Py_tp_hash, hash::<C> as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, attributes.as_mut_ptr().cast()),
        slot(ffi::Py_tp_doc, C::DOC.as_ptr() as *mut c_void),
        slot(0, std::ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: C::QUALIFIED_NAME.as_ptr(),
        basicsize: size_of::<Instance<C>>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT
            | ffi::Py_TPFLAGS_BASETYPE
            | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION) as u32,
        slots: slots.as_mut_ptr(),
    };
    let base = C::base(py)?;
    let bases = base.map(|base| pyo3::types::PyTuple::new(py, [base])).transpose()?;
    // SAFETY: the spec is well-formed; CPython copies it, the members and the slots, and
    // keeps pointers only to the name, the docstring and the attributes, which are static.
    unsafe {
        let bases = bases.as_ref().map_or(std::ptr::null_mut(), |bases| bases.as_ptr());
        let class =
            Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpecWithBases(&raw mut spec, bases))?;
        Ok(class.cast_into_unchecked::<PyType>().unbind())
    }
}

/// An instance of the plain class of `C`, for `Bound` and `Py`.
pub(crate) struct Plain<C>(PhantomData<C>);

// SAFETY: the type object is the one made from `C`, which only `create` makes instances of.
unsafe impl<C: PlainClass> pyo3::PyTypeInfo for Plain<C> {
    fn type_object_raw(py: Python<'_>) -> *mut ffi::PyTypeObject {
        match class::<C>(py) {
            Ok(class) => class.as_type_ptr(),
            // The module's initialisation has made the class, or failed.
            #[allow(clippy::panic)]
            Err(error) => panic!("{} could not be made: {error}", C::NAME),
        }
    }
}

/// A new instance.
#[inline]
pub(crate) fn create<C: PlainClass>(py: Python<'_>, value: C) -> PyResult<Bound<'_, Plain<C>>> {
    let class = class::<C>(py)?;
    // SAFETY: allocates an instance of exactly this layout, with the header set and one
    // reference, and a reference to the heap type; the two other fields are then written
    // before anyone sees it.
    unsafe {
        let object = ffi::PyObject_Malloc(size_of::<Instance<C>>()).cast::<ffi::PyObject>();
        if object.is_null() {
            return Err(PyErr::new::<pyo3::exceptions::PyMemoryError, _>(()));
        }
        let object = ffi::PyObject_Init(object, class.as_type_ptr());
        let instance = object.cast::<Instance<C>>();
        (&raw mut (*instance).weak_references).write(std::ptr::null_mut());
        (&raw mut (*instance).value).write(value);
        Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked())
    }
}

/// The Rust value of an instance of the class of `C` or of a subclass.
#[inline]
pub(crate) fn value<'a, C: PlainClass>(object: &'a Bound<'_, Plain<C>>) -> &'a C {
    // SAFETY: the object is an instance of the class of `C` or of a plain subclass, whose
    // value starts with a `C`. Values are only shared, never lent mutably.
    unsafe { &(*object.as_ptr().cast::<Instance<C>>()).value }
}

/// [`value`] for the collector's traversal, which has no token but the GIL.
#[inline]
pub(crate) fn value_during_gc<C: PlainClass>(object: &Py<Plain<C>>) -> &C {
    // SAFETY: as in `value`.
    unsafe { &(*object.as_ptr().cast::<Instance<C>>()).value }
}

/// An instance as one of its base class. `Base` must be the base of `C`, by value too.
#[inline]
pub(crate) fn as_base<'a, 'py, C, Base>(
    object: &'a Bound<'py, Plain<C>>,
) -> &'a Bound<'py, Plain<Base>>
where
    C: PlainClass + AsRef<Base>,
    Base: PlainClass,
{
    debug_assert!(std::ptr::addr_eq(value(object), value(object).as_ref()));
    // SAFETY: `AsRef` shows that a `C` holds a `Base`; that it comes first is the contract of
    // `PlainClass`, checked above.
    unsafe { object.cast_unchecked() }
}

/// [`as_base`] without a token: for traversals.
pub(crate) fn as_base_during_gc<C, Base>(object: &Py<Plain<C>>) -> &Py<Plain<Base>>
where
    C: PlainClass + AsRef<Base>,
    Base: PlainClass,
{
    // SAFETY: as in `as_base`; `Py` is one pointer whatever its parameter.
    unsafe { &*std::ptr::from_ref(object).cast() }
}

unsafe extern "C" fn deallocate<C: PlainClass>(object: *mut ffi::PyObject) {
    // SAFETY: called once by the interpreter, attached, when the last reference is gone. The
    // value is dropped exactly once, then the memory and the reference to the type, in the
    // order that CPython's own heap types follow. A panic in a destructor stays here.
    unsafe {
        let instance = object.cast::<Instance<C>>();
        if !(*instance).weak_references.is_null() {
            ffi::PyObject_ClearWeakRefs(object);
        }
        let class = ffi::Py_TYPE(object);
        let value = &raw mut (*instance).value;
        let drop_value = || {
            let _ = catch_unwind(AssertUnwindSafe(|| std::ptr::drop_in_place(value)));
        };
        // Announced to PyO3, so that what the value refers to is released now; while the
        // interpreter ends nobody is attached any more, and nothing has to be released.
        if Python::try_attach(|_| drop_value()).is_none() {
            drop_value();
        }
        ffi::PyObject_Free(object.cast());
        ffi::Py_DECREF(class.cast());
    }
}

unsafe extern "C" fn repr<C: PlainClass>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the slot lends its receiver.
    attached(&mut |py| C::repr(&unsafe { Bound::from_borrowed_ptr(py, object) }))
}

unsafe extern "C" fn attribute<C: PlainClass>(
    object: *mut ffi::PyObject,
    closure: *mut c_void,
) -> *mut ffi::PyObject {
    attached(&mut |py| {
        // SAFETY: the descriptor lends a receiver that it has checked.
        let object = unsafe { Bound::from_borrowed_ptr(py, object) };
        C::attribute(&object, closure as usize)
    })
}

unsafe extern "C" fn compare<C: PlainClass>(
    object: *mut ffi::PyObject,
    other: *mut ffi::PyObject,
    op: c_int,
) -> *mut ffi::PyObject {
    attached(&mut |py| {
        // SAFETY: the slot lends both operands.
        let (object, other) =
            unsafe { (Bound::from_borrowed_ptr(py, object), Bound::from_borrowed_ptr(py, other)) };
        C::compare(&object, &other, op)
    })
}

unsafe extern "C" fn hash<C: PlainClass>(object: *mut ffi::PyObject) -> ffi::Py_hash_t {
    let mut hash = -1;
    let result = attached(&mut |py| {
        // SAFETY: the slot lends its receiver.
        let object = unsafe { Bound::from_borrowed_ptr(py, object) };
        hash = match C::hash_key(&object) {
            Some(key) => key?.hash()?,
            // An address is aligned to 16: the low bits carry nothing (as `object` does it).
            None => (object.as_ptr() as isize).rotate_right(4),
        };
        Ok(py.None().into_bound(py))
    });
    // SAFETY: drops the placeholder, if the closure got that far.
    unsafe { ffi::Py_XDECREF(result) };
    hash
}

//! OpenSSL's functions, found in the very library that `_ssl` has loaded.
//!
//! weft never links against an OpenSSL of its own: the session objects come from `_ssl`, and two
//! copies of the library in one process must not touch each other's structures.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::ptr::NonNull;

/// OpenSSL's `SSL`.
#[repr(C)]
pub(super) struct Ssl(c_void);
/// OpenSSL's `SSL_CTX`.
#[repr(C)]
pub(super) struct SslCtx(c_void);
/// OpenSSL's `BIO`.
#[repr(C)]
pub(super) struct Bio(c_void);
/// OpenSSL's `BIO_METHOD`.
#[repr(C)]
pub(super) struct BioMethod(c_void);

pub(super) type BioRead = unsafe extern "C" fn(*mut Bio, *mut c_char, c_int) -> c_int;
pub(super) type BioWrite = unsafe extern "C" fn(*mut Bio, *const c_char, c_int) -> c_int;
pub(super) type BioCtrl = unsafe extern "C" fn(*mut Bio, c_int, c_long, *mut c_void) -> c_long;
pub(super) type BioDestroy = unsafe extern "C" fn(*mut Bio) -> c_int;

/// A loaded library that stays loaded: `_ssl` is never unloaded.
struct Handle(NonNull<c_void>);

impl Handle {
    /// The library at `path`, if the process has loaded it already.
    fn loaded(path: &CStr) -> Result<Self, String> {
        // SAFETY: a NUL-terminated path; with RTLD_NOLOAD no code of the library runs.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        NonNull::new(handle).map(Self).ok_or_else(|| format!("{path:?} is not loaded"))
    }

    /// The address of `name` in the library or in those that it was linked against.
    fn symbol(&self, name: &CStr) -> Result<*mut c_void, String> {
        // SAFETY: a live handle and a NUL-terminated name.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        if address.is_null() { Err(format!("the ssl module has no {name:?}")) } else { Ok(address) }
    }
}

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions that weft calls, with the signatures of OpenSSL 1.1.1 and 3.
        #[allow(non_snake_case, reason = "the names are OpenSSL's")]
        pub(super) struct Functions {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            fn find(handle: &Handle) -> Result<Self, String> {
                Ok(Self {
                    $($name: {
                        let name = concat!(stringify!($name), "\0").as_bytes();
                        let name = CStr::from_bytes_with_nul(name).unwrap_or(c"");
                        let address = handle.symbol(name)?;
                        // SAFETY: the signature is the one in OpenSSL's headers, the same in
                        // 1.1.1 and 3; the library stays loaded.
                        unsafe {
                            std::mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($argument),*) $(-> $result)?,
                            >(address)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    OpenSSL_version(c_int) -> *const c_char;
    ERR_clear_error();
    SSL_read_ex(*mut Ssl, *mut c_void, usize, *mut usize) -> c_int;
    SSL_write_ex(*mut Ssl, *const c_void, usize, *mut usize) -> c_int;
    SSL_get_error(*const Ssl, c_int) -> c_int;
    SSL_pending(*const Ssl) -> c_int;
    SSL_set_bio(*mut Ssl, *mut Bio, *mut Bio);
    SSL_get_rbio(*const Ssl) -> *mut Bio;
    SSL_get_wbio(*const Ssl) -> *mut Bio;
    SSL_get_SSL_CTX(*const Ssl) -> *mut SslCtx;
    SSL_get_servername(*const Ssl, c_int) -> *const c_char;
    BIO_get_new_index() -> c_int;
    BIO_meth_new(c_int, *const c_char) -> *mut BioMethod;
    BIO_meth_set_read(*mut BioMethod, BioRead) -> c_int;
    BIO_meth_set_write(*mut BioMethod, BioWrite) -> c_int;
    BIO_meth_set_ctrl(*mut BioMethod, BioCtrl) -> c_int;
    BIO_meth_set_destroy(*mut BioMethod, BioDestroy) -> c_int;
    BIO_new(*const BioMethod) -> *mut Bio;
    BIO_set_data(*mut Bio, *mut c_void);
    BIO_get_data(*mut Bio) -> *mut c_void;
    BIO_set_init(*mut Bio, c_int);
    BIO_set_flags(*mut Bio, c_int);
    BIO_clear_flags(*mut Bio, c_int);
}

impl Functions {
    /// The functions behind the extension module at `path`, which must report the version
    /// `expected`: two libraries of one name may be loaded.
    pub(super) fn of_module(path: &str, expected: &str) -> Result<Self, String> {
        let path = CString::new(path).map_err(|_| "its path holds a NUL".to_owned())?;
        let functions = Self::find(&Handle::loaded(&path)?)?;
        // SAFETY: 0 asks for the version text, which is static.
        let version = unsafe { CStr::from_ptr((functions.OpenSSL_version)(0)) };
        let version = version.to_string_lossy();
        if version == expected {
            Ok(functions)
        } else {
            Err(format!("found {version} where the ssl module has {expected}"))
        }
    }
}

/// `BIO_FLAGS_READ`, `_WRITE` and `_IO_SPECIAL`: which call wants to be repeated.
pub(super) const BIO_FLAGS_RWS: c_int = 0x01 | 0x02 | 0x04;
/// `BIO_FLAGS_READ`.
pub(super) const BIO_FLAGS_READ: c_int = 0x01;
/// `BIO_FLAGS_SHOULD_RETRY`.
pub(super) const BIO_FLAGS_SHOULD_RETRY: c_int = 0x08;
/// `BIO_CTRL_FLUSH`, the one control call that a BIO under TLS has to answer.
pub(super) const BIO_CTRL_FLUSH: c_int = 11;
/// `BIO_TYPE_SOURCE_SINK`: a BIO at the end of a chain.
pub(super) const BIO_TYPE_SOURCE_SINK: c_int = 0x0400;
/// `SSL_ERROR_WANT_READ`.
pub(super) const SSL_ERROR_WANT_READ: c_int = 2;
/// `SSL_ERROR_WANT_WRITE`.
pub(super) const SSL_ERROR_WANT_WRITE: c_int = 3;
/// `SSL_ERROR_ZERO_RETURN`: the peer has sent close_notify.
pub(super) const SSL_ERROR_ZERO_RETURN: c_int = 6;
/// `TLSEXT_NAMETYPE_host_name`.
pub(super) const NAMETYPE_HOST_NAME: c_int = 0;

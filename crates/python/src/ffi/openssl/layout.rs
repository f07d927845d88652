//! Where `_ssl`'s objects keep their pointers, and the proof that it is so.
//!
//! CPython has no C API for this, so the places are knowledge of its structures: the same from
//! 3.10 to 3.14. Before weft relies on it, a session made for the purpose is looked at. What the
//! places hold is first read without trusting it, through the kernel, which refuses a wild
//! pointer where a load would crash; only then is it given to OpenSSL, which must agree.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use super::library::{Bio, Functions, NAMETYPE_HOST_NAME, Ssl};

/// `_ssl._SSLSocket`: `PyObject_HEAD`, a weak reference, then the `SSL *`.
const SSL_OF_SOCKET: usize = size_of::<ffi::PyObject>() + size_of::<*mut c_void>();
/// `_ssl.MemoryBIO`: `PyObject_HEAD`, then the `BIO *`.
const BIO_OF_MEMORY: usize = size_of::<ffi::PyObject>();
/// `_ssl._SSLContext`: `PyObject_HEAD`, then the `SSL_CTX *`.
const CTX_OF_CONTEXT: usize = size_of::<ffi::PyObject>();
/// How much of an `SSL` is searched for the pointers that it must hold. It is larger than the
/// structure in any version.
const SSL_SEARCHED: usize = 16 * 1024;
/// A name for the session that is looked at; it is sent nowhere.
const PROBE_NAME: &str = "layout.weft.invalid";

/// What was found and proved.
pub(super) struct Native {
    pub(super) functions: Functions,
    /// `_ssl._SSLSocket`.
    socket: Py<PyType>,
    /// `_ssl.MemoryBIO`.
    memory: Py<PyType>,
}

/// OpenSSL, or the reason why it is not driven directly. Looked at once in a process.
pub(super) fn native(py: Python<'_>) -> &'static Result<Native, String> {
    static NATIVE: PyOnceLock<Result<Native, String>> = PyOnceLock::new();
    NATIVE.get_or_init(py, || find(py))
}

/// Why OpenSSL cannot be driven directly; `None` if it can.
pub(crate) fn unavailable(py: Python<'_>) -> Option<&'static str> {
    native(py).as_ref().err().map(String::as_str)
}

impl Native {
    /// The session in an `ssl.SSLObject` over the two memory BIOs; `None` if one of the objects
    /// is of a class that the proof says nothing about.
    pub(super) fn session_of(
        &self,
        object: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
    ) -> PyResult<Option<(Py<PyAny>, NonNull<Ssl>)>> {
        let socket = object.getattr("_sslobj")?;
        let known = socket.get_type().is(&self.socket)
            && [incoming, outgoing].iter().all(|bio| bio.get_type().is(&self.memory));
        if !known {
            return Ok(None);
        }
        let bios = [incoming, outgoing].map(|bio| word(bio, BIO_OF_MEMORY) as *mut Bio);
        let Some(ssl) = NonNull::new(word(&socket, SSL_OF_SOCKET) as *mut Ssl) else {
            return Ok(None);
        };
        // SAFETY: the classes are those of the proof, so this is the session's SSL, alive while
        // its object is.
        let found = unsafe {
            [
                (self.functions.SSL_get_rbio)(ssl.as_ptr()),
                (self.functions.SSL_get_wbio)(ssl.as_ptr()),
            ]
        };
        Ok((found == bios).then(|| (socket.unbind(), ssl)))
    }
}

fn find(py: Python<'_>) -> Result<Native, String> {
    if size_of::<ffi::PyObject>() != 2 * size_of::<usize>() {
        return Err("this build of CPython has object headers of another size".to_owned());
    }
    let python = |error: PyErr| format!("the ssl module answers with {error}");
    let ssl = py.import("ssl").map_err(python)?;
    let module = py.import("_ssl").map_err(python)?;
    let path: String = module
        .getattr("__file__")
        .and_then(|path| path.extract())
        .map_err(|_| "the ssl module is built into the interpreter".to_owned())?;
    let version: String =
        ssl.getattr("OPENSSL_VERSION").and_then(|text| text.extract()).map_err(python)?;
    let functions = Functions::of_module(&path, &version)?;
    let probe = Probe::new(&ssl, &module).map_err(python)?;
    probe.check(&functions)?;
    // Only objects of the classes that were looked at are trusted later.
    let socket = probe.socket.get_type().unbind();
    let memory = probe.incoming.get_type().unbind();
    Ok(Native { functions, socket, memory })
}

/// A session that nobody uses, to be looked at.
struct Probe<'py> {
    context: Bound<'py, PyAny>,
    incoming: Bound<'py, PyAny>,
    outgoing: Bound<'py, PyAny>,
    socket: Bound<'py, PyAny>,
}

impl<'py> Probe<'py> {
    fn new(ssl: &Bound<'py, PyModule>, module: &Bound<'py, PyModule>) -> PyResult<Self> {
        let py = ssl.py();
        let protocol = (ssl.getattr("PROTOCOL_TLS_CLIENT")?,);
        let context = ssl.getattr("SSLContext")?.call1(protocol)?;
        let incoming = module.getattr("MemoryBIO")?.call0()?;
        let outgoing = module.getattr("MemoryBIO")?.call0()?;
        let options = PyDict::new(py);
        options.set_item("server_hostname", PROBE_NAME)?;
        let object = context.call_method("wrap_bio", (&incoming, &outgoing), Some(&options))?;
        // The context and its native part are one object: SSLContext inherits from it.
        let socket = object.getattr("_sslobj")?;
        Ok(Self { context, incoming, outgoing, socket })
    }

    fn check(&self, functions: &Functions) -> Result<(), String> {
        let ctx = checked_word(&self.context, CTX_OF_CONTEXT)?;
        let rbio = checked_word(&self.incoming, BIO_OF_MEMORY)?;
        let wbio = checked_word(&self.outgoing, BIO_OF_MEMORY)?;
        let ssl = checked_word(&self.socket, SSL_OF_SOCKET)?;
        let inside = words_at(ssl, SSL_SEARCHED)?;
        if ![ctx, rbio, wbio].iter().all(|pointer| inside.contains(pointer)) {
            return Err("the session does not refer to its context and its BIOs".to_owned());
        }
        // SAFETY: `ssl` is an address that the object holds where its SSL is expected, and the
        // structure there refers to three others that belong to this session alone: it is the
        // session's SSL. The probe keeps it alive.
        let agreed = unsafe {
            let ssl = ssl as *mut Ssl;
            let name = (functions.SSL_get_servername)(ssl, NAMETYPE_HOST_NAME);
            (functions.SSL_get_rbio)(ssl) as usize == rbio
                && (functions.SSL_get_wbio)(ssl) as usize == wbio
                && (functions.SSL_get_SSL_CTX)(ssl) as usize == ctx
                && !name.is_null()
                && CStr::from_ptr(name).to_bytes() == PROBE_NAME.as_bytes()
        };
        if agreed { Ok(()) } else { Err("OpenSSL disagrees about the session".to_owned()) }
    }
}

/// The word at `offset` of an object, which must be that large, and no null pointer.
fn checked_word(object: &Bound<'_, PyAny>, offset: usize) -> Result<usize, String> {
    let class = object.get_type();
    let size = class.getattr("__basicsize__").and_then(|size| size.extract::<usize>());
    if size.unwrap_or_default() < offset + size_of::<usize>() {
        return Err(format!("{class} is smaller than it was"));
    }
    match word(object, offset) {
        pointer if pointer != 0 && pointer % align_of::<usize>() == 0 => Ok(pointer),
        _ => Err(format!("{class} holds no pointer where it is expected")),
    }
}

/// The word at `offset` of an object whose class is known to be larger than that.
fn word(object: &Bound<'_, PyAny>, offset: usize) -> usize {
    // SAFETY: `checked_word` has compared the offset with the size of this class, and objects
    // are aligned to words.
    unsafe { object.as_ptr().byte_add(offset).cast::<usize>().read() }
}

/// The words at `address`, up to `len` bytes or the end of what is mapped there.
fn words_at(address: usize, len: usize) -> Result<Vec<usize>, String> {
    // A pipe's write copies from memory in the kernel: a bad address is EFAULT, not a crash.
    let copy = || -> std::io::Result<Vec<u8>> {
        let (reader, writer) = rustix::pipe::pipe_with(
            rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK,
        )?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&writer);
        // SAFETY: the kernel checks the addresses that it reads; nothing is written to them.
        let written = unsafe { libc::write(descriptor, address as *const c_void, len) };
        if written < 0 {
            return Err(std::io::Error::last_os_error());
        }
        drop(writer);
        let mut bytes = Vec::with_capacity(len);
        std::io::Read::read_to_end(&mut std::fs::File::from(reader), &mut bytes)?;
        Ok(bytes)
    };
    let bytes = copy().map_err(|error| format!("the session's memory cannot be read: {error}"))?;
    let words = bytes.chunks_exact(size_of::<usize>());
    Ok(words.filter_map(|word| word.try_into().ok().map(usize::from_ne_bytes)).collect())
}

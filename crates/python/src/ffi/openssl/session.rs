//! One TLS session: read, write, and the bytes on both sides.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use super::layout::native;
use super::library::{
    Functions, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_ZERO_RETURN, Ssl,
};
use super::pipe::{self, Pipe};

/// What a read came to.
pub(crate) enum Read {
    /// So many bytes.
    Data(usize),
    /// Nothing until more comes from the peer.
    Wait,
    /// The peer has sent close_notify.
    Closed,
    /// The session is broken: [`Session::failure`] says how.
    Failed,
}

/// What a write came to.
pub(crate) enum Write {
    /// Everything is encrypted.
    Done,
    /// Nothing can be written until more comes from the peer; the same bytes must be offered
    /// again.
    Wait,
    /// The session is broken: [`Session::failure`] says how.
    Failed,
}

/// A TLS session, driven from here. All calls are made with the GIL held, by the thread of the
/// loop; the one exception is the handshake, during which its transport calls nothing here.
pub(crate) struct Session {
    functions: &'static Functions,
    ssl: NonNull<Ssl>,
    pipe: NonNull<Pipe>,
    /// `_ssl._SSLSocket`, which owns `ssl`, which owns the BIO, which owns `pipe`.
    owner: Py<PyAny>,
    /// Where in the stream of ciphertext the last data ended: what was consumed behind it is a
    /// record that is not complete.
    data_ended: Cell<u64>,
}

impl Session {
    /// Takes over the bytes of the session in `object`, an `ssl.SSLObject` that was made over
    /// the two `MemoryBIO`s and has not been used yet. `None` where that is not possible.
    pub(crate) fn attach(
        object: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Self>> {
        let Ok(native) = native(object.py()) else { return Ok(None) };
        let Some((owner, ssl)) = native.session_of(object, incoming, outgoing)? else {
            return Ok(None);
        };
        let functions = &native.functions;
        let Some((bio, pipe)) = pipe::new(functions) else { return Ok(None) };
        // SAFETY: a live session takes the one reference to the BIO, for both directions, and
        // lets go of its former BIOs, which their Python objects still own.
        unsafe { (functions.SSL_set_bio)(ssl.as_ptr(), bio.as_ptr(), bio.as_ptr()) };
        Ok(Some(Self { functions, ssl, pipe, owner, data_ended: Cell::new(0) }))
    }

    /// Reads decrypted bytes. After `Wait` with a record half read, more input goes on with it.
    pub(crate) fn read(&self, room: &mut [MaybeUninit<u8>]) -> Read {
        let mut len = 0;
        // SAFETY: `owner` keeps the session alive; OpenSSL writes at most `room.len()` bytes.
        // The error queue must be empty before a call whose failure is looked up in it.
        let error = unsafe {
            (self.functions.ERR_clear_error)();
            let ssl = self.ssl.as_ptr();
            let done =
                (self.functions.SSL_read_ex)(ssl, room.as_mut_ptr().cast(), room.len(), &mut len);
            if done == 1 {
                self.data_ended.set(self.pipe(|pipe| pipe.consumed));
                return Read::Data(len);
            }
            (self.functions.SSL_get_error)(ssl, done)
        };
        match error {
            SSL_ERROR_WANT_READ | SSL_ERROR_WANT_WRITE => Read::Wait,
            SSL_ERROR_ZERO_RETURN => Read::Closed,
            _ => Read::Failed,
        }
    }

    /// [`read`](Self::read) into memory that is initialised.
    pub(crate) fn read_into(&self, room: &mut [u8]) -> Read {
        // SAFETY: bytes are valid as bytes that may not be initialised, and `read` writes none
        // that are not.
        self.read(unsafe { &mut *(std::ptr::from_mut(room) as *mut [MaybeUninit<u8>]) })
    }

    /// Encrypts `bytes`, all or nothing; they must not be empty.
    pub(crate) fn write(&self, bytes: &[u8]) -> Write {
        /// What TLS adds to a record at most, with some room.
        const OVERHEAD: usize = 64;
        const RECORD: usize = 16 * 1024;
        self.pipe(|pipe| pipe.output.reserve(bytes.len() + (bytes.len() / RECORD + 1) * OVERHEAD));
        let mut len = 0;
        // SAFETY: as in `read`; OpenSSL only reads the bytes.
        let error = unsafe {
            (self.functions.ERR_clear_error)();
            let ssl = self.ssl.as_ptr();
            let bytes_len = bytes.len();
            let done =
                (self.functions.SSL_write_ex)(ssl, bytes.as_ptr().cast(), bytes_len, &mut len);
            if done == 1 {
                return Write::Done;
            }
            (self.functions.SSL_get_error)(ssl, done)
        };
        match error {
            SSL_ERROR_WANT_READ | SSL_ERROR_WANT_WRITE => Write::Wait,
            _ => Write::Failed,
        }
    }

    /// The exception for the call that has just failed, which is repeated by the Python object:
    /// a broken session fails again and leaves OpenSSL's error queue as it was, and the object
    /// turns that into the exception that users of `ssl` know.
    pub(crate) fn failure(&self, py: Python<'_>) -> PyErr {
        let repeated = self.owner.bind(py).call_method1("read", (1,));
        // SAFETY: clears a queue of this thread.
        unsafe { (self.functions.ERR_clear_error)() };
        match repeated {
            Err(error) => error,
            Ok(_) => match py.import("ssl").and_then(|ssl| ssl.getattr("SSLError")) {
                Ok(class) => match class.call1(("the TLS session is broken",)) {
                    Ok(error) => PyErr::from_value(error),
                    Err(error) => error,
                },
                Err(error) => error,
            },
        }
    }

    /// Decrypted bytes that OpenSSL holds.
    pub(crate) fn pending(&self) -> usize {
        // SAFETY: `owner` keeps the session alive.
        usize::try_from(unsafe { (self.functions.SSL_pending)(self.ssl.as_ptr()) }).unwrap_or(0)
    }

    /// Bytes from the peer that OpenSSL has not taken yet.
    pub(crate) fn input_len(&self) -> usize {
        self.pipe(|pipe| pipe.input_len())
    }

    /// No less than what reading can give now, without compression.
    pub(crate) fn readable_bound(&self) -> usize {
        let (input, consumed) = self.pipe(|pipe| (pipe.input_len(), pipe.consumed));
        self.pending() + input + consumed.saturating_sub(self.data_ended.get()) as usize
    }

    /// Gives the session bytes from the peer, to keep.
    pub(crate) fn feed(&self, bytes: &[u8]) {
        self.pipe(|pipe| pipe.keep(bytes));
    }

    /// Gives the session bytes from the peer while `body` runs; what it leaves is kept.
    pub(crate) fn with_input<R>(&self, bytes: &[u8], body: impl FnOnce() -> R) -> R {
        /// Ends the loan even if `body` panics.
        struct Loan<'a>(&'a Session);
        impl Drop for Loan<'_> {
            fn drop(&mut self) {
                self.0.pipe(Pipe::take_back);
            }
        }
        let loan = Loan(self);
        self.pipe(|pipe| pipe.lend(bytes));
        let result = body();
        drop(loan);
        result
    }

    /// Takes the bytes for the peer.
    pub(crate) fn take_output(&self) -> Vec<u8> {
        self.pipe(|pipe| std::mem::take(&mut pipe.output))
    }

    /// Gives back the room of bytes that were taken, for the next ones; not more than an idle
    /// connection may hold.
    pub(crate) fn reuse(&self, mut room: Vec<u8>) {
        /// A small record with its head and its tag.
        const KEPT_ROOM: usize = 2048;
        if room.capacity() <= KEPT_ROOM {
            room.clear();
            self.pipe(|pipe| {
                if pipe.output.capacity() == 0 {
                    pipe.output = room;
                }
            });
        }
    }

    /// How many bytes for the peer wait.
    pub(crate) fn output_len(&self) -> usize {
        self.pipe(|pipe| pipe.output.len())
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.owner)
    }

    fn pipe<R>(&self, body: impl FnOnce(&mut Pipe) -> R) -> R {
        // SAFETY: `owner` keeps the pipe alive. The bodies are the short ones above: none calls
        // OpenSSL or this function again, so no other reference to the pipe exists.
        body(unsafe { &mut *self.pipe.as_ptr() })
    }
}

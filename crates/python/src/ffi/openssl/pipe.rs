//! The BIO between a TLS session and the bytes of its connection.
//!
//! OpenSSL's own memory BIOs copy what they are given and never give memory back. This one lets
//! a session read where the socket left the bytes, and hands out what the session wrote as the
//! vector that goes to the socket; between two events it holds nothing.
//!
//! The BIO owns its [`Pipe`] and frees it, so it lives as long as the session, which Python code
//! may keep beyond the connection. OpenSSL's handshake runs without the GIL: nothing here
//! touches Python.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use super::library::{
    BIO_CTRL_FLUSH, BIO_FLAGS_READ, BIO_FLAGS_RWS, BIO_FLAGS_SHOULD_RETRY, BIO_TYPE_SOURCE_SINK,
    Bio, BioMethod, Functions,
};

/// A kept input buffer with more room than this is given back once it is empty.
const KEPT_ROOM: usize = 1024;

/// Both directions of one connection, as its session sees them.
#[derive(Default)]
pub(super) struct Pipe {
    /// Bytes from the peer that are kept, from `read` on not yet read.
    kept: Vec<u8>,
    read: usize,
    /// Bytes from the peer that somebody lends for the length of one call.
    lent: Option<(NonNull<u8>, usize)>,
    /// Bytes for the peer.
    pub(super) output: Vec<u8>,
    /// Bytes that the session has read, in all.
    pub(super) consumed: u64,
}

impl Pipe {
    /// Bytes from the peer that the session has not read.
    pub(super) fn input_len(&self) -> usize {
        self.kept.len() - self.read + self.lent.map_or(0, |(_, len)| len)
    }

    /// Keeps `bytes` for the session.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// Lends `bytes`. The lender calls [`take_back`](Self::take_back) before they go away.
    pub(super) fn lend(&mut self, bytes: &[u8]) {
        self.lent = Some((NonNull::from(bytes).cast(), bytes.len()));
    }

    /// Ends the loan, keeping a copy of what was not read.
    pub(super) fn take_back(&mut self) {
        if let Some((bytes, len)) = self.lent.take()
            && len > 0
        {
            // SAFETY: the lender's slice lives until this call returns; `bytes` and `len`
            // describe its unread end.
            self.kept.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes.as_ptr(), len) });
        }
    }

    /// Copies at most `room` bytes to `target` and says how many.
    ///
    /// # Safety
    /// `target` must be valid for writes of `room` bytes.
    unsafe fn read(&mut self, target: *mut u8, room: usize) -> usize {
        let len = if self.read < self.kept.len() {
            let len = room.min(self.kept.len() - self.read);
            // SAFETY: `len` bytes are there behind `read`, and room for them by contract.
            unsafe { ptr::copy_nonoverlapping(self.kept.as_ptr().add(self.read), target, len) };
            self.read += len;
            if self.read == self.kept.len() {
                self.read = 0;
                self.kept.clear();
                if self.kept.capacity() > KEPT_ROOM {
                    self.kept = Vec::new();
                }
            }
            len
        } else if let Some((bytes, left)) = self.lent {
            let len = room.min(left);
            // SAFETY: the lender's slice is live until `take_back`, and has `left` bytes more.
            unsafe {
                ptr::copy_nonoverlapping(bytes.as_ptr(), target, len);
                self.lent = Some((bytes.add(len), left - len));
            }
            len
        } else {
            0
        };
        self.consumed += len as u64;
        len
    }
}

/// The functions that the callbacks below need, and the method that names them.
struct Registered {
    functions: &'static Functions,
    method: NonNull<BioMethod>,
}

// SAFETY: a BIO_METHOD is not written to once its setters are done, and `BIO_new` only reads it.
unsafe impl Send for Registered {}
// SAFETY: as above.
unsafe impl Sync for Registered {}

static REGISTERED: OnceLock<Registered> = OnceLock::new();

/// A new BIO with the pipe that it owns; `None` if OpenSSL has no memory.
pub(super) fn new(functions: &'static Functions) -> Option<(NonNull<Bio>, NonNull<Pipe>)> {
    let registered = match REGISTERED.get() {
        Some(registered) => registered,
        None => {
            let method = register(functions)?;
            REGISTERED.get_or_init(|| Registered { functions, method })
        }
    };
    // SAFETY: a complete method; the BIO takes the pipe over, and `destroy` frees it.
    unsafe {
        let bio = NonNull::new((functions.BIO_new)(registered.method.as_ptr()))?;
        let pipe = NonNull::from(Box::leak(Box::<Pipe>::default()));
        (functions.BIO_set_data)(bio.as_ptr(), pipe.as_ptr().cast());
        (functions.BIO_set_init)(bio.as_ptr(), 1);
        Some((bio, pipe))
    }
}

fn register(functions: &Functions) -> Option<NonNull<BioMethod>> {
    // SAFETY: the callbacks have the signatures that the setters ask for, and are static.
    unsafe {
        let kind = (functions.BIO_get_new_index)() | BIO_TYPE_SOURCE_SINK;
        let method = NonNull::new((functions.BIO_meth_new)(kind, c"weft connection".as_ptr()))?;
        let complete = (functions.BIO_meth_set_read)(method.as_ptr(), on_read) == 1
            && (functions.BIO_meth_set_write)(method.as_ptr(), on_write) == 1
            && (functions.BIO_meth_set_ctrl)(method.as_ptr(), on_control) == 1
            && (functions.BIO_meth_set_destroy)(method.as_ptr(), on_destroy) == 1;
        complete.then_some(method)
    }
}

/// The pipe of a BIO of ours.
///
/// # Safety
/// `bio` must be one that [`new`] made and that is being called by OpenSSL: then nobody else
/// looks at its pipe.
unsafe fn pipe_of<'a>(bio: *mut Bio) -> Option<(&'static Functions, &'a mut Pipe)> {
    let registered = REGISTERED.get()?;
    // SAFETY: by contract the data is our pipe, and this is the only access to it.
    unsafe {
        let pipe = (registered.functions.BIO_get_data)(bio).cast::<Pipe>().as_mut()?;
        Some((registered.functions, pipe))
    }
}

unsafe extern "C" fn on_read(bio: *mut Bio, target: *mut c_char, room: c_int) -> c_int {
    // SAFETY: OpenSSL calls a BIO of ours, with room for `room` bytes.
    unsafe {
        let Some((functions, pipe)) = pipe_of(bio) else { return -1 };
        (functions.BIO_clear_flags)(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
        if target.is_null() || room <= 0 {
            return 0;
        }
        let len = pipe.read(target.cast(), room as usize);
        if len == 0 {
            (functions.BIO_set_flags)(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
            return -1;
        }
        // At most `room`, which is a c_int.
        len as c_int
    }
}

unsafe extern "C" fn on_write(bio: *mut Bio, source: *const c_char, len: c_int) -> c_int {
    // SAFETY: OpenSSL calls a BIO of ours, with `len` bytes to read.
    unsafe {
        let Some((functions, pipe)) = pipe_of(bio) else { return -1 };
        (functions.BIO_clear_flags)(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
        if source.is_null() || len <= 0 {
            return 0;
        }
        pipe.output.extend_from_slice(std::slice::from_raw_parts(source.cast(), len as usize));
        len
    }
}

unsafe extern "C" fn on_control(
    _bio: *mut Bio,
    command: c_int,
    _number: c_long,
    _pointer: *mut c_void,
) -> c_long {
    c_long::from(command == BIO_CTRL_FLUSH)
}

unsafe extern "C" fn on_destroy(bio: *mut Bio) -> c_int {
    let Some(registered) = REGISTERED.get() else { return 0 };
    // SAFETY: OpenSSL calls this once, when nobody refers to the BIO any more; the pipe came
    // from a box.
    unsafe {
        let pipe = (registered.functions.BIO_get_data)(bio).cast::<Pipe>();
        (registered.functions.BIO_set_data)(bio, ptr::null_mut());
        if !pipe.is_null() {
            drop(Box::from_raw(pipe));
        }
    }
    1
}

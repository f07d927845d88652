//! Descriptors taken over from Python.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The owner of `fd`, which the caller has given up: whoever got the number closes it.
pub(crate) fn take(fd: RawFd) -> io::Result<OwnedFd> {
    // Asks the kernel whether there is such a descriptor at all, before it is owned.
    weft_reactor::sys::is_open(fd)?;
    // SAFETY: the descriptor is open, and the caller has given it up.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A duplicate of `fd`, which stays its owner's.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // Asks the kernel whether there is such a descriptor at all, before it is lent.
    weft_reactor::sys::is_open(fd)?;
    // SAFETY: the descriptor is open; it is lent for the length of one call.
    unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()
}

//! The operating system: the only room of this crate that makes system calls.
//!
//! A platform supplies
//!
//! | item | contract |
//! |---|---|
//! | [`Poller`] | readiness of many descriptors, level- or edge-triggered per descriptor, waits in nanoseconds and never returns early; can be renewed in a child of fork |
//! | [`Waker`] | wakes a parked [`Poller`] from any thread, at most one system call, coalescing; can be renewed too |
//! | [`socket`] | non-blocking socket calls on raw descriptors |
//! | [`datagram`] | non-blocking datagrams with their addresses |
//! | [`pipe`] | non-blocking calls on pipes and what works like them |
//! | [`stream`] | writing to a stream that the loop does not watch, without blocking on it |
//! | [`monotonic_ns`] | the clock of Python's `time.monotonic()` |
//!
//! Linux is the one platform implemented so far.

#[cfg(not(target_os = "linux"))]
compile_error!("weft's reactor supports Linux only so far; add a module beside sys/epoll.rs");

pub mod datagram;
mod epoll;
mod eventfd;
pub mod pipe;
pub mod socket;
pub mod stream;

pub use epoll::{Event, Events, Interest, Poller, Readiness};
pub use eventfd::Waker;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock behind Python's `time.monotonic()`.
#[inline]
pub fn monotonic_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Counted from boot, the sum fits for 292 years.
    now.tv_sec * 1_000_000_000 + now.tv_nsec as i64
}

/// Whether `fd` is an open descriptor; `EBADF` if not.
pub fn is_open(fd: RawFd) -> io::Result<()> {
    rustix::io::fcntl_getfd(lend(fd)?)?;
    Ok(())
}

/// Makes the number of `old` a duplicate of `new`, close-on-exec; what `old` was is closed.
fn replace(new: &OwnedFd, old: &OwnedFd) -> io::Result<()> {
    // SAFETY: both are open descriptors that the caller owns, and `old` is one after the call
    // as before it. No memory is touched.
    let result = unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lends `fd` for one system call.
///
/// asyncio's interface deals in descriptor numbers that Python objects own, so the number
/// may be stale: the kernel then answers `EBADF`, which is the caller's to handle.
#[inline]
fn lend<'fd>(fd: RawFd) -> Result<BorrowedFd<'fd>, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the descriptor is used for the length of one system call and never closed
    // through this handle; -1, the one forbidden value, was refused above.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

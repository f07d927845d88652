//! Non-blocking socket calls on raw descriptors.
//!
//! Each call retries `EINTR` and answers `WouldBlock` where the kernel says `EAGAIN`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketFlags,
};

use super::lend;

/// `DONTWAIT`: a socket that its owner left blocking must not stop the loop. `NOSIGNAL`: a
/// peer that is gone is an error, not a `SIGPIPE`.
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Which half of a connection to shut down.
#[derive(Clone, Copy, Debug)]
pub enum Half {
    /// No more sending: the peer reads end of stream.
    Write,
    /// Both directions.
    Both,
}

/// Reads at most `buffer.len()` bytes; 0 is end of stream.
#[inline]
pub fn recv(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT).map(|(read, _)| read))?)
}

/// [`recv`] into memory that need not be initialised; gives the part that was filled.
#[inline]
pub fn recv_uninit(fd: RawFd, buffer: &mut [MaybeUninit<u8>]) -> io::Result<&mut [u8]> {
    let fd = lend(fd)?;
    loop {
        match net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok(((_, _), read)) => {
                let filled = &mut buffer[..read];
                // SAFETY: the kernel wrote `read` bytes at the start of the buffer.
                return Ok(unsafe { filled.assume_init_mut() });
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends from one buffer; may send less. Never raises `SIGPIPE`.
#[inline]
pub fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| net::send(fd, bytes, SEND_FLAGS))?)
}

/// Sends from several buffers in one call; may send less. Never raises `SIGPIPE`.
pub fn send_vectored(fd: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| {
        net::sendmsg(fd, slices, &mut net::SendAncillaryBuffer::default(), SEND_FLAGS)
    })?)
}

/// Accepts one connection: non-blocking, close-on-exec, with the peer's address.
pub fn accept(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let fd = lend(fd)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(retry_on_intr(|| net::acceptfrom_with(fd, flags))?)
}

/// Shuts one or both halves of a connection down.
pub fn shutdown(fd: RawFd, half: Half) -> io::Result<()> {
    let how = match half {
        Half::Write => Shutdown::Write,
        Half::Both => Shutdown::Both,
    };
    Ok(net::shutdown(lend(fd)?, how)?)
}

/// Turns Nagle's algorithm off; a socket that is not TCP is left alone.
pub fn set_nodelay(fd: impl AsFd) {
    // EOPNOTSUPP on a Unix socket is the expected answer there, and nothing depends on it.
    let _ = net::sockopt::set_tcp_nodelay(fd, true);
}

/// The address family of a socket.
pub fn family(fd: RawFd) -> io::Result<AddressFamily> {
    Ok(net::sockopt::socket_domain(lend(fd)?)?)
}

/// The local address of a socket.
pub fn local_address(fd: RawFd) -> io::Result<SocketAddrAny> {
    Ok(net::getsockname(lend(fd)?)?)
}

/// Closes a descriptor that this process owns by number.
pub fn close(fd: OwnedFd) {
    drop(fd);
}

/// Gives up ownership: the number, for an owner that closes it itself.
pub fn into_raw(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}

//! Non-blocking socket calls on raw descriptors.
//!
//! Each call retries `EINTR` and answers `WouldBlock` where the kernel says `EAGAIN`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::slice;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketFlags, SocketType,
};

use super::lend;

/// `DONTWAIT`: a socket that its owner left blocking must not stop the loop. `NOSIGNAL`: a
/// peer that is gone is an error, not a `SIGPIPE`.
pub(super) const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

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
                // SAFETY: the kernel wrote `read` bytes at the start of the buffer, which is
                // at least that long and stays borrowed.
                return Ok(unsafe { slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), read) });
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

/// Accepts one connection: non-blocking, close-on-exec, with the peer's address if it is an
/// internet address.
pub fn accept(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let fd = lend(fd)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (connection, peer) = retry_on_intr(|| net::acceptfrom_with(fd, flags))?;
    Ok((connection, peer.and_then(|peer| SocketAddr::try_from(peer).ok())))
}

/// Whether [`accept`] failed for one connection that was over before it began, so that the next
/// may be accepted at once. accept(2) hands pending network errors of the new socket on.
pub fn accept_failed_in_passing(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| {
        [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::NETDOWN,
            Errno::NOPROTOOPT,
            Errno::HOSTDOWN,
            Errno::NONET,
            Errno::HOSTUNREACH,
            Errno::OPNOTSUPP,
            Errno::NETUNREACH,
            Errno::PERM,
        ]
        .contains(&errno)
    })
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
pub fn set_nodelay(fd: RawFd) {
    // EOPNOTSUPP on a Unix socket is the expected answer there, and nothing depends on it.
    let _ = lend(fd).and_then(|fd| net::sockopt::set_tcp_nodelay(fd, true));
}

/// Whether a socket is one of TCP, whose short reads mean that it is empty.
pub fn is_tcp(fd: RawFd) -> bool {
    lend(fd)
        .and_then(|fd| Ok((net::sockopt::socket_domain(fd)?, net::sockopt::socket_type(fd)?)))
        .is_ok_and(|(domain, kind)| {
            matches!(domain, AddressFamily::INET | AddressFamily::INET6)
                && kind == SocketType::STREAM
        })
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

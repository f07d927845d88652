//! Calls on whatever works like a pipe: pipes, FIFOs, sockets, character devices.
//!
//! Each call retries `EINTR` and answers `WouldBlock` where the kernel says `EAGAIN`.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};

use rustix::fs::{FileType, fstat};
use rustix::io::retry_on_intr;

use super::lend;

/// What kind of file a descriptor is open on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pipe or a FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A terminal or another character device.
    CharacterDevice,
    /// A regular file, a directory, a disk: always ready, so nothing to wait for.
    Other,
}

/// The kind of `fd`.
pub fn kind(fd: RawFd) -> io::Result<Kind> {
    Ok(match FileType::from_raw_mode(fstat(lend(fd)?)?.st_mode) {
        FileType::Fifo => Kind::Pipe,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharacterDevice,
        _ => Kind::Other,
    })
}

/// Makes every read and write of `fd` return at once. Holds for all who share the open file.
pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(lend(fd)?, true)?)
}

/// How many bytes a pipe holds at most; an error if `fd` is none.
pub fn capacity(fd: RawFd) -> io::Result<usize> {
    Ok(rustix::pipe::fcntl_getpipe_size(lend(fd)?)?)
}

/// A second number for the same open file, close-on-exec: epoll knows both apart.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(lend(fd)?, 0)?)
}

/// Reads at most `buffer.len()` bytes; 0 is end of file.
#[inline]
pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| rustix::io::read(fd, &mut *buffer))?)
}

/// [`read`] into memory that need not be initialised: how many bytes at its start are now.
#[inline]
pub fn read_uninit(fd: RawFd, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| rustix::io::read(fd, &mut *buffer).map(|(filled, _)| filled.len()))?)
}

/// Writes from `bytes`; may write less.
#[inline]
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| rustix::io::write(fd, bytes))?)
}

/// Writes from several buffers in one call; may write less.
#[inline]
pub fn write_vectored(fd: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| rustix::io::writev(fd, slices))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn kinds_are_told_apart() {
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(kind(reader.as_raw_fd()).unwrap(), Kind::Pipe);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(kind(socket.as_raw_fd()).unwrap(), Kind::Socket);
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(kind(null.as_raw_fd()).unwrap(), Kind::CharacterDevice);
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert_eq!(kind(file.as_raw_fd()).unwrap(), Kind::Other);
        assert_eq!(kind(-1).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn an_empty_and_a_full_pipe_do_not_block() {
        let (reader, writer) = io::pipe().unwrap();
        let (reader, writer) = (reader.as_raw_fd(), writer.as_raw_fd());
        set_nonblocking(reader).unwrap();
        set_nonblocking(writer).unwrap();
        let mut room = [0; 16];
        assert_eq!(read(reader, &mut room).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let capacity = capacity(writer).unwrap();
        assert_eq!(write(writer, &vec![7; capacity + 1]).unwrap(), capacity);
        assert_eq!(write(writer, b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut uninit = [MaybeUninit::uninit(); 16];
        assert_eq!(read_uninit(reader, &mut uninit).unwrap(), 16);
        assert_eq!(read(reader, &mut room).unwrap(), 16);
        assert_eq!(room, [7; 16]);
    }
}

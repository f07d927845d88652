//! Datagrams on raw descriptors, and the addresses they come from and go to.
//!
//! Each call retries `EINTR` and answers `WouldBlock` where the kernel says `EAGAIN`.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

use rustix::io::retry_on_intr;
use rustix::net::{
    self, AddressFamily, RecvFlags, SocketAddrAny, SocketAddrUnix, addr::SocketAddrArg,
};

use super::lend;
use super::socket::SEND_FLAGS;

/// Which addresses a socket uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Paths and abstract names.
    Unix,
}

/// The family of a socket; `None` if its addresses are none that this module knows.
pub fn family(fd: RawFd) -> io::Result<Option<Family>> {
    Ok(match net::sockopt::socket_domain(lend(fd)?)? {
        AddressFamily::INET => Some(Family::V4),
        AddressFamily::INET6 => Some(Family::V6),
        AddressFamily::UNIX => Some(Family::Unix),
        _ => None,
    })
}

/// An address as the kernel writes it; compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(SocketAddrAny);

/// An address as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// IPv4 and IPv6.
    Internet(SocketAddr),
    /// A path, as it was bound.
    Path(&'a [u8]),
    /// An abstract name, with the NUL in front of it.
    Abstract(&'a [u8]),
    /// An address of another family.
    Other,
}

impl Address {
    /// An IPv4 address.
    pub fn v4(address: SocketAddrV4) -> Self {
        Self(address.into())
    }

    /// An IPv6 address.
    pub fn v6(address: SocketAddrV6) -> Self {
        Self(address.into())
    }

    /// A path, or an abstract name with a NUL in front of it. `ENAMETOOLONG`, or `EINVAL` for a
    /// path with a NUL in it.
    pub fn unix(name: &[u8]) -> io::Result<Self> {
        let address = match name {
            [0, name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
            path => SocketAddrUnix::new(path)?,
        };
        Ok(Self(address.as_any()))
    }

    /// What it says.
    pub fn name(&self) -> Name<'_> {
        match self.0.address_family() {
            AddressFamily::INET | AddressFamily::INET6 => {
                SocketAddr::try_from(self.0.clone()).map_or(Name::Other, Name::Internet)
            }
            AddressFamily::UNIX => match self.path() {
                name @ [0, ..] => Name::Abstract(name),
                // The kernel's NUL ends a path, unless the path has taken its place.
                path => Name::Path(path.split(|byte| *byte == 0).next().unwrap_or_default()),
            },
            _ => Name::Other,
        }
    }

    /// `sun_path`, as far as the kernel has filled it. (rustix reads it too, but panics at a
    /// path of 108 bytes, which leaves no room for the NUL; and a peer chooses its path.)
    fn path(&self) -> &[u8] {
        let len = self.0.addr_len() as usize;
        // SAFETY: rustix holds `addr_len` initialised bytes at `as_ptr`, and lends them here
        // for as long as `self`.
        let bytes = unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<u8>(), len) };
        bytes.get(size_of::<u16>()..).unwrap_or_default()
    }
}

/// Receives one datagram, cut to `buffer.len()` bytes, and its sender's address if it has one.
#[inline]
pub fn recv_from(fd: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Option<Address>)> {
    let fd = lend(fd)?;
    let (len, _, address) = retry_on_intr(|| net::recvfrom(fd, &mut *buffer, RecvFlags::DONTWAIT))?;
    Ok((len, address.map(Address)))
}

/// [`recv_from`] into memory that need not be initialised: how many bytes at its start are now.
#[inline]
pub fn recv_from_uninit(
    fd: RawFd,
    buffer: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, Option<Address>)> {
    let fd = lend(fd)?;
    let (len, address) = retry_on_intr(|| {
        let ((filled, _), _, address) = net::recvfrom(fd, &mut *buffer, RecvFlags::DONTWAIT)?;
        Ok((filled.len(), address))
    })?;
    Ok((len, address.map(Address)))
}

/// Sends one datagram, whole or not at all. Never raises `SIGPIPE`.
#[inline]
pub fn send_to(fd: RawFd, bytes: &[u8], address: &Address) -> io::Result<usize> {
    let fd = lend(fd)?;
    Ok(retry_on_intr(|| net::sendto(fd, bytes, SEND_FLAGS, &address.0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_datagram_comes_with_the_address_that_answers_it() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
        theirs.send_to(b"ping", ours.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 16];
        let (len, address) = recv_from(ours.as_raw_fd(), &mut buffer).unwrap();
        let address = address.unwrap();
        assert_eq!(&buffer[..len], b"ping");
        assert_eq!(address.name(), Name::Internet(theirs.local_addr().unwrap()));
        assert_eq!(send_to(ours.as_raw_fd(), b"pong", &address).unwrap(), 4);
        assert_eq!(theirs.recv(&mut buffer).unwrap(), 4);
        let error = recv_from(ours.as_raw_fd(), &mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(family(ours.as_raw_fd()).unwrap(), Some(Family::V4));
    }

    #[test]
    fn an_ipv6_address_keeps_flow_and_scope() {
        let address = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0x12345, 7);
        assert_eq!(Address::v6(address).name(), Name::Internet(address.into()));
    }

    #[test]
    fn every_name_of_a_unix_socket_is_read_as_it_was_bound() {
        // The longest path leaves no room for the NUL behind it.
        let folder = std::env::temp_dir();
        let stem = folder.join(format!("weft-{}-", std::process::id()));
        let longest = 108 - stem.as_os_str().len();
        for fill in [1, longest - 1, longest] {
            let path = format!("{}{}", stem.display(), "x".repeat(fill));
            let ours = UnixDatagram::unbound().unwrap();
            let address = Address::unix(path.as_bytes()).unwrap();
            assert_eq!(address.name(), Name::Path(path.as_bytes()));
            net::bind(&ours, &address.0).unwrap();
            let theirs = UnixDatagram::unbound().unwrap();
            net::bind(&theirs, &SocketAddrUnix::new_unnamed()).unwrap();
            send_to(theirs.as_raw_fd(), b"x", &address).unwrap();
            let (_, sender) = recv_from(ours.as_raw_fd(), &mut [0; 4]).unwrap();
            let sender = sender.unwrap();
            let Name::Abstract(name) = sender.name() else { panic!("{:?}", sender.name()) };
            assert_eq!(name.len(), 6);
            send_to(ours.as_raw_fd(), b"y", &sender).unwrap();
            let (_, sender) = recv_from(theirs.as_raw_fd(), &mut [0; 4]).unwrap();
            assert_eq!(sender.unwrap().name(), Name::Path(path.as_bytes()));
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_sender_without_a_name_has_no_address() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.send(b"x").unwrap();
        assert_eq!(recv_from(ours.as_raw_fd(), &mut [0; 4]).unwrap(), (1, None));
        assert_eq!(family(ours.as_raw_fd()).unwrap(), Some(Family::Unix));
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        assert!(Address::unix(&[b'x'; 109]).is_err());
        assert!(Address::unix(&[0; 109]).is_err());
        assert!(Address::unix(b"a\0b").is_err());
        assert_eq!(Address::unix(b"\0a\0b").unwrap().name(), Name::Abstract(b"\0a\0b"));
    }
}

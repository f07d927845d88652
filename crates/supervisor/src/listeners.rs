//! Listening sockets: bound once, before any worker, and inherited by all of them.
//!
//! It owns addresses, socket flags and the words of a refusal. It must not know who accepts:
//! what it returns is non-blocking, closed on exec, and never one of the three standard
//! descriptors.
//!
//! - `SO_REUSEADDR`, so that a restart is not kept out by connections in TIME_WAIT.
//! - `TCP_NODELAY` on the listener: Linux hands it down to every accepted socket, which saves
//!   a system call a connection.
//! - A host name is bound at each of its addresses, as asyncio does; an address family that
//!   the machine does not have is passed over as long as one address works.
//! - `::` is bound for IPv4 too, whatever `net.ipv6.bindv6only` says.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind as bind_socket, connect,
    getsockname, ipproto, listen, socket_with, sockopt,
};

use crate::error::Error;
use crate::options::Settings;

/// How often a free port is sought that is free at every address of a host name.
const PORT_TRIES: usize = 8;

/// Opens the listening sockets that the settings ask for; at least one.
pub fn bind(settings: &Settings) -> Result<Vec<OwnedFd>, Error> {
    let backlog = i32::try_from(settings.backlog.get()).unwrap_or(i32::MAX);
    if let Some(path) = &settings.uds {
        return bind_unix(path, backlog).map(|socket| vec![socket]);
    }
    let host = settings.host.as_str();
    let port = u16::try_from(settings.port.get()).unwrap_or(u16::MAX);
    bind_tcp(host, port, backlog)
}

fn bind_tcp(host: &str, port: u16, backlog: i32) -> Result<Vec<OwnedFd>, Error> {
    let addresses = resolve(host, port)?;
    let mut tries = PORT_TRIES;
    loop {
        match bind_all(&addresses, backlog) {
            // The first address chose the port; at another one somebody else has it.
            Err((_, Errno::ADDRINUSE)) if port == 0 && tries > 0 => tries -= 1,
            Err((address, errno)) => {
                return Err(Error::OsListen {
                    address: display(host, address.port()),
                    reason: advice(errno, address),
                });
            }
            Ok(sockets) => return Ok(sockets),
        }
    }
}

/// Every address of the host, each once, in the resolver's order.
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let failure = |reason: String| Error::OsListen { address: display(host, port), reason };
    let found = (host, port).to_socket_addrs().map_err(|error| {
        failure(format!(
            "the host cannot be resolved ({error}); --host takes an address or a name of this \
             machine, such as 127.0.0.1 or 0.0.0.0"
        ))
    })?;
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(failure("the host has no address; try 127.0.0.1".to_owned()));
    }
    Ok(addresses)
}

/// One socket an address, all at the same port.
fn bind_all(addresses: &[SocketAddr], backlog: i32) -> Result<Vec<OwnedFd>, (SocketAddr, Errno)> {
    let mut sockets = Vec::new();
    let mut port = addresses.first().map_or(0, SocketAddr::port);
    let mut absent = None;
    for address in addresses {
        let mut address = *address;
        address.set_port(port);
        match bind_address(address, backlog) {
            Ok((socket, bound)) => {
                port = bound;
                sockets.push(socket);
            }
            Err(errno @ (Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)) => {
                absent = Some((address, errno))
            }
            Err(errno) => return Err((address, errno)),
        }
    }
    match absent {
        Some(refused) if sockets.is_empty() => Err(refused),
        _ => Ok(sockets),
    }
}

/// A socket at this address, and the port it really has.
fn bind_address(address: SocketAddr, backlog: i32) -> rustix::io::Result<(OwnedFd, u16)> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = open(family, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if address.is_ipv6() {
        // Anything but `::` is IPv6 only: a host name may have an IPv4 address of its own.
        let both = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        sockopt::set_ipv6_v6only(&socket, !both)?;
    }
    bind_socket(&socket, &address)?;
    listen(&socket, backlog)?;
    let bound = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, bound.port()))
}

/// A stream socket that is none of the standard descriptors: a worker's are replaced.
fn open(
    family: AddressFamily,
    protocol: Option<rustix::net::Protocol>,
) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, protocol)?;
    if socket.as_raw_fd() > 2 { Ok(socket) } else { rustix::io::fcntl_dupfd_cloexec(&socket, 3) }
}

fn bind_unix(path: &Path, backlog: i32) -> Result<OwnedFd, Error> {
    let failure = |reason: String| Error::OsListen { address: path.display().to_string(), reason };
    let refused = |errno: Errno| failure(unix_advice(errno));
    let address = SocketAddrUnix::new(path).map_err(refused)?;
    let socket = open(AddressFamily::UNIX, None).map_err(refused)?;
    match bind_socket(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            if !is_socket(path) {
                return Err(failure(
                    "a file that is not a socket stands there; remove it or choose another --uds"
                        .to_owned(),
                ));
            }
            if !remove_if_dead(path) {
                return Err(refused(Errno::ADDRINUSE));
            }
            bind_socket(&socket, &address).map_err(refused)?;
        }
        bound => bound.map_err(refused)?,
    }
    // The umask has made the mode narrower than it is to be, never wider, and nobody can
    // connect before `listen`: there is no moment with too open a door.
    rustix::fs::chmod(path, Mode::from_raw_mode(0o666)).map_err(refused)?;
    listen(&socket, backlog).map_err(refused)?;
    Ok(socket)
}

/// Removes the file of a Unix socket that nobody listens on; true if it is gone.
///
/// A server calls it with its own path once its sockets are closed: if another server has
/// taken the path over in the meantime, that one answers, and its file stays.
pub fn remove_if_dead(path: &Path) -> bool {
    let probe = || {
        let address = SocketAddrUnix::new(path)?;
        connect(&open(AddressFamily::UNIX, None)?, &address)
    };
    match probe() {
        Err(Errno::CONNREFUSED) if is_socket(path) => rustix::fs::unlink(path).is_ok(),
        Err(Errno::NOENT) => true,
        _ => false,
    }
}

fn is_socket(path: &Path) -> bool {
    rustix::fs::lstat(path)
        .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Socket)
}

/// The address as a user would write it.
fn display(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What the system said about a TCP address, and what to do.
fn advice(errno: Errno, address: SocketAddr) -> String {
    let port = address.port();
    match errno {
        Errno::ADDRINUSE => format!(
            "the port is in use; stop the process that has it (ss -ltnp 'sport = :{port}' shows \
             it) or choose another --port"
        ),
        Errno::ACCESS | Errno::PERM => {
            "permission denied; choose a --port from 1024 up, or grant CAP_NET_BIND_SERVICE"
                .to_owned()
        }
        Errno::ADDRNOTAVAIL => format!(
            "{} is not an address of this machine; --host 0.0.0.0 listens on all that it has",
            address.ip()
        ),
        Errno::AFNOSUPPORT => {
            "this machine has no such address family; try --host 127.0.0.1".to_owned()
        }
        other => other_errno(other),
    }
}

/// What the system said about a Unix socket, and what to do.
fn unix_advice(errno: Errno) -> String {
    match errno {
        Errno::ADDRINUSE => {
            "a server listens there already; stop it or choose another --uds".to_owned()
        }
        Errno::ACCESS | Errno::PERM => {
            "permission denied; choose a --uds in a folder that this user may write".to_owned()
        }
        Errno::NOENT => "its folder does not exist; make it or choose another --uds".to_owned(),
        Errno::NAMETOOLONG => {
            "the path is longer than the 107 bytes of a socket address; choose a shorter --uds"
                .to_owned()
        }
        other => other_errno(other),
    }
}

fn other_errno(errno: Errno) -> String {
    io::Error::from(errno).to_string()
}

#[cfg(test)]
mod tests;

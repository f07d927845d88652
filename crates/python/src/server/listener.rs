//! Accepting connections, and not when the process is short of descriptors.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::{Rc, Weak};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};
use rustix::net::{SocketAddrAny, SocketAddrUnix};
use weft_reactor::registry::Token;
use weft_reactor::sys::{Interest, Readiness, monotonic_ns, socket};

use super::connection::{Accepted, Connection, address_parts};
use super::http_server::HttpServer;
use crate::event_loop::{Deferred, Source};

/// Connections taken in one turn: those that are open must have their turn too.
const ACCEPTS_PER_TURN: usize = 64;
/// Connections taken when the listener closes; the rest is refused by the kernel.
const ACCEPTS_AT_LAST: usize = 1024;
/// How long nothing is accepted when the system has run out of something.
const PAUSE_NS: i64 = 1_000_000_000;

/// Where a listener listens.
enum Address {
    /// One address; every connection has it on this side.
    One(Py<PyAny>),
    /// All of the machine's: each connection has to be asked.
    Any,
}

/// One listening socket.
pub(super) struct Listener {
    me: Weak<Self>,
    server: Py<HttpServer>,
    fd: RawFd,
    owner: RefCell<Option<OwnedFd>>,
    token: Cell<Option<Token>>,
    address: Address,
    is_tcp: bool,
}

impl Listener {
    /// Starts accepting from `fd`.
    pub(super) fn start(server: &Bound<'_, HttpServer>, fd: OwnedFd) -> PyResult<Rc<Self>> {
        let raw = fd.as_raw_fd();
        let local = socket::local_address(raw)?;
        let is_tcp = SocketAddr::try_from(local.clone()).is_ok();
        if is_tcp {
            // Linux hands it down to every accepted socket, which saves a call for each.
            socket::set_nodelay(raw);
        }
        let address = address_of(server.py(), local)?;
        let listener = Rc::new_cyclic(|me| Self {
            me: me.clone(),
            server: server.clone().unbind(),
            fd: raw,
            owner: RefCell::new(Some(fd)),
            token: Cell::new(None),
            address,
            is_tcp,
        });
        listener.watch(server.py())?;
        Ok(listener)
    }

    fn watch(&self, py: Python<'_>) -> io::Result<()> {
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        let core = self.server.get().server(py).core(py);
        let token = core.register(self.fd, Interest::listening(), me)?;
        self.token.set(Some(token));
        Ok(())
    }

    /// Takes who waits already, then stops for good and closes the socket.
    pub(super) fn stop(&self, py: Python<'_>) {
        let mut left = ACCEPTS_AT_LAST;
        while left > 0 && self.token.get().is_some() && self.accept(py).is_ok() {
            left -= 1;
        }
        self.unwatch(py);
        drop(self.owner.take());
    }

    fn unwatch(&self, py: Python<'_>) {
        if let Some(token) = self.token.take() {
            self.server.get().server(py).core(py).deregister(self.fd, token);
        }
    }

    fn accept(&self, py: Python<'_>) -> io::Result<()> {
        let (fd, peer) = socket::accept(self.fd)?;
        let local = match &self.address {
            Address::One(address) => Ok(address.bind(py).clone()),
            Address::Any => socket::local_address(fd.as_raw_fd())
                .and_then(|local| scope_address(py, &local).map_err(io::Error::other)),
        };
        let accepted = Accepted { fd, peer, local: local?, is_tcp: self.is_tcp };
        Connection::open(self.server.bind(py), accepted)
    }

    /// The system has run out of something that others may give back.
    #[cold]
    fn pause(&self, py: Python<'_>, error: &io::Error) {
        let server = self.server.get().server(py);
        let message = format!("No connection can be accepted ({error}); trying again in 1 s.");
        server.error_log.error(py, &message);
        self.unwatch(py);
        if let Some(me) = self.me.upgrade() {
            server.core(py).set_alarm(monotonic_ns() + PAUSE_NS, Box::new(Resume(me)));
        }
    }
}

impl Source for Listener {
    fn ready(&self, py: Python<'_>, _readiness: Readiness) -> PyResult<()> {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.accept(py) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if socket::accept_failed_in_passing(&error) => {}
                Err(error) => {
                    self.pause(py, &error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn abandon(&self, py: Python<'_>) {
        self.token.set(None);
        self.server.get().server(py).forget_listener(self);
        drop(self.owner.take());
    }

    fn describe(&self, _py: Python<'_>) -> String {
        format!("<listener fd={}>", self.fd)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.server)
    }
}

/// Accepts again after a pause.
struct Resume(Rc<Listener>);

impl Deferred for Resume {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        if self.0.owner.borrow().is_some()
            && let Err(error) = self.0.watch(py)
        {
            self.0.pause(py, &error);
        }
        Ok(())
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Not registered while it pauses, so nobody else visits it.
        visit.call(&self.0.server)
    }
}

fn address_of(py: Python<'_>, local: SocketAddrAny) -> PyResult<Address> {
    let any = SocketAddr::try_from(local.clone()).is_ok_and(|local| local.ip().is_unspecified());
    if any { Ok(Address::Any) } else { Ok(Address::One(scope_address(py, &local)?.unbind())) }
}

/// An address as a scope says it: `(host, port)`, or `(path, None)` of a Unix socket.
fn scope_address<'py>(py: Python<'py>, address: &SocketAddrAny) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Ok(PyTuple::new(py, address_parts(py, address)?)?.into_any());
    }
    let path = SocketAddrUnix::try_from(address.clone())
        .ok()
        .and_then(|address| address.path_bytes().map(|path| path.to_vec()))
        .unwrap_or_default();
    let path = String::from_utf8_lossy(&path).into_owned();
    Ok((path, py.None()).into_pyobject(py)?.into_any())
}

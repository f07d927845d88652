//! Accepting connections for `loop.create_server`.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::{Rc, Weak};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use rustix::io::Errno;
use weft_reactor::registry::Token;
use weft_reactor::sys::{Interest, Readiness, monotonic_ns, socket};

use super::connection::Connection;
use super::stream::SocketTransport;
use crate::error::{OsResult, os_error};
use crate::event_loop::{Deferred, EventLoop, Source, failed};
use crate::ffi::call;

/// How long accepting rests after an error that will not pass by itself.
const PAUSE_NS: i64 = 1_000_000_000;

/// Connections accepted a turn at most; then the others' turn comes first.
const ACCEPTS_PER_TURN: usize = 64;

/// A listening socket that the loop accepts from: names the registration.
#[pyclass(frozen, module = "weft._core")]
pub(crate) struct Listener {
    event_loop: Py<EventLoop>,
    fd: RawFd,
    token: Token,
}

/// What is done with each connection.
struct ListenSource {
    me: Weak<Self>,
    event_loop: Py<EventLoop>,
    socket: Py<PyAny>,
    fd: RawFd,
    /// Known once registered.
    token: Cell<Option<Token>>,
    /// Where the server was started: its connections' callbacks see that context.
    context: Py<PyAny>,
    protocol_factory: Py<PyAny>,
    server: Option<Py<PyAny>>,
    accepts_per_turn: usize,
    /// Whether nothing is accepted at the moment.
    resting: Cell<bool>,
    /// For TLS: takes the Python socket object instead.
    accepted: Option<Py<PyAny>>,
}

#[pymethods]
impl Listener {
    /// Starts accepting; for `EventLoop._start_serving`.
    #[new]
    #[pyo3(signature = (event_loop, sock, protocol_factory, server, backlog, accepted))]
    fn new(
        event_loop: Py<EventLoop>,
        sock: &Bound<'_, PyAny>,
        protocol_factory: Py<PyAny>,
        server: Option<Py<PyAny>>,
        backlog: usize,
        accepted: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let py = sock.py();
        let fd = Connection::descriptor(sock)?;
        let context = call::copy_context(py)?;
        let source = Rc::new_cyclic(|me| ListenSource {
            me: Weak::clone(me),
            event_loop: event_loop.clone_ref(py),
            socket: sock.clone().unbind(),
            fd,
            token: Cell::new(None),
            context: context.unbind(),
            protocol_factory,
            server,
            accepts_per_turn: backlog.clamp(1, ACCEPTS_PER_TURN),
            resting: Cell::new(false),
            accepted,
        });
        let core = event_loop.bind(py).get().core(py);
        let interest = Interest::level(true, false);
        let registration = Rc::clone(&source) as Rc<dyn Source>;
        let token = core.adopt(fd, interest, registration).or_os_error()?;
        source.token.set(Some(token));
        Ok(Self { event_loop, fd, token })
    }

    /// Stops accepting. The socket stays open.
    fn stop(&self, py: Python<'_>) {
        self.event_loop.bind(py).get().core(py).deregister(self.fd, self.token);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}

impl Source for ListenSource {
    fn ready(&self, py: Python<'_>, _readiness: Readiness) -> PyResult<()> {
        for _ in 0..self.accepts_per_turn {
            if self.resting.get() || !self.is_open(py) {
                return Ok(());
            }
            match socket::accept(self.fd) {
                Ok((fd, peer)) => {
                    call::in_context(self.context.bind(py), || self.welcome(py, fd, peer))?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if socket::accept_failed_in_passing(&error) => {}
                Err(error) => return self.refuse(py, error),
            }
        }
        Ok(())
    }

    fn describe(&self, _py: Python<'_>) -> String {
        format!("<Listener fd={}>", self.fd)
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.socket)?;
        visit.call(&self.context)?;
        visit.call(&self.protocol_factory)?;
        visit.call(&self.server)?;
        visit.call(&self.accepted)
    }
}

impl ListenSource {
    /// Whether nobody has stopped the server, which an accepted connection may have done.
    fn is_open(&self, py: Python<'_>) -> bool {
        let core = self.event_loop.bind(py).get().core(py);
        self.token.get().is_some_and(|token| core.is_registered(token))
    }

    fn welcome(&self, py: Python<'_>, fd: OwnedFd, peer: Option<SocketAddr>) -> PyResult<()> {
        let event_loop = self.event_loop.bind(py);
        let made = match &self.accepted {
            Some(accepted) => Connection::Native(fd, peer)
                .into_socket(py)
                .and_then(|socket| accepted.bind(py).call1((socket,)).map(drop)),
            None => {
                socket::set_nodelay(fd.as_raw_fd());
                let server = self.server.as_ref().map(|server| server.bind(py));
                self.protocol_factory.bind(py).call0().and_then(|protocol| {
                    SocketTransport::accepted(event_loop, fd, peer, &protocol, server)
                })
            }
        };
        made.or_else(|error| {
            let message = "Error on transport creation for incoming connection";
            failed(event_loop, error, message, &PyDict::new(py))
        })
    }

    /// Accepting has failed. What does not pass with this one connection would fail at once
    /// again, and fill the log: then accepting rests for a while.
    fn refuse(&self, py: Python<'_>, error: io::Error) -> PyResult<()> {
        let event_loop = self.event_loop.bind(py);
        let message = match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                "socket.accept() out of system resource"
            }
            _ => "Accept failed on a socket",
        };
        self.rest(py)?;
        let details = PyDict::new(py);
        details.set_item("socket", &self.socket)?;
        failed(event_loop, os_error(&error), message, &details)
    }

    fn rest(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.event_loop.bind(py).get().core(py);
        let Some(token) = self.token.get() else { return Ok(()) };
        core.modify(self.fd, token, Interest::silent()).or_os_error()?;
        self.resting.set(true);
        core.set_alarm(monotonic_ns() + PAUSE_NS, Box::new(Resume(self.me.clone())));
        Ok(())
    }
}

/// Ends the rest of a listener, if it is still there.
struct Resume(Weak<ListenSource>);

impl Deferred for Resume {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        let Some(source) = self.0.upgrade() else { return Ok(()) };
        source.resting.set(false);
        let core = source.event_loop.bind(py).get().core(py);
        if let Some(token) = source.token.get()
            && core.is_registered(token)
        {
            core.modify(source.fd, token, Interest::level(true, false)).or_os_error()?;
        }
        Ok(())
    }

    fn traverse(&self, _visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The registration owns the source and visits it.
        Ok(())
    }
}

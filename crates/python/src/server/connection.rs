//! One connection's life: whose turn it is, and when it ends.
//!
//! A connection is registered once, edge-triggered in both directions. What an edge has told
//! is remembered in flags until a short read, or `EAGAIN`, takes it back.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::{Rc, Weak};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyTraverseError, PyVisit};
use weft_protocol::http1::{self, Limits, RequestDecoder};
use weft_reactor::registry::Token;
use weft_reactor::sys::{Interest, Readiness, socket};

use super::coroutine::Exchange;
use super::deadlines::Deadline;
use super::exchange::State;
use super::http_server::HttpServer;
use super::output::Output;
use super::shared::{Server, defaults};
use crate::event_loop::{Entry, Source, leaves_loop, wake};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Requests and responses.
    Open,
    /// Frames in both directions: the connection has become a WebSocket (RFC 6455).
    Upgraded,
    /// The last response is on its way; nothing more is read.
    Finishing,
    /// The last response has left. What the peer still sends is thrown away, so that it is
    /// not answered with a reset, which would take the response from the peer (RFC 9112
    /// section 9.6).
    Lingering,
    /// Over.
    Closed,
}

impl Stage {
    /// Whether anything is read that is not thrown away.
    #[inline]
    pub(super) fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::Upgraded)
    }
}

/// One accepted connection.
pub(super) struct Connection {
    me: Weak<Self>,
    server: Py<HttpServer>,
    pub(super) fd: RawFd,
    owner: Cell<Option<OwnedFd>>,
    /// Its registration with the loop.
    pub(super) token: Cell<Option<Token>>,
    /// Its place in the server's list.
    pub(super) key: Cell<Option<Token>>,
    pub(super) stage: Cell<Stage>,
    pub(super) deadline: Deadline,

    peer: Option<SocketAddr>,
    client: OnceCell<Py<PyAny>>,
    client_text: OnceCell<Box<str>>,
    pub(super) local: Py<PyAny>,
    /// A short read tells that the socket is empty: true for TCP only.
    pub(super) short_read_is_empty: bool,

    pub(super) decoder: RefCell<RequestDecoder>,
    /// Bytes that were read and not decoded yet.
    pub(super) leftover: RefCell<Vec<u8>>,
    pub(super) readable: Cell<bool>,
    /// The peer has shut down its side, or is gone.
    pub(super) hangup: Cell<bool>,
    /// The end of the peer's stream was read.
    pub(super) ended: Cell<bool>,
    /// `pump` is on the stack.
    pub(super) pumping: Cell<bool>,
    /// The request was answered before its body had come; the rest is thrown away.
    pub(super) discarding: Cell<bool>,
    /// How much was thrown away.
    pub(super) discarded: Cell<usize>,
    pub(super) current: RefCell<Option<Py<Exchange>>>,
    pub(super) output: Output,
}

/// What the listener knows of a connection.
pub(super) struct Accepted<'py> {
    pub(super) fd: OwnedFd,
    pub(super) peer: Option<SocketAddr>,
    /// The server's address as a scope says it.
    pub(super) local: Bound<'py, PyAny>,
    pub(super) is_tcp: bool,
}

impl Connection {
    /// Registers a new connection with the loop and with its server.
    pub(super) fn open(server: &Bound<'_, HttpServer>, accepted: Accepted<'_>) -> io::Result<()> {
        let py = server.py();
        let Accepted { fd, peer, local, is_tcp } = accepted;
        let raw = fd.as_raw_fd();
        let connection = Rc::new_cyclic(|me| Self {
            me: me.clone(),
            server: server.clone().unbind(),
            fd: raw,
            owner: Cell::new(Some(fd)),
            token: Cell::new(None),
            key: Cell::new(None),
            stage: Cell::new(Stage::Open),
            deadline: Deadline::default(),
            peer,
            client: OnceCell::new(),
            client_text: OnceCell::new(),
            local: local.unbind(),
            short_read_is_empty: is_tcp,
            decoder: RefCell::new(RequestDecoder::new(Limits::default())),
            leftover: RefCell::default(),
            readable: Cell::new(false),
            hangup: Cell::new(false),
            ended: Cell::new(false),
            pumping: Cell::new(false),
            discarding: Cell::new(false),
            discarded: Cell::new(0),
            current: RefCell::new(None),
            output: Output::default(),
        });
        let state = server.get().server(py);
        let source: Rc<dyn Source> = Rc::<Self>::clone(&connection);
        let token = state.core(py).register(raw, Interest::edge(), source)?;
        connection.token.set(Some(token));
        connection.update_deadline(py);
        state.connection_opened(py, &connection);
        Ok(())
    }

    #[inline]
    pub(super) fn server<'a>(&'a self, py: Python<'a>) -> &'a Server {
        self.server.get().server(py)
    }

    pub(super) fn server_object(&self) -> &Py<HttpServer> {
        &self.server
    }

    pub(super) fn handle(&self) -> Option<Rc<Self>> {
        self.me.upgrade()
    }

    /// The client's address as a scope says it.
    pub(super) fn client<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<&'a Bound<'py, PyAny>> {
        if let Some(client) = self.client.get() {
            return Ok(client.bind(py));
        }
        let client = match self.peer {
            Some(peer) => PyTuple::new(py, address_parts(py, peer)?)?.into_any().unbind(),
            None => py.None(),
        };
        Ok(self.client.get_or_init(|| client).bind(py))
    }

    /// The client's address as the access log shows it; empty on a Unix socket.
    pub(super) fn client_text(&self) -> &str {
        self.client_text.get_or_init(|| match self.peer {
            Some(peer) => format!("{}:{}", peer.ip(), peer.port()).into_boxed_str(),
            None => Box::default(),
        })
    }

    /// The loop calls again, with nothing new.
    pub(super) fn schedule(&self, py: Python<'_>) {
        if let Some(token) = self.token.get() {
            self.server(py).core(py).schedule(Entry::Io(token, Readiness::NOTHING));
        }
    }

    /// Whether no request is being received or answered.
    pub(super) fn is_idle(&self) -> bool {
        self.current.borrow().is_none()
            && self.leftover.borrow().is_empty()
            && self.decoder.borrow().phase() == http1::Phase::Idle
    }

    /// Whether this response must be the last: the client waits for a `100 Continue` that
    /// never came, so nobody knows whether its body follows.
    pub(super) fn cannot_go_on(&self, state: &State) -> bool {
        self.ended.get() || state.body.expects_continue()
    }

    /// The application has given the last piece of its response.
    pub(super) fn response_complete(&self, py: Python<'_>, state: &State) -> PyResult<()> {
        let current = self.current.take();
        let keep_alive = state.response.borrow().keep_alive();
        self.discarding.set(!state.body.is_complete());
        state.release(py)?;
        drop(current);
        self.deadline.restart();
        self.discarded.set(0);
        if !keep_alive || self.server(py).is_closing() || self.ended.get() {
            return self.finish(py);
        }
        if !self.pumping.get() {
            self.update_deadline(py);
            if self.readable.get() || !self.leftover.borrow().is_empty() {
                // The application runs: its next request must wait until it does not.
                self.schedule(py);
            }
        }
        Ok(())
    }

    /// Closes once everything has left.
    pub(super) fn finish(&self, py: Python<'_>) -> PyResult<()> {
        if self.stage.get().is_live() {
            self.stage.set(Stage::Finishing);
            self.update_deadline(py);
        }
        self.flush_soon(py)
    }

    /// The last byte has left: closes, at once or after the peer.
    pub(super) fn hang_up(&self, py: Python<'_>) -> PyResult<()> {
        let unfinished = self.discarding.get()
            || !self.leftover.borrow().is_empty()
            || matches!(
                self.decoder.borrow().phase(),
                http1::Phase::Body | http1::Phase::Failed | http1::Phase::Head
            );
        let unread = unfinished || self.readable.get();
        if self.ended.get() || !unread || socket::shutdown(self.fd, socket::Half::Write).is_err() {
            return self.close(py);
        }
        self.stage.set(Stage::Lingering);
        self.discarded.set(0);
        self.leftover.take();
        self.update_deadline(py);
        self.linger(py)?;
        // `readable` is a guess: where nothing came there is nothing to wait for, and a client
        // that keeps its end open must not delay a stop.
        if !unfinished && self.discarded.get() == 0 { self.close(py) } else { Ok(()) }
    }

    /// Answers 500 in the application's place.
    pub(super) fn answer_500(&self, py: Python<'_>, state: &State) -> PyResult<()> {
        self.answer(py, 500, "", Some(state))
    }

    /// Answers in the server's own name, and ends the connection.
    pub(super) fn answer(
        &self,
        py: Python<'_>,
        status: u16,
        reason: &str,
        state: Option<&State>,
    ) -> PyResult<()> {
        let server = self.server(py);
        let date = server.date.at(server.core(py).turn_time());
        let is_head = state.is_some_and(|state| state.facts.is_head);
        self.write_own(py, |out| {
            http1::error_response(status, reason, is_head, defaults(&date), out);
        });
        let current = self.current.take();
        if let Some(state) = state {
            state.head_sent.set(true);
            state.release(py)?;
            state.log_access(py, self, status)?;
        }
        drop(current);
        self.finish(py)
    }

    /// The server is stopping: ends with the response it is at, or now if there is none.
    pub(super) fn drain(&self, py: Python<'_>) -> PyResult<()> {
        if !self.drain_websocket(py)? {
            // A request that is in the kernel already is still answered: look once more.
            self.readable.set(true);
            self.schedule(py);
        }
        Ok(())
    }

    /// The server is stopping and will not wait much longer: says so to the application.
    pub(super) fn disconnect(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.current.borrow().as_ref().map(|current| current.clone_ref(py));
        match current {
            Some(exchange) => exchange.get().state(py).disconnect(py),
            None => Ok(()),
        }
    }

    /// Cuts the response off behind what was sent so far: the client sees that it is not whole.
    pub(super) fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self.flush_output(py)?;
        self.close(py)
    }

    /// Ends the connection now. What has not left is lost.
    pub(super) fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.stage.replace(Stage::Closed) == Stage::Closed {
            return Ok(());
        }
        let server = self.server(py);
        if let Some(token) = self.token.take() {
            server.core(py).forget(self.fd, token);
        }
        drop(self.owner.take());
        self.leftover.take();
        let current = self.current.take();
        for future in self.output.clear() {
            wake(future.bind(py))?;
        }
        if let Some(exchange) = current {
            exchange.get().state(py).release(py)?;
        }
        server.connection_closed(py, self.key.take());
        Ok(())
    }

    /// Lets nothing but what leaves the loop pass; anything else costs this connection.
    #[inline]
    pub(super) fn contain(&self, py: Python<'_>, result: PyResult<()>) -> PyResult<()> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if leaves_loop(py, &error) => Err(error),
            Err(error) => {
                let log = &self.server(py).error_log;
                log.exception(py, "A connection failed inside the server", error);
                self.close(py)
            }
        }
    }

    fn handle_readiness(&self, py: Python<'_>, readiness: Readiness) -> PyResult<()> {
        if readiness.is_readable() {
            self.readable.set(true);
        }
        if readiness.is_hangup() {
            self.hangup.set(true);
        }
        if readiness.is_writable() && self.output.has_backlog() {
            self.write_backlog(py)?;
        }
        match self.stage.get() {
            Stage::Open | Stage::Upgraded => self.pump(py),
            Stage::Lingering => self.linger(py),
            Stage::Finishing | Stage::Closed => Ok(()),
        }
    }
}

impl Source for Connection {
    fn ready(&self, py: Python<'_>, readiness: Readiness) -> PyResult<()> {
        self.contain(py, self.handle_readiness(py, readiness))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.contain(py, self.flush_output(py))
    }

    fn abandon(&self, py: Python<'_>) {
        self.stage.set(Stage::Closed);
        self.token.set(None);
        self.server(py).forget_connection(self.key.take());
        let dropped = (self.owner.take(), self.current.take(), self.output.clear());
        drop(dropped);
    }

    fn describe(&self, _py: Python<'_>) -> String {
        format!("<connection fd={} client={}>", self.fd, self.client_text())
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.server)?;
        if let Ok(current) = self.current.try_borrow() {
            visit.call(&*current)?;
        }
        self.output.traverse(visit)
    }
}

/// `(host, port)`
pub(super) fn address_parts(
    py: Python<'_>,
    address: SocketAddr,
) -> PyResult<[Bound<'_, PyAny>; 2]> {
    Ok([
        address.ip().to_string().into_pyobject(py)?.into_any(),
        address.port().into_pyobject(py)?.into_any(),
    ])
}

//! What a transport is made of.
//!
//! Rule of this room, as of the loop's: no `RefCell` stays borrowed while Python code runs or
//! a Python object is dropped.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::outbox::Outbox;
use weft_reactor::registry::Token;
use weft_reactor::sys::socket;

use super::connection::Connection;
use super::flow::FlowControl;
use super::native::Native;
use crate::event_loop::EventLoop;

/// A protocol. Its methods are looked up at each call, as asyncio does: applications and
/// tests replace them on the instance.
pub(crate) struct Protocol {
    pub(crate) object: Py<PyAny>,
    /// A `BufferedProtocol`: it gives the buffer to read into.
    pub(crate) is_buffered: bool,
    /// Written in Rust: it takes bytes without an object.
    pub(super) native: Option<Native>,
}

impl Protocol {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        static BUFFERED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = object.py();
        let buffered = BUFFERED.get_or_try_init(py, || {
            PyResult::Ok(py.import("asyncio")?.getattr("BufferedProtocol")?.unbind())
        })?;
        let is_buffered = object.is_instance(buffered.bind(py))?;
        Ok(Self { object: object.clone().unbind(), is_buffered, native: None })
    }
}

/// The state of one transport.
pub(super) struct State {
    pub(super) event_loop: Py<EventLoop>,
    pub(super) context: Py<PyAny>,
    pub(super) connection: RefCell<Connection>,
    pub(super) fd: Cell<RawFd>,
    pub(super) token: Cell<Option<Token>>,
    pub(super) protocol: RefCell<Option<Protocol>>,
    pub(super) server: RefCell<Option<Py<PyAny>>>,
    /// What `get_extra_info` answers from; filled at the first question.
    pub(super) extra: RefCell<Option<Py<PyDict>>>,
    pub(super) extra_is_complete: Cell<bool>,
    pub(super) outbox: RefCell<Outbox<PyBackedBytes>>,
    pub(super) read: ReadState,
    pub(super) write: WriteState,
    /// While the connection is lent to `loop.sendfile`: what waits for its turn to write.
    pub(super) sendfile: RefCell<Option<Py<PyAny>>>,
    /// connection_made was called (or is being called).
    pub(super) started: Cell<bool>,
    /// `close()` or an error has begun the end.
    pub(super) closing: Cell<bool>,
    /// Writes and closings since connection_lost was scheduled; asyncio warns of many.
    pub(super) lost: Cell<u32>,
}

/// The reading half.
pub(super) struct ReadState {
    /// The user has paused reading.
    pub(super) paused: Cell<bool>,
    /// The kernel has, or may have, something to read.
    pub(super) ready: Cell<bool>,
    /// The peer has shut down: a short read no longer means that nothing is left.
    pub(super) hangup: Cell<bool>,
    /// A read is queued for the next turn.
    pub(super) queued: Cell<bool>,
    /// End of stream was delivered.
    pub(super) eof: Cell<bool>,
    /// Whether a short read empties the socket: TCP only.
    pub(super) short_read_is_empty: bool,
    /// The last read filled a large buffer: read into the bytes object directly.
    pub(super) bulk: Cell<bool>,
}

/// The writing half.
pub(super) struct WriteState {
    /// The kernel has, or may have, room.
    pub(super) ready: Cell<bool>,
    /// A flush at the end of the running callback is ordered.
    pub(super) flush_ordered: Cell<bool>,
    /// `write_eof()` was called.
    pub(super) eof: Cell<bool>,
    pub(super) flow: FlowControl,
}

impl State {
    pub(super) fn new(
        event_loop: &Bound<'_, EventLoop>,
        context: Bound<'_, PyAny>,
        connection: Connection,
        fd: RawFd,
    ) -> Self {
        // What the loop accepts from an internet address is TCP; else the kernel is asked.
        let accepted_tcp = matches!(connection, Connection::Native(_, Some(_)));
        let short_read_is_empty = accepted_tcp || socket::is_tcp(fd);
        Self {
            event_loop: event_loop.clone().unbind(),
            context: context.unbind(),
            connection: RefCell::new(connection),
            fd: Cell::new(fd),
            token: Cell::new(None),
            protocol: RefCell::new(None),
            server: RefCell::new(None),
            extra: RefCell::new(None),
            extra_is_complete: Cell::new(false),
            outbox: RefCell::default(),
            read: ReadState {
                paused: Cell::new(false),
                ready: Cell::new(false),
                hangup: Cell::new(false),
                queued: Cell::new(false),
                eof: Cell::new(false),
                short_read_is_empty,
                bulk: Cell::new(false),
            },
            write: WriteState {
                ready: Cell::new(true),
                flush_ordered: Cell::new(false),
                eof: Cell::new(false),
                flow: FlowControl::default(),
            },
            sendfile: RefCell::new(None),
            started: Cell::new(false),
            closing: Cell::new(false),
            lost: Cell::new(0),
        }
    }

    /// The protocol object.
    pub(super) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.protocol.borrow().as_ref().map(|protocol| protocol.object.bind(py).clone())
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.connection.borrow(), Connection::Closed)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.context)?;
        if let Ok(connection) = self.connection.try_borrow() {
            connection.traverse(visit)?;
        }
        if let Ok(protocol) = self.protocol.try_borrow()
            && let Some(protocol) = protocol.as_ref()
        {
            visit.call(&protocol.object)?;
        }
        if let Ok(server) = self.server.try_borrow() {
            visit.call(&*server)?;
        }
        if let Ok(extra) = self.extra.try_borrow() {
            visit.call(&*extra)?;
        }
        if let Ok(waiter) = self.sendfile.try_borrow() {
            visit.call(&*waiter)?;
        }
        Ok(())
    }

    pub(super) fn clear(&self) {
        let protocol = self.protocol.take();
        let server = self.server.take();
        let extra = self.extra.take();
        let waiter = self.sendfile.take();
        drop((protocol, server, extra, waiter));
    }
}

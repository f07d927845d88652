//! What a TLS connection is made of, and its phases.
//!
//! Rule of this room, as of the loop's: no `RefCell` stays borrowed while Python code runs or
//! a Python object is dropped.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::outbox::Outbox;

use super::lower::Lower;
use super::read::Decrypted;
use super::transport::SslTransport;
use crate::event_loop::EventLoop;
use crate::ffi::openssl::Session;
use crate::transport::Protocol;

/// asyncio's default high-water mark of a TLS transport's write buffer.
pub(super) const HIGH_WATER_WRITE: usize = 512 * 1024;
/// asyncio's default high-water mark of what is received and not yet decrypted.
pub(super) const HIGH_WATER_READ: usize = 256 * 1024;

/// How far the connection is. The names are those of asyncio's `SSLProtocolState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not yet begun, or over.
    Unwrapped,
    /// The handshake is under way.
    Handshake,
    /// Data flows.
    Wrapped,
    /// The end has begun: what has arrived is read to the end.
    Flushing,
    /// close_notify is sent, or is about to be.
    Shutdown,
}

/// How much the application's protocol has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Made,
    Eof,
    Lost,
}

/// The session and the Python object that it belongs to.
pub(super) struct Tls {
    pub(super) session: Session,
    /// The `ssl.SSLObject`.
    pub(super) object: Py<PyAny>,
}

/// A time limit and the handle that watches it.
pub(super) struct Limit {
    /// Seconds, as the caller gave them: the message repeats them.
    pub(super) seconds: Py<PyAny>,
    handle: RefCell<Option<Py<PyAny>>>,
}

impl Limit {
    pub(super) fn new(seconds: Py<PyAny>) -> Self {
        Self { seconds, handle: RefCell::new(None) }
    }

    /// Calls `callback` when the time is over.
    pub(super) fn start(
        &self,
        event_loop: &Bound<'_, EventLoop>,
        callback: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let handle = event_loop.call_method1("call_later", (&self.seconds, callback))?;
        let former = self.handle.replace(Some(handle.unbind()));
        drop(former);
        Ok(())
    }

    pub(super) fn is_running(&self) -> bool {
        self.handle.borrow().is_some()
    }

    pub(super) fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let handle = self.handle.take();
        if let Some(handle) = handle {
            handle.call_method0(py, "cancel")?;
        }
        Ok(())
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.handle.try_borrow() {
            Ok(handle) => visit.call(&*handle),
            Err(_) => Ok(()),
        }
    }
}

/// The state of one TLS connection.
pub(super) struct State {
    pub(super) event_loop: Py<EventLoop>,
    pub(super) tls: RefCell<Option<Rc<Tls>>>,
    pub(super) lower: RefCell<Option<Lower>>,
    pub(super) protocol: RefCell<Option<Protocol>>,
    pub(super) transport: RefCell<Option<Py<SslTransport>>>,
    pub(super) waiter: RefCell<Option<Py<PyAny>>>,
    pub(super) extra: Py<PyDict>,
    pub(super) phase: Cell<Phase>,
    pub(super) told: Cell<Told>,
    pub(super) handshake_limit: Limit,
    pub(super) shutdown_limit: Limit,
    /// When the handshake began, in seconds of the loop's clock; in debug mode only.
    pub(super) handshake_began: Cell<Option<f64>>,
    /// `close()` or `abort()` was called, or the connection is over.
    pub(super) closed: Cell<bool>,
    /// `close()` was called on a closed transport: nobody will ask about the connection.
    pub(super) released: Cell<bool>,
    /// The peer has ended the stream below.
    pub(super) lower_eof: Cell<bool>,
    /// OpenSSL is running: it must not be entered again.
    pub(super) busy: Cell<bool>,
    /// Writes since the connection was lost; asyncio warns of many.
    pub(super) lost: Cell<u32>,
    pub(super) read: ReadState,
    pub(super) write: WriteState,
}

/// The reading half.
pub(super) struct ReadState {
    /// The application has paused reading.
    pub(super) paused: Cell<bool>,
    /// Decrypted where the bytes arrived, and not yet delivered.
    pub(super) decrypted: RefCell<Option<PyResult<Decrypted>>>,
    /// The transport below is paused, because too much is not yet decrypted.
    pub(super) lower_paused: Cell<bool>,
    pub(super) high: Cell<usize>,
    pub(super) low: Cell<usize>,
}

/// The writing half.
pub(super) struct WriteState {
    /// Plaintext that OpenSSL does not take yet.
    pub(super) backlog: RefCell<Outbox<PyBackedBytes>>,
    /// pause_writing was called and resume_writing was not yet.
    pub(super) paused: Cell<bool>,
    /// The transport below has asked for a pause.
    pub(super) lower_paused: Cell<bool>,
    pub(super) high: Cell<usize>,
    pub(super) low: Cell<usize>,
}

impl Default for ReadState {
    fn default() -> Self {
        Self {
            paused: Cell::new(false),
            decrypted: RefCell::new(None),
            lower_paused: Cell::new(false),
            high: Cell::new(HIGH_WATER_READ),
            low: Cell::new(HIGH_WATER_READ / 4),
        }
    }
}

impl Default for WriteState {
    fn default() -> Self {
        Self {
            backlog: RefCell::default(),
            paused: Cell::new(false),
            lower_paused: Cell::new(false),
            high: Cell::new(HIGH_WATER_WRITE),
            low: Cell::new(HIGH_WATER_WRITE / 4),
        }
    }
}

impl State {
    /// The session, unless the collector has cleared it.
    pub(super) fn tls(&self) -> Option<Rc<Tls>> {
        self.tls.borrow().clone()
    }

    /// The session, unless OpenSSL is running: during a handshake without the GIL, so that another
    /// thread may have come here.
    pub(super) fn idle_tls(&self) -> Option<Rc<Tls>> {
        if self.busy.get() { None } else { self.tls() }
    }

    /// The transport below, until the connection is lost.
    pub(super) fn lower<'py>(&self, py: Python<'py>) -> Option<Lower> {
        self.lower.borrow().as_ref().map(|lower| lower.clone_ref(py))
    }

    /// The application's protocol, until the connection is lost.
    pub(super) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.protocol.borrow().as_ref().map(|protocol| protocol.object.bind(py).clone())
    }

    /// Lets go of the session and the context, if nobody will ask about them any more.
    pub(super) fn release_if_over(&self, py: Python<'_>) {
        if self.released.get() && self.lower.borrow().is_none() && self.told.get() == Told::Lost {
            let tls = self.tls.take();
            self.extra.bind(py).clear();
            drop(tls);
        }
    }

    pub(super) fn is_debug(&self, py: Python<'_>) -> bool {
        self.event_loop.bind(py).get().core(py).is_debug()
    }

    /// Enters a phase if the order of phases allows it.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        let allowed = matches!(
            (self.phase.get(), phase),
            (_, Phase::Unwrapped)
                | (Phase::Unwrapped, Phase::Handshake)
                | (Phase::Handshake, Phase::Wrapped)
                | (Phase::Wrapped, Phase::Flushing)
                | (Phase::Flushing, Phase::Shutdown)
        );
        if allowed {
            self.phase.set(phase);
        }
        allowed
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.extra)?;
        if let Ok(tls) = self.tls.try_borrow()
            && let Some(tls) = tls.as_ref()
            // Somebody who holds it on his stack is not known to the collector.
            && Rc::strong_count(tls) == 1
        {
            visit.call(&tls.object)?;
            tls.session.traverse(visit)?;
        }
        if let Ok(lower) = self.lower.try_borrow()
            && let Some(lower) = lower.as_ref()
        {
            lower.traverse(visit)?;
        }
        if let Ok(protocol) = self.protocol.try_borrow()
            && let Some(protocol) = protocol.as_ref()
        {
            visit.call(&protocol.object)?;
        }
        if let Ok(transport) = self.transport.try_borrow() {
            visit.call(&*transport)?;
        }
        if let Ok(waiter) = self.waiter.try_borrow() {
            visit.call(&*waiter)?;
        }
        self.handshake_limit.traverse(visit)?;
        self.shutdown_limit.traverse(visit)
    }

    pub(super) fn clear(&self) {
        let tls = self.tls.take();
        let lower = self.lower.take();
        let protocol = self.protocol.take();
        let transport = self.transport.take();
        let waiter = self.waiter.take();
        let limits = (self.handshake_limit.handle.take(), self.shutdown_limit.handle.take());
        drop((tls, lower, protocol, transport, waiter, limits));
    }
}

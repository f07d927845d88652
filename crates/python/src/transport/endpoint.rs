//! What pipe and datagram transports are made of: the half that is the same for all.
//!
//! Rule of this room, as of the loop's: no `RefCell` stays borrowed while Python code runs or a
//! Python object is dropped.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyClass, PyTraverseError, PyVisit};

use super::faults::warn_unclosed;
use super::subscription::Subscription;
use crate::event_loop::{Core, EventLoop};
use crate::ffi::call;

/// A transport that is built on an [`Endpoint`].
pub(super) trait Transport: PyClass {
    /// Its shared half.
    fn endpoint<'a>(slf: &'a Bound<'_, Self>) -> &'a Endpoint;

    /// connection_made was called: starts to listen to the kernel.
    fn begin(slf: &Bound<'_, Self>) -> PyResult<()>;
}

/// The shared half of a transport.
pub(super) struct Endpoint {
    event_loop: Py<EventLoop>,
    /// What the protocol's callbacks see: the context in which the transport was made.
    context: Py<PyAny>,
    /// The Python pipe or socket that owns the descriptor, until connection_lost.
    file: RefCell<Option<Py<PyAny>>>,
    fd: RawFd,
    protocol: RefCell<Option<Py<PyAny>>>,
    /// What `get_extra_info` answers from.
    extra: Py<PyDict>,
    pub(super) subscription: Subscription,
    /// The end has begun: `close()`, end of file, an error.
    pub(super) closing: Cell<bool>,
    /// connection_lost is scheduled or was called.
    pub(super) ended: Cell<bool>,
}

impl Endpoint {
    pub(super) fn new(
        event_loop: &Bound<'_, EventLoop>,
        file: &Bound<'_, PyAny>,
        fd: RawFd,
        protocol: &Bound<'_, PyAny>,
        extra: Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            context: call::copy_context(event_loop.py())?.unbind(),
            file: RefCell::new(Some(file.clone().unbind())),
            fd,
            protocol: RefCell::new(Some(protocol.clone().unbind())),
            extra: extra.unbind(),
            subscription: Subscription::default(),
            closing: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    /// The descriptor's number; meaningless once [`is_closed`](Self::is_closed).
    #[inline]
    pub(super) fn fd(&self) -> RawFd {
        self.fd
    }

    #[inline]
    pub(super) fn core<'a>(&'a self, py: Python<'a>) -> &'a Core {
        self.event_loop.bind(py).get().core(py)
    }

    pub(super) fn event_loop<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, EventLoop> {
        self.event_loop.bind(py)
    }

    /// The Python pipe or socket, while it is open.
    pub(super) fn file<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.file.borrow().as_ref().map(|file| file.bind(py).clone())
    }

    /// Gives the file to somebody else (`None`), who closes it.
    pub(super) fn set_file(&self, file: Option<Py<PyAny>>) {
        let replaced = self.file.replace(file);
        drop(replaced);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.file.borrow().is_none()
    }

    #[inline]
    pub(super) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.protocol.borrow().as_ref().map(|protocol| protocol.bind(py).clone())
    }

    pub(super) fn set_protocol(&self, protocol: Bound<'_, PyAny>) {
        let replaced = self.protocol.replace(Some(protocol.unbind()));
        drop(replaced);
    }

    pub(super) fn extra_info<'py>(
        &self,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.extra.bind(name.py()).get_item(name)?.or(default))
    }

    /// Runs `body` in the transport's context.
    #[inline]
    pub(super) fn in_context<R>(
        &self,
        py: Python<'_>,
        body: impl FnOnce() -> PyResult<R>,
    ) -> PyResult<R> {
        call::in_context(self.context.bind(py), body)
    }

    /// Watches nothing any more, closes the descriptor and lets go of the protocol.
    pub(super) fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.subscription.end(self.core(py));
        let file = self.file.take();
        let closed = match file {
            Some(file) => file.call_method0(py, intern!(py, "close")).map(drop),
            None => Ok(()),
        };
        let protocol = self.protocol.take();
        drop(protocol);
        closed
    }

    /// `repr()`, as asyncio's; `state` says what the loop does for the transport.
    pub(super) fn describe(
        &self,
        py: Python<'_>,
        name: &str,
        state: impl FnOnce() -> String,
    ) -> String {
        let closed = self.is_closed();
        let stage = match (closed, self.closing.get()) {
            (true, _) => " closed",
            (false, true) => " closing",
            (false, false) => "",
        };
        let state = match (closed, self.core(py).is_closed()) {
            (true, _) => "closed".to_owned(),
            (false, true) => "open".to_owned(),
            (false, false) => state(),
        };
        format!("<{name}{stage} fd={} {state}>", self.fd)
    }

    /// For a transport's destructor: whoever forgot to close it is told, and it is closed.
    pub(super) fn warn_if_open(&self, py: Python<'_>, name: &str) {
        let file = self.file.take();
        let Some(file) = file else { return };
        warn_unclosed(py, &format!("{name} fd={}", self.fd));
        if let Err(error) = file.call_method0(py, intern!(py, "close")) {
            error.write_unraisable(py, None);
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.context)?;
        visit.call(&self.extra)?;
        if let Ok(file) = self.file.try_borrow() {
            visit.call(&*file)?;
        }
        if let Ok(protocol) = self.protocol.try_borrow() {
            visit.call(&*protocol)?;
        }
        Ok(())
    }

    pub(super) fn clear(&self) {
        let protocol = self.protocol.take();
        drop(protocol);
    }
}

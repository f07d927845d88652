//! What a datagram transport is made of, and what it asks the kernel to watch.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::datagrams::Datagrams;
use weft_reactor::sys::Interest;
use weft_reactor::sys::datagram::{Address, Family};

use super::datagram::{DatagramSource, DatagramTransport};
use super::endpoint::{Endpoint, Transport};
use super::flow::{FlowControl, FlowControlled};
use crate::error::OsResult;
use crate::event_loop::Source;
use crate::ffi::buffer::SharedBytes;

/// Where a datagram goes.
pub(super) enum Destination {
    /// To the socket's peer.
    Peer,
    /// To an address in numbers.
    Native(Address),
    /// Wherever Python's socket finds it.
    Python(Py<PyAny>),
}

/// What the socket is connected to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Nobody,
    /// The other end of a pair: connected, but there is no name to send to.
    Nameless,
    Named,
}

/// An address that was just heard of, and the object that Python has for it. Both are immutable,
/// so that one may stand for the other: most datagrams go where the last one came from.
pub(super) struct Known(RefCell<Option<(Address, Py<PyAny>)>>);

impl Known {
    fn new() -> Self {
        Self(RefCell::new(None))
    }

    #[inline]
    pub(super) fn object<'py>(
        &self,
        py: Python<'py>,
        address: &Address,
    ) -> Option<Bound<'py, PyAny>> {
        let known = self.0.borrow();
        known.as_ref().filter(|(known, _)| known == address).map(|(_, o)| o.bind(py).clone())
    }

    #[inline]
    pub(super) fn address(&self, object: &Bound<'_, PyAny>) -> Option<Address> {
        let known = self.0.borrow();
        known.as_ref().filter(|(_, known)| known.is(object)).map(|(address, _)| address.clone())
    }

    pub(super) fn remember(&self, address: Address, object: &Bound<'_, PyAny>) {
        let replaced = self.0.replace(Some((address, object.clone().unbind())));
        drop(replaced);
    }
}

/// The state of one transport.
pub(super) struct State {
    pub(super) endpoint: Endpoint,
    /// `None`: the methods of the Python socket are called, since its addresses are of a family
    /// that only they know, or they are those of a subclass.
    pub(super) family: Option<Family>,
    pub(super) peer: Peer,
    /// `remote_addr`, resolved: the only address that `sendto` accepts.
    pub(super) remote: Option<Py<PyAny>>,
    pub(super) queue: RefCell<Datagrams<SharedBytes, Destination>>,
    pub(super) flow: FlowControl,
    /// connection_made was called.
    pub(super) started: Cell<bool>,
    /// The user has paused reading.
    pub(super) paused: Cell<bool>,
    /// The receiver of the first datagram has no room, which the kernel does not report.
    pub(super) resting: Cell<bool>,
    /// Events until it is tried again whether more than one datagram waits.
    pub(super) quiet: Cell<u8>,
    /// Datagrams that went nowhere.
    pub(super) lost: Cell<u32>,
    /// Where the last datagram came from.
    pub(super) heard: Known,
    /// Where the last datagram went to.
    pub(super) sent: Known,
}

impl State {
    pub(super) fn new(
        endpoint: Endpoint,
        family: Option<Family>,
        peer: Peer,
        remote: Option<Py<PyAny>>,
        header: usize,
    ) -> Self {
        Self {
            endpoint,
            family,
            peer,
            remote,
            queue: RefCell::new(Datagrams::new(header)),
            flow: FlowControl::default(),
            started: Cell::new(false),
            paused: Cell::new(false),
            resting: Cell::new(false),
            quiet: Cell::new(0),
            lost: Cell::new(0),
            heard: Known::new(),
            sent: Known::new(),
        }
    }

    #[inline]
    pub(super) fn is_reading(&self) -> bool {
        !self.paused.get() && !self.endpoint.closing.get()
    }

    /// Whether something waits for the kernel.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        !self.queue.borrow().is_empty()
    }

    /// Throws away what is not sent.
    pub(super) fn clear(&self) {
        let left = self.queue.borrow_mut().take_all();
        drop(left);
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.endpoint.traverse(visit)?;
        visit.call(&self.remote)
    }
}

/// Watches for what matters now.
pub(super) fn watch(transport: &Bound<'_, DatagramTransport>, state: &State) -> PyResult<()> {
    let endpoint = &state.endpoint;
    let core = endpoint.core(transport.py());
    let reading = state.started.get() && state.is_reading();
    let writing = state.is_waiting() && !state.resting.get();
    if !reading && !writing {
        endpoint.subscription.end(core);
        return Ok(());
    }
    let source = || -> Rc<dyn Source> { Rc::new(DatagramSource(transport.clone().unbind())) };
    let interest = Interest::level(reading, writing);
    endpoint.subscription.set(core, endpoint.fd(), interest, source).or_os_error()
}

impl Transport for DatagramTransport {
    fn endpoint<'a>(slf: &'a Bound<'_, Self>) -> &'a Endpoint {
        &slf.get().state(slf.py()).endpoint
    }

    fn begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = slf.get().state(slf.py());
        state.started.set(true);
        if state.endpoint.ended.get() { Ok(()) } else { watch(slf, state) }
    }
}

impl FlowControlled for DatagramTransport {
    fn flow<'a>(slf: &'a Bound<'_, Self>) -> &'a FlowControl {
        &slf.get().state(slf.py()).flow
    }

    fn waiting(slf: &Bound<'_, Self>) -> usize {
        slf.get().state(slf.py()).queue.borrow().size()
    }
}

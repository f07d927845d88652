//! The bytes of a request body between the socket and `receive()`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Reading stops when this many bytes wait for the application.
const HIGH_WATER: usize = 64 * 1024;

/// Pieces from this size on become an object of their own at once; smaller ones are gathered,
/// so that a body of tiny chunks does not become as many messages.
const OWN_OBJECT: usize = 4 * 1024;

/// A body that arrives on one side and is asked for on the other.
#[derive(Default)]
pub(super) struct RequestBody {
    pieces: RefCell<VecDeque<Py<PyBytes>>>,
    tail: RefCell<Vec<u8>>,
    buffered: Cell<usize>,
    /// All of it has arrived.
    complete: Cell<bool>,
    /// The application has been given the end.
    delivered: Cell<bool>,
    /// The client waits for `100 Continue`.
    expects_continue: Cell<bool>,
}

/// What `receive()` gives next.
pub(super) struct Piece<'py> {
    pub(super) data: Bound<'py, PyBytes>,
    pub(super) more: bool,
}

impl RequestBody {
    /// A body that has not arrived.
    pub(super) fn pending(expects_continue: bool) -> Self {
        Self { expects_continue: Cell::new(expects_continue), ..Self::default() }
    }

    /// A request without a body.
    pub(super) fn none() -> Self {
        Self { complete: Cell::new(true), ..Self::default() }
    }

    /// Takes bytes from the wire.
    pub(super) fn push(&self, py: Python<'_>, data: &[u8], last: bool) {
        self.expects_continue.set(false);
        self.buffered.set(self.buffered.get() + data.len());
        let mut tail = self.tail.borrow_mut();
        if data.len() < OWN_OBJECT && !(last && tail.is_empty()) {
            tail.extend_from_slice(data);
            return;
        }
        let mut pieces = self.pieces.borrow_mut();
        if !tail.is_empty() {
            pieces.push_back(PyBytes::new(py, &tail).unbind());
            tail.clear();
        }
        pieces.push_back(PyBytes::new(py, data).unbind());
    }

    /// The last byte has arrived.
    pub(super) fn finish(&self) {
        self.expects_continue.set(false);
        self.complete.set(true);
    }

    /// Whether all of it has arrived.
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// Whether so much waits that the connection is not read any further.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.buffered.get() >= HIGH_WATER
    }

    /// Whether the client still waits for `100 Continue`.
    #[inline]
    pub(super) fn expects_continue(&self) -> bool {
        self.expects_continue.get()
    }

    /// Whether the client waits for `100 Continue`; it is told now.
    pub(super) fn take_expectation(&self) -> bool {
        self.expects_continue.replace(false)
    }

    /// The next piece, if there is one; the end of the body is told exactly once.
    pub(super) fn pop<'py>(&self, py: Python<'py>) -> Option<Piece<'py>> {
        let data = match self.pieces.borrow_mut().pop_front() {
            Some(piece) => Some(piece.into_bound(py)),
            None => {
                let mut tail = self.tail.borrow_mut();
                let data = (!tail.is_empty()).then(|| PyBytes::new(py, &tail));
                // Not `clear`: a request's body rarely needs the same buffer twice.
                *tail = Vec::new();
                data
            }
        };
        let data = match data {
            Some(data) => data,
            None if self.complete.get() && !self.delivered.get() => PyBytes::new(py, b""),
            None => return None,
        };
        let left = self.buffered.get().saturating_sub(data.as_bytes().len());
        self.buffered.set(left);
        let more = !self.complete.get() || left > 0;
        self.delivered.set(!more);
        Some(Piece { data, more })
    }

    /// Forgets what nobody will ask for any more.
    pub(super) fn clear(&self) {
        self.pieces.take();
        self.tail.take();
        self.buffered.set(0);
        self.delivered.set(true);
    }
}

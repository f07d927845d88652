//! Responses to bytes: what is written in one callback leaves in one system call.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};

use pyo3::prelude::*;
use weft_protocol::http1::{Framing, ResponseError};
use weft_reactor::outbox::{MAX_SLICES, Outbox};
use weft_reactor::sys::socket;

use super::connection::{Connection, Stage};
use super::shared::Server;
use crate::event_loop::{is_done, new_future, wake};
use crate::ffi::buffer::SharedBytes;

/// Body pieces up to this size are copied behind the head; larger ones are sent from where
/// they are.
const COPIED: usize = 16 * 1024;
/// So much in the buffer is sent at once, not at the end of the callback.
const SENT_AT_ONCE: usize = 64 * 1024;
/// With so much unsent, `send()` waits …
const HIGH_WATER: usize = 64 * 1024;
/// … until no more than this is left.
const LOW_WATER: usize = 16 * 1024;

/// No head is unfinished.
const NOTHING_HELD: usize = usize::MAX;

/// The sending side of a connection.
pub(super) struct Output {
    /// What the running callback has written.
    buffer: RefCell<Vec<u8>>,
    /// Where in the buffer the head starts that waits for its first piece of body.
    held: Cell<usize>,
    /// What the socket has not taken.
    backlog: RefCell<Outbox<SharedBytes>>,
    /// A flush is coming.
    dirty: Cell<bool>,
    /// Who waits in `send()`.
    waiters: RefCell<Vec<Py<PyAny>>>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            buffer: RefCell::default(),
            held: Cell::new(NOTHING_HELD),
            backlog: RefCell::default(),
            dirty: Cell::new(false),
            waiters: RefCell::default(),
        }
    }
}

impl Output {
    /// Begins a head; it stays in the buffer until [`end_head`](Self::end_head).
    pub(super) fn write_head(
        &self,
        server: &Server,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), ResponseError>,
    ) -> Result<(), ResponseError> {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.capacity() == 0 {
            *buffer = server.take_buffer();
        }
        self.held.set(buffer.len());
        let result = body(&mut buffer);
        if result.is_err() {
            self.take_back(&mut buffer);
        }
        result
    }

    /// Ends the head: it may leave.
    pub(super) fn end_head(
        &self,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), ResponseError>,
    ) -> Result<(), ResponseError> {
        let mut buffer = self.buffer.borrow_mut();
        let result = body(&mut buffer);
        if result.is_err() {
            self.take_back(&mut buffer);
        }
        self.held.set(NOTHING_HELD);
        result
    }

    /// Forgets a head that was begun and not ended.
    pub(super) fn drop_head(&self) {
        self.take_back(&mut self.buffer.borrow_mut());
    }

    fn take_back(&self, buffer: &mut Vec<u8>) {
        // `truncate` leaves a shorter buffer alone.
        buffer.truncate(self.held.replace(NOTHING_HELD));
    }

    /// Whether everything that may leave has left.
    fn is_flushed(&self) -> bool {
        self.backlog.borrow().is_empty() && self.buffer.borrow().is_empty()
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.borrow().is_empty()
    }

    /// Throws everything away, waiters included.
    pub(super) fn clear(&self) -> Vec<Py<PyAny>> {
        self.buffer.take();
        self.held.set(NOTHING_HELD);
        self.backlog.borrow_mut().clear();
        self.waiters.take()
    }

    /// Sends what may leave, or puts it behind what the socket has not taken.
    fn send_buffer(&self, fd: i32) -> io::Result<()> {
        let mut buffer = self.buffer.borrow_mut();
        let ready = buffer.len().min(self.held.get());
        let Some(bytes) = buffer.get(..ready).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        let mut backlog = self.backlog.borrow_mut();
        let sent = if backlog.is_empty() { or_none(socket::send(fd, bytes))? } else { 0 };
        if let Some(rest) = bytes.get(sent..) {
            backlog.push_copy(rest);
        }
        if ready == buffer.len() {
            buffer.clear();
        } else {
            buffer.drain(..ready);
            self.held.set(0);
        }
        Ok(())
    }

    /// Sends from the backlog until it is empty or the socket is full.
    fn send_backlog(&self, fd: i32) -> io::Result<()> {
        let mut backlog = self.backlog.borrow_mut();
        while !backlog.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = backlog.fill(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            let sent = or_none(socket::send_vectored(fd, slices))?;
            backlog.advance(sent);
            if sent < offered {
                break;
            }
        }
        Ok(())
    }

    fn push_large(&self, [before, data, behind]: [&[u8]; 3], owner: Option<SharedBytes>) {
        let mut backlog = self.backlog.borrow_mut();
        backlog.push_copy(before);
        match owner {
            Some(owner) => backlog.push_shared(owner),
            None => backlog.push_copy(data),
        }
        backlog.push_copy(behind);
    }

    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.waiters.try_borrow() {
            Ok(waiters) => waiters.iter().try_for_each(|future| visit.call(future)),
            Err(_) => Ok(()),
        }
    }
}

/// How much was sent; nothing if the socket is full.
fn or_none(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

impl Connection {
    /// Whether `send()` has to wait.
    #[inline]
    pub(super) fn is_congested(&self) -> bool {
        self.output.backlog.borrow().len() > HIGH_WATER
    }

    /// A future that is done when there is room again, or nobody to write to.
    pub(super) fn wait_for_room<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = new_future(self.server(py).event_loop(py))?;
        let mut waiting = self.output.waiters.take();
        waiting.retain(|future| !is_done(future.bind(py)));
        waiting.push(future.clone().unbind());
        self.output.waiters.replace(waiting);
        Ok(future)
    }

    /// Writes a framed piece of a body; `owner` is the bytes object that `data` lies in.
    pub(super) fn write_piece(
        &self,
        py: Python<'_>,
        framing: &Framing,
        data: &[u8],
        owner: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let data = if framing.write_data { data } else { &[] };
        self.write_parts(py, [&framing.prefix, data, framing.suffix], owner)
    }

    /// Appends to the buffer, which leaves at the end of the running callback or when it is full.
    #[inline]
    pub(super) fn append(&self, py: Python<'_>, write: impl FnOnce(&mut Vec<u8>)) -> PyResult<()> {
        let mut buffer = self.output.buffer.borrow_mut();
        if buffer.capacity() == 0 {
            *buffer = self.server(py).take_buffer();
        }
        write(&mut buffer);
        let full = buffer.len() >= SENT_AT_ONCE;
        drop(buffer);
        if full { self.flush_output(py) } else { self.flush_soon(py) }
    }

    /// Writes data with what stands before and behind it; `owner` is the bytes object that the
    /// data lies in.
    pub(super) fn write_parts(
        &self,
        py: Python<'_>,
        parts: [&[u8]; 3],
        owner: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let [_, data, _] = parts;
        if data.len() <= COPIED {
            return self
                .append(py, |out| parts.iter().for_each(|part| out.extend_from_slice(part)));
        }
        let was_free = !self.output.has_backlog();
        let queued = self.output.buffer.borrow().len();
        if queued > 0 {
            // Behind the head, in the same system call.
            let mut buffer = self.output.buffer.borrow_mut();
            self.output.backlog.borrow_mut().push_copy(&buffer);
            buffer.clear();
        }
        self.output.push_large(parts, owner.and_then(SharedBytes::new));
        if was_free { self.write_backlog(py) } else { Ok(()) }
    }

    /// Writes bytes that belong to no response: `100 Continue`.
    pub(super) fn write_interim(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        let held = self.output.held.get();
        let mut buffer = self.output.buffer.borrow_mut();
        if held == NOTHING_HELD {
            buffer.extend_from_slice(bytes);
        } else {
            // A head has been begun, and has not left: an interim response comes before it.
            let before = held.min(buffer.len());
            buffer.splice(before..before, bytes.iter().copied());
            self.output.held.set(before + bytes.len());
        }
        drop(buffer);
        self.flush_soon(py)
    }

    /// Writes a whole response of the server's own.
    pub(super) fn write_own(&self, py: Python<'_>, write: impl FnOnce(&mut Vec<u8>)) {
        self.output.drop_head();
        let mut buffer = self.output.buffer.borrow_mut();
        if buffer.capacity() == 0 {
            *buffer = self.server(py).take_buffer();
        }
        write(&mut buffer);
    }

    /// Sends at the end of the running callback, or now if none runs.
    #[inline]
    pub(super) fn flush_soon(&self, py: Python<'_>) -> PyResult<()> {
        if self.output.dirty.replace(true) {
            return Ok(());
        }
        let later = match self.token.get() {
            Some(token) => self.server(py).core(py).flush_later(token),
            None => false,
        };
        if later { Ok(()) } else { self.flush_output(py) }
    }

    /// Sends what may leave.
    pub(super) fn flush_output(&self, py: Python<'_>) -> PyResult<()> {
        self.output.dirty.set(false);
        if self.stage.get() == Stage::Closed {
            return Ok(());
        }
        let result = self.output.send_buffer(self.fd);
        self.after_sending(py, result)?;
        if self.output.has_backlog() {
            // From here on it is the peer that is waited for.
            self.update_deadline(py);
        }
        Ok(())
    }

    /// Sends more of what the socket had not taken.
    pub(super) fn write_backlog(&self, py: Python<'_>) -> PyResult<()> {
        let before = self.output.backlog.borrow().len();
        let result = self.output.send_backlog(self.fd);
        if self.output.backlog.borrow().len() < before {
            self.deadline.earned();
        }
        self.after_sending(py, result)?;
        self.update_deadline(py);
        Ok(())
    }

    fn after_sending(&self, py: Python<'_>, result: io::Result<()>) -> PyResult<()> {
        if result.is_err() {
            // The peer is gone, and nobody is to blame.
            return self.close(py);
        }
        if self.output.backlog.borrow().len() <= LOW_WATER
            && !self.output.waiters.borrow().is_empty()
        {
            for future in self.output.waiters.take() {
                wake(future.bind(py))?;
            }
        }
        if self.output.is_flushed() {
            self.recycle_buffer(py);
            if self.stage.get() == Stage::Finishing {
                return self.hang_up(py);
            }
        }
        Ok(())
    }

    /// Gives the empty buffer back: an idle connection keeps none.
    #[inline]
    fn recycle_buffer(&self, py: Python<'_>) {
        let buffer = self.output.buffer.take();
        if buffer.capacity() > 0 {
            self.server(py).give_buffer(buffer);
        }
    }
}

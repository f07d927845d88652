//! Bytes to requests: reading, decoding, and when to do neither.
//!
//! A request is answered before the next one is decoded. While a response is in the making
//! nothing is read: what the peer sends waits in the kernel, and the peer with it.

use std::io;
use std::mem::MaybeUninit;

use pyo3::prelude::*;
use weft_protocol::http1::{BodyLength, Event, Head, Header, RequestError};
use weft_protocol::websocket::Opening;
use weft_reactor::sys::socket;

use super::connection::{Connection, Stage};
use super::coroutine::Exchange;
use super::request_body::RequestBody;
use super::scope::Endpoints;

/// Header fields a request may have; the decoder's default limit.
const FIELDS: usize = 128;
/// Reads of one connection in one turn.
const READS_PER_TURN: usize = 4;
/// Pipelined requests of one connection in one turn.
const REQUESTS_PER_TURN: usize = 32;
/// Of a body that nobody wants so much is read, to keep the connection.
const MOST_DISCARDED: usize = 256 * 1024;
/// Of what follows the last response so much is read, to let the peer see it.
const MOST_LINGERED: usize = 2 * 1024 * 1024;

impl Connection {
    /// Reads and decodes for as long as there is something to do.
    pub(super) fn pump(&self, py: Python<'_>) -> PyResult<()> {
        self.pumping.set(true);
        let result = self.pump_turn(py);
        self.pumping.set(false);
        result?;
        if !self.stage.get().is_live() {
            return Ok(());
        }
        self.update_deadline(py);
        if self.is_upgraded() {
            return self.after_frames(py);
        }
        let current = self.current.borrow().as_ref().map(|current| current.clone_ref(py));
        match current {
            Some(current) if self.hangup.get() => current.get().state(py).disconnect(py),
            Some(_) => Ok(()),
            None if self.server(py).is_closing() && self.is_idle() => self.finish(py),
            None => Ok(()),
        }
    }

    fn pump_turn(&self, py: Python<'_>) -> PyResult<()> {
        for _ in 0..READS_PER_TURN {
            if !self.leftover.borrow().is_empty() && self.wants_input(py) {
                let mut bytes = self.leftover.take();
                let used = self.decode(py, &mut bytes)?;
                if !self.keep_rest(bytes, used) {
                    return Ok(());
                }
            }
            if !self.readable.get() || !self.wants_input(py) {
                return Ok(());
            }
            self.read(py)?;
        }
        self.schedule(py);
        Ok(())
    }

    /// Puts back what was not used; whether there is room for more.
    fn keep_rest(&self, mut bytes: Vec<u8>, used: usize) -> bool {
        if !self.stage.get().is_live() {
            return false;
        }
        if used < bytes.len() {
            bytes.drain(..used);
            self.leftover.replace(bytes);
        }
        true
    }

    /// Whether the next bytes can be made use of now.
    fn wants_input(&self, py: Python<'_>) -> bool {
        match (self.stage.get(), self.current.borrow().as_ref()) {
            (Stage::Open, None) => true,
            (Stage::Open, Some(exchange)) => {
                let body = &exchange.get().state(py).body;
                !body.is_complete() && !body.is_full()
            }
            (Stage::Upgraded, Some(exchange)) => {
                exchange.get().state(py).websocket.as_ref().is_some_and(|it| !it.is_full())
            }
            _ => false,
        }
    }

    fn read(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.server(py).core(py);
        core.with_read_buffer(|buffer| match socket::recv(self.fd, buffer) {
            Ok(0) => self.stream_ended(py),
            Ok(count) => {
                let filled = count == buffer.len();
                let bytes = buffer.get_mut(..count).unwrap_or_default();
                // After a hang-up the end of the stream follows, and no edge announces it.
                if !filled && self.short_read_is_empty && !self.hangup.get() {
                    self.readable.set(false);
                }
                if !self.leftover.borrow().is_empty() {
                    self.leftover.borrow_mut().extend_from_slice(bytes);
                    return Ok(());
                }
                let used = self.decode(py, bytes)?;
                if self.stage.get().is_live()
                    && let Some(rest) = bytes.get(used..)
                {
                    self.leftover.borrow_mut().extend_from_slice(rest);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable.set(false);
                Ok(())
            }
            Err(_) => self.close(py),
        })
    }

    /// The peer will send nothing more; it may still be reading.
    fn stream_ended(&self, py: Python<'_>) -> PyResult<()> {
        self.readable.set(false);
        self.ended.set(true);
        self.hangup.set(true);
        if self.is_upgraded() {
            // Without a close frame: nothing that a half-closed WebSocket sends would be read.
            return self.close(py);
        }
        if self.current.borrow().is_some() { Ok(()) } else { self.finish(py) }
    }

    /// Decodes what it can, runs what comes of it, and says how many bytes are done with.
    fn decode(&self, py: Python<'_>, bytes: &mut [u8]) -> PyResult<usize> {
        if self.is_upgraded() {
            return self.decode_frames(py, bytes);
        }
        self.decode_requests(py, bytes)
    }

    fn decode_requests(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<usize> {
        let mut slots = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS];
        let mut used = 0;
        let mut requests = 0;
        // The end of a body whose last byte has come takes no input: it is always collected.
        let mut ending = false;
        while ending || (self.stage.get() == Stage::Open && self.wants_input(py)) {
            if requests == REQUESTS_PER_TURN && self.current.borrow().is_none() {
                self.schedule(py);
                break;
            }
            ending = false;
            let rest = bytes.get(used..).unwrap_or_default();
            let step = self.decoder.borrow_mut().decode(rest, &mut slots);
            let step = match step {
                Ok(step) => step,
                Err(error) => {
                    self.refuse(py, error)?;
                    return Ok(bytes.len());
                }
            };
            used += step.consumed;
            match step.event {
                Event::NeedMore => break,
                Event::Head(head) => {
                    requests += 1;
                    self.begin(py, &head)?;
                }
                Event::Body { data, last } => {
                    self.deadline.earned();
                    ending = last;
                    self.take_body(py, data, last)?;
                }
                Event::End => {
                    self.end_body(py);
                    self.news_of_body(py)?;
                }
            }
        }
        self.news_of_body(py)?;
        Ok(used)
    }

    /// A request has begun.
    fn begin(&self, py: Python<'_>, head: &Head<'_, '_>) -> PyResult<()> {
        let Some(me) = self.handle() else { return Ok(()) };
        let server = self.server(py);
        if Opening::is_asked_for(head) {
            if server.websocket.enabled {
                return self.begin_websocket(py, head);
            }
            server.error_log.warning(py, "Unsupported upgrade request.");
        }
        let endpoints = Endpoints { client: self.client(py)?, server: self.local.bind(py) };
        let scope = server.scopes.scope(py, head, &endpoints)?;
        let has_body = head.body != BodyLength::None;
        let body = match has_body {
            false => RequestBody::none(),
            true => RequestBody::pending(head.expect_continue),
        };
        let exchange = Exchange::new(py, &me, head, scope, body, None)?;
        if self.hangup.get() {
            exchange.get().state(py).disconnected.set(true);
        }
        self.current.replace(Some(exchange.clone().unbind()));
        // A body that came along is decoded first: the application then finds it ready.
        if has_body { Ok(()) } else { self.start(&exchange) }
    }

    /// Lets the application run until it waits for something.
    pub(super) fn start(&self, exchange: &Bound<'_, Exchange>) -> PyResult<()> {
        let py = exchange.py();
        let state = exchange.get().state(py);
        if state.started.replace(true) {
            return Ok(());
        }
        let server = self.server(py);
        let task = server.start_task(exchange.as_any())?;
        if !state.finished.get() {
            state.running.set(Some(server.task_started(task)));
        }
        Ok(())
    }

    fn take_body(&self, py: Python<'_>, data: &[u8], last: bool) -> PyResult<()> {
        let current = self.current.borrow();
        if let Some(exchange) = current.as_ref() {
            exchange.get().state(py).body.push(py, data, last);
            return Ok(());
        }
        drop(current);
        let discarded = self.discarded.get() + data.len();
        self.discarded.set(discarded);
        if discarded > MOST_DISCARDED { self.finish(py) } else { Ok(()) }
    }

    fn end_body(&self, py: Python<'_>) {
        self.discarding.set(false);
        if let Some(exchange) = self.current.borrow().as_ref() {
            exchange.get().state(py).body.finish();
        }
    }

    /// Starts the application, or wakes it where it waits for its body.
    fn news_of_body(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.current.borrow().as_ref().map(|current| current.clone_ref(py));
        let Some(exchange) = current else { return Ok(()) };
        let exchange = exchange.into_bound(py);
        let state = exchange.get().state(py);
        if state.started.get() { state.wake_receivers(py) } else { self.start(&exchange) }
    }

    /// The peer has broken the protocol: one answer, if none has begun, and the end.
    #[cold]
    fn refuse(&self, py: Python<'_>, error: RequestError) -> PyResult<()> {
        self.server(py).error_log.warning(py, "Invalid HTTP request received.");
        self.reject(py, error.status(), error.reason())
    }

    /// Ends the connection with an answer of the server's own, unless another has begun.
    pub(super) fn reject(&self, py: Python<'_>, status: u16, reason: &str) -> PyResult<()> {
        let current = self.current.borrow().as_ref().map(|current| current.clone_ref(py));
        match &current {
            // The request that is at fault has had its answer.
            None if self.discarding.get() => self.finish(py),
            None => self.answer(py, status, reason, None),
            Some(exchange) => {
                let state = exchange.get().state(py);
                if state.head_sent.get() {
                    self.close(py)
                } else {
                    self.answer(py, status, reason, Some(state))
                }
            }
        }
    }

    /// Throws away what the peer sends after the last response, until it closes.
    pub(super) fn linger(&self, py: Python<'_>) -> PyResult<()> {
        let core = self.server(py).core(py);
        while self.readable.get() {
            let count = core.with_read_buffer(|buffer| socket::recv(self.fd, buffer));
            match count {
                Ok(count) if count > 0 => {
                    self.discarded.set(self.discarded.get() + count);
                    if self.discarded.get() > MOST_LINGERED {
                        return self.close(py);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable.set(false);
                }
                _ => return self.close(py),
            }
        }
        Ok(())
    }
}

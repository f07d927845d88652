//! Timeouts: one look a second at all connections.
//!
//! A timer for each request would cost more than the request's own bookkeeping. A connection
//! stores until when it may wait, which is one store; once a second the server looks who is
//! overdue. So every timeout is kept to within a second.

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use weft_protocol::http1::Phase;
use weft_reactor::sys::monotonic_ns;

use super::connection::{Connection, Stage};
use super::http_server::HttpServer;
use super::websocket;
use crate::event_loop::Deferred;

/// How often the server looks.
pub(super) const PERIOD_NS: i64 = 1_000_000_000;

const SECOND_NS: i64 = 1_000_000_000;
/// From the connection to the first byte, and from the first byte to the end of the head.
const HEAD_NS: i64 = 30 * SECOND_NS;
/// Between two pieces of a body.
const BODY_NS: i64 = 30 * SECOND_NS;
/// For the peer to take more of what it is sent.
const WRITE_NS: i64 = 60 * SECOND_NS;
/// For the peer to close after the last response.
const LINGER_NS: i64 = 2 * SECOND_NS;
/// For the peer's answer to the close frame of a WebSocket.
const CLOSE_FRAME_NS: i64 = 10 * SECOND_NS;
/// For what has begun when the server is stopping.
const CLOSING_HEAD_NS: i64 = 2 * SECOND_NS;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// The application, which may take its time.
    #[default]
    Nothing,
    /// The first byte of the first request.
    FirstByte,
    /// The first byte of another request.
    KeepAlive,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
    /// The peer taking more of what it is sent.
    Write,
    /// The peer closing.
    Linger,
    /// A WebSocket: the time for the next ping, a sign of life after it, the peer's close frame.
    Ping,
    Life,
    CloseFrame,
}

/// Until when a connection may wait.
pub(super) struct Deadline {
    wait: Cell<Wait>,
    at: Cell<i64>,
    /// A piece of a body has passed, in either direction.
    earned: Cell<bool>,
    /// A request was answered: an idle connection is being kept alive.
    served: Cell<bool>,
}

impl Default for Deadline {
    fn default() -> Self {
        Self {
            wait: Cell::default(),
            at: Cell::new(i64::MAX),
            earned: Cell::new(false),
            served: Cell::new(false),
        }
    }
}

impl Deadline {
    /// A response is complete: what is waited for next is waited for anew.
    #[inline]
    pub(super) fn restart(&self) {
        self.wait.set(Wait::Nothing);
        self.served.set(true);
    }

    /// A piece of a body has passed: the wait for the next one begins.
    #[inline]
    pub(super) fn earned(&self) {
        self.earned.set(true);
    }

    /// Whether the wait was too long.
    #[inline]
    pub(super) fn is_over(&self, now: i64) -> bool {
        self.at.get() <= now
    }
}

impl Connection {
    fn wait(&self, py: Python<'_>) -> Wait {
        match self.stage.get() {
            Stage::Finishing => return Wait::Write,
            Stage::Lingering => return Wait::Linger,
            Stage::Closed => return Wait::Nothing,
            Stage::Open | Stage::Upgraded if self.output.has_backlog() => return Wait::Write,
            Stage::Upgraded => {
                return match self.websocket_wait(py) {
                    websocket::Wait::Application => Wait::Nothing,
                    websocket::Wait::Interval => Wait::Ping,
                    websocket::Wait::Life => Wait::Life,
                    websocket::Wait::CloseFrame => Wait::CloseFrame,
                };
            }
            Stage::Open => {}
        }
        match self.current.borrow().as_ref() {
            Some(exchange) => {
                let state = exchange.get().state(py);
                // Once the response has begun the two may talk at their own pace.
                let done = state.body.is_complete() || state.head_sent.get();
                if done || state.body.is_full() { Wait::Nothing } else { Wait::Body }
            }
            None => match self.decoder.borrow().phase() {
                Phase::Idle if self.deadline.served.get() => Wait::KeepAlive,
                Phase::Idle => Wait::FirstByte,
                Phase::Head => Wait::Head,
                _ => Wait::Body,
            },
        }
    }

    /// Sets the deadline for what the connection waits for now.
    #[inline]
    pub(super) fn update_deadline(&self, py: Python<'_>) {
        let wait = self.wait(py);
        // Each piece of a body earns time, in both directions; no wait is prolonged by anything
        // else that trickles in.
        let earned = self.deadline.earned.take() && matches!(wait, Wait::Body | Wait::Write);
        if wait == self.deadline.wait.get() && !earned {
            return;
        }
        self.deadline.wait.set(wait);
        let server = self.server(py);
        let time = match wait {
            Wait::Nothing => {
                self.deadline.at.set(i64::MAX);
                return;
            }
            Wait::KeepAlive => server.keep_alive_ns,
            Wait::FirstByte | Wait::Head if server.is_closing() => CLOSING_HEAD_NS,
            Wait::FirstByte | Wait::Head => HEAD_NS,
            Wait::Body => BODY_NS,
            Wait::Write => WRITE_NS,
            Wait::Linger => LINGER_NS,
            Wait::Ping => server.websocket.ping_interval_ns.unwrap_or(i64::MAX),
            Wait::Life => server.websocket.ping_timeout_ns.unwrap_or(i64::MAX),
            Wait::CloseFrame if server.is_closing() => CLOSING_HEAD_NS,
            Wait::CloseFrame => CLOSE_FRAME_NS,
        };
        self.deadline.at.set(server.core(py).turn_time().saturating_add(time));
    }

    /// The deadline has passed.
    pub(super) fn overdue(&self, py: Python<'_>) -> PyResult<()> {
        match self.deadline.wait.get() {
            Wait::Nothing => Ok(()),
            Wait::FirstByte | Wait::KeepAlive | Wait::Write => self.close(py),
            Wait::Linger => self.close(py),
            Wait::CloseFrame => self.close_overdue(py),
            Wait::Ping => self.ping(py),
            Wait::Life => self.silent(py),
            Wait::Head | Wait::Body => self.reject(py, 408, "the request took too long"),
        }
    }
}

/// The look.
pub(super) struct Sweep(pub(super) Py<HttpServer>);

impl Sweep {
    /// Arranges the next look.
    pub(super) fn arm(server: &Bound<'_, HttpServer>) {
        let py = server.py();
        let sweep = Box::new(Self(server.clone().unbind()));
        server.get().server(py).core(py).set_alarm(monotonic_ns() + PERIOD_NS, sweep);
    }
}

impl Deferred for Sweep {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        HttpServer::sweep(self.0.bind(py))
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

//! Pings, and clients that are silent: half-open connections are found by nothing else.

use pyo3::prelude::*;
use weft_protocol::websocket::code;

use super::session::Phase;
use crate::server::connection::Connection;

/// What a WebSocket waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Wait {
    /// The application: no deadline.
    Application,
    /// The time for the next ping.
    Interval,
    /// A sign of life after a ping.
    Life,
    /// A close frame: the peer's, or our answer to it.
    CloseFrame,
}

impl Connection {
    /// What the WebSocket waits for, if it takes all that it is sent.
    pub(in super::super) fn websocket_wait(&self, py: Python<'_>) -> Wait {
        let options = &self.server(py).websocket;
        self.with_session(py, |_, session| match session.phase.get() {
            Phase::Closing => Wait::CloseFrame,
            _ if session.due.get().is_some() => Wait::CloseFrame,
            // Its pong could be among what is not read.
            _ if session.is_full() => Wait::Application,
            _ if session.pinged.get() && options.ping_timeout_ns.is_some() => Wait::Life,
            _ if options.ping_interval_ns.is_some() => Wait::Interval,
            _ => Wait::Application,
        })
        .unwrap_or(Wait::CloseFrame)
    }

    /// The time for the next ping has come.
    pub(in super::super) fn ping(&self, py: Python<'_>) -> PyResult<()> {
        let pinged = self.with_session(py, |_, session| {
            session.pinged.set(true);
            session.engine.borrow_mut().rest();
            self.append(py, |out| session.engine.borrow().ping(b"", out))
        });
        pinged.unwrap_or(Ok(()))?;
        self.deadline.restart();
        self.update_deadline(py);
        Ok(())
    }

    /// No sign of life has come.
    pub(in super::super) fn silent(&self, py: Python<'_>) -> PyResult<()> {
        let reason = "keepalive ping timeout";
        let ended = self.with_session(py, |state, session| {
            session.note_end(code::ABNORMAL, reason);
            self.give_up(py, state, session, code::INTERNAL_ERROR, reason)
        });
        ended.unwrap_or(Ok(()))
    }
}

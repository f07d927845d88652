//! The ways to the end of a WebSocket: the peer's, the application's, the server's.

use pyo3::prelude::*;
use weft_protocol::websocket::{ProtocolError, code};

use super::opening;
use super::send::ClientDisconnected;
use super::session::{Due, Phase, Session};
use crate::server::connection::{Connection, Stage};
use crate::server::exchange::State;

impl Connection {
    /// The application has closed, or has left: what still comes is not for it.
    pub(super) fn close_by_application(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
        code: u16,
        reason: &str,
    ) -> PyResult<()> {
        self.start_closing(py, state, session, code, reason)?;
        session.clear();
        Ok(())
    }

    /// Sends a close frame, and waits for the peer's unless it has come.
    fn start_closing(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
        code: u16,
        reason: &str,
    ) -> PyResult<()> {
        let was_full = session.is_full();
        if session.phase.replace(Phase::Closing) == Phase::Closing {
            return Ok(());
        }
        if was_full {
            self.schedule(py);
        }
        self.append(py, |out| {
            session.engine.borrow_mut().close(code, reason, out);
        })?;
        if let Some(due) = session.due.get() {
            self.discarding.set(matches!(due, Due::Failure(_)));
            return self.end_websocket(py, state);
        }
        self.update_deadline(py);
        Ok(())
    }

    /// The peer has closed.
    pub(super) fn closed_by_peer(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
        code: u16,
        reason: &str,
    ) -> PyResult<()> {
        session.note_end(code, reason);
        self.end_in_turn(py, state, session, Due::Answer)
    }

    /// The peer has broken the protocol: it is told, and the connection ends.
    #[cold]
    pub(super) fn fail_websocket(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
        error: ProtocolError,
    ) -> PyResult<()> {
        if matches!(session.due.get(), Some(Due::Failure(_))) {
            return Ok(());
        }
        let message = format!("Invalid WebSocket frame received: {error}.");
        self.server(py).error_log.warning(py, &message);
        session.note_end(error.code(), error.reason());
        self.end_in_turn(py, state, session, Due::Failure(error))
    }

    /// Messages that came before the end are the application's to answer: until it has received
    /// them the end waits (RFC 6455 section 5.5.1 lets a close frame).
    fn end_in_turn(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
        due: Due,
    ) -> PyResult<()> {
        if session.has_messages() && session.phase.get() == Phase::Open {
            session.due.set(Some(due));
            return Ok(());
        }
        self.end_as_due(py, state, session, due)
    }

    /// Answers the close frame, or the fault, and ends the connection.
    pub(super) fn end_as_due(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
        due: Due,
    ) -> PyResult<()> {
        match due {
            Due::Answer => {
                session.phase.set(Phase::Closing);
                self.append(py, |out| session.engine.borrow_mut().answer_close(out))?;
                self.end_websocket(py, state)
            }
            Due::Failure(error) => self.give_up(py, state, session, error.code(), error.reason()),
        }
    }

    /// The other side of the closing handshake has taken too long.
    pub(in super::super) fn close_overdue(&self, py: Python<'_>) -> PyResult<()> {
        let answered = self.with_session(py, |state, session| match session.due.take() {
            Some(due) => self.end_as_due(py, state, session, due),
            None => self.close(py),
        });
        answered.unwrap_or_else(|| self.close(py))
    }

    /// Sends a close frame and ends the connection, without waiting for the peer's.
    pub(super) fn give_up(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
        code: u16,
        reason: &str,
    ) -> PyResult<()> {
        session.phase.set(Phase::Closing);
        self.append(py, |out| {
            session.engine.borrow_mut().close(code, reason, out);
        })?;
        // What the peer is sending must not be answered with a reset, which would take the close
        // frame from it.
        self.discarding.set(true);
        self.end_websocket(py, state)
    }

    /// The server is stopping.
    pub(super) fn close_for_restart(
        &self,
        py: Python<'_>,
        state: &State,
        session: &Session,
    ) -> PyResult<()> {
        session.note_end(code::SERVICE_RESTART, "");
        self.start_closing(py, state, session, code::SERVICE_RESTART, "")?;
        state.disconnect(py)
    }

    /// The server is stopping: says so to the peer and to the application. False if this
    /// connection carries no WebSocket.
    pub(in super::super) fn drain_websocket(&self, py: Python<'_>) -> PyResult<bool> {
        let drained = self.with_session(py, |state, session| match session.phase.get() {
            Phase::Connecting => opening::turn_away(py, state, session, self).map(|()| true),
            Phase::Denying => Ok(false),
            Phase::Open => self.close_for_restart(py, state, session).map(|()| true),
            Phase::Closing => Ok(true),
        });
        drained.unwrap_or(Ok(false))
    }

    /// Nothing more comes or goes but what has been written.
    fn end_websocket(&self, py: Python<'_>, state: &State) -> PyResult<()> {
        let current = self.current.take();
        state.release(py)?;
        drop(current);
        self.finish(py)
    }
}

/// The application has returned from a WebSocket that goes on.
pub(in super::super) fn returned(
    py: Python<'_>,
    state: &State,
    session: &Session,
    connection: &Connection,
) -> PyResult<()> {
    match session.phase.get() {
        Phase::Connecting => {
            let log = &state.server(py).error_log;
            log.error(py, "ASGI callable returned without completing handshake.");
            opening::deny(py, state, connection)
        }
        Phase::Denying => {
            let log = &state.server(py).error_log;
            log.error(py, "ASGI callable returned without completing response.");
            state.replace_response(py)
        }
        Phase::Open => connection.close_by_application(py, state, session, code::NORMAL, ""),
        Phase::Closing => Ok(()),
    }
}

/// The application has failed, or was interrupted, while the WebSocket goes on.
pub(in super::super) fn failed(
    py: Python<'_>,
    state: &State,
    session: &Session,
    connection: &Connection,
) -> PyResult<()> {
    match session.phase.get() {
        Phase::Connecting | Phase::Denying => state.replace_response(py),
        Phase::Open if state.server(py).is_closing() => {
            connection.close_for_restart(py, state, session)
        }
        Phase::Open => {
            connection.close_by_application(py, state, session, code::INTERNAL_ERROR, "")
        }
        Phase::Closing => Ok(()),
    }
}

/// Whether the application ends with what it was told: that its client has gone.
pub(in super::super) fn is_disconnect(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<ClientDisconnected>(py)
}

impl Connection {
    /// Whether the connection carries frames.
    pub(in super::super) fn is_upgraded(&self) -> bool {
        self.stage.get() == Stage::Upgraded
    }
}

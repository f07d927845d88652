//! Bytes to messages, and when not to read.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use weft_protocol::websocket::Event;

use super::session::{Phase, Session};
use crate::server::connection::{Connection, Stage};
use crate::server::exchange::State;

/// What a step of the engine leaves to do.
enum Left {
    Nothing,
    Pong,
    Close(u16, String),
    /// The input is used up.
    Done,
}

impl Connection {
    /// Runs `body` with the WebSocket that this connection carries.
    pub(super) fn with_session<R>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&State, &Session) -> R,
    ) -> Option<R> {
        let current = self.current.borrow().as_ref().map(|current| current.clone_ref(py))?;
        let state = current.get().state(py);
        let session = state.websocket.as_deref()?;
        Some(body(state, session))
    }

    /// Decodes what it can, and says how many bytes are done with.
    pub(in super::super) fn decode_frames(
        &self,
        py: Python<'_>,
        bytes: &mut [u8],
    ) -> PyResult<usize> {
        let decoded = self.with_session(py, |state, session| {
            let used = self.decode_messages(py, session, state, bytes)?;
            state.wake_receivers(py)?;
            Ok(used)
        });
        decoded.unwrap_or(Ok(bytes.len()))
    }

    fn decode_messages(
        &self,
        py: Python<'_>,
        session: &Session,
        state: &State,
        bytes: &mut [u8],
    ) -> PyResult<usize> {
        session.pinged.set(false);
        let mut used = 0;
        while self.stage.get() == Stage::Upgraded && !session.is_full() {
            let mut engine = session.engine.borrow_mut();
            let step = engine.decode(bytes.get_mut(used..).unwrap_or_default());
            let left = match step {
                Ok(step) => {
                    used += step.consumed;
                    take_in(py, session, step.event)
                }
                Err(error) => {
                    drop(engine);
                    self.fail_websocket(py, state, session, error)?;
                    return Ok(bytes.len());
                }
            };
            drop(engine);
            match left {
                Left::Nothing => {}
                Left::Done => break,
                Left::Pong => {
                    session.pong_due.set(true);
                    self.answer_ping(py, session)?;
                }
                Left::Close(code, reason) => {
                    self.closed_by_peer(py, state, session, code, &reason)?;
                    return Ok(bytes.len());
                }
            }
        }
        Ok(used)
    }

    /// What is left to do when a turn of reading is over.
    pub(in super::super) fn after_frames(&self, py: Python<'_>) -> PyResult<()> {
        self.with_session(py, |_, session| self.answer_ping(py, session)).unwrap_or(Ok(()))
    }

    /// Answers the last ping as soon as the peer takes what it is sent: one that floods us with
    /// pings and reads nothing gets one answer in the end.
    fn answer_ping(&self, py: Python<'_>, session: &Session) -> PyResult<()> {
        if !session.pong_due.get() || self.is_congested() {
            return Ok(());
        }
        session.pong_due.set(false);
        self.append(py, |out| session.engine.borrow_mut().answer_ping(out))
    }
}

/// Takes what the engine has found. Making str and bytes objects runs no Python code, so the
/// engine may stay borrowed.
#[inline]
fn take_in(py: Python<'_>, session: &Session, event: Event<'_>) -> Left {
    match event {
        // Nobody would ask for it.
        Event::Text(_) | Event::Binary(_) if session.phase.get() != Phase::Open => {}
        Event::Text(text) => {
            session.push(PyString::new(py, text).into_any().unbind(), true, text.len());
        }
        Event::Binary(data) => {
            session.push(PyBytes::new(py, data).into_any().unbind(), false, data.len());
        }
        Event::NeedMore => return Left::Done,
        Event::Ping(_) => return Left::Pong,
        Event::Pong(_) => {}
        Event::Close { code, reason } => return Left::Close(code, reason.to_owned()),
    }
    Left::Nothing
}

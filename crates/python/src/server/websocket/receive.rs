//! `receive()` of a WebSocket.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::session::Session;
use crate::server::exchange::State;
use crate::server::receive::Next;

/// Takes the next message.
pub(in super::super) fn next_message<'py>(
    py: Python<'py>,
    state: &State,
    session: &Session,
) -> PyResult<Next<'py>> {
    if !session.connect_told.replace(true) {
        return message(py, intern!(py, "websocket.connect")).map(Next::Message);
    }
    let was_full = session.is_full();
    if let Some(next) = session.pop() {
        if was_full && !session.is_full() {
            // Only now: reading on may need the loop's own turn.
            let connection = state.connection.borrow().clone();
            if let Some(connection) = connection {
                connection.schedule(py);
            }
        }
        let received = message(py, intern!(py, "websocket.receive"))?;
        let key = if next.is_text { intern!(py, "text") } else { intern!(py, "bytes") };
        received.set_item(key, next.payload)?;
        return Ok(Next::Message(received));
    }
    if let Some(due) = session.due.take() {
        let connection = state.connection.borrow().clone();
        if let Some(connection) = connection {
            connection.end_as_due(py, state, session, due)?;
        }
    }
    if state.disconnected.get() {
        state.abandon_half_closed(py)?;
        let end = session.end();
        let disconnect = message(py, intern!(py, "websocket.disconnect"))?;
        disconnect.set_item(intern!(py, "code"), end.code)?;
        disconnect.set_item(intern!(py, "reason"), end.reason)?;
        return Ok(Next::Message(disconnect));
    }
    Ok(Next::Wait(state.wait_for_news(py)?))
}

#[inline]
fn message<'py>(py: Python<'py>, kind: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), kind)?;
    Ok(message)
}

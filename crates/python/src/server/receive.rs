//! `receive()`: what the application is told about its client.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use weft_protocol::http1::continue_100;

use super::coroutine::Exchange;
use super::operation::Operation;
use super::websocket;
use crate::ffi::function::{NullaryFunction, bind_nullary};

struct Receive;

impl NullaryFunction for Receive {
    type Receiver = Exchange;
    const NAME: &'static std::ffi::CStr = c"receive";
    const DOC: &'static std::ffi::CStr =
        c"receive($self, /)\n--\n\nThe next message from the client: an awaitable of a dict.";

    fn call<'py>(exchange: &Bound<'py, Exchange>) -> PyResult<Bound<'py, PyAny>> {
        Operation::receive(exchange)
    }
}

/// The `receive` of an exchange.
pub(super) fn function<'py>(exchange: &Bound<'py, Exchange>) -> PyResult<Bound<'py, PyAny>> {
    bind_nullary::<Receive>(exchange)
}

/// What there is to receive.
pub(super) enum Next<'py> {
    Message(Bound<'py, PyDict>),
    /// Nothing yet: the future is done when there is news.
    Wait(Bound<'py, PyAny>),
}

/// Takes the next message. Called when the awaitable is awaited, not when it is made: one that
/// is cancelled has taken nothing.
pub(super) fn next_message<'py>(exchange: &Bound<'py, Exchange>) -> PyResult<Next<'py>> {
    let py = exchange.py();
    let state = exchange.get().state(py);
    if let Some(session) = &state.websocket {
        return websocket::receive::next_message(py, state, session);
    }
    let was_full = state.body.is_full();
    if let Some(piece) = state.body.pop(py) {
        let server = state.server(py);
        let message = server.messages.request(py)?;
        message.set_item(intern!(py, "body"), piece.data)?;
        message.set_item(intern!(py, "more_body"), piece.more)?;
        if was_full && !state.body.is_full() {
            let connection = state.connection.borrow().clone();
            if let Some(connection) = connection {
                connection.schedule(py);
            }
        }
        return Ok(Next::Message(message));
    }
    if state.disconnected.get() {
        state.abandon_half_closed(py)?;
        let message = PyDict::new(py);
        message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
        return Ok(Next::Message(message));
    }
    if state.body.expects_continue() && !state.head_sent.get() {
        let connection = state.connection.borrow().clone();
        if let Some(connection) = connection
            && state.body.take_expectation()
        {
            connection.write_interim(py, continue_100())?;
        }
    }
    Ok(Next::Wait(state.wait_for_news(py)?))
}

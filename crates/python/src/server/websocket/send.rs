//! `send()` of a WebSocket: from the application's messages to frames.

use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use weft_protocol::websocket::{FrameHeader, Kind, code, is_sendable};

use super::opening;
use super::session::{Phase, Session};
use crate::ffi::buffer::View;
use crate::ffi::function::{UnaryFunction, bind_unary};
use crate::server::connection::Connection;
use crate::server::coroutine::Exchange;
use crate::server::exchange::State;
use crate::server::operation::Operation;
use crate::server::send::{as_dict, required, send_body, start};

create_exception!(
    weft._core,
    ClientDisconnected,
    PyOSError,
    "send() on a WebSocket that is closed (ASGI's WebSocket specification, 2.4)."
);

struct Send;

impl UnaryFunction for Send {
    type Receiver = Exchange;
    const NAME: &'static std::ffi::CStr = c"send";
    const DOC: &'static std::ffi::CStr =
        c"send($self, message, /)\n--\n\nSends a message to the client: an awaitable of None.";

    fn call<'py>(
        exchange: &Bound<'py, Exchange>,
        message: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = exchange.py();
        let state = exchange.get().state(py);
        let Some(session) = state.websocket.as_deref() else { return Operation::done(py) };
        let message = as_dict(message)?;
        let kind = required(&message, intern!(py, "type"))?;
        let kind = kind.cast::<PyString>()?.to_str()?;
        let connection = state.connection.borrow().clone();
        let Some(connection) = connection else { return Err(closed(session, kind)) };
        match (session.phase.get(), kind) {
            (Phase::Open, "websocket.send") => {
                send_message(py, session, &connection, &message)?;
            }
            (Phase::Open, "websocket.close") => {
                let (code, reason) = close_parameters(&message)?;
                connection.close_by_application(py, state, session, code, &reason)?;
            }
            (Phase::Connecting, "websocket.accept") => {
                opening::accept(py, state, session, &connection, &message)?;
            }
            (Phase::Connecting, "websocket.close") => opening::deny(py, state, &connection)?,
            (Phase::Connecting, "websocket.http.response.start") => {
                start_denial(py, state, session, &connection, &message)?;
            }
            (Phase::Denying, "websocket.http.response.body") => {
                send_body(py, state, &connection, &message)?;
            }
            (Phase::Closing, _) => return Err(closed(session, kind)),
            (phase, other) => return Err(unexpected(phase, other)),
        }
        if connection.is_congested() && state.connection.borrow().is_some() {
            return Operation::drain(exchange);
        }
        Operation::done(py)
    }
}

/// The `send` of an exchange that is a WebSocket.
pub(in super::super) fn function<'py>(
    exchange: &Bound<'py, Exchange>,
) -> PyResult<Bound<'py, PyAny>> {
    bind_unary::<Send>(exchange)
}

/// Nobody is there any more, or the application has closed.
#[cold]
fn closed(session: &Session, kind: &str) -> PyErr {
    let why = match session.phase.get() {
        Phase::Connecting | Phase::Open => "the client has gone",
        Phase::Denying => "the response is complete, or the client has gone",
        Phase::Closing => "the WebSocket is closed",
    };
    ClientDisconnected::new_err(format!("Cannot send '{kind}': {why}."))
}

#[cold]
fn unexpected(phase: Phase, kind: &str) -> PyErr {
    let expected = match phase {
        Phase::Connecting => {
            "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'"
        }
        Phase::Denying => "'websocket.http.response.body'",
        Phase::Open | Phase::Closing => "'websocket.send' or 'websocket.close'",
    };
    PyRuntimeError::new_err(format!("Expected ASGI message {expected}, but got '{kind}'."))
}

/// `websocket.send`.
fn send_message(
    py: Python<'_>,
    session: &Session,
    connection: &Connection,
    message: &Bound<'_, PyDict>,
) -> PyResult<()> {
    if let Some(bytes) = message.get_item(intern!(py, "bytes"))?
        && !bytes.is_none()
    {
        if let Ok(object) = bytes.cast::<PyBytes>() {
            let data = object.as_bytes();
            return write(py, session, connection, Kind::Binary, data, Some(&bytes));
        }
        let view = View::readable(&bytes)?;
        return write(py, session, connection, Kind::Binary, view.as_slice(py), None);
    }
    let Some(text) = message.get_item(intern!(py, "text"))?.filter(|text| !text.is_none()) else {
        return Err(PyRuntimeError::new_err(
            "'websocket.send' needs 'text' or 'bytes', and has neither.",
        ));
    };
    let text = text.cast_into::<PyString>().map_err(|_| {
        PyTypeError::new_err("the text of websocket.send must be a str; send bytes as 'bytes'")
    })?;
    write(py, session, connection, Kind::Text, text.to_str()?.as_bytes(), None)
}

/// Writes one message as one frame; `owner` is the bytes object that `data` lies in.
fn write(
    py: Python<'_>,
    session: &Session,
    connection: &Connection,
    kind: Kind,
    data: &[u8],
    owner: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let mut engine = session.engine.borrow_mut();
    if !engine.compresses(data.len()) {
        drop(engine);
        let header = FrameHeader::message(kind, data.len());
        return connection.write_parts(py, [&header, data, b""], owner);
    }
    let mut frame = connection.server(py).take_buffer();
    engine.write(kind, data, &mut frame);
    drop(engine);
    let written = connection.write_parts(py, [b"", &frame, b""], None);
    connection.server(py).give_buffer(frame);
    written
}

/// The code and reason of `websocket.close`.
fn close_parameters(message: &Bound<'_, PyDict>) -> PyResult<(u16, String)> {
    let py = message.py();
    let code = match message.get_item(intern!(py, "code"))? {
        Some(code) if !code.is_none() => {
            let number = code.extract::<u16>();
            // A number beyond 16 bits is as wrong as one that is reserved.
            match number {
                Err(error) if !error.is_instance_of::<PyOverflowError>(py) => return Err(error),
                number => number.ok().filter(|&code| is_sendable(code)).ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "{code} is no code for 'websocket.close': use 1000 to 1003, 1007 to 1014 \
                         or 3000 to 4999"
                    ))
                })?,
            }
        }
        _ => code::NORMAL,
    };
    let reason = match message.get_item(intern!(py, "reason"))? {
        Some(reason) if !reason.is_none() => reason.cast::<PyString>()?.to_str()?.to_owned(),
        _ => String::new(),
    };
    Ok((code, reason))
}

/// `websocket.http.response.start`: a response of the application's own, which denies.
fn start_denial(
    py: Python<'_>,
    state: &State,
    session: &Session,
    connection: &Connection,
    message: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let status: u16 = required(message, intern!(py, "status"))?.extract()?;
    if status < 200 {
        return Err(PyRuntimeError::new_err(format!(
            "{status} cannot deny a WebSocket; 'websocket.http.response.start' needs a final status."
        )));
    }
    start(py, state, connection, message)?;
    session.phase.set(Phase::Denying);
    Ok(())
}

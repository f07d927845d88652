//! `send()`: from the application's messages to the bytes of a response.
//!
//! Messages are read by ASGI's rules and uvicorn's wording. Python code runs only while a
//! message is taken apart; nothing is borrowed then.

use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use weft_protocol::http1::{Response, ResponseError};

use super::connection::Connection;
use super::coroutine::Exchange;
use super::exchange::State;
use super::operation::Operation;
use crate::ffi::buffer::View;
use crate::ffi::function::{UnaryFunction, bind_unary};

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
        let connection = state.connection.borrow().clone();
        let Some(connection) = connection else {
            after_the_end(state, message)?;
            return Operation::done(py);
        };
        let message = as_dict(message)?;
        let kind = required(&message, intern!(py, "type"))?;
        match kind.cast::<PyString>()?.to_str()? {
            "http.response.body" if state.response.borrow().is_started() => {
                send_body(py, state, &connection, &message)?;
            }
            "http.response.start" if !state.response.borrow().is_started() => {
                start(py, state, &connection, &message)?;
            }
            other => return Err(unexpected(state, other)),
        }
        if connection.is_congested() && !state.response.borrow().is_complete() {
            return Operation::drain(exchange);
        }
        Operation::done(py)
    }
}

/// The `send` of an exchange.
pub(super) fn function<'py>(exchange: &Bound<'py, Exchange>) -> PyResult<Bound<'py, PyAny>> {
    bind_unary::<Send>(exchange)
}

/// A message when nobody is there any more: an error only if the application has said itself
/// that it is done.
fn after_the_end(state: &State, message: &Bound<'_, PyAny>) -> PyResult<()> {
    if !state.response.borrow().is_complete() {
        return Ok(());
    }
    let kind = message.get_item(intern!(message.py(), "type"))?;
    Err(PyRuntimeError::new_err(format!(
        "Unexpected ASGI message '{kind}' sent, after response already completed."
    )))
}

#[cold]
fn unexpected(state: &State, kind: &str) -> PyErr {
    let expected = match state.response.borrow().is_started() {
        true => "http.response.body",
        false => "http.response.start",
    };
    PyRuntimeError::new_err(format!("Expected ASGI message '{expected}', but got '{kind}'."))
}

pub(super) fn as_dict<'py>(message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = message.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let dict = PyDict::new(message.py());
    dict.call_method1("update", (message,))?;
    Ok(dict)
}

#[inline]
pub(super) fn required<'py>(
    message: &Bound<'py, PyDict>,
    key: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    match message.get_item(key)? {
        Some(value) => Ok(value),
        None => Err(PyKeyError::new_err(key.clone().unbind())),
    }
}

/// `http.response.start`: the head is encoded, but for its end, which depends on the body.
pub(super) fn start(
    py: Python<'_>,
    state: &State,
    connection: &Connection,
    message: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let status: u16 = required(message, intern!(py, "status"))?.extract()?;
    let headers = message.get_item(intern!(py, "headers"))?;
    let headers = headers.map(plain_headers).transpose()?;
    let mut response = state.response.borrow_mut();
    let written = connection.output.write_head(state.server(py), |out| {
        response.start(status, out)?;
        for pair in headers.iter().flatten() {
            write_header(&mut response, pair.as_any(), out)?;
        }
        Ok(())
    });
    written.map_err(refused)
}

/// Writes a pair that [`plain_headers`] has let through.
#[inline]
fn write_header(
    response: &mut Response,
    pair: &Bound<'_, PyAny>,
    out: &mut Vec<u8>,
) -> Result<(), ResponseError> {
    match header_pair(pair) {
        Some((name, value)) => response.header(name.as_bytes(), value.as_bytes(), out),
        // A thread has changed the list in between.
        None => Err(ResponseError::HeaderName),
    }
}

/// A pair that [`plain_headers`] has let through.
#[inline]
pub(super) fn header_pair<'py>(
    pair: &Bound<'py, PyAny>,
) -> Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    Some((part(pair, 0)?, part(pair, 1)?))
}

/// The headers as a list of pairs of bytes, which can be read without running Python code.
pub(super) fn plain_headers<'py>(headers: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    if let Ok(list) = headers.cast_exact::<PyList>()
        && list.iter().all(|pair| part(&pair, 0).is_some() && part(&pair, 1).is_some())
    {
        return Ok(list.clone());
    }
    let py = headers.py();
    let plain = PyList::empty(py);
    for pair in headers.try_iter()? {
        let pair: Vec<Bound<'_, PyAny>> = pair?.try_iter()?.collect::<PyResult<_>>()?;
        let [name, value] = pair.as_slice() else {
            return Err(PyTypeError::new_err("a response header is not a pair of bytes"));
        };
        plain.append(PyTuple::new(py, [as_bytes(name)?, as_bytes(value)?])?)?;
    }
    Ok(plain)
}

/// One half of a header, if the pair is a plain tuple or list of two bytes objects.
#[inline]
fn part<'py>(pair: &Bound<'py, PyAny>, index: usize) -> Option<Bound<'py, PyBytes>> {
    let part = if let Ok(pair) = pair.cast_exact::<PyTuple>() {
        (pair.len() == 2).then(|| pair.get_item(index).ok())??
    } else if let Ok(pair) = pair.cast_exact::<PyList>() {
        (pair.len() == 2).then(|| pair.get_item(index).ok())??
    } else {
        return None;
    };
    part.cast_into::<PyBytes>().ok()
}

fn as_bytes<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let view = View::readable(object).map_err(|_| {
        let kind = object.get_type();
        PyTypeError::new_err(format!("response headers are pairs of bytes, not {kind}"))
    })?;
    Ok(PyBytes::new(object.py(), view.as_slice(object.py())))
}

/// `http.response.body`.
pub(super) fn send_body(
    py: Python<'_>,
    state: &State,
    connection: &Connection,
    message: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let more = match message.get_item(intern!(py, "more_body"))? {
        Some(more) => more.is_truthy()?,
        None => false,
    };
    let body = message.get_item(intern!(py, "body"))?;
    match &body {
        None => send_piece(py, state, connection, &[], None, more),
        Some(body) => match body.cast::<PyBytes>() {
            Ok(bytes) => send_piece(py, state, connection, bytes.as_bytes(), Some(body), more),
            Err(_) => {
                let view = View::readable(body)?;
                send_piece(py, state, connection, view.as_slice(py), None, more)
            }
        },
    }
}

/// Sends one piece of the body; `owner` is the object that holds it, if it can be kept.
fn send_piece(
    py: Python<'_>,
    state: &State,
    connection: &Connection,
    data: &[u8],
    owner: Option<&Bound<'_, PyAny>>,
    more: bool,
) -> PyResult<()> {
    if !state.head_sent.get() {
        finish_head(py, state, connection, (!more).then_some(data.len()))?;
    }
    let framing = state.response.borrow_mut().frame(data.len(), more);
    let framing = match framing {
        Ok(framing) => framing,
        Err(error) => {
            // The head has promised something else: only the end of the connection tells the
            // client that this response is not whole.
            state.server(py).error_log.error(py, &format!("Response aborted: {error}."));
            connection.abort(py)?;
            return Err(refused(error));
        }
    };
    connection.write_piece(py, &framing, data, owner)?;
    if !more {
        connection.response_complete(py, state)?;
    }
    Ok(())
}

/// Ends the head, now that the first piece of the body is here.
fn finish_head(
    py: Python<'_>,
    state: &State,
    connection: &Connection,
    known_body_len: Option<usize>,
) -> PyResult<()> {
    let server = state.server(py);
    let mut response = state.response.borrow_mut();
    if server.is_closing() || connection.cannot_go_on(state) {
        response.close_after();
    }
    let date = server.date.at(server.core(py).turn_time());
    let defaults = super::shared::defaults(&date);
    let known = known_body_len.map(|len| len as u64);
    let written = connection.output.end_head(|out| response.finish_head(known, defaults, out));
    written.map_err(refused)?;
    state.head_sent.set(true);
    let status = response.status();
    drop(response);
    state.log_access(py, connection, status)
}

/// What the application is told about a response that must not go on the wire.
#[cold]
fn refused(error: ResponseError) -> PyErr {
    PyRuntimeError::new_err(match error {
        ResponseError::BodyTooLong { .. } => {
            "Response content longer than Content-Length".to_owned()
        }
        ResponseError::BodyTooShort { .. } => {
            "Response content shorter than Content-Length".to_owned()
        }
        ResponseError::HeaderName => "Invalid HTTP header name.".to_owned(),
        ResponseError::HeaderValue => "Invalid HTTP header value.".to_owned(),
        other => other.to_string(),
    })
}

//! The handshake: refused by the server, accepted or denied by the application.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use smallvec::SmallVec;
use weft_protocol::http1::{self, Head};
use weft_protocol::websocket::{Opening, OpeningError, code};

use super::session::{Phase, Session};
use crate::server::connection::{Connection, Stage};
use crate::server::coroutine::Exchange;
use crate::server::exchange::State;
use crate::server::request_body::RequestBody;
use crate::server::scope::Endpoints;
use crate::server::send::{header_pair, plain_headers};
use crate::server::shared::defaults;

/// The status of a handshake that the application does not want.
const DENIED: u16 = 403;

impl Connection {
    /// A request for a WebSocket has come.
    pub(in super::super) fn begin_websocket(
        &self,
        py: Python<'_>,
        head: &Head<'_, '_>,
    ) -> PyResult<()> {
        let Some(me) = self.handle() else { return Ok(()) };
        let server = self.server(py);
        let opening = match Opening::read(head, server.websocket.deflate) {
            Ok(opening) => opening,
            Err(error) => return self.refuse_websocket(py, error),
        };
        let endpoints = Endpoints { client: self.client(py)?, server: self.local.bind(py) };
        let scope = server.scopes.websocket(py, head, &endpoints, &opening.subprotocols)?;
        let session = Box::new(Session::new(opening, &server.websocket));
        let exchange = Exchange::new(py, &me, head, scope, RequestBody::none(), Some(session))?;
        if self.hangup.get() {
            exchange.get().state(py).disconnected.set(true);
        }
        self.current.replace(Some(exchange.clone().unbind()));
        self.start(&exchange)
    }

    /// Answers a request that cannot become a WebSocket, whatever the application thinks of it.
    #[cold]
    fn refuse_websocket(&self, py: Python<'_>, error: OpeningError) -> PyResult<()> {
        let server = self.server(py);
        let message = format!("Invalid WebSocket handshake received: {}.", error.reason());
        server.error_log.warning(py, &message);
        let date = server.date.at(server.core(py).turn_time());
        self.write_own(py, |out| {
            let (status, reason) = (error.status(), error.reason());
            http1::refusal(status, reason, error.fields(), defaults(&date), out);
        });
        self.finish(py)
    }

    /// From here on the connection carries frames.
    fn upgrade(&self, py: Python<'_>) -> PyResult<()> {
        self.stage.set(Stage::Upgraded);
        if !self.pumping.get() {
            self.update_deadline(py);
            if self.readable.get() || !self.leftover.borrow().is_empty() {
                // The application runs: what the client has sent must wait until it does not.
                self.schedule(py);
            }
        }
        self.flush_soon(py)
    }
}

/// `websocket.accept`.
pub(super) fn accept(
    py: Python<'_>,
    state: &State,
    session: &Session,
    connection: &Connection,
    message: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let subprotocol = match message.get_item(intern!(py, "subprotocol"))? {
        Some(name) if !name.is_none() => Some(name.cast_into::<PyString>().map_err(|_| {
            PyTypeError::new_err("the subprotocol of websocket.accept must be a str or None")
        })?),
        _ => None,
    };
    let headers = match message.get_item(intern!(py, "headers"))? {
        Some(headers) if !headers.is_none() => Some(plain_headers(headers)?),
        _ => None,
    };
    let pairs: SmallVec<[(Bound<'_, PyBytes>, Bound<'_, PyBytes>); 8]> =
        headers.iter().flatten().filter_map(|pair| header_pair(&pair)).collect();
    let subprotocol = subprotocol.as_ref().map(|name| name.to_str()).transpose()?;
    let server = state.server(py);
    let date = server.date.at(server.core(py).turn_time());
    let mut head = server.take_buffer();
    let pairs = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let written = session.opening.write(subprotocol, pairs, defaults(&date), &mut head);
    let written = written.map_err(|error| PyRuntimeError::new_err(error.to_string()));
    if written.is_ok() {
        connection.write_own(py, |out| out.extend_from_slice(&head));
    }
    server.give_buffer(head);
    written?;
    state.head_sent.set(true);
    session.phase.set(Phase::Open);
    state.log_websocket(py, connection, "[accepted]");
    connection.upgrade(py)?;
    if server.is_closing() {
        connection.close_for_restart(py, state, session)?;
    }
    Ok(())
}

/// `websocket.close` in place of an answer to the handshake.
pub(super) fn deny(py: Python<'_>, state: &State, connection: &Connection) -> PyResult<()> {
    connection.answer(py, DENIED, "", Some(state))
}

/// The server is stopping, and the application has not answered yet.
pub(super) fn turn_away(
    py: Python<'_>,
    state: &State,
    session: &Session,
    connection: &Connection,
) -> PyResult<()> {
    session.note_end(code::SERVICE_RESTART, "");
    connection.answer(py, 503, "", Some(state))
}

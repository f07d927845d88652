//! One request and its response, as the connection and the application's calls see it.
//!
//! The connection lets go of it when the response is complete: what the application does after
//! that (background work) concerns no peer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use smallvec::SmallVec;
use weft_protocol::http1::{Head, RequestFacts, Response};
use weft_reactor::registry::Token;

use super::access_log::Line;
use super::connection::Connection;
use super::http_server::HttpServer;
use super::request_body::RequestBody;
use super::shared::Server;
use super::websocket::{self, Session};
use crate::event_loop::{is_done, new_future, wake};

/// What of a request its line in the access log needs; ASCII, as the decoder has found.
pub(super) struct LoggedRequest {
    method: SmallVec<[u8; 8]>,
    /// The path, and behind it the query.
    target: SmallVec<[u8; 64]>,
    path_len: usize,
}

impl LoggedRequest {
    fn new(head: &Head<'_, '_>) -> Self {
        let mut target = SmallVec::from_slice(head.path.as_bytes());
        target.extend_from_slice(head.query.as_bytes());
        Self { method: head.method.as_bytes().into(), target, path_len: head.path.len() }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The state of one exchange.
pub(super) struct State {
    server: Py<HttpServer>,
    /// None once the response is complete or the peer is gone.
    pub(super) connection: RefCell<Option<Rc<Connection>>>,
    pub(super) scope: RefCell<Option<Py<PyDict>>>,
    pub(super) coroutine: RefCell<Option<Py<PyAny>>>,
    /// Where the server keeps the task, once it has outlived its first step.
    pub(super) running: Cell<Option<Token>>,
    pub(super) started: Cell<bool>,
    pub(super) finished: Cell<bool>,
    pub(super) facts: RequestFacts,
    pub(super) response: RefCell<Response>,
    /// The response's head is complete: from here on it can only be cut off, not replaced.
    pub(super) head_sent: Cell<bool>,
    pub(super) body: RequestBody,
    /// The client is known to be gone, or the server no longer waits: `receive()` says so.
    pub(super) disconnected: Cell<bool>,
    receivers: RefCell<SmallVec<[Py<PyAny>; 1]>>,
    /// What makes it a WebSocket.
    pub(super) websocket: Option<Box<Session>>,
    logged: Option<LoggedRequest>,
}

impl State {
    pub(super) fn new(
        py: Python<'_>,
        connection: &Rc<Connection>,
        head: &Head<'_, '_>,
        scope: Bound<'_, PyDict>,
        body: RequestBody,
        websocket: Option<Box<Session>>,
    ) -> Self {
        let facts = head.facts();
        let server = connection.server(py);
        // A WebSocket's lines are the error log's, as uvicorn has it.
        let is_logged = server.access_log.is_enabled() || websocket.is_some();
        let logged = is_logged.then(|| LoggedRequest::new(head));
        Self {
            server: connection.server_object().clone_ref(py),
            connection: RefCell::new(Some(Rc::clone(connection))),
            scope: RefCell::new(Some(scope.unbind())),
            coroutine: RefCell::new(None),
            running: Cell::new(None),
            started: Cell::new(false),
            finished: Cell::new(false),
            facts,
            response: RefCell::new(Response::new(facts)),
            head_sent: Cell::new(false),
            body,
            disconnected: Cell::new(false),
            receivers: RefCell::default(),
            websocket,
            logged,
        }
    }

    #[inline]
    pub(super) fn server<'a>(&'a self, py: Python<'a>) -> &'a Server {
        self.server.get().server(py)
    }

    /// The application has returned.
    pub(super) fn returned(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.end(py);
        if value.is_none() && self.is_settled() {
            return Ok(());
        }
        // A WebSocket has an end of its own.
        let is_accepted = self.websocket.as_ref().is_some_and(|it| it.is_accepted());
        if value.is_none() && self.disconnected.get() && !is_accepted {
            // It was told that its client has gone, and took the hint.
            return self.cut_off(py);
        }
        let log = &self.server(py).error_log;
        if !value.is_none() {
            let text = value.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
            log.error(py, &format!("ASGI callable should return None, but returned '{text}'."));
            if !is_accepted {
                return self.cut_off(py);
            }
        }
        if let Some(session) = &self.websocket {
            return match self.connection() {
                Some(connection) => websocket::returned(py, self, session, &connection),
                None => Ok(()),
            };
        }
        if self.response.borrow().is_started() {
            log.error(py, "ASGI callable returned without completing response.");
        } else {
            log.error(py, "ASGI callable returned without starting response.");
        }
        self.replace_response(py)
    }

    /// The application has raised.
    pub(super) fn failed(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        self.end(py);
        let quietly = self.websocket.is_some() && websocket::is_disconnect(py, &error);
        if !quietly {
            self.server(py).error_log.exception(py, "Exception in ASGI application\n", error);
        }
        if self.is_settled() { Ok(()) } else { self.put_right(py) }
    }

    /// The task ends without the application's consent: cancelled, or the process is leaving.
    pub(super) fn interrupted(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        self.end(py);
        if self.is_settled() {
            return Ok(());
        }
        let server = self.server(py);
        let is_open_websocket = self.websocket.as_ref().is_some_and(|it| it.is_accepted());
        if server.is_closing() && is_open_websocket {
            return self.put_right(py);
        }
        if server.is_closing() || error.is_instance_of::<PyKeyboardInterrupt>(py) {
            return self.cut_off(py);
        }
        server.error_log.exception(py, "Exception in ASGI application\n", error.clone_ref(py));
        self.put_right(py)
    }

    /// What the peer gets in place of what the application owes it.
    fn put_right(&self, py: Python<'_>) -> PyResult<()> {
        match (&self.websocket, self.connection()) {
            (Some(session), Some(connection)) => websocket::failed(py, self, session, &connection),
            _ => self.replace_response(py),
        }
    }

    fn connection(&self) -> Option<Rc<Connection>> {
        self.connection.borrow().clone()
    }

    /// Whether the peer has had all that it will get.
    fn is_settled(&self) -> bool {
        self.connection.borrow().is_none()
    }

    /// Answers 500 in the application's place, or cuts off what it has begun.
    pub(super) fn replace_response(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.connection.borrow().clone();
        match connection {
            Some(connection) if !self.head_sent.get() => connection.answer_500(py, self),
            _ => self.cut_off(py),
        }
    }

    /// Ends the connection with what was sent so far.
    pub(super) fn cut_off(&self, py: Python<'_>) -> PyResult<()> {
        self.end(py);
        let connection = self.connection.borrow().clone();
        match connection {
            Some(connection) => connection.abort(py),
            None => Ok(()),
        }
    }

    /// The application's coroutine has ended, one way or another.
    fn end(&self, py: Python<'_>) {
        if self.finished.replace(true) {
            return;
        }
        let ended = (self.coroutine.take(), self.scope.take());
        drop(ended);
        if let Some(token) = self.running.take() {
            self.server(py).task_ended(py, token);
        }
    }

    /// The connection lets go: the response is complete, or the peer is gone.
    pub(super) fn release(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.connection.take();
        self.body.clear();
        self.disconnect(py)?;
        drop(connection);
        Ok(())
    }

    /// From now on `receive()` gives `http.disconnect` when the body is read.
    pub(super) fn disconnect(&self, py: Python<'_>) -> PyResult<()> {
        self.disconnected.set(true);
        self.wake_receivers(py)
    }

    /// The application is being told that its client has gone. One that has closed only its half
    /// is still there, but what the application sends from now on is no answer: frameworks end a
    /// stream where it stands, and it would look whole. So the connection ends as well.
    pub(super) fn abandon_half_closed(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.connection.borrow().clone();
        match connection {
            Some(connection) if connection.hangup.get() => connection.close(py),
            _ => Ok(()),
        }
    }

    /// There is news for those who wait in `receive()`.
    pub(super) fn wake_receivers(&self, py: Python<'_>) -> PyResult<()> {
        if self.receivers.borrow().is_empty() {
            return Ok(());
        }
        for future in self.receivers.take() {
            wake(future.bind(py))?;
        }
        Ok(())
    }

    /// A future that is done when there is news for `receive()`.
    pub(super) fn wait_for_news<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = new_future(self.server(py).event_loop(py))?;
        // Those that were cancelled have nobody to wake: an application that asks over and
        // over whether its client is still there must not gather them.
        let mut waiting = self.receivers.take();
        waiting.retain(|future| !is_done(future.bind(py)));
        waiting.push(future.clone().unbind());
        self.receivers.replace(waiting);
        Ok(future)
    }

    /// A future that is done when the connection has room for more, if it has none now.
    pub(super) fn wait_for_room<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let connection = self.connection.borrow().clone();
        match connection {
            Some(connection) if connection.is_congested() => connection.wait_for_room(py).map(Some),
            _ => Ok(None),
        }
    }

    /// The line of this request in the access log.
    pub(super) fn log_access(
        &self,
        py: Python<'_>,
        connection: &Connection,
        status: u16,
    ) -> PyResult<()> {
        if self.websocket.is_some() {
            self.log_websocket(py, connection, itoa::Buffer::new().format(status));
            return Ok(());
        }
        let Some(logged) = &self.logged else { return Ok(()) };
        let server = self.server(py);
        let path = self.logged_target(py, logged);
        let line = Line {
            client: connection.client_text(),
            method: text(&logged.method),
            path: &path,
            version: self.facts.version,
            status,
        };
        let noted = server.note_access(py, &self.server, &line);
        server.give_buffer(path);
        noted
    }

    /// The line of a WebSocket's handshake, as uvicorn has it; the outcome is a status or
    /// `[accepted]`.
    pub(super) fn log_websocket(&self, py: Python<'_>, connection: &Connection, outcome: &str) {
        let Some(logged) = &self.logged else { return };
        let server = self.server(py);
        let path = self.logged_target(py, logged);
        let shown = String::from_utf8_lossy(&path);
        server.error_log.websocket(py, connection.client_text(), &shown, outcome);
        server.give_buffer(path);
    }

    fn logged_target(&self, py: Python<'_>, logged: &LoggedRequest) -> Vec<u8> {
        let server = self.server(py);
        let target = logged.target.split_at_checked(logged.path_len).unwrap_or_default();
        let mut path = server.take_buffer();
        server.scopes.logged_target(text(target.0), text(target.1), &mut path);
        path
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.server)?;
        if let Ok(scope) = self.scope.try_borrow() {
            visit.call(&*scope)?;
        }
        if let Ok(coroutine) = self.coroutine.try_borrow() {
            visit.call(&*coroutine)?;
        }
        if let Ok(receivers) = self.receivers.try_borrow() {
            receivers.iter().try_for_each(|future| visit.call(future))?;
        }
        Ok(())
    }

    /// Lets go of every Python object that may be part of a cycle.
    pub(super) fn drop_objects(&self) {
        let dropped = (self.scope.take(), self.coroutine.take(), self.receivers.take());
        drop(dropped);
    }
}

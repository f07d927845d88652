//! One request and its response: the coroutine that the request's task runs.
//!
//! It stands between the task and the application's own coroutine, so that the end of the
//! application is seen where it happens, without a callback on the task; and it is the `self`
//! of `receive` and `send`. The connection lets go of it when the response is complete: what
//! the application does after that (background work) concerns no peer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pyo3::exceptions::{PyAttributeError, PyKeyboardInterrupt, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};
use smallvec::SmallVec;
use weft_protocol::http1::{Head, RequestFacts, Response};
use weft_reactor::registry::Token;

use super::access_log::Line;
use super::connection::Connection;
use super::http_server::{HttpServer, Server};
use super::request_body::RequestBody;
use super::{receive, send};
use crate::event_loop::{new_future, wake};
use crate::ffi::coroutine::{Awaitable, Step, is_coroutine, resume, stop_iteration, thrown};
use crate::ffi::gil::GilBound;

/// What of a request its line in the access log needs.
pub(super) struct LoggedRequest {
    method: SmallVec<[u8; 8]>,
    target: SmallVec<[u8; 64]>,
}

impl LoggedRequest {
    fn new(head: &Head<'_, '_>) -> Self {
        let mut target = SmallVec::from_slice(head.path.as_bytes());
        if !head.query.is_empty() {
            target.push(b'?');
            target.extend_from_slice(head.query.as_bytes());
        }
        Self { method: head.method.as_bytes().into(), target }
    }
}

/// The state of one exchange.
pub(super) struct State {
    server: Py<HttpServer>,
    /// None once the response is complete or the peer is gone.
    pub(super) connection: RefCell<Option<Rc<Connection>>>,
    scope: RefCell<Option<Py<PyDict>>>,
    coroutine: RefCell<Option<Py<PyAny>>>,
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
    logged: Option<LoggedRequest>,
}

/// The coroutine of one request.
#[pyclass(frozen, module = "weft._core")]
pub(crate) struct Exchange(GilBound<State>);

impl Exchange {
    pub(super) fn new<'py>(
        py: Python<'py>,
        connection: &Rc<Connection>,
        head: &Head<'_, '_>,
        scope: Bound<'py, PyDict>,
        body: RequestBody,
    ) -> PyResult<Bound<'py, Self>> {
        let facts = head.facts();
        let server = connection.server(py);
        let logged = server.access_log.is_enabled().then(|| LoggedRequest::new(head));
        let state = State {
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
            logged,
        };
        Bound::new(py, Self(GilBound::new(state)))
    }

    #[inline]
    pub(super) fn state<'a>(&'a self, py: Python<'a>) -> &'a State {
        self.0.get(py)
    }

    /// The application's coroutine, made at the first step: inside the task, so that an
    /// application that is no coroutine function sees its task too.
    fn coroutine<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = slf.get().state(py);
        if let Some(coroutine) = state.coroutine.borrow().as_ref() {
            return Ok(coroutine.bind(py).clone());
        }
        let Some(scope) = state.scope.take() else {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
        };
        let app = state.server(py).app(py)?;
        let made = app.call1((scope, receive::function(slf)?, send::function(slf)?))?;
        let coroutine =
            if is_coroutine(&made) { made } else { made.call_method0(intern!(py, "__await__"))? };
        state.coroutine.replace(Some(coroutine.clone().unbind()));
        Ok(coroutine)
    }

    /// What a step of the application means for the task.
    fn conclude<'py>(slf: &Bound<'py, Self>, result: PyResult<Step<'py>>) -> PyResult<Step<'py>> {
        let py = slf.py();
        let state = slf.get().state(py);
        match result {
            Ok(Step::Yield(future)) => Ok(Step::Yield(future)),
            Ok(Step::Return(value)) => {
                state.returned(py, &value)?;
                Ok(Step::Return(py.None().into_bound(py)))
            }
            Err(error) if is_interruption(py, &error) => {
                state.interrupted(py, &error)?;
                Err(error)
            }
            Err(error) => {
                state.failed(py, error)?;
                Ok(Step::Return(py.None().into_bound(py)))
            }
        }
    }
}

impl State {
    #[inline]
    pub(super) fn server<'a>(&'a self, py: Python<'a>) -> &'a Server {
        self.server.get().server(py)
    }

    /// The application has returned.
    fn returned(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.end(py);
        if value.is_none() && self.is_settled() {
            return Ok(());
        }
        if value.is_none() && self.disconnected.get() {
            // It was told that its client has gone, and took the hint.
            return self.cut_off(py);
        }
        let log = &self.server(py).error_log;
        if !value.is_none() {
            let text = value.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
            log.error(py, &format!("ASGI callable should return None, but returned '{text}'."));
            return self.cut_off(py);
        }
        if self.response.borrow().is_started() {
            log.error(py, "ASGI callable returned without completing response.");
        } else {
            log.error(py, "ASGI callable returned without starting response.");
        }
        self.replace_response(py)
    }

    /// The application has raised.
    fn failed(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        self.end(py);
        self.server(py).error_log.exception(py, "Exception in ASGI application\n", error);
        if self.is_settled() { Ok(()) } else { self.replace_response(py) }
    }

    /// The task ends without the application's consent: cancelled, or the process is leaving.
    fn interrupted(&self, py: Python<'_>, error: &PyErr) -> PyResult<()> {
        self.end(py);
        if self.is_settled() {
            return Ok(());
        }
        let server = self.server(py);
        if server.is_closing() || error.is_instance_of::<PyKeyboardInterrupt>(py) {
            return self.cut_off(py);
        }
        server.error_log.exception(py, "Exception in ASGI application\n", error.clone_ref(py));
        self.replace_response(py)
    }

    /// Whether the peer has had all that it will get.
    fn is_settled(&self) -> bool {
        self.connection.borrow().is_none()
    }

    /// Answers 500 in the application's place, or cuts off what it has begun.
    fn replace_response(&self, py: Python<'_>) -> PyResult<()> {
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
        self.receivers.borrow_mut().push(future.clone().unbind());
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
        let Some(LoggedRequest { method, target }) = &self.logged else { return Ok(()) };
        let server = self.server(py);
        let mut path = server.take_buffer();
        server.scopes.logged_path(target, &mut path);
        let line = Line {
            client: connection.client_text(),
            // A method is a token, which is ASCII.
            method: std::str::from_utf8(method).unwrap_or_default(),
            path: &path,
            version: self.facts.version,
            status,
        };
        let noted = server.note_access(py, &self.server, &line);
        server.give_buffer(path);
        noted
    }
}

/// Whether an exception ends the task, and is not the application's failure to answer.
fn is_interruption(py: Python<'_>, error: &PyErr) -> bool {
    static CANCELLED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let cancelled = CANCELLED.get_or_try_init(py, || {
        PyResult::Ok(py.import("asyncio")?.getattr("CancelledError")?.unbind())
    });
    error.is_instance_of::<PyKeyboardInterrupt>(py)
        || error.is_instance_of::<pyo3::exceptions::PyGeneratorExit>(py)
        || cancelled.is_ok_and(|cancelled| error.is_instance(py, cancelled.bind(py)))
}

impl Awaitable for Exchange {
    #[inline]
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Step<'py>> {
        let result = Self::coroutine(slf).and_then(|coroutine| resume(&coroutine));
        Self::conclude(slf, result)
    }
}

#[pymethods]
impl Exchange {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match Self::step(slf)? {
            Step::Yield(future) => Ok(future),
            Step::Return(value) => Err(stop_iteration(&value)),
        }
    }

    fn send<'py>(
        slf: &Bound<'py, Self>,
        _value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::__next__(slf)
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let coroutine = slf.get().state(py).coroutine.borrow().as_ref().map(|it| it.clone_ref(py));
        drop(traceback);
        let error = thrown(kind, value);
        let result = match coroutine {
            None => Err(error),
            Some(coroutine) => coroutine
                .bind(py)
                .call_method1(intern!(py, "throw"), (error.into_value(py),))
                .map(Step::Yield)
                .or_else(|error| returned_by(py, error)),
        };
        match Self::conclude(slf, result)? {
            Step::Yield(future) => Ok(future),
            Step::Return(value) => Err(stop_iteration(&value)),
        }
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let state = slf.get().state(py);
        let coroutine = state.coroutine.borrow().as_ref().map(|it| it.clone_ref(py));
        if let Some(coroutine) = coroutine {
            coroutine.call_method0(py, intern!(py, "close"))?;
        }
        state.cut_off(py)
    }

    /// What debuggers ask a coroutine for (`cr_frame`, `cr_code`, `__qualname__`, …) is the
    /// application's own.
    fn __getattr__<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let coroutine = slf.get().state(py).coroutine.borrow().as_ref().map(|it| it.clone_ref(py));
        match coroutine {
            Some(coroutine) => coroutine.into_bound(py).getattr(name),
            None => absent(py, name),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let state = self.0.during_gc();
        visit.call(&state.server)?;
        if let Ok(scope) = state.scope.try_borrow() {
            visit.call(&*scope)?;
        }
        if let Ok(coroutine) = state.coroutine.try_borrow() {
            visit.call(&*coroutine)?;
        }
        if let Ok(receivers) = state.receivers.try_borrow() {
            receivers.iter().try_for_each(|future| visit.call(future))?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let state = self.0.during_gc();
        let dropped = (state.scope.take(), state.coroutine.take(), state.receivers.take());
        drop(dropped);
    }
}

/// The value that a coroutine has returned with, if `error` says that it has.
fn returned_by(py: Python<'_>, error: PyErr) -> PyResult<Step<'_>> {
    if error.is_instance_of::<pyo3::exceptions::PyStopIteration>(py) {
        Ok(Step::Return(error.value(py).getattr(intern!(py, "value"))?))
    } else {
        Err(error)
    }
}

/// A coroutine that has ended, or not begun, has the attributes of one but no frame.
fn absent<'py>(py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    match name.to_str()? {
        "cr_running" | "cr_suspended" => {
            Ok(pyo3::types::PyBool::new(py, false).to_owned().into_any())
        }
        "cr_frame" | "cr_code" | "cr_await" | "cr_origin" => Ok(py.None().into_bound(py)),
        "__name__" | "__qualname__" => Ok(intern!(py, "Exchange").clone().into_any()),
        other => Err(PyAttributeError::new_err(format!("'Exchange' has no attribute '{other}'"))),
    }
}

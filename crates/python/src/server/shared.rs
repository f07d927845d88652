//! What all connections of one server share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use weft_protocol::http1::Defaults;
use weft_reactor::registry::{Registry, Token};
use weft_reactor::sys::monotonic_ns;

use super::access_log::{AccessLog, LONGEST_WAIT_NS, Line, Noted};
use super::connection::Connection;
use super::date::{DATE_LEN, Date};
use super::deadlines::Sweep;
use super::error_log::ErrorLog;
use super::http_server::HttpServer;
use super::listener::Listener;
use super::scope::Scopes;
use super::websocket;
use crate::event_loop::{Core, Deferred, EventLoop, start_task};
use crate::ffi::call;

/// Buffers kept for the next response.
const SPARE_BUFFERS: usize = 64;
/// A buffer that has grown beyond this is not kept.
const LARGEST_SPARE: usize = 128 * 1024;
/// What a new buffer can take: a head and a small body.
const NEW_BUFFER: usize = 1024;

/// The state of one server.
pub(super) struct Server {
    event_loop: Py<EventLoop>,
    app: RefCell<Option<Py<PyAny>>>,
    /// The context in which the server was made; each request runs in a copy.
    context: Py<PyAny>,
    pub(super) scopes: Scopes,
    pub(super) messages: Messages,
    pub(super) error_log: ErrorLog,
    pub(super) access_log: AccessLog,
    pub(super) date: Date,
    pub(super) keep_alive_ns: i64,
    pub(super) websocket: websocket::Options,
    pub(super) listeners: RefCell<Vec<Rc<Listener>>>,
    connections: RefCell<Registry<Rc<Connection>>>,
    /// The tasks that have outlived their first step: nobody else need hold them.
    tasks: RefCell<Registry<Py<PyAny>>>,
    closing: Cell<bool>,
    sweeping: Cell<bool>,
    /// The loop has a task factory.
    task_factory: Cell<bool>,
    buffers: RefCell<Vec<Vec<u8>>>,
    /// Called when the last connection or the last task is gone.
    on_idle: RefCell<Option<Py<PyAny>>>,
}

/// Messages for `receive()`, copied instead of built.
pub(super) struct Messages {
    request: Py<PyDict>,
}

impl Messages {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let request = PyDict::new(py);
        request.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
        request.set_item(intern!(py, "body"), py.None())?;
        request.set_item(intern!(py, "more_body"), false)?;
        Ok(Self { request: request.unbind() })
    }

    /// A fresh `http.request`.
    #[inline]
    pub(super) fn request<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        pyo3::types::PyDictMethods::copy(self.request.bind(py))
    }
}

/// The header values that the server adds.
#[inline]
pub(super) fn defaults(date: &[u8; DATE_LEN]) -> Defaults<'_> {
    Defaults { date: Some(date), server: Some(b"weft") }
}

/// What a server is told once.
pub(super) struct Options {
    pub(super) root_path: String,
    /// What the application's lifespan has put aside, if it has one.
    pub(super) state: Option<Py<PyDict>>,
    /// How long an idle connection is kept, in seconds.
    pub(super) keep_alive: f64,
    /// Says where access lines go; see [`AccessLog`].
    pub(super) access_log: Py<PyAny>,
    pub(super) websocket: websocket::Options,
}

impl Server {
    pub(super) fn new(
        event_loop: &Bound<'_, EventLoop>,
        app: Py<PyAny>,
        options: Options,
    ) -> PyResult<Self> {
        let py = event_loop.py();
        let server = Self {
            event_loop: event_loop.clone().unbind(),
            app: RefCell::new(Some(app)),
            context: call::copy_context(py)?.unbind(),
            scopes: Scopes::new(py, options.root_path, options.state)?,
            messages: Messages::new(py)?,
            error_log: ErrorLog::new(py)?,
            access_log: AccessLog::new(py, options.access_log)?,
            date: Date::default(),
            // The cast saturates: a negative time is none, an endless one is endless.
            websocket: options.websocket,
            keep_alive_ns: (options.keep_alive * 1e9) as i64,
            listeners: RefCell::default(),
            connections: RefCell::default(),
            tasks: RefCell::default(),
            closing: Cell::new(false),
            sweeping: Cell::new(false),
            task_factory: Cell::new(false),
            buffers: RefCell::default(),
            on_idle: RefCell::new(None),
        };
        server.look_around(py);
        Ok(server)
    }

    #[inline]
    pub(super) fn event_loop<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, EventLoop> {
        self.event_loop.bind(py)
    }

    #[inline]
    pub(super) fn core<'a>(&'a self, py: Python<'a>) -> &'a Core {
        self.event_loop.get().core(py)
    }

    pub(super) fn app<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.app.borrow().as_ref() {
            Some(app) => Ok(app.bind(py).clone()),
            None => Err(PyRuntimeError::new_err("the server is closed")),
        }
    }

    /// A task of its own for a request, in a context of its own; it has taken its first step.
    pub(super) fn start_task<'py>(
        &self,
        coroutine: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = coroutine.py();
        let context = call::copy_of_context(self.context.bind(py))?;
        let event_loop = self.event_loop(py);
        if !self.task_factory.get() {
            return start_task(event_loop, coroutine, &context);
        }
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "context"), context)?;
        event_loop.call_method(intern!(py, "create_task"), (coroutine,), Some(&keywords))
    }

    /// Looks at what the application may have changed: its access log, a task factory.
    pub(super) fn look_around(&self, py: Python<'_>) {
        if let Err(error) = self.access_log.refresh(py) {
            self.error_log.exception(py, "The access log cannot be set up", error);
        }
        let factory = self.event_loop(py).call_method0(intern!(py, "get_task_factory"));
        self.task_factory.set(factory.is_ok_and(|factory| !factory.is_none()));
    }

    /// Whether the server is stopping: no connection outlives its response.
    #[inline]
    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// An empty buffer.
    #[inline]
    pub(super) fn take_buffer(&self) -> Vec<u8> {
        self.buffers.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(NEW_BUFFER))
    }

    /// Takes a buffer back.
    #[inline]
    pub(super) fn give_buffer(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < SPARE_BUFFERS && buffer.capacity() <= LARGEST_SPARE {
            buffer.clear();
            buffers.push(buffer);
        }
    }

    /// Keeps a task until [`task_ended`](Self::task_ended).
    pub(super) fn task_started(&self, task: Bound<'_, PyAny>) -> Token {
        self.tasks.borrow_mut().insert(task.unbind())
    }

    pub(super) fn task_ended(&self, py: Python<'_>, token: Token) {
        let task = self.tasks.borrow_mut().remove(token);
        drop(task);
        self.tell_if_idle(py);
    }

    pub(super) fn connection_opened(&self, py: Python<'_>, connection: &Rc<Connection>) {
        let key = self.connections.borrow_mut().insert(Rc::clone(connection));
        connection.key.set(Some(key));
        if !self.sweeping.replace(true) {
            Sweep::arm(connection.server_object().bind(py));
        }
    }

    pub(super) fn connection_closed(&self, py: Python<'_>, key: Option<Token>) {
        self.forget_connection(key);
        self.tell_if_idle(py);
    }

    /// Takes a connection off the list.
    pub(super) fn forget_connection(&self, key: Option<Token>) {
        let connection = key.and_then(|key| self.connections.borrow_mut().remove(key));
        drop(connection);
    }

    /// Takes a listener off the list.
    pub(super) fn forget_listener(&self, listener: &Listener) {
        let mut listeners = self.listeners.take();
        listeners.retain(|known| !std::ptr::eq(Rc::as_ptr(known), listener));
        self.listeners.replace(listeners);
    }

    fn tell_if_idle(&self, py: Python<'_>) {
        if !self.closing.get()
            || !(self.connections.borrow().is_empty() || self.tasks.borrow().is_empty())
        {
            return;
        }
        let callback = self.on_idle.borrow().as_ref().map(|callback| callback.clone_ref(py));
        if let Some(callback) = callback
            && let Err(error) = callback.call0(py)
        {
            error.write_unraisable(py, Some(callback.bind(py)));
        }
    }

    /// All connections, so that they can be worked on while they come and go.
    pub(super) fn all_connections(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().iter().map(Rc::clone).collect()
    }

    /// All tasks that have outlived their first step.
    pub(super) fn all_tasks<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        self.tasks.borrow().iter().map(|task| task.bind(py).clone()).collect()
    }

    pub(super) fn connection_count(&self) -> usize {
        self.connections.borrow().len()
    }

    pub(super) fn task_count(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Whether another look at the connections is needed. With nobody there the loop may sleep
    /// for as long as it likes.
    pub(super) fn keep_sweeping(&self) -> bool {
        self.sweeping.set(!self.connections.borrow().is_empty());
        self.sweeping.get()
    }

    /// From now on no connection outlives its response.
    pub(super) fn begin_closing(&self, on_idle: Py<PyAny>) {
        let before = self.on_idle.replace(Some(on_idle));
        drop(before);
        self.closing.set(true);
    }

    /// Notes a request in the access log.
    pub(super) fn note_access(
        &self,
        py: Python<'_>,
        server: &Py<HttpServer>,
        line: &Line<'_>,
    ) -> PyResult<()> {
        match self.access_log.note(py, line) {
            Ok(Noted::Done) => {}
            Ok(Noted::Waiting) => {
                let flush = Box::new(FlushAccessLog(server.clone_ref(py)));
                self.core(py).set_alarm(monotonic_ns() + LONGEST_WAIT_NS, flush);
            }
            // A handler of the application's own has failed: that costs its line, not a response.
            Err(error) if error.is_instance_of::<PyException>(py) => {
                self.error_log.exception(py, "Exception in the access log\n", error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.context)?;
        visit.call(&self.messages.request)?;
        visit.call(self.error_log.object())?;
        self.scopes.traverse(visit)?;
        self.access_log.traverse(visit)?;
        if let Ok(app) = self.app.try_borrow() {
            visit.call(&*app)?;
        }
        if let Ok(tasks) = self.tasks.try_borrow() {
            tasks.iter().try_for_each(|task| visit.call(task))?;
        }
        match self.on_idle.try_borrow() {
            Ok(on_idle) => visit.call(&*on_idle),
            Err(_) => Ok(()),
        }
    }

    /// Lets go of the application. What it still runs is kept until it has ended.
    pub(super) fn release_app(&self) {
        self.closing.set(true);
        let dropped = (self.app.take(), self.on_idle.take());
        drop(dropped);
    }

    /// Lets go of every Python object that may be part of a cycle.
    pub(super) fn drop_objects(&self) {
        self.release_app();
        let tasks = self.tasks.borrow_mut().take_all();
        drop(tasks);
    }
}

/// Writes the access lines that wait.
struct FlushAccessLog(Py<HttpServer>);

impl Deferred for FlushAccessLog {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        let server = self.0.get().server(py);
        server.access_log.write_out();
        if server.access_log.is_waiting() {
            // The stream is full. It is tried again, and lines are lost before the loop waits.
            let again = Box::new(Self(self.0.clone_ref(py)));
            server.core(py).set_alarm(monotonic_ns() + LONGEST_WAIT_NS, again);
        }
        Ok(())
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

//! What Python starts and stops: the application, its listeners, its running requests.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::Rc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit, intern};
use weft_protocol::http1::Defaults;
use weft_reactor::registry::{Registry, Token};
use weft_reactor::sys::monotonic_ns;

use super::access_log::{AccessLog, LONGEST_WAIT_NS, Line, Noted};
use super::connection::Connection;
use super::date::{DATE_LEN, Date};
use super::deadlines::Sweep;
use super::error_log::ErrorLog;
use super::listener::Listener;
use super::scope::Scopes;
use crate::event_loop::{Core, Deferred, EventLoop};
use crate::ffi::gil::GilBound;
use crate::ffi::{call, descriptor};

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
    listeners: RefCell<Vec<Rc<Listener>>>,
    connections: RefCell<Registry<Rc<Connection>>>,
    /// The tasks that have outlived their first step: nobody else need hold them.
    tasks: RefCell<Registry<Py<PyAny>>>,
    closing: Cell<bool>,
    sweeping: Cell<bool>,
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

impl Server {
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

    /// The context of a new request.
    pub(super) fn new_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        call::copy_of_context(self.context.bind(py))
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
        let connection = key.and_then(|key| self.connections.borrow_mut().remove(key));
        drop(connection);
        self.tell_if_idle(py);
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
    fn all_connections(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().iter().map(Rc::clone).collect()
    }
}

/// An ASGI application behind listening sockets.
#[pyclass(frozen, module = "weft._core")]
pub(crate) struct HttpServer(GilBound<Server>);

impl HttpServer {
    #[inline]
    pub(super) fn server<'a>(&'a self, py: Python<'a>) -> &'a Server {
        self.0.get(py)
    }

    /// Looks who is overdue; asks where access lines go.
    pub(super) fn sweep(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let server = slf.get().server(py);
        let now = monotonic_ns();
        let overdue: Vec<_> = server
            .connections
            .borrow()
            .iter()
            .filter(|connection| connection.deadline.is_over(now))
            .map(Rc::clone)
            .collect();
        for connection in overdue {
            connection.overdue(py)?;
        }
        if let Err(error) = server.access_log.refresh(py) {
            server.error_log.exception(py, "The access log cannot be set up", error);
        }
        // With nobody there the loop may sleep for as long as it likes.
        if server.connections.borrow().is_empty() {
            server.sweeping.set(false);
        } else {
            Sweep::arm(slf);
        }
        Ok(())
    }
}

impl Server {
    /// Notes a request in the access log.
    pub(super) fn note_access(
        &self,
        py: Python<'_>,
        server: &Py<HttpServer>,
        line: &Line<'_>,
    ) -> PyResult<()> {
        if let Noted::Waiting = self.access_log.note(py, line)? {
            let flush = Box::new(FlushAccessLog(server.clone_ref(py)));
            self.core(py).set_alarm(monotonic_ns() + LONGEST_WAIT_NS, flush);
        }
        Ok(())
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

#[pymethods]
impl HttpServer {
    #[new]
    #[pyo3(signature = (event_loop, app, *, root_path, state, keep_alive, access_log))]
    fn new(
        py: Python<'_>,
        event_loop: Py<EventLoop>,
        app: Py<PyAny>,
        root_path: String,
        state: Option<Py<PyDict>>,
        keep_alive: f64,
        access_log: Py<PyAny>,
    ) -> PyResult<Self> {
        let server = Server {
            event_loop,
            app: RefCell::new(Some(app)),
            context: call::copy_context(py)?.unbind(),
            scopes: Scopes::new(py, root_path, state)?,
            messages: Messages::new(py)?,
            error_log: ErrorLog::new(py)?,
            access_log: AccessLog::new(py, access_log)?,
            date: Date::default(),
            // The cast saturates: a negative time is none, an endless one is endless.
            keep_alive_ns: (keep_alive * 1e9) as i64,
            listeners: RefCell::default(),
            connections: RefCell::default(),
            tasks: RefCell::default(),
            closing: Cell::new(false),
            sweeping: Cell::new(false),
            buffers: RefCell::default(),
            on_idle: RefCell::new(None),
        };
        server.access_log.refresh(py)?;
        Ok(Self(GilBound::new(server)))
    }

    /// Accepts connections from a listening socket, which belongs to the server from now on.
    fn listen(slf: &Bound<'_, Self>, fd: RawFd) -> PyResult<()> {
        let listener = Listener::start(slf, descriptor::take(fd)?)?;
        slf.get().server(slf.py()).listeners.borrow_mut().push(listener);
        Ok(())
    }

    /// Closes the listening sockets.
    fn stop_accepting(&self, py: Python<'_>) {
        for listener in self.server(py).listeners.take() {
            listener.stop(py);
        }
    }

    /// Lets every connection end with the response it is at; idle ones end at once.
    ///
    /// `on_idle` is called whenever the last connection or the last task has gone.
    fn begin_shutdown(&self, py: Python<'_>, on_idle: Py<PyAny>) {
        self.stop_accepting(py);
        let server = self.server(py);
        let before = server.on_idle.replace(Some(on_idle));
        drop(before);
        server.closing.set(true);
        for connection in server.all_connections() {
            connection.drain(py);
        }
    }

    /// Tells the applications that still run that their clients are gone.
    fn disconnect(&self, py: Python<'_>) -> PyResult<()> {
        for connection in self.server(py).all_connections() {
            connection.disconnect(py)?;
        }
        Ok(())
    }

    /// Cancels the tasks that still run.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let tasks: Vec<_> =
            self.server(py).tasks.borrow().iter().map(|task| task.clone_ref(py)).collect();
        for task in tasks {
            task.call_method0(py, intern!(py, "cancel"))?;
        }
        Ok(())
    }

    /// Ends everything now: listeners, connections, the log.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop_accepting(py);
        let server = self.server(py);
        server.closing.set(true);
        for connection in server.all_connections() {
            connection.close(py)?;
        }
        server.access_log.write_out();
        let dropped = (server.app.take(), server.tasks.borrow_mut().take_all());
        drop(dropped);
        let on_idle = server.on_idle.take();
        drop(on_idle);
        Ok(())
    }

    /// Writes the access lines that wait.
    fn flush_access_log(&self, py: Python<'_>) {
        self.server(py).access_log.write_out();
    }

    /// How many connections are open.
    #[getter]
    fn connections(&self, py: Python<'_>) -> usize {
        self.server(py).connections.borrow().len()
    }

    /// How many requests' applications run, background work after the response included.
    #[getter]
    fn tasks(&self, py: Python<'_>) -> usize {
        self.server(py).tasks.borrow().len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let server = self.0.during_gc();
        visit.call(&server.event_loop)?;
        visit.call(&server.context)?;
        visit.call(&server.messages.request)?;
        visit.call(server.error_log.object())?;
        server.scopes.traverse(&visit)?;
        server.access_log.traverse(&visit)?;
        if let Ok(app) = server.app.try_borrow() {
            visit.call(&*app)?;
        }
        if let Ok(tasks) = server.tasks.try_borrow() {
            tasks.iter().try_for_each(|task| visit.call(task))?;
        }
        match server.on_idle.try_borrow() {
            Ok(on_idle) => visit.call(&*on_idle),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let server = self.0.during_gc();
        let tasks = server.tasks.borrow_mut().take_all();
        let dropped = (server.app.take(), server.on_idle.take(), tasks);
        drop(dropped);
    }
}

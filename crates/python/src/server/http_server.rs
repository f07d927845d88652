//! What Python starts and stops: an application behind its listeners.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};

use super::deadlines::Sweep;
use super::listener::Listener;
use super::shared::{Options, Server};
use super::websocket;
use crate::event_loop::EventLoop;
use crate::ffi::descriptor;
use crate::ffi::gil::GilBound;

/// An ASGI application behind listening sockets.
#[pyclass(frozen, module = "weft._core")]
pub(crate) struct HttpServer(GilBound<Server>);

impl HttpServer {
    #[inline]
    pub(super) fn server<'a>(&'a self, py: Python<'a>) -> &'a Server {
        self.0.get(py)
    }

    /// Looks who is overdue, and what the application has changed meanwhile.
    pub(super) fn sweep(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let server = slf.get().server(py);
        // The clock by which deadlines are set: what a slow handler took is not the peer's time.
        let now = server.core(py).turn_time();
        let mut connections = server.all_connections();
        connections.retain(|connection| connection.deadline.is_over(now));
        let ended = connections
            .iter()
            .try_for_each(|connection| connection.contain(py, connection.overdue(py)));
        server.look_around(py);
        if server.keep_sweeping() {
            Sweep::arm(slf);
        }
        ended
    }
}

#[pymethods]
impl HttpServer {
    #[new]
    #[pyo3(signature = (event_loop, app, *, root_path, state, keep_alive, access_log, websocket))]
    #[expect(clippy::too_many_arguments, reason = "all but two are keywords")]
    fn new(
        event_loop: &Bound<'_, EventLoop>,
        app: Py<PyAny>,
        root_path: String,
        state: Option<Py<PyDict>>,
        keep_alive: f64,
        access_log: Py<PyAny>,
        websocket: websocket::Options,
    ) -> PyResult<Self> {
        let options = Options { root_path, state, keep_alive, access_log, websocket };
        Ok(Self(GilBound::new(Server::new(event_loop, app, options)?)))
    }

    /// Accepts connections from a listening socket, which belongs to the server from now on.
    fn listen(slf: &Bound<'_, Self>, fd: RawFd) -> PyResult<()> {
        let listener = Listener::start(slf, descriptor::take(fd)?)?;
        slf.get().server(slf.py()).listeners.borrow_mut().push(listener);
        Ok(())
    }

    /// Closes the listening sockets. Who has been let in by the kernel already is served.
    fn stop_accepting(&self, py: Python<'_>) {
        for listener in self.server(py).listeners.take() {
            listener.stop(py);
        }
    }

    /// Lets every connection end with the response it is at; idle ones end at once.
    ///
    /// WebSockets are closed with code 1012. `on_idle` is called whenever the last connection or
    /// the last task has gone.
    fn begin_shutdown(&self, py: Python<'_>, on_idle: Py<PyAny>) -> PyResult<()> {
        self.stop_accepting(py);
        let server = self.server(py);
        server.begin_closing(on_idle);
        for connection in server.all_connections() {
            connection.contain(py, connection.drain(py))?;
        }
        Ok(())
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
        for task in self.server(py).all_tasks(py) {
            task.call_method0(intern!(py, "cancel"))?;
        }
        Ok(())
    }

    /// Ends everything now: listeners, connections, the log.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop_accepting(py);
        let server = self.server(py);
        for connection in server.all_connections() {
            connection.close(py)?;
        }
        server.access_log.write_last();
        server.release_app();
        Ok(())
    }

    /// How many connections are open.
    #[getter]
    fn connections(&self, py: Python<'_>) -> usize {
        self.server(py).connection_count()
    }

    /// How many requests' applications run, background work after the response included.
    #[getter]
    fn tasks(&self, py: Python<'_>) -> usize {
        self.server(py).task_count()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().traverse(&visit)
    }

    fn __clear__(&self) {
        self.0.during_gc().drop_objects();
    }
}

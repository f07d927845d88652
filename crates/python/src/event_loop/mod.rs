//! The event loop: `asyncio.AbstractEventLoop`'s hot half.
//!
//! `weft.EventLoop` is this class with `asyncio.BaseEventLoop` behind it: what runs for
//! every callback, timer and event is here; what runs once a connection or once a program
//! (argument policy, address resolution, executors, shutdown) is the interpreter's own code,
//! right for its version by construction. This room must not know transports or servers:
//! they come in through [`source`].

mod contexts;
mod core;
mod entry;
mod future;
mod handle;
mod poll;
mod registration;
mod report;
mod schedule;
mod sock;
mod sock_datagram;
mod source;
mod tasks;
mod turn;
mod watch;

pub(crate) use self::core::Core;
pub(crate) use self::entry::Entry;
pub(crate) use self::future::{block_on, is_done, new_future, start_task, wake};
pub(crate) use self::report::{describe_callback, failed, leaves_loop, protocol_details};
pub(crate) use self::sock::{SocketOperation, is_plain_socket};
pub(crate) use self::source::{Deferred, Source};

use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::sys::monotonic_ns;

use self::contexts::CallContext;
use self::handle::Callback;
use self::sock_datagram::Operation as Datagram;
use self::watch::Direction;
use crate::error::OsResult;
use crate::ffi::gil::GilBound;
use crate::ffi::{call, coroutine, method};

/// The native half of `weft.EventLoop`.
#[pyclass(frozen, subclass, module = "weft._core")]
pub(crate) struct EventLoop(GilBound<Core>);

impl EventLoop {
    /// The loop's state.
    #[inline]
    pub(crate) fn core<'a>(&'a self, py: Python<'a>) -> &'a Core {
        self.0.get(py)
    }
}

/// Adds what `#[pymethods]` cannot express. Call once, when the module is made.
pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    handle::install(module)?;
    let class: Bound<'_, PyType> = py.get_type::<EventLoop>();
    method::install::<schedule::CallSoon>(&class)?;
    method::install::<schedule::CallSoonThreadsafe>(&class)?;
    method::install::<schedule::CallLater>(&class)?;
    method::install::<schedule::CallAt>(&class)?;
    method::install::<tasks::CreateFuture>(&class)?;
    method::install::<tasks::CreateTask>(&class)?;
    coroutine::install::<SocketOperation>(&py.get_type::<SocketOperation>());
    Ok(())
}

#[pymethods]
impl EventLoop {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, pyo3::types::PyDict>>,
    ) -> PyResult<Self> {
        Ok(Self(GilBound::new(Core::new(py)?)))
    }

    /// The loop's clock in seconds: `time.monotonic()`.
    fn time(&self) -> f64 {
        monotonic_ns() as f64 / 1e9
    }

    /// Whether debug mode is on.
    fn get_debug(&self, py: Python<'_>) -> bool {
        self.core(py).debug.get()
    }

    /// Whether the loop runs now.
    fn is_running(&self, py: Python<'_>) -> bool {
        self.core(py).thread_id.borrow().is_some()
    }

    /// Whether the loop was closed.
    fn is_closed(&self, py: Python<'_>) -> bool {
        self.core(py).closed.get()
    }

    /// Runs turns until `stop()`: `BaseEventLoop.run_forever` calls it in its own loop.
    fn _run_once(slf: &Bound<'_, Self>) -> PyResult<()> {
        turn::run_until_stopped(slf)
    }

    /// Releases the kernel objects and everything scheduled. `close()` calls it last.
    fn _release(&self, py: Python<'_>) {
        self.core(py).close(py);
    }

    /// Before fork(2): what the kernel watches, as text for `_after_fork`.
    fn _before_fork(&self, py: Python<'_>) -> String {
        self.core(py).kernel().map_or_else(|_| String::new(), |kernel| kernel.poller.listed())
    }

    /// In a child of fork(2): lets go of the kernel objects that the parent uses.
    fn _after_fork(&self, py: Python<'_>, listed: &str) -> PyResult<()> {
        self.core(py).after_fork(listed).or_os_error()
    }

    // BaseEventLoop's own attributes, backed by the native state so that both halves agree.

    #[getter(_debug)]
    fn debug_attribute(&self, py: Python<'_>) -> bool {
        self.core(py).debug.get()
    }

    #[setter(_debug)]
    fn set_debug_attribute(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.core(py).debug.set(value.is_truthy()?);
        Ok(())
    }

    #[getter(_stopping)]
    fn stopping(&self, py: Python<'_>) -> bool {
        self.core(py).stopping.get()
    }

    #[setter(_stopping)]
    fn set_stopping(&self, py: Python<'_>, value: bool) {
        self.core(py).stopping.set(value);
    }

    #[getter(_closed)]
    fn closed(&self, py: Python<'_>) -> bool {
        self.core(py).closed.get()
    }

    #[setter(_closed)]
    fn set_closed(&self, py: Python<'_>, value: bool) {
        self.core(py).closed.set(value);
    }

    #[getter(_thread_id)]
    fn thread_id(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.core(py).thread_id.borrow().as_ref().map(|id| id.clone_ref(py))
    }

    #[setter(_thread_id)]
    fn set_thread_id(&self, py: Python<'_>, value: Option<Py<PyAny>>) {
        let previous = self.core(py).thread_id.replace(value);
        drop(previous);
    }

    #[getter(_task_factory)]
    fn task_factory(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.core(py).task_factory.borrow().as_ref().map(|factory| factory.clone_ref(py))
    }

    #[setter(_task_factory)]
    fn set_task_factory(&self, py: Python<'_>, value: Option<Py<PyAny>>) {
        let previous = self.core(py).task_factory.replace(value);
        drop(previous);
    }

    // Descriptors.

    /// Calls callback(*args) whenever fd is readable, until `remove_reader`.
    ///
    /// fd is a number or an object with `fileno()`; level-triggered: data that is not read
    /// calls again in the next turn.
    #[pyo3(signature = (fd, callback, *args))]
    fn add_reader(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Py<PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        add_watch(slf, fd, callback, args, Direction::Read).map(drop)
    }

    /// Calls callback(*args) whenever fd is writable, until `remove_writer`.
    #[pyo3(signature = (fd, callback, *args))]
    fn add_writer(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        callback: Py<PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        add_watch(slf, fd, callback, args, Direction::Write).map(drop)
    }

    /// Stops watching fd for reading; whether it was watched.
    fn remove_reader(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        remove_watch(slf, fd, Direction::Read)
    }

    /// Stops watching fd for writing; whether it was watched.
    fn remove_writer(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        remove_watch(slf, fd, Direction::Write)
    }

    // Sockets.

    /// Receives up to nbytes from a non-blocking socket: awaitable of bytes.
    fn sock_recv<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
        nbytes: usize,
    ) -> PyResult<Bound<'py, SocketOperation>> {
        SocketOperation::recv(slf, sock, nbytes)
    }

    /// Receives from a non-blocking socket into a writable buffer: awaitable of the count.
    fn sock_recv_into<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
        buf: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, SocketOperation>> {
        SocketOperation::recv_into(slf, sock, buf)
    }

    /// Sends all of data to a non-blocking socket: awaitable of None.
    fn sock_sendall<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, SocketOperation>> {
        SocketOperation::sendall(slf, sock, data)
    }

    /// Receives a datagram of up to bufsize bytes: awaitable of it and its sender's address.
    fn sock_recvfrom<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
        bufsize: isize,
    ) -> PyResult<Bound<'py, SocketOperation>> {
        SocketOperation::datagram(slf, sock, Datagram::RecvFrom { size: bufsize })
    }

    /// Receives a datagram of up to nbytes bytes (0: all that fit) into a writable buffer:
    /// awaitable of the count and the sender's address.
    #[pyo3(signature = (sock, buf, nbytes=0))]
    fn sock_recvfrom_into<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
        buf: Py<PyAny>,
        nbytes: isize,
    ) -> PyResult<Bound<'py, SocketOperation>> {
        let operation = Datagram::RecvFromInto { buffer: buf, size: nbytes };
        SocketOperation::datagram(slf, sock, operation)
    }

    /// Sends a datagram to an address: awaitable of the count of bytes.
    fn sock_sendto<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
        data: Py<PyAny>,
        address: Py<PyAny>,
    ) -> PyResult<Bound<'py, SocketOperation>> {
        SocketOperation::datagram(slf, sock, Datagram::SendTo { data, address })
    }

    /// Says how many descriptors the loop watches for itself, and not for the program.
    fn _set_background(&self, py: Python<'_>, count: usize) {
        self.core(py).background.set(count);
    }

    /// A future that is done when sock is readable.
    fn _wait_readable<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        wait_for(slf, sock, Direction::Read)
    }

    /// A future that is done when sock is writable.
    fn _wait_writable<'py>(
        slf: &Bound<'py, Self>,
        sock: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        wait_for(slf, sock, Direction::Write)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.during_gc().traverse(&visit)
    }

    fn __clear__(&self) {
        let core = self.0.during_gc();
        let factory = core.task_factory.take();
        drop(factory);
        core.drop_objects();
    }
}

/// The number behind a descriptor argument, by `selectors`' rules.
fn descriptor(fd: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let number = match fd.extract::<RawFd>() {
        Ok(number) => number,
        Err(_) => fd.call_method0("fileno").and_then(|number| number.extract()).map_err(|_| {
            pyo3::exceptions::PyValueError::new_err(format!("Invalid file object: {fd:?}"))
        })?,
    };
    if number < 0 {
        let message = format!("Invalid file descriptor: {number}");
        return Err(pyo3::exceptions::PyValueError::new_err(message));
    }
    Ok(number)
}

fn add_watch<'py>(
    event_loop: &Bound<'py, EventLoop>,
    fd: &Bound<'py, PyAny>,
    callback: Py<PyAny>,
    args: &Bound<'py, PyTuple>,
    direction: Direction,
) -> PyResult<()> {
    let py = event_loop.py();
    let core = event_loop.get().core(py);
    event_loop.call_method0("_check_closed")?;
    let fd = descriptor(fd)?;
    let callback =
        Callback { callable: callback, arguments: args.iter().map(Bound::unbind).collect() };
    let context = CallContext::own(call::copy_context(py)?);
    let handle = handle::new_handle(event_loop, callback, context)?;
    core.add_watch(py, fd, direction, handle.unbind())
}

fn remove_watch(
    event_loop: &Bound<'_, EventLoop>,
    fd: &Bound<'_, PyAny>,
    direction: Direction,
) -> PyResult<bool> {
    let core = event_loop.get().core(event_loop.py());
    if core.closed.get() {
        return Ok(false);
    }
    core.remove_watch(event_loop.py(), descriptor(fd)?, direction)
}

fn wait_for<'py>(
    event_loop: &Bound<'py, EventLoop>,
    socket: &Bound<'py, PyAny>,
    direction: Direction,
) -> PyResult<Bound<'py, PyAny>> {
    let fd = descriptor(socket)?;
    let future = future::new_future(event_loop)?;
    let core = event_loop.get().core(event_loop.py());
    core.wait_for_socket(socket, fd, direction, &future)?;
    core.ask_again(fd)?;
    Ok(future)
}

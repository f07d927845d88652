//! `sock_recv`, `sock_recv_into`, `sock_sendall` and their datagram relatives as native
//! coroutines.
//!
//! An operation runs in its task's own step, never in the event handler: an operation that
//! is cancelled while it waits has taken nothing from the socket.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::RawFd;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::sys::socket as native;

use super::EventLoop;
use super::future;
use super::sock_datagram;
use super::watch::Direction;
use crate::error::os_error;
use crate::ffi::buffer::{View, bytes_with};
use crate::ffi::coroutine::{Awaitable, Step, thrown};
use crate::ffi::gil::GilBound;

enum Operation {
    Recv(usize),
    RecvInto(Py<PyAny>),
    SendAll { data: Py<PyAny>, sent: Cell<usize> },
    Datagram(sock_datagram::Operation),
}

impl Operation {
    fn direction(&self) -> Direction {
        match self {
            Operation::Recv(_) | Operation::RecvInto(_) => Direction::Read,
            Operation::SendAll { .. } => Direction::Write,
            Operation::Datagram(operation) => operation.direction(),
        }
    }

    /// Whether the kernel announces when it is worth another attempt.
    fn is_announced(&self, socket: &Bound<'_, PyAny>) -> PyResult<bool> {
        match self {
            Operation::Datagram(operation) => operation.is_announced(socket),
            _ => Ok(true),
        }
    }
}

/// How far an attempt got.
enum Attempt<'py> {
    Done { value: Bound<'py, PyAny>, exhausted: bool },
    WouldBlock,
}

struct State {
    event_loop: Py<EventLoop>,
    socket: Py<PyAny>,
    /// Short reads tell that the socket is empty: true for TCP only. A Unix socket also
    /// reads short where descriptors or credentials were attached.
    short_read_is_empty: bool,
    operation: RefCell<Option<Operation>>,
    waiter: RefCell<Option<Py<PyAny>>>,
}

/// A socket operation of the loop: a coroutine.
#[pyclass(frozen, module = "weft", name = "SocketOperation")]
pub(crate) struct SocketOperation(GilBound<State>);

impl SocketOperation {
    fn create<'py>(
        event_loop: &Bound<'py, EventLoop>,
        socket: &Bound<'py, PyAny>,
        operation: Operation,
    ) -> PyResult<Bound<'py, Self>> {
        let py = event_loop.py();
        check_socket(event_loop, socket)?;
        let short_read_is_empty = match &operation {
            Operation::Datagram(_) => false,
            _ => is_tcp(socket)?,
        };
        let state = State {
            event_loop: event_loop.clone().unbind(),
            socket: socket.clone().unbind(),
            short_read_is_empty,
            operation: RefCell::new(Some(operation)),
            waiter: RefCell::new(None),
        };
        Bound::new(py, SocketOperation(GilBound::new(state)))
    }

    pub(super) fn recv<'py>(
        event_loop: &Bound<'py, EventLoop>,
        socket: &Bound<'py, PyAny>,
        size: usize,
    ) -> PyResult<Bound<'py, Self>> {
        Self::create(event_loop, socket, Operation::Recv(size))
    }

    pub(super) fn recv_into<'py>(
        event_loop: &Bound<'py, EventLoop>,
        socket: &Bound<'py, PyAny>,
        buffer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        Self::create(event_loop, socket, Operation::RecvInto(buffer.clone().unbind()))
    }

    pub(super) fn sendall<'py>(
        event_loop: &Bound<'py, EventLoop>,
        socket: &Bound<'py, PyAny>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let operation = Operation::SendAll { data: data.clone().unbind(), sent: Cell::new(0) };
        Self::create(event_loop, socket, operation)
    }

    pub(super) fn datagram<'py>(
        event_loop: &Bound<'py, EventLoop>,
        socket: &Bound<'py, PyAny>,
        operation: sock_datagram::Operation,
    ) -> PyResult<Bound<'py, Self>> {
        Self::create(event_loop, socket, Operation::Datagram(operation))
    }

    /// Ends the operation: nothing of it is held any longer.
    fn finish(&self, py: Python<'_>) {
        let state = self.0.get(py);
        let operation = state.operation.take();
        let waiter = state.waiter.take();
        drop(operation);
        if let Some(waiter) = waiter {
            // An abandoned wait must not keep its future pending in the watch.
            let _ = waiter.call_method0(py, intern!(py, "cancel"));
        }
    }
}

impl Awaitable for SocketOperation {
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Step<'py>> {
        let py = slf.py();
        let state = slf.get().0.get(py);
        drop(state.waiter.take());
        let Some(operation) = state.operation.take() else {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
        };
        let socket = state.socket.bind(py);
        let fd: RawFd = socket.call_method0(intern!(py, "fileno"))?.extract()?;
        let event_loop = state.event_loop.bind(py);
        let core = event_loop.get().core(py);
        let direction = operation.direction();

        let announced = operation.is_announced(socket)?;
        let watch = if announced { core.known_socket_watch(socket, fd) } else { None };
        if watch.as_ref().is_none_or(|watch| watch.may_be_ready(direction)) {
            match attempt(socket, fd, &operation)? {
                Attempt::Done { value, exhausted } => {
                    if let Some(watch) = watch
                        && exhausted
                        && state.short_read_is_empty
                    {
                        watch.exhausted(direction);
                    }
                    return Ok(Step::Return(value));
                }
                Attempt::WouldBlock => {
                    if let Some(watch) = watch {
                        watch.exhausted(direction);
                    }
                }
            }
        }
        let future = future::new_future(event_loop)?;
        if announced {
            core.wait_for_socket(socket, fd, direction, &future)?;
        } else {
            sock_datagram::try_again_soon(core, &future);
        }
        future::block_on(&future)?;
        state.operation.replace(Some(operation));
        state.waiter.replace(Some(future.clone().unbind()));
        Ok(Step::Yield(future))
    }
}

#[pymethods]
impl SocketOperation {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::next(slf)
    }

    fn send<'py>(
        slf: &Bound<'py, Self>,
        _value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::next(slf)
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.get().finish(slf.py());
        drop(traceback);
        Err(thrown(kind, value))
    }

    fn close(slf: &Bound<'_, Self>) {
        slf.get().finish(slf.py());
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let state = slf.get().0.get(py);
        let name = match state.operation.borrow().as_ref() {
            Some(Operation::Recv(_)) => "sock_recv",
            Some(Operation::RecvInto(_)) => "sock_recv_into",
            Some(Operation::SendAll { .. }) => "sock_sendall",
            Some(Operation::Datagram(operation)) => operation.name(),
            None => "finished",
        };
        Ok(format!("<SocketOperation {name} {}>", state.socket.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let state = self.0.during_gc();
        visit.call(&state.event_loop)?;
        visit.call(&state.socket)?;
        if let Ok(operation) = state.operation.try_borrow() {
            match operation.as_ref() {
                Some(Operation::RecvInto(buffer)) => visit.call(buffer)?,
                Some(Operation::SendAll { data, .. }) => visit.call(data)?,
                Some(Operation::Datagram(operation)) => operation.traverse(&visit)?,
                Some(Operation::Recv(_)) | None => {}
            }
        }
        if let Ok(waiter) = state.waiter.try_borrow() {
            visit.call(&*waiter)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let state = self.0.during_gc();
        let operation = state.operation.take();
        let waiter = state.waiter.take();
        drop((operation, waiter));
    }
}

fn attempt<'py>(
    socket: &Bound<'py, PyAny>,
    fd: RawFd,
    operation: &Operation,
) -> PyResult<Attempt<'py>> {
    let py = socket.py();
    let (value, exhausted) = match operation {
        Operation::Recv(size) => {
            let filled = bytes_with(py, *size, |room| {
                native::recv_uninit(fd, room).map(|filled| filled.len())
            })?;
            match filled {
                Ok(bytes) => {
                    let len = bytes.as_bytes().len();
                    (bytes.into_any(), len != 0 && len < *size)
                }
                Err(error) => return would_block(error),
            }
        }
        Operation::RecvInto(buffer) => {
            let mut view = View::writable(buffer.bind(py))?;
            let size = view.len();
            match native::recv(fd, view.as_mut_slice(py)) {
                Ok(len) => (len.into_pyobject(py)?.into_any(), len != 0 && len < size),
                Err(error) => return would_block(error),
            }
        }
        Operation::SendAll { data, sent } => {
            let view = View::readable(data.bind(py))?;
            loop {
                let rest = &view.as_slice(py)[sent.get().min(view.len())..];
                if rest.is_empty() {
                    break (py.None().into_bound(py), false);
                }
                match native::send(fd, rest) {
                    Ok(count) => sent.set(sent.get() + count),
                    Err(error) => return would_block(error),
                }
            }
        }
        Operation::Datagram(operation) => match operation.attempt(socket, fd)? {
            Some(value) => (value, false),
            None => return Ok(Attempt::WouldBlock),
        },
    };
    Ok(Attempt::Done { value, exhausted })
}

fn would_block<'py>(error: io::Error) -> PyResult<Attempt<'py>> {
    if error.kind() == io::ErrorKind::WouldBlock {
        Ok(Attempt::WouldBlock)
    } else {
        Err(os_error(&error))
    }
}

/// Refuses TLS sockets and, in debug mode, blocking ones, as asyncio does.
fn check_socket(event_loop: &Bound<'_, EventLoop>, socket: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = event_loop.py();
    if event_loop.get().core(py).debug.get() || !is_plain_socket(socket)? {
        event_loop.call_method1("_check_socket", (socket,))?;
    }
    Ok(())
}

/// Whether `socket` is a `socket.socket` and no subclass, whose methods may be its own.
pub(crate) fn is_plain_socket(socket: &Bound<'_, PyAny>) -> PyResult<bool> {
    static SOCKET: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();
    let class = SOCKET.get_or_try_init(socket.py(), || {
        PyResult::Ok(socket.py().import("socket")?.getattr("socket")?.unbind())
    })?;
    Ok(socket.get_type().is(class))
}

fn is_tcp(socket: &Bound<'_, PyAny>) -> PyResult<bool> {
    let family: i32 = socket.getattr(intern!(socket.py(), "family"))?.extract()?;
    let kind: i32 = socket.getattr(intern!(socket.py(), "type"))?.extract()?;
    // The values of Linux on every architecture: AF_INET, AF_INET6, SOCK_STREAM.
    Ok(matches!(family, 2 | 10) && kind == 1)
}

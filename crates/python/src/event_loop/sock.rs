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
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::sys::socket as native;

use super::EventLoop;
use super::core::{Core, READ_BUFFER};
use super::future;
use super::sock_datagram;
use super::watch::Direction;
use crate::error::os_error;
use crate::ffi::buffer::{View, bytes_with};
use crate::ffi::coroutine::{Awaitable, Step, thrown};
use crate::ffi::gil::GilBound;

/// From this size on a read goes straight into the object that the program gets.
const BULK: usize = 16 * 1024;

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
    Done { value: Bound<'py, PyAny>, read: Option<Read> },
    WouldBlock,
}

/// How much a read got, and how much it had room for.
struct Read {
    len: usize,
    room: usize,
}

impl Read {
    fn is_short(&self) -> bool {
        self.len != 0 && self.len < self.room
    }
}

struct State {
    event_loop: Py<EventLoop>,
    socket: Py<PyAny>,
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
        let state = State {
            event_loop: event_loop.clone().unbind(),
            socket: socket.clone().unbind(),
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
            let bulk = watch.as_ref().is_some_and(|watch| watch.bulk.get());
            match attempt(core, socket, fd, &operation, bulk)? {
                Attempt::Done { value, read } => {
                    if let (Some(watch), Some(read)) = (watch, read) {
                        watch.bulk.set(read.len >= BULK);
                        if read.is_short() {
                            watch.short_read();
                        }
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
    core: &Core,
    socket: &Bound<'py, PyAny>,
    fd: RawFd,
    operation: &Operation,
    bulk: bool,
) -> PyResult<Attempt<'py>> {
    let py = socket.py();
    let (value, read) = match operation {
        Operation::Recv(room) => match recv(core, py, fd, *room, bulk)? {
            Ok((bytes, read)) => (bytes.into_any(), Some(read)),
            Err(error) => return would_block(error),
        },
        Operation::RecvInto(buffer) => {
            let mut view = View::writable(buffer.bind(py))?;
            let room = view.len();
            match native::recv(fd, view.as_mut_slice(py)) {
                Ok(len) => (len.into_pyobject(py)?.into_any(), Some(Read { len, room })),
                Err(error) => return would_block(error),
            }
        }
        Operation::SendAll { data, sent } => {
            let view = View::readable(data.bind(py))?;
            loop {
                let rest = &view.as_slice(py)[sent.get().min(view.len())..];
                if rest.is_empty() {
                    break (py.None().into_bound(py), None);
                }
                match native::send(fd, rest) {
                    Ok(count) => sent.set(sent.get() + count),
                    Err(error) => return would_block(error),
                }
            }
        }
        Operation::Datagram(operation) => match operation.attempt(socket, fd)? {
            Some(value) => (value, None),
            None => return Ok(Attempt::WouldBlock),
        },
    };
    Ok(Attempt::Done { value, read })
}

/// Programs ask for much and get little: a small message is copied out of the loop's own
/// buffer, which costs less than a large object that is cut to size.
fn recv<'py>(
    core: &Core,
    py: Python<'py>,
    fd: RawFd,
    size: usize,
    bulk: bool,
) -> PyResult<io::Result<(Bound<'py, PyBytes>, Read)>> {
    if bulk || !(BULK..=READ_BUFFER).contains(&size) {
        let bytes =
            bytes_with(py, size, |room| native::recv_uninit(fd, room).map(|filled| filled.len()))?;
        return Ok(bytes.map(|bytes| {
            let len = bytes.as_bytes().len();
            (bytes, Read { len, room: size })
        }));
    }
    Ok(core.with_read_buffer(|buffer| {
        let room = size.min(buffer.len());
        let len = native::recv(fd, &mut buffer[..room])?;
        Ok((PyBytes::new(py, &buffer[..len]), Read { len, room }))
    }))
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

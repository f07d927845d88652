//! `sock_recvfrom`, `sock_recvfrom_into` and `sock_sendto`: what they do when their turn comes.
//!
//! What is not in numbers (a host name, another family of addresses, a size that does not fit)
//! is left to the methods of Python's socket, which also know how to refuse it.

use std::io;
use std::os::fd::RawFd;

use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{IntoPyObjectExt, PyTraverseError, PyVisit};
use weft_reactor::sys::datagram::{self, Address, Family};
use weft_reactor::sys::monotonic_ns;

use super::core::Core;
use super::future;
use super::sock::is_plain_socket;
use super::source::Deferred;
use super::watch::Direction;
use crate::address;
use crate::error::os_error;
use crate::ffi::buffer::{View, bytes_with};

/// How long an operation rests that the kernel does not announce, in nanoseconds.
const PAUSE_NS: i64 = 1_000_000;

/// A datagram operation that has not ended.
pub(super) enum Operation {
    RecvFrom { size: isize },
    RecvFromInto { buffer: Py<PyAny>, size: isize },
    SendTo { data: Py<PyAny>, address: Py<PyAny> },
}

impl Operation {
    pub(super) fn direction(&self) -> Direction {
        match self {
            Operation::SendTo { .. } => Direction::Write,
            _ => Direction::Read,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Operation::RecvFrom { .. } => "sock_recvfrom",
            Operation::RecvFromInto { .. } => "sock_recvfrom_into",
            Operation::SendTo { .. } => "sock_sendto",
        }
    }

    /// Whether the kernel announces when it is worth another attempt. It calls a Unix socket
    /// writable that has room itself, and is silent when the receiver, which had none, has some.
    pub(super) fn is_announced(&self, socket: &Bound<'_, PyAny>) -> PyResult<bool> {
        match self {
            Operation::SendTo { .. } => Ok(family(socket)? != Some(Family::Unix)),
            _ => Ok(true),
        }
    }

    /// One attempt: the result, or `None` if the socket is not ready.
    pub(super) fn attempt<'py>(
        &self,
        socket: &Bound<'py, PyAny>,
        fd: RawFd,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let family = family(socket)?;
        match self {
            Operation::RecvFrom { size } => recv_from(socket, fd, family, *size),
            Operation::RecvFromInto { buffer, size } => {
                recv_from_into(socket, fd, family, buffer.bind(socket.py()), *size)
            }
            Operation::SendTo { data, address } => {
                let (data, address) = (data.bind(socket.py()), address.bind(socket.py()));
                send_to(socket, fd, family, data, address)
            }
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Operation::RecvFrom { .. } => Ok(()),
            Operation::RecvFromInto { buffer, .. } => visit.call(buffer),
            Operation::SendTo { data, address } => {
                visit.call(data)?;
                visit.call(address)
            }
        }
    }
}

/// Completes `future` in a moment, for an operation that the kernel does not announce.
pub(super) fn try_again_soon(core: &Core, future: &Bound<'_, PyAny>) {
    core.set_alarm(monotonic_ns() + PAUSE_NS, Box::new(Wake(future.clone().unbind())));
}

struct Wake(Py<PyAny>);

impl Deferred for Wake {
    fn run(self: Box<Self>, py: Python<'_>) -> PyResult<()> {
        future::wake(self.0.bind(py))
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }
}

fn recv_from<'py>(
    socket: &Bound<'py, PyAny>,
    fd: RawFd,
    family: Option<Family>,
    size: isize,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = socket.py();
    let (Some(_), Ok(size)) = (family, usize::try_from(size)) else {
        return by_python(socket, "recvfrom", (size,));
    };
    let mut sender = None;
    let filled = bytes_with(py, size, |room| {
        let (len, address) = datagram::recv_from_uninit(fd, room)?;
        sender = address;
        Ok(len)
    })?;
    match ready(filled)? {
        Some(data) => {
            Ok(Some((data, address::sender(py, sender.as_ref())?).into_bound_py_any(py)?))
        }
        None => Ok(None),
    }
}

fn recv_from_into<'py>(
    socket: &Bound<'py, PyAny>,
    fd: RawFd,
    family: Option<Family>,
    buffer: &Bound<'py, PyAny>,
    size: isize,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = socket.py();
    let mut view = View::writable(buffer)?;
    let size = if size == 0 { view.len() as isize } else { size };
    let room = usize::try_from(size).ok().and_then(|size| view.as_mut_slice(py).get_mut(..size));
    let (Some(_), Some(room)) = (family, room) else {
        drop(view);
        return by_python(socket, "recvfrom_into", (buffer, size));
    };
    match ready(datagram::recv_from(fd, room))? {
        Some((len, sender)) => {
            Ok(Some((len, address::sender(py, sender.as_ref())?).into_bound_py_any(py)?))
        }
        None => Ok(None),
    }
}

fn send_to<'py>(
    socket: &Bound<'py, PyAny>,
    fd: RawFd,
    family: Option<Family>,
    data: &Bound<'py, PyAny>,
    to: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = socket.py();
    let destination: Option<Address> = family.and_then(|family| address::destination(family, to));
    let Some(destination) = destination else {
        return by_python(socket, "sendto", (data, to));
    };
    let view = View::readable(data)?;
    match ready(datagram::send_to(fd, view.as_slice(py), &destination))? {
        Some(sent) => Ok(Some(sent.into_bound_py_any(py)?)),
        None => Ok(None),
    }
}

fn ready<T>(result: io::Result<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(os_error(&error)),
    }
}

fn by_python<'py>(
    socket: &Bound<'py, PyAny>,
    method: &str,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = socket.py();
    match socket.call_method1(method, arguments.into_pyobject(py)?) {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if error.is_instance_of::<PyBlockingIOError>(py)
                || error.is_instance_of::<PyInterruptedError>(py) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// `None`: the socket's own methods do everything, for they may be its own.
fn family(socket: &Bound<'_, PyAny>) -> PyResult<Option<Family>> {
    if !is_plain_socket(socket)? {
        return Ok(None);
    }
    let family: i32 = socket.getattr(intern!(socket.py(), "family"))?.extract()?;
    // The values of Linux on every architecture: AF_UNIX, AF_INET, AF_INET6.
    Ok(match family {
        1 => Some(Family::Unix),
        2 => Some(Family::V4),
        10 => Some(Family::V6),
        _ => None,
    })
}

//! Who owns a transport's descriptor, and its addresses.
//!
//! A connection that the loop accepted starts as a bare descriptor: the Python socket object
//! that `get_extra_info("socket")` promises is made when somebody asks.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit};
use weft_reactor::sys::socket;

use crate::address;

/// The owner of a descriptor.
pub(super) enum Connection {
    /// Accepted by the loop; nobody has asked for a Python socket yet.
    Native(OwnedFd, Option<SocketAddr>),
    /// A Python `socket.socket`.
    Python(Py<PyAny>),
    /// Closed.
    Closed,
}

impl Connection {
    /// The descriptor of a Python socket object.
    pub(super) fn descriptor(socket: &Bound<'_, PyAny>) -> PyResult<RawFd> {
        socket.call_method0(intern!(socket.py(), "fileno"))?.extract()
    }

    /// Makes the descriptor a Python socket object, if it is not one yet.
    fn become_python(&mut self, py: Python<'_>) -> PyResult<()> {
        let Connection::Native(fd, _) = &*self else { return Ok(()) };
        let arguments = PyDict::new(py);
        arguments.set_item("fileno", fd.as_raw_fd())?;
        let class = py.import("socket")?.getattr("socket")?;
        let object = class.call((), Some(&arguments))?;
        // The socket object owns the number from here on.
        let owned = std::mem::replace(self, Connection::Python(object.clone().unbind()));
        if let Connection::Native(fd, _) = owned {
            socket::into_raw(fd);
        }
        object.call_method1("settimeout", (0,)).map(drop)
    }

    /// The Python socket object, made if there is none.
    pub(super) fn into_socket(mut self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        self.become_python(py)?;
        match self {
            Connection::Python(socket) => Ok(socket.into_bound(py)),
            _ => Err(PyOSError::new_err("the connection is closed")),
        }
    }

    pub(super) fn close(self, py: Python<'_>) -> PyResult<()> {
        match self {
            Connection::Native(fd, _) => socket::close(fd),
            Connection::Python(socket) => {
                socket.call_method0(py, intern!(py, "close"))?;
            }
            Connection::Closed => {}
        }
        Ok(())
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Connection::Python(socket) => visit.call(socket),
            _ => Ok(()),
        }
    }
}

/// Fills `extra` with `socket`, `sockname` and `peername`, as asyncio's transports have them,
/// where the caller has not given them; the connection becomes a Python socket.
pub(super) fn describe(
    py: Python<'_>,
    connection: &mut Connection,
    extra: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let peer = match &*connection {
        Connection::Native(_, Some(address)) => Some(address::internet(py, address)?),
        _ => None,
    };
    connection.become_python(py)?;
    let Connection::Python(socket) = &*connection else { return Ok(()) };
    describe_socket(socket.bind(py), peer, extra)
}

/// [`describe`] for a Python socket; `peer` is its peer's address, where that is known.
pub(super) fn describe_socket<'py>(
    socket: &Bound<'py, PyAny>,
    peer: Option<Bound<'py, PyAny>>,
    extra: &Bound<'py, PyDict>,
) -> PyResult<()> {
    let py = socket.py();
    let wrapped = py.import("asyncio.trsock")?.getattr("TransportSocket")?.call1((socket,))?;
    extra.set_item("socket", wrapped)?;
    let name = socket.call_method0("getsockname").unwrap_or_else(|_| py.None().into_bound(py));
    extra.set_item("sockname", name)?;
    if !extra.contains("peername")? {
        let peer = match peer {
            Some(peer) => peer,
            // A peer that is gone already has no address any more.
            None => socket.call_method0("getpeername").unwrap_or_else(|_| py.None().into_bound(py)),
        };
        extra.set_item("peername", peer)?;
    }
    Ok(())
}

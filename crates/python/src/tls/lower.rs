//! The transport below a TLS connection: a socket's, or any other (TLS in TLS, or a transport of
//! somebody else's that says it is fit for `start_tls`).

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};

use crate::transport::SocketTransport;

/// The transport below.
pub(super) enum Lower {
    /// One of this loop's sockets, which is spoken to without Python objects.
    Socket(Py<SocketTransport>),
    /// Any transport.
    Other(Py<PyAny>),
}

impl Lower {
    pub(super) fn new(transport: &Bound<'_, PyAny>) -> Self {
        match transport.cast_exact::<SocketTransport>() {
            Ok(socket) => Lower::Socket(socket.clone().unbind()),
            Err(_) => Lower::Other(transport.clone().unbind()),
        }
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Lower::Socket(socket) => Lower::Socket(socket.clone_ref(py)),
            Lower::Other(other) => Lower::Other(other.clone_ref(py)),
        }
    }

    pub(super) fn object<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny>
    where
        'py: 'a,
    {
        match self {
            Lower::Socket(socket) => socket.bind(py).as_any(),
            Lower::Other(other) => other.bind(py),
        }
    }

    /// Sends ciphertext. A vector that is not needed comes back.
    pub(super) fn write(&self, py: Python<'_>, bytes: Vec<u8>) -> PyResult<Option<Vec<u8>>> {
        match self {
            Lower::Socket(socket) => SocketTransport::send(socket.bind(py), bytes),
            Lower::Other(other) => {
                other.call_method1(py, intern!(py, "write"), (PyBytes::new(py, &bytes),))?;
                Ok(Some(bytes))
            }
        }
    }

    /// Ciphertext that waits for the socket. What another transport holds is its own affair: it
    /// says when there is too much.
    pub(super) fn waiting(&self, py: Python<'_>) -> usize {
        match self {
            Lower::Socket(socket) => SocketTransport::waiting(socket.bind(py)),
            Lower::Other(_) => 0,
        }
    }

    /// Sends now what the running callback wrote.
    pub(super) fn flush(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Lower::Socket(socket) => SocketTransport::flush(socket.bind(py)),
            Lower::Other(_) => Ok(()),
        }
    }

    /// Closes the connection now.
    pub(super) fn force_close(&self, py: Python<'_>, error: Option<PyErr>) -> PyResult<()> {
        match self {
            Lower::Socket(socket) => {
                SocketTransport::drop_connection(socket.bind(py), error);
                Ok(())
            }
            Lower::Other(other) => {
                let error = error.map(|error| error.into_value(py));
                other.call_method1(py, "_force_close", (error,)).map(drop)
            }
        }
    }

    /// Goes on reading after the TLS connection has refused bytes.
    pub(super) fn takes_again(&self, py: Python<'_>) {
        if let Lower::Socket(socket) = self {
            SocketTransport::takes_again(socket.bind(py));
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Lower::Socket(socket) => visit.call(socket),
            Lower::Other(other) => visit.call(other),
        }
    }
}

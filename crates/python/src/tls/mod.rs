//! TLS for asyncio's transports, by the interpreter's own OpenSSL driven from Rust.
//!
//! | module | owns |
//! |---|---|
//! | [`protocol`] | the Python class `TlsProtocol`: what the transport below calls |
//! | [`transport`] | the Python class `SslTransport`: what the application calls |
//! | [`state`] | what a connection is made of, and its phases |
//! | [`lower`] | the transport below: a socket's, or any other |
//! | [`handshake`] | from connected to encrypted |
//! | [`read`] | from ciphertext to the application |
//! | [`write`] | from the application to ciphertext, flow control |
//! | [`shutdown`] | close_notify, end of stream, errors, the end |
//!
//! The rules are those of `asyncio.sslproto`, which takes over where OpenSSL cannot be driven
//! directly (`ffi::openssl` says when). The user's `ssl.SSLContext` makes the session, so that
//! everything one can set on a context holds here; its Python object does the handshake and the
//! shutdown, so that their exceptions are the interpreter's own. This room must not know HTTP.

mod handshake;
mod lower;
mod protocol;
mod read;
mod shutdown;
mod state;
mod transport;
mod write;

pub(crate) use protocol::TlsProtocol;
pub(crate) use transport::{SslTransport, install};

use pyo3::prelude::*;

/// Why the interpreter's OpenSSL cannot be driven directly; `None` if it can.
#[pyfunction]
pub(crate) fn tls_unavailable(py: Python<'_>) -> Option<&'static str> {
    crate::ffi::openssl::unavailable(py)
}

//! Transports of asyncio: streams and servers, datagrams, pipes.
//!
//! | module | owns |
//! |---|---|
//! | [`stream`] | the Python class `SocketTransport` |
//! | [`state`] | what a transport is made of |
//! | [`read`] | from the socket to the protocol |
//! | [`write`] | from the protocol to the socket, flow control |
//! | [`sendfile`] | lending the connection to `loop.sendfile` |
//! | [`close`] | connection_made to connection_lost, and every error between |
//! | [`native`] | protocols written in Rust |
//! | [`connection`] | who owns the descriptor, and its addresses |
//! | [`listener`] | accepting |
//! | [`datagram`] | the Python class `DatagramTransport` |
//! | [`datagram_state`] | what it is made of |
//! | [`datagram_read`], [`datagram_write`] | from the socket to the protocol and back |
//! | [`pipe_read`], [`pipe_write`] | the Python classes `ReadPipeTransport`, `WritePipeTransport` |
//! | [`pipe_file`] | which files these two take |
//! | [`endpoint`] | what pipe and datagram transports have in common |
//! | [`life`] | their connection_made to connection_lost |
//! | [`faults`] | who hears of a transport's errors, and how asyncio words them |
//! | [`flow`] | when a writing protocol is paused |
//! | [`subscription`] | a level-triggered registration, there only while it is needed |
//!
//! A stream transport is registered once, edge-triggered in both directions, and remembers what the
//! kernel said: pausing, resuming and waiting for room cost no system call. This room must not
//! know TLS or HTTP.

mod close;
mod connection;
mod datagram;
mod datagram_read;
mod datagram_state;
mod datagram_write;
mod endpoint;
mod faults;
mod flow;
mod life;
mod listener;
mod native;
mod pipe_file;
mod pipe_read;
mod pipe_write;
mod read;
mod sendfile;
mod state;
mod stream;
mod subscription;
mod write;

pub(crate) use datagram::DatagramTransport;
pub(crate) use faults::{logger, tell_flow, warn_unclosed};
pub(crate) use flow::limits as write_limits;
pub(crate) use listener::Listener;
pub(crate) use native::NativeProtocol;
pub(crate) use pipe_read::ReadPipeTransport;
pub(crate) use pipe_write::WritePipeTransport;
pub(crate) use state::Protocol;
pub(crate) use stream::SocketTransport;
pub(crate) use write::{argument as write_argument, check_data};

use pyo3::prelude::*;

/// Adds what `#[pymethods]` cannot express. Call once, when the module is made.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    stream::install(py)?;
    datagram::install(py)
}

//! Stream transports of asyncio: `loop.create_connection`, `create_server` and streams.
//!
//! | module | owns |
//! |---|---|
//! | [`stream`] | the Python class `SocketTransport` |
//! | [`state`] | what a transport is made of |
//! | [`read`] | from the socket to the protocol |
//! | [`write`] | from the protocol to the socket, flow control |
//! | [`sendfile`] | lending the connection to `loop.sendfile` |
//! | [`close`] | connection_made to connection_lost, and every error between |
//! | [`connection`] | who owns the descriptor, and its addresses |
//! | [`listener`] | accepting |
//!
//! A transport is registered once, edge-triggered in both directions, and remembers what the
//! kernel said: pausing, resuming and waiting for room cost no system call. This room must not
//! know TLS or HTTP.

mod close;
mod connection;
mod listener;
mod read;
mod sendfile;
mod state;
mod stream;
mod write;

pub(crate) use listener::Listener;
pub(crate) use stream::{SocketTransport, install};

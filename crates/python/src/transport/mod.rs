//! Stream transports of asyncio: `loop.create_connection`, `create_server` and streams.
//!
//! | module | owns |
//! |---|---|
//! | [`stream`] | the Python class `SocketTransport` |
//! | [`state`] | what a transport is made of |
//! | [`read`] | from the socket to the protocol |
//! | [`write`] | from the protocol to the socket, flow control |
//! | [`close`] | connection_made to connection_lost, and every error between |
//! | [`native`] | protocols written in Rust |
//! | [`connection`] | who owns the descriptor, and its addresses |
//! | [`listener`] | accepting |
//!
//! A transport is registered once, edge-triggered in both directions, and remembers what the
//! kernel said: pausing, resuming and waiting for room cost no system call. This room must not
//! know TLS or HTTP.

mod close;
mod connection;
mod listener;
mod native;
mod read;
mod state;
mod stream;
mod write;

pub(crate) use listener::Listener;
pub(crate) use native::NativeProtocol;
pub(crate) use state::Protocol;
pub(crate) use stream::{SocketTransport, install, write_argument};
pub(crate) use write::{check_data, limits as write_limits};

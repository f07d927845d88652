//! The server: ASGI 3 over HTTP/1.1 and WebSocket, on the event loop's own thread.
//!
//! | module | owns |
//! |---|---|
//! | [`http_server`] | what Python starts and stops |
//! | [`shared`] | what all connections share: application, running tasks, caches |
//! | [`listener`] | accepting connections, and not when descriptors are short |
//! | [`connection`] | one connection's life: whose turn it is, when it ends |
//! | [`input`] | bytes to requests: reading, decoding, body backpressure |
//! | [`output`] | responses to bytes: one send a callback, write backpressure |
//! | [`exchange`] | one request and its response |
//! | [`coroutine`] | what the request's task runs, around the application's own coroutine |
//! | [`request_body`] | body bytes between the socket and `receive()` |
//! | [`receive`], [`send`] | the two functions that an application gets |
//! | [`operation`] | what they return: native awaitables |
//! | [`scope`] | a request head as an ASGI scope |
//! | [`access_log`] | the line of a request, and how lines reach their stream |
//! | [`deadlines`] | timeouts: one look a second at all connections |
//! | [`websocket`] | connections that have become WebSockets |
//! | [`date`], [`error_log`] | the Date header; the logger `uvicorn.error` |
//!
//! The way of a request: `Connection::ready` reads into the loop's shared buffer and decodes;
//! a head becomes a scope and an [`Exchange`]; a task takes its first step at once; `send()`
//! encodes into the connection's buffer, which leaves in one system call when the callback
//! ends.
//!
//! Rule of this room: no `RefCell` is borrowed while Python code may run.

mod access_log;
mod connection;
mod coroutine;
mod date;
mod deadlines;
mod error_log;
mod exchange;
mod http_server;
mod input;
mod listener;
mod operation;
mod output;
mod receive;
mod request_body;
mod scope;
mod send;
mod shared;
mod websocket;

pub(crate) use self::coroutine::Exchange;
pub(crate) use self::http_server::HttpServer;
pub(crate) use self::operation::Operation;
pub(crate) use self::websocket::ClientDisconnected;

use pyo3::prelude::*;

use crate::ffi;

/// Adds what `#[pymethods]` cannot express. Call once, when the module is made.
pub(crate) fn install(module: &Bound<'_, PyModule>) {
    let py = module.py();
    ffi::coroutine::install::<Exchange>(&py.get_type::<Exchange>());
    ffi::coroutine::install::<Operation>(&py.get_type::<Operation>());
}

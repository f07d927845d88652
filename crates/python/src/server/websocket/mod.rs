//! WebSockets: ASGI's `websocket` scope over a connection that was HTTP (RFC 6455).
//!
//! | module | owns |
//! |---|---|
//! | [`session`] | one WebSocket's state: messages that wait, how it ended |
//! | [`opening`] | the handshake: refused, accepted, denied |
//! | [`incoming`] | bytes to messages, and when not to read |
//! | [`receive`], [`send`] | the two functions that an application gets |
//! | [`closing`] | the ways to the end: the peer's, the application's, the server's |
//! | [`keepalive`] | pings, and clients that are silent |
//! | [`options`] | what a server is told about WebSockets |
//!
//! A WebSocket is an [`Exchange`](super::coroutine::Exchange) with a [`Session`]: task, scope and
//! denial response are those of HTTP. With the 101 its connection changes to
//! `Stage::Upgraded`, and its bytes go through the session's engine.

mod closing;
mod incoming;
mod keepalive;
mod opening;
mod options;
pub(super) mod receive;
pub(super) mod send;
mod session;

pub(super) use self::closing::{failed, is_disconnect, returned};
pub(super) use self::keepalive::Wait;
pub(super) use self::options::Options;
pub(crate) use self::send::ClientDisconnected;
pub(super) use self::session::Session;

//! The server side of WebSocket (RFC 6455, RFC 7692), without a socket.
//!
//! Two steps, joined by nothing but what was agreed:
//!
//! * [`Opening`]: from a request head to the 101 that answers it, or to the refusal.
//! * [`Engine`], one per connection: bytes in, [`Event`]s out; messages in, frames out. It accepts
//!   only what the RFC allows, and stops inflating where the limit for a message is reached.
//!
//! | module | owns |
//! |---|---|
//! | [`opening`] | the handshake |
//! | [`extensions`] | the grammar of Sec-WebSocket-Extensions, and what is agreed |
//! | [`engine`] | both directions of one connection, and where in the closing it stands |
//! | [`message`] | a message that is gathered from fragments |
//! | [`frame`] | one frame's header, both ways |
//! | [`mask`], [`utf8`] | the bytes of a payload |
//! | [`deflate`] | permessage-deflate |
//! | [`close`] | close codes and the payload of a close frame |
//! | [`error`] | what a peer can do wrong, and the code that tells it |
//!
//! What is deliberately absent: deadlines, queues, backpressure. The driver owns the bytes that
//! are not consumed yet, and decides when to read on and when to give up.

mod close;
mod deflate;
mod engine;
mod error;
mod extensions;
mod frame;
mod mask;
mod message;
mod opening;
mod utf8;

pub use close::{code, is_sendable};
pub use engine::{Engine, Event, Limits, Step};
pub use error::{AcceptError, OpeningError, ProtocolError};
pub use extensions::Deflate;
pub use frame::{FrameHeader, Kind};
pub use opening::Opening;

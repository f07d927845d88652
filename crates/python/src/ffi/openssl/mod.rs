//! The interpreter's own OpenSSL, called directly.
//!
//! | module | owns |
//! |---|---|
//! | [`library`] | the functions, found in the very library that `_ssl` has loaded |
//! | [`layout`] | where `_ssl`'s objects keep their pointers, and the proof that it is so |
//! | [`pipe`] | the BIO between a TLS session and the bytes of its connection |
//! | [`session`] | one TLS session: read, write, and the bytes on both sides |
//!
//! A session belongs to a Python `ssl.SSLObject`, which made it from the user's `SSLContext` and
//! goes on answering questions about it. What runs once a connection (handshake, shutdown,
//! failures) is done by that object's own methods; only reading and writing happen here. This
//! module must not know transports.

mod layout;
mod library;
mod pipe;
mod session;

pub(crate) use layout::unavailable;
pub(crate) use session::{Read, Session, Write};

//! Sans-IO HTTP and WebSocket: bytes in, events out; events in, bytes out.
//!
//! Nothing in this crate opens a socket, reads a clock or knows Python. Time enters as an
//! argument, everything else as a byte slice. Peers and applications can make any call here
//! fail, none of them can make it panic: slices are taken by `get` and `split_*`, and the lint
//! below keeps it so.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

pub mod http1;
pub mod websocket;

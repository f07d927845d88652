//! The event loop's engine, without Python: readiness, timers, wake-ups and sockets.
//!
//! It owns the kernel objects (epoll, eventfd) and the pure data structures that decide a
//! loop turn. It must not know Python, HTTP or the application: what runs when a descriptor
//! is ready is the caller's business.
//!
//! | module | owns |
//! |---|---|
//! | [`sys`] | every system call, and the only `unsafe` of this crate |
//! | [`registry`] | tokens: which descriptor an event belongs to, stale events refused |
//! | [`timers`] | the timer heap: O(log n) insert, O(1) cancel, memory bounded by what is alive |
//! | [`turn`] | how one turn waits: skip, poll or park |
//! | [`outbox`] | bytes waiting for a socket |
//! | [`datagrams`] | datagrams waiting for a socket |
#![warn(missing_debug_implementations)]

pub mod datagrams;
pub mod outbox;
pub mod registry;
pub mod sys;
pub mod timers;
pub mod turn;

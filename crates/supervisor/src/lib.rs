//! What happens around a worker: options, listening sockets, worker processes. No Python.
//!
//! It owns the one option table, the sockets that workers inherit and the rules by which
//! workers are started, restarted and stopped. It must not know Python, HTTP or what a worker
//! does with its sockets; and it never prints: messages go back to the caller.
#![forbid(unsafe_code)]

pub mod error;
pub mod listeners;
pub mod options;
pub mod policy;
pub mod supervise;
pub mod worker;

pub use error::{Error, exit_code};

//! What happens around a worker: options, listening sockets, worker processes. No Python.
#![forbid(unsafe_code)]

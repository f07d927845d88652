//! Sans-IO HTTP: bytes in, events out; events in, bytes out.
//!
//! Nothing in this crate opens a socket, reads a clock or knows Python. Time enters as an
//! argument, everything else as a byte slice.
#![forbid(unsafe_code)]

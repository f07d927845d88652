//! The doors between the command and the server: settings, sockets, supervision.
//!
//! It owns how Python reaches the `supervisor` crate. It must not know what a server does with
//! its sockets; and no room but `lib.rs` knows it.

mod commands;
mod error;
mod host;
mod settings;
mod signals;

use pyo3::prelude::*;

pub(crate) use commands::{
    bind, parse_command_line, remove_socket_file, supervise, take_worker_sockets,
};
pub(crate) use error::StartupError;
pub(crate) use settings::Settings;

/// Adds what no declaration can say: the attributes that come from the option table.
pub(crate) fn complete(module: &Bound<'_, PyModule>) -> PyResult<()> {
    settings::add_attributes(module.py())
}

//! What a server is told about WebSockets.

use pyo3::prelude::*;
use weft_protocol::websocket::Limits;

/// Read from an object with the attributes of the settings.
#[derive(FromPyObject)]
pub(crate) struct Given {
    ws: String,
    ws_max_size: usize,
    ws_max_queue: usize,
    /// Seconds; never if zero.
    ws_ping_interval: f64,
    /// Seconds; for ever if zero.
    ws_ping_timeout: f64,
    ws_per_message_deflate: bool,
}

/// The same, as the server uses it.
pub(crate) struct Options {
    pub(in super::super) enabled: bool,
    pub(super) limits: Limits,
    pub(super) queue: usize,
    pub(in super::super) ping_interval_ns: Option<i64>,
    pub(in super::super) ping_timeout_ns: Option<i64>,
    pub(super) deflate: bool,
}

impl From<Given> for Options {
    fn from(given: Given) -> Self {
        // The cast saturates: an endless time is endless.
        let time = |seconds: f64| (seconds > 0.0).then_some((seconds * 1e9) as i64);
        Self {
            enabled: given.ws != "none",
            limits: Limits { message_bytes: given.ws_max_size, ..Limits::default() },
            queue: given.ws_max_queue,
            ping_interval_ns: time(given.ws_ping_interval),
            ping_timeout_ns: time(given.ws_ping_timeout),
            deflate: given.ws_per_message_deflate,
        }
    }
}

impl FromPyObject<'_, '_> for Options {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Ok(object.extract::<Given>()?.into())
    }
}

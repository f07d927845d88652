//! Flow control of writing: when a protocol is paused, when it is resumed.

use std::cell::Cell;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::faults::{Audible, tell_flow};

/// asyncio's default high-water mark of a transport's write buffer, in bytes.
pub(super) const HIGH_WATER: usize = 64 * 1024;

/// The marks, and on which side of them the protocol was told to be.
pub(super) struct FlowControl {
    /// pause_writing was called and resume_writing was not yet.
    paused: Cell<bool>,
    high: Cell<usize>,
    low: Cell<usize>,
}

impl Default for FlowControl {
    fn default() -> Self {
        Self {
            paused: Cell::new(false),
            high: Cell::new(HIGH_WATER),
            low: Cell::new(HIGH_WATER / 4),
        }
    }
}

impl FlowControl {
    /// `(low, high)` in bytes.
    pub(super) fn limits(&self) -> (usize, usize) {
        (self.low.get(), self.high.get())
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// Hands flow control over to somebody else: whether the protocol was paused.
    pub(super) fn hand_over(&self) -> bool {
        self.paused.replace(false)
    }
}

/// A transport whose writing is under flow control.
pub(super) trait FlowControlled: Audible {
    fn flow<'a>(slf: &'a Bound<'_, Self>) -> &'a FlowControl;

    /// Bytes that wait for the kernel.
    fn waiting(slf: &Bound<'_, Self>) -> usize;

    /// Whether the protocol wants to be paused; one that is asked itself does not.
    fn is_told(_slf: &Bound<'_, Self>) -> bool {
        true
    }
}

/// Calls `pause_writing` when the buffer passes the high-water mark.
pub(super) fn pause_if_full<T: FlowControlled>(transport: &Bound<'_, T>) -> PyResult<()> {
    let flow = T::flow(transport);
    if T::waiting(transport) <= flow.high.get() || !T::is_told(transport) {
        return Ok(());
    }
    if flow.paused.replace(true) {
        return Ok(());
    }
    tell(transport, "pause_writing")
}

/// Calls `resume_writing` when the buffer is down to the low-water mark.
pub(super) fn resume_if_drained<T: FlowControlled>(transport: &Bound<'_, T>) -> PyResult<()> {
    let flow = T::flow(transport);
    if !flow.paused.get() || T::waiting(transport) > flow.low.get() {
        return Ok(());
    }
    flow.paused.set(false);
    tell(transport, "resume_writing")
}

/// `set_write_buffer_limits(high, low)`, by asyncio's rules.
pub(super) fn set_limits<T: FlowControlled>(
    transport: &Bound<'_, T>,
    high: Option<isize>,
    low: Option<isize>,
) -> PyResult<()> {
    let (high, low) = limits(high, low, HIGH_WATER)?;
    let flow = T::flow(transport);
    flow.high.set(high);
    flow.low.set(low);
    pause_if_full(transport)
}

/// High- and low-water marks from those that a caller gives, by asyncio's rules.
pub(crate) fn limits(
    high: Option<isize>,
    low: Option<isize>,
    default: usize,
) -> PyResult<(usize, usize)> {
    let high = high.unwrap_or_else(|| low.map_or(default as isize, |low| low.saturating_mul(4)));
    let low = low.unwrap_or(high / 4);
    if high < low || low < 0 {
        return Err(PyValueError::new_err(format!(
            "high ({high}) must be >= low ({low}) must be >= 0"
        )));
    }
    Ok((high as usize, low as usize))
}

fn tell<T: FlowControlled>(transport: &Bound<'_, T>, method: &str) -> PyResult<()> {
    let (protocol, event_loop) = T::audience(transport);
    let Some(protocol) = protocol else { return Ok(()) };
    tell_flow(&event_loop, transport.as_any(), &protocol, &protocol, method)
}

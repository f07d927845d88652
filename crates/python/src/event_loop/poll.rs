//! Asking the kernel: what it reports becomes entries of the ready queue.

use std::io;
use std::time::Duration;

use pyo3::prelude::*;
use rustix::io::Errno;
use weft_reactor::registry::Token;
use weft_reactor::sys::{Events, Poller, monotonic_ns};

use super::core::{Core, EVENTS_PER_WAIT, WAKER_TOKEN};
use super::entry::Entry;
use crate::error::{OsResult, is, os_error};
use crate::ffi::gil;

/// A wait that takes less than this has not slept: going to sleep and waking up costs more.
const PROMPT_NS: i64 = 2_000;

impl Core {
    /// Asks the kernel for events and queues them. With the GIL held when `timeout` is zero,
    /// without it otherwise.
    pub(super) fn poll(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<()> {
        let kernel = self.kernel().or_os_error()?;
        let mut events =
            self.events.take().unwrap_or_else(|| Events::with_capacity(EVENTS_PER_WAIT));
        let outcome = self.wait(py, &kernel.poller, &mut events, timeout);
        if outcome.is_ok() {
            let mut ready = self.ready.borrow_mut();
            // Tasks that were ready already may count on the next look at the kernel.
            self.found_events.set(ready.is_empty() && !events.is_empty());
            for event in events.iter().filter(|event| event.token != WAKER_TOKEN) {
                ready.push_back(Entry::Io(Token::from(event.token), event.readiness));
            }
        }
        self.events.set(Some(events));
        // Python's own signal handlers run here: a parked loop executes no bytecode.
        py.check_signals()?;
        match outcome {
            Err(error) if !is(&error, Errno::INTR) => Err(os_error(&error)),
            _ => Ok(()),
        }
    }

    fn wait(
        &self,
        py: Python<'_>,
        poller: &Poller,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let only_looks = timeout == Some(Duration::ZERO);
        if only_looks || (self.events_are_prompt.get() && gil::is_only_thread(py)) {
            let outcome = poller.wait(events, Some(Duration::ZERO));
            self.last_poll.set(monotonic_ns());
            if only_looks || outcome.is_err() || !events.is_empty() {
                return outcome;
            }
        }
        self.park(py, poller, events, timeout)
    }

    fn park(
        &self,
        py: Python<'_>,
        poller: &Poller,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let begun = monotonic_ns();
        self.parked.set(true);
        let outcome = py.detach(|| poller.wait(events, timeout));
        self.parked.set(false);
        let ended = monotonic_ns();
        self.last_poll.set(ended);
        self.events_are_prompt.set(ended - begun < PROMPT_NS);
        outcome
    }
}

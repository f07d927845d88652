//! Turns: wait, fire timers, run what was ready when the turn began.

use std::time::Duration;

use pyo3::prelude::*;
use weft_reactor::sys::monotonic_ns;
use weft_reactor::turn::{Outlook, Wait, plan};

use super::EventLoop;
use super::core::Core;

/// Turns until the loop is asked to stop. A callback that raises `SystemExit` or
/// `KeyboardInterrupt` ends it with that exception; what is queued stays queued.
pub(super) fn run_until_stopped(event_loop: &Bound<'_, EventLoop>) -> PyResult<()> {
    let core = event_loop.get().core(event_loop.py());
    loop {
        turn(event_loop, core)?;
        if core.stopping.get() {
            return Ok(());
        }
    }
}

fn turn(event_loop: &Bound<'_, EventLoop>, core: &Core) -> PyResult<()> {
    let py = event_loop.py();
    let outlook = Outlook {
        busy: core.stopping.get() || !core.ready.borrow().is_empty(),
        next_deadline: core.timers.borrow().next_deadline(),
        watching: core.watches_descriptors(),
        last_poll: core.last_poll.get(),
        now: monotonic_ns(),
    };
    match plan(outlook) {
        // A loop that is told to stop still looks at its sockets once (asyncio's contract).
        Wait::Skip if !core.stopping.get() => {}
        Wait::Skip | Wait::Poll => core.poll(py, Some(Duration::ZERO))?,
        Wait::Park(timeout) => core.poll(py, timeout)?,
    }
    core.fire_timers(py);
    // What these entries schedule belongs to the next turn, else a callback that reschedules
    // itself would keep the loop from ever looking at its sockets.
    let batch = core.ready.borrow().len();
    for _ in 0..batch {
        let Some(entry) = core.ready.borrow_mut().pop_front() else { break };
        core.run_entry(event_loop, entry)?;
    }
    Ok(())
}

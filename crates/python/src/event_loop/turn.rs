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
    let outcome = loop {
        let outcome = turn(event_loop, core);
        if outcome.is_err() || core.stopping.get() {
            break outcome;
        }
    };
    core.contexts.forget();
    outcome
}

fn turn(event_loop: &Bound<'_, EventLoop>, core: &Core) -> PyResult<()> {
    let py = event_loop.py();
    core.contexts.age();
    let fresh = core.found_events.replace(false);
    let mut wait = plan(outlook(core, fresh));
    // What goes with a context may schedule something: look again, lest the loop sleep over it.
    if matches!(wait, Wait::Park(_)) && core.contexts.forget() {
        wait = plan(outlook(core, fresh));
    }
    match wait {
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

fn outlook(core: &Core, fresh: bool) -> Outlook {
    let busy = core.stopping.get() || !core.ready.borrow().is_empty();
    let next_deadline = core.timers.borrow().next_deadline();
    Outlook {
        busy,
        next_deadline,
        watching: core.watches_descriptors(),
        fresh,
        last_poll: core.last_poll.get(),
        // A loop with nothing to do until an event comes needs no clock.
        now: if busy || next_deadline.is_some() { monotonic_ns() } else { 0 },
    }
}

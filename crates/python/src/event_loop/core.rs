//! The loop's state: kernel objects, queues and flags.
//!
//! Rule of this file: no Python object is dropped and no Python code runs while a `RefCell`
//! is borrowed, because both may come back here.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use smallvec::SmallVec;
use weft_reactor::registry::{Registry, Token};
use weft_reactor::sys::{Events, Poller, Waker, monotonic_ns};
use weft_reactor::timers::{Cancelled, TimerId, Timers};

use super::EventLoop;
use super::contexts::Contexts;
use super::entry::Entry;
use super::handle::{self, TimerHandle};
use super::source::{Deferred, Source};
use super::watch::Watch;
use crate::error::OsResult;
use crate::ffi::call::TaskCallables;
use crate::ffi::plain;

/// Events fetched from the kernel at once.
pub(super) const EVENTS_PER_WAIT: usize = 512;

/// The loop's shared read buffer. As large as a socket's default receive buffer, so that
/// one read empties it.
pub(super) const READ_BUFFER: usize = 256 * 1024;

/// Queues longer than this are not walked by the cycle collector.
const LONGEST_WALK: usize = 4096;

/// The token of the waker; no registration gets it, because there are never 2^32 slots.
pub(super) const WAKER_TOKEN: u64 = u64::MAX;

/// What is in the timer heap.
pub(crate) enum Alarm {
    /// A user's `call_later` or `call_at`.
    Handle(Py<TimerHandle>),
    /// The runtime's own.
    Native(Box<dyn Deferred>),
}

/// A task's step that was taken instead of queued.
pub(super) struct Step {
    pub(super) callable: Py<PyAny>,
    pub(super) context: Py<PyAny>,
}

/// The kernel's side of the loop.
pub(super) struct Kernel {
    pub(super) poller: Poller,
    waker: Waker,
}

/// The state of one loop.
pub(crate) struct Core {
    kernel: RefCell<Option<Rc<Kernel>>>,
    pub(super) ready: RefCell<VecDeque<Entry>>,
    pub(super) timers: RefCell<Timers<Alarm>>,
    pub(super) sources: RefCell<Registry<Rc<dyn Source>>>,
    /// Descriptors watched by number: `add_reader`, `sock_*`.
    pub(super) watches: RefCell<HashMap<RawFd, Rc<Watch>>>,
    /// How many of the sources are the loop's own: the signals' pair.
    pub(super) background: Cell<usize>,
    /// Descriptors that belong to a transport or a server.
    pub(super) adopted: RefCell<HashMap<RawFd, Token>>,
    dirty: RefCell<Vec<Token>>,
    any_dirty: Cell<bool>,
    /// Whether an entry is running, so that a flush will follow.
    in_callback: Cell<bool>,
    /// Whether the thread sits in the kernel without the GIL and needs a wake-up to see work.
    pub(super) parked: Cell<bool>,
    pub(super) stopping: Cell<bool>,
    pub(super) closed: Cell<bool>,
    pub(super) debug: Cell<bool>,
    pub(super) thread_id: RefCell<Option<Py<PyAny>>>,
    pub(super) task_factory: RefCell<Option<Py<PyAny>>>,
    pub(super) last_poll: Cell<i64>,
    /// Whether the last wait found events at once, so that the next one may well too. To let
    /// go of the GIL and take it back costs as much as the system call in between.
    pub(super) events_are_prompt: Cell<bool>,
    /// Whether the last look at the kernel found something, until the next turn has seen it.
    pub(super) found_events: Cell<bool>,
    pub(super) task_callables: Cell<TaskCallables>,
    pub(super) contexts: Contexts,
    /// Where the steps of new tasks go while somebody wants to run them himself.
    captured: RefCell<Option<SmallVec<[Step; 1]>>>,
    capturing: Cell<bool>,
    read_buffer: Cell<Option<Box<[u8]>>>,
    pub(super) events: Cell<Option<Events>>,
}

impl Core {
    pub(super) fn new(py: Python<'_>) -> PyResult<Self> {
        let poller = Poller::new().or_os_error()?;
        let waker = Waker::new(&poller, WAKER_TOKEN).or_os_error()?;
        Ok(Self {
            kernel: RefCell::new(Some(Rc::new(Kernel { poller, waker }))),
            ready: RefCell::default(),
            timers: RefCell::default(),
            sources: RefCell::default(),
            watches: RefCell::default(),
            background: Cell::new(0),
            adopted: RefCell::default(),
            dirty: RefCell::default(),
            any_dirty: Cell::new(false),
            in_callback: Cell::new(false),
            parked: Cell::new(false),
            stopping: Cell::new(false),
            closed: Cell::new(false),
            debug: Cell::new(false),
            thread_id: RefCell::new(None),
            task_factory: RefCell::new(None),
            last_poll: Cell::new(0),
            events_are_prompt: Cell::new(false),
            found_events: Cell::new(false),
            task_callables: Cell::default(),
            contexts: Contexts::new(py)?,
            captured: RefCell::default(),
            capturing: Cell::new(false),
            read_buffer: Cell::new(None),
            events: Cell::new(Some(Events::with_capacity(EVENTS_PER_WAIT))),
        })
    }

    /// Whether the program waits for descriptors, so that every turn has to look at them.
    pub(super) fn watches_descriptors(&self) -> bool {
        self.sources.borrow().len() > self.background.get()
    }

    pub(super) fn kernel(&self) -> io::Result<Rc<Kernel>> {
        self.kernel.borrow().clone().ok_or_else(|| io::Error::other("Event loop is closed"))
    }

    // --- the ready queue -----------------------------------------------------------------

    /// Puts `entry` at the end of the ready queue.
    #[inline]
    pub(crate) fn schedule(&self, entry: Entry) {
        self.ready.borrow_mut().push_back(entry);
    }

    /// The steps of tasks that `body` has made; they are not queued.
    pub(super) fn capture_steps<R>(&self, body: impl FnOnce() -> R) -> (R, SmallVec<[Step; 1]>) {
        // Only `start_task` calls this, around a constructor that does not come back to it.
        self.captured.replace(Some(SmallVec::new()));
        self.capturing.set(true);
        let result = body();
        self.capturing.set(false);
        (result, self.captured.take().unwrap_or_default())
    }

    /// Takes a task's step if somebody captures them, else gives it back.
    #[inline]
    pub(super) fn offer_step(&self, step: Step) -> Option<Step> {
        if !self.capturing.get() {
            return Some(step);
        }
        match self.captured.borrow_mut().as_mut() {
            Some(captured) => {
                captured.push(step);
                None
            }
            None => Some(step),
        }
    }

    /// Schedules native work.
    pub(crate) fn defer(&self, work: Box<dyn Deferred>) {
        self.schedule(Entry::Native(work));
    }

    /// Makes the loop look at its ready queue if it is parked. For other threads.
    #[inline]
    pub(super) fn wake(&self) -> io::Result<()> {
        if self.parked.replace(false) { self.kernel()?.waker.wake() } else { Ok(()) }
    }

    /// In a child of fork(2): kernel objects of its own, watching what was `listed`.
    pub(super) fn after_fork(&self, listed: &str) -> io::Result<()> {
        // Whoever was parked was a thread of the parent.
        self.parked.set(false);
        let Ok(kernel) = self.kernel() else { return Ok(()) };
        kernel.poller.renew(listed)?;
        kernel.waker.renew(&kernel.poller, WAKER_TOKEN)
    }

    // --- timers --------------------------------------------------------------------------

    /// Runs `work` at `deadline` (nanoseconds of `CLOCK_MONOTONIC`) or a little later.
    pub(crate) fn set_alarm(&self, deadline: i64, work: Box<dyn Deferred>) {
        self.timers.borrow_mut().insert(deadline, Alarm::Native(work));
    }

    pub(super) fn timer_cancelled(&self, py: Python<'_>, id: TimerId) {
        let is_dead = |alarm: &Alarm| match alarm {
            Alarm::Handle(handle) => plain::value(handle.bind(py)).as_ref().is_cancelled(),
            Alarm::Native(_) => false,
        };
        let removed = self.timers.borrow_mut().cancelled(id, is_dead);
        match removed {
            Cancelled::None => {}
            Cancelled::One(alarm) => drop(alarm),
            Cancelled::Many(alarms) => drop(alarms),
        }
    }

    /// Moves the timers that are due to the ready queue.
    pub(super) fn fire_timers(&self, py: Python<'_>) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = monotonic_ns();
        loop {
            let due = self.timers.borrow_mut().pop_due(now);
            match due {
                None => return,
                Some(Alarm::Native(work)) => self.defer(work),
                Some(Alarm::Handle(handle)) => {
                    let handle = handle.into_bound(py);
                    let state = plain::value(&handle);
                    state.set_timer(None);
                    if state.as_ref().is_cancelled() {
                        self.timers.borrow_mut().popped_dead();
                    } else {
                        self.schedule(Entry::Timer(handle.unbind()));
                    }
                }
            }
        }
    }

    // --- end-of-callback flush -----------------------------------------------------------

    /// When the kernel was last asked, in nanoseconds of [`monotonic_ns`]: a clock that costs
    /// nothing and is late by the callbacks of this turn.
    #[inline]
    pub(crate) fn turn_time(&self) -> i64 {
        self.last_poll.get()
    }

    /// Asks for [`Source::flush`] at the end of the running callback. False if none runs:
    /// the caller then flushes itself, now.
    #[inline]
    pub(crate) fn flush_later(&self, token: Token) -> bool {
        if !self.in_callback.get() {
            return false;
        }
        self.dirty.borrow_mut().push(token);
        self.any_dirty.set(true);
        true
    }

    /// Flushes what the callback that just ended wrote.
    #[inline]
    fn flush_dirty(&self, py: Python<'_>) -> PyResult<()> {
        if self.any_dirty.get() { self.flush_dirty_now(py) } else { Ok(()) }
    }

    fn flush_dirty_now(&self, py: Python<'_>) -> PyResult<()> {
        // A flush may call `pause_writing`, which may write again: index, do not iterate.
        let mut index = 0;
        loop {
            let token = self.dirty.borrow().get(index).copied();
            let Some(token) = token else { break };
            index += 1;
            if let Some(source) = self.source(token) {
                source.flush(py)?;
            }
        }
        self.dirty.borrow_mut().clear();
        self.any_dirty.set(false);
        Ok(())
    }

    // --- a turn --------------------------------------------------------------------------

    /// Runs `entry` and what must follow it.
    #[inline]
    pub(super) fn run_entry(
        &self,
        event_loop: &Bound<'_, EventLoop>,
        entry: Entry,
    ) -> PyResult<()> {
        self.in_callback.set(true);
        let result =
            if self.debug.get() { entry.run_timed(event_loop) } else { entry.run(event_loop) };
        let flushed = self.flush_dirty(event_loop.py());
        self.in_callback.set(false);
        result.and(flushed)
    }

    // --- the read buffer -----------------------------------------------------------------

    /// Lends the shared read buffer. A nested borrower gets one of its own.
    pub(crate) fn with_read_buffer<R>(&self, body: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut buffer =
            self.read_buffer.take().unwrap_or_else(|| vec![0; READ_BUFFER].into_boxed_slice());
        let result = body(&mut buffer);
        self.read_buffer.set(Some(buffer));
        result
    }

    // --- the end -------------------------------------------------------------------------

    /// Lets go of everything; idempotent.
    pub(super) fn close(&self, py: Python<'_>) {
        self.closed.set(true);
        let sources = self.sources.borrow_mut().take_all();
        for source in &sources {
            source.abandon(py);
        }
        self.drop_objects();
        drop(sources);
        let kernel = self.kernel.take();
        drop(kernel);
    }

    /// Drops every Python object the loop holds.
    pub(super) fn drop_objects(&self) {
        self.contexts.forget();
        let ready = self.ready.take();
        let timers = self.timers.borrow_mut().take_all();
        let watches = self.watches.take();
        let sources = self.sources.borrow_mut().take_all();
        self.dirty.borrow_mut().clear();
        let thread_id = self.thread_id.take();
        // Handles are not tracked by the collector: what somebody else still holds must not
        // keep its callback, which may hold that somebody.
        for entry in &ready {
            entry.clear();
        }
        for alarm in &timers {
            if let Alarm::Handle(handle) = alarm {
                handle::clear_timer(handle);
            }
        }
        drop((ready, timers, watches, sources, thread_id));
    }

    /// Visits what the loop refers to, for the cycle collector.
    ///
    /// A loop that runs, or has thousands of callbacks to run, is in use: its queues are not
    /// walked then, since every collection would walk them. Not to visit is always safe; it
    /// means "alive".
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.contexts.traverse(visit)?;
        if let Ok(factory) = self.task_factory.try_borrow() {
            visit.call(&*factory)?;
        }
        let running = self.thread_id.try_borrow().is_ok_and(|id| id.is_some());
        if let Ok(ready) = self.ready.try_borrow()
            && !running
            && ready.len() <= LONGEST_WALK
        {
            ready.iter().try_for_each(|entry| entry.traverse(visit))?;
        }
        if let Ok(timers) = self.timers.try_borrow()
            && !running
            && timers.len() <= LONGEST_WALK
        {
            timers.iter().try_for_each(|alarm| match alarm {
                Alarm::Handle(handle) => {
                    handle::traverse_queued(plain::as_base_during_gc(handle), visit)
                }
                Alarm::Native(work) => work.traverse(visit),
            })?;
        }
        if let Ok(sources) = self.sources.try_borrow() {
            sources.iter().try_for_each(|source| source.traverse(visit))?;
        }
        Ok(())
    }
}

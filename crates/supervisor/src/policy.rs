//! When a worker is started, restarted, stopped or killed: a pure function of what happened.
//!
//! [`Policy::step`] takes an event and the time, and returns what is to be done. It must not
//! know processes, signals or clocks: `supervise.rs` carries the actions out and reports back.
//!
//! The rules:
//! 1. Every slot has one worker. One that dies is replaced: at once if it had served for
//!    [`STABLE`], or if it is the slot's first quick death; then after a delay that doubles
//!    from [`FIRST_DELAY`] to [`LONGEST_DELAY`].
//! 2. A worker that fails at start-up (exit code 3) stops the whole service with that code: the
//!    next try would fail the same way, and whoever started the service must see it.
//! 3. The first request to stop asks the workers to end, a second one kills them. With a limit
//!    for graceful shutdown, workers that overstay it by [`KILL_MARGIN`] are killed too.
//! 4. The supervisor ends when its last worker is gone, never earlier.

use std::time::Duration;

use crate::error::exit_code;

/// A worker that lived this long was well: its death is not counted against the slot.
pub const STABLE: Duration = Duration::from_secs(10);
/// The wait before the second restart in a row.
pub const FIRST_DELAY: Duration = Duration::from_millis(500);
/// The longest wait between restarts.
pub const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// What a worker gets beyond the graceful limit to cancel requests and run shut-down code.
pub const KILL_MARGIN: Duration = Duration::from_secs(10);

const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGTERM: i32 = 15;

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The supervisor begins.
    Start,
    /// A worker process was created.
    Spawned {
        /// Its slot.
        slot: usize,
        /// Its process id.
        pid: u32,
    },
    /// The system refused to create a worker process.
    NotSpawned {
        /// The slot it was for.
        slot: usize,
        /// What the system said.
        reason: String,
    },
    /// A worker process ended.
    Ended {
        /// Its slot.
        slot: usize,
        /// How it ended.
        ending: Ending,
    },
    /// Somebody asks the service to stop, by a signal of this name.
    Stop(&'static str),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Create a worker process for the slot.
    Spawn(usize),
    /// Ask the slot's worker to end.
    Terminate(usize),
    /// End the slot's worker.
    Kill(usize),
    /// Tell the user.
    Log(Level, String),
    /// End the supervisor with this exit code.
    Finish(i32),
}

/// How severe a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Normal service.
    Info,
    /// Something that should not happen, and was dealt with.
    Warning,
    /// Something that ends the service.
    Error,
}

/// Where a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worker {
    /// None, and none is to come.
    None,
    /// Is being created: the order was given, its outcome was not reported yet.
    Ordered,
    /// Runs.
    Alive { pid: u32, since: Duration },
    /// Is to be started then.
    Due { at: Duration },
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    worker: Worker,
    /// Quick deaths in a row.
    failures: u32,
    /// A worker was created here at least once.
    used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping {
        code: i32,
        kill_at: Option<Duration>,
    },
    /// Killed; only the ends are awaited.
    Forced {
        code: i32,
    },
    Finished,
}

/// The state of one supervisor.
#[derive(Debug)]
pub struct Policy {
    slots: Vec<Slot>,
    phase: Phase,
    graceful_limit: Option<Duration>,
}

impl Policy {
    /// A supervisor of so many workers that has not begun.
    #[must_use]
    pub fn new(workers: usize, graceful_limit: Option<Duration>) -> Self {
        let slot = Slot { worker: Worker::None, failures: 0, used: false };
        Self { slots: vec![slot; workers], phase: Phase::Running, graceful_limit }
    }

    /// What is to be done about `event`. `now` is the time since the supervisor began.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Start => {
                for slot in &mut self.slots {
                    slot.worker = Worker::Ordered;
                }
                (0..self.slots.len()).map(Action::Spawn).collect()
            }
            Event::Spawned { slot, pid } => self.spawned(slot, pid, now),
            Event::NotSpawned { slot, reason } => self.not_spawned(slot, &reason, now),
            Event::Ended { slot, ending } => self.ended(slot, ending, now),
            Event::Stop(signal) => self.stop_requested(signal, now),
            Event::Tick => self.tick(now),
        }
    }

    /// When the next [`Event::Tick`] is of use, if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let due = self.slots.iter().filter_map(|slot| match slot.worker {
            Worker::Due { at } => Some(at),
            Worker::None | Worker::Ordered | Worker::Alive { .. } => None,
        });
        let kill = match self.phase {
            Phase::Stopping { kill_at, .. } => kill_at,
            Phase::Running | Phase::Forced { .. } | Phase::Finished => None,
        };
        due.chain(kill).min()
    }

    fn spawned(&mut self, at: usize, pid: u32, now: Duration) -> Vec<Action> {
        let Some(slot) = self.slots.get_mut(at) else { return Vec::new() };
        slot.worker = Worker::Alive { pid, since: now };
        slot.used = true;
        match self.phase {
            Phase::Running => vec![info(format!("Started worker [{pid}]"))],
            // The order to start it was given before the order to stop.
            Phase::Stopping { .. } => vec![Action::Terminate(at)],
            Phase::Forced { .. } | Phase::Finished => vec![Action::Kill(at)],
        }
    }

    fn not_spawned(&mut self, at: usize, reason: &str, now: Duration) -> Vec<Action> {
        let Some(slot) = self.slots.get_mut(at) else { return Vec::new() };
        slot.worker = Worker::None;
        if self.phase != Phase::Running {
            return self.finish_if_empty().into_iter().collect();
        }
        if !slot.used {
            let message = format!("Cannot start a worker: {reason}. Stopping.");
            return self.begin_stop(exit_code::STARTUP, now, error(message));
        }
        slot.failures = slot.failures.saturating_add(1);
        let delay = delay(slot.failures).max(FIRST_DELAY);
        slot.worker = Worker::Due { at: now + delay };
        vec![warning(format!("Cannot restart a worker: {reason}; next try in {delay:?}"))]
    }

    fn ended(&mut self, at: usize, ending: Ending, now: Duration) -> Vec<Action> {
        let Some(slot) = self.slots.get_mut(at) else { return Vec::new() };
        let Worker::Alive { pid, since } = slot.worker else { return Vec::new() };
        slot.worker = Worker::None;
        if self.phase != Phase::Running {
            return self.ended_in_stop(pid, ending);
        }
        if ending == Ending::Code(exit_code::STARTUP) {
            let message = format!("Worker [{pid}] failed to start; its reason is above. Stopping.");
            return self.begin_stop(exit_code::STARTUP, now, error(message));
        }
        let lived = now.saturating_sub(since);
        slot.failures = if lived < STABLE { slot.failures.saturating_add(1) } else { 0 };
        let delay = delay(slot.failures);
        let died = format!("Worker [{pid}] died: {}", describe(ending));
        if delay.is_zero() {
            slot.worker = Worker::Ordered;
            return vec![warning(died), Action::Spawn(at)];
        }
        slot.worker = Worker::Due { at: now + delay };
        vec![warning(format!("{died}; the next one starts in {delay:?}"))]
    }

    fn ended_in_stop(&mut self, pid: u32, ending: Ending) -> Vec<Action> {
        // A worker that was asked to end before it could listen to signals dies of the asking.
        let expected = matches!(ending, Ending::Code(exit_code::CLEAN) | Ending::Signal(SIGTERM));
        let mut actions = Vec::new();
        if !expected && matches!(self.phase, Phase::Stopping { .. }) {
            actions.push(warning(format!("Worker [{pid}] died: {}", describe(ending))));
        }
        actions.extend(self.finish_if_empty());
        actions
    }

    fn stop_requested(&mut self, signal: &str, now: Duration) -> Vec<Action> {
        match self.phase {
            Phase::Running => {
                let message = info(format!("Received {signal}, stopping."));
                self.begin_stop(exit_code::CLEAN, now, message)
            }
            Phase::Stopping { code, .. } => {
                let message = warning(format!("Received {signal} again, killing the workers."));
                self.force(code, message)
            }
            Phase::Forced { .. } | Phase::Finished => Vec::new(),
        }
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        match self.phase {
            Phase::Running => {
                let mut actions = Vec::new();
                for (at, slot) in self.slots.iter_mut().enumerate() {
                    if matches!(slot.worker, Worker::Due { at } if at <= now) {
                        slot.worker = Worker::Ordered;
                        actions.push(Action::Spawn(at));
                    }
                }
                actions
            }
            Phase::Stopping { code, kill_at: Some(at) } if at <= now => {
                let message = warning("Workers did not end in time, killing them.".to_owned());
                self.force(code, message)
            }
            Phase::Stopping { .. } | Phase::Forced { .. } | Phase::Finished => Vec::new(),
        }
    }

    /// Asks every worker to end; the supervisor is to end with `code`.
    fn begin_stop(&mut self, code: i32, now: Duration, message: Action) -> Vec<Action> {
        let kill_at = self.graceful_limit.map(|limit| now + limit + KILL_MARGIN);
        self.phase = Phase::Stopping { code, kill_at };
        let mut actions = vec![message];
        for (at, slot) in self.slots.iter_mut().enumerate() {
            match slot.worker {
                Worker::Alive { .. } => actions.push(Action::Terminate(at)),
                Worker::Due { .. } => slot.worker = Worker::None,
                Worker::None | Worker::Ordered => {}
            }
        }
        actions.extend(self.finish_if_empty());
        actions
    }

    /// Kills every worker; a stop that was to be clean no longer is.
    fn force(&mut self, code: i32, message: Action) -> Vec<Action> {
        let code = if code == exit_code::CLEAN { exit_code::FAILED } else { code };
        self.phase = Phase::Forced { code };
        std::iter::once(message).chain(self.alive().map(Action::Kill)).collect()
    }

    fn finish_if_empty(&mut self) -> Option<Action> {
        let (Phase::Stopping { code, .. } | Phase::Forced { code }) = self.phase else {
            return None;
        };
        if self.slots.iter().any(|slot| slot.worker != Worker::None) {
            return None;
        }
        self.phase = Phase::Finished;
        Some(Action::Finish(code))
    }

    fn alive(&self) -> impl Iterator<Item = usize> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| matches!(slot.worker, Worker::Alive { .. })).map(|(at, _)| at)
    }
}

/// The wait before a restart, after so many quick deaths in a row.
fn delay(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => FIRST_DELAY.saturating_mul(1 << (more - 2).min(16)).min(LONGEST_DELAY),
    }
}

fn describe(ending: Ending) -> String {
    match ending {
        Ending::Code(code) => format!("exit code {code}"),
        Ending::Signal(SIGKILL) => "killed by SIGKILL (out of memory?)".to_owned(),
        Ending::Signal(SIGSEGV) => "killed by SIGSEGV (a crash in native code)".to_owned(),
        Ending::Signal(SIGTERM) => "ended by SIGTERM".to_owned(),
        Ending::Signal(number) => format!("killed by signal {number}"),
    }
}

fn info(text: String) -> Action {
    Action::Log(Level::Info, text)
}

fn warning(text: String) -> Action {
    Action::Log(Level::Warning, text)
}

fn error(text: String) -> Action {
    Action::Log(Level::Error, text)
}

#[cfg(test)]
mod tests;

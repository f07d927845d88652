//! The supervisor at work: carries the policy's actions out, and reports what happened.
//!
//! It owns the worker processes from start to reaping. It must not know the rules (they are in
//! `policy.rs`), how a worker is started (its [`Host`] does that) or how signals are caught: it
//! reads their numbers, one byte each, from a pipe that the caller fills.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::error::Error;
use crate::policy::{Action, Ending, Event, Level, Policy};

/// The signals that the caller must report; of others, the numbers are passed over.
pub const SIGNALS: [i32; 3] = [Signal::INT.as_raw(), Signal::TERM.as_raw(), Signal::CHILD.as_raw()];

/// What a supervisor needs from the program it runs in.
pub trait Host {
    /// Starts the worker of this slot.
    fn spawn(&mut self, slot: usize) -> io::Result<Child>;
    /// Tells the user.
    fn log(&mut self, level: Level, message: &str);
}

/// Keeps `workers` workers running until a signal says stop; returns the exit code.
///
/// When it returns, in whatever way, no worker is left: none runs, none is a zombie.
/// `signals` is the reading end of a non-blocking pipe.
pub fn supervise(
    workers: usize,
    graceful_limit: Option<Duration>,
    signals: impl AsFd,
    host: &mut dyn Host,
) -> Result<i32, Error> {
    let supervisor = Supervisor {
        policy: Policy::new(workers, graceful_limit),
        children: (0..workers).map(|_| None).collect(),
        events: VecDeque::from([Event::Start]),
        began: Instant::now(),
        signals: signals.as_fd(),
        host,
    };
    supervisor.run()
}

struct Supervisor<'a> {
    policy: Policy,
    children: Vec<Option<Child>>,
    events: VecDeque<Event>,
    began: Instant,
    signals: BorrowedFd<'a>,
    host: &'a mut dyn Host,
}

impl Supervisor<'_> {
    fn run(mut self) -> Result<i32, Error> {
        loop {
            while let Some(event) = self.events.pop_front() {
                for action in self.policy.step(event, self.began.elapsed()) {
                    if let Action::Finish(code) = action {
                        return Ok(code);
                    }
                    self.carry_out(action);
                }
            }
            self.wait()?;
            self.read_signals()?;
            self.reap()?;
            self.events.push_back(Event::Tick);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Spawn(slot) => {
                let event = match self.host.spawn(slot) {
                    Ok(child) => {
                        let pid = child.id();
                        if let Some(place) = self.children.get_mut(slot) {
                            *place = Some(child);
                        }
                        Event::Spawned { slot, pid }
                    }
                    Err(error) => Event::NotSpawned { slot, reason: error.to_string() },
                };
                self.events.push_back(event);
            }
            Action::Terminate(slot) => self.signal(slot, Signal::TERM),
            Action::Kill(slot) => self.signal(slot, Signal::KILL),
            Action::Log(level, message) => self.host.log(level, &message),
            Action::Finish(_) => {} // taken by the loop above
        }
    }

    /// A child in its place was not reaped, so its pid is still its own.
    fn signal(&self, slot: usize, signal: Signal) {
        if let Some(Some(child)) = self.children.get(slot)
            && let Some(pid) = pid(child)
        {
            let _ = kill_process(pid, signal); // dead already: reaping will tell
        }
    }

    /// Sleeps until a signal arrives or the policy's deadline passes.
    fn wait(&self) -> Result<(), Error> {
        let timeout = self.policy.deadline().map(|at| at.saturating_sub(self.began.elapsed()));
        let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
        let mut ready = [PollFd::new(&self.signals, PollFlags::IN)];
        match poll(&mut ready, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::OsSupervise(format!("waiting for signals: {errno}"))),
        }
    }

    fn read_signals(&mut self) -> Result<(), Error> {
        let mut numbers = [0; 64];
        loop {
            match rustix::io::read(self.signals, &mut numbers) {
                Ok(0) => return Err(Error::OsSupervise("the signal pipe was closed".to_owned())),
                Ok(count) => {
                    let stops = numbers.iter().take(count).filter_map(|number| stop(*number));
                    self.events.extend(stops.map(Event::Stop));
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::OsSupervise(format!("reading signals: {errno}"))),
            }
        }
    }

    /// Collects workers that ended. Only ours: a process that another part of the program
    /// started is left to that part.
    fn reap(&mut self) -> Result<(), Error> {
        for (slot, place) in self.children.iter_mut().enumerate() {
            let Some(child) = place else { continue };
            let status = child
                .try_wait()
                .map_err(|error| Error::OsSupervise(format!("waiting for a worker: {error}")))?;
            if let Some(status) = status {
                *place = None;
                self.events.push_back(Event::Ended { slot, ending: ending(status) });
            }
        }
        Ok(())
    }
}

impl Drop for Supervisor<'_> {
    /// After a clean end there is nothing to do. After an error or a panic nobody is left to
    /// supervise, so nobody may be left to be supervised.
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn ending(status: ExitStatus) -> Ending {
    match status.signal() {
        Some(number) => Ending::Signal(number),
        None => Ending::Code(status.code().unwrap_or_default()),
    }
}

fn stop(number: u8) -> Option<&'static str> {
    match i32::from(number) {
        number if number == Signal::INT.as_raw() => Some("SIGINT"),
        number if number == Signal::TERM.as_raw() => Some("SIGTERM"),
        _ => None,
    }
}

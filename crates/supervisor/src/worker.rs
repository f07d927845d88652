//! A worker process, from both sides: how the parent starts one, and how it finds its place.
//!
//! It owns the hand-over between the two, one environment variable. It must not know what a
//! worker serves, or when one is started: that is `policy.rs`.
//!
//! A worker is a plain process, not a fork: it shares no memory, no locks and no threads with
//! its parent. Three things are arranged for it:
//!
//! - **Its own process group.** Ctrl-C in a terminal reaches the parent alone, which then asks
//!   the workers to end. Otherwise each worker would count two signals, and force its stop.
//! - **No standard input.** A process outside the terminal's foreground group is stopped when
//!   it reads from the terminal; reading from nothing fails at once, and says so.
//! - **The parent-death signal** (`PR_SET_PDEATHSIG`), SIGTERM: a worker whose parent vanished
//!   ends gracefully. Against a pipe that a thread watches, it costs no thread, so that
//!   `os.fork` in the application stays free of CPython's warning about threads. The kernel
//!   sends it when the *thread* that started the worker ends; supervision runs on the main one.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::error::Error;

/// The environment variable that makes a process a worker.
pub const HANDOVER: &str = "WEFT_WORKER";

/// What a worker is told by its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The parent's process id, to notice that it is gone.
    pub parent: i32,
    /// Which of the workers it is, from 0.
    pub slot: usize,
    /// The inherited listening sockets.
    pub sockets: Vec<RawFd>,
}

impl Handover {
    /// The value of [`HANDOVER`].
    #[must_use]
    pub fn encode(&self) -> String {
        let sockets: Vec<String> = self.sockets.iter().map(RawFd::to_string).collect();
        format!("parent={};slot={};sockets={}", self.parent, self.slot, sockets.join(","))
    }

    /// Reads the value of [`HANDOVER`].
    pub fn decode(text: &str) -> Result<Self, Error> {
        read(text).ok_or_else(|| {
            Error::ParentHandover(format!(
                "{HANDOVER}={text:?} was not written by a weft supervisor; unset it"
            ))
        })
    }

    /// Ties this process to its parent; an error if the parent is already gone.
    pub fn follow_parent(&self) -> Result<(), Error> {
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|errno| Error::ParentHandover(errno.to_string()))?;
        // A parent that ended before the call above sent no signal.
        if getppid().map(rustix::process::Pid::as_raw_pid) == Some(self.parent) {
            Ok(())
        } else {
            Err(Error::ParentHandover(format!("its parent [{}] is gone", self.parent)))
        }
    }
}

fn read(text: &str) -> Option<Handover> {
    let mut fields = text.split(';');
    let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=');
    let parent = field("parent")?.parse().ok()?;
    let slot = field("slot")?.parse().ok()?;
    let sockets = field("sockets")?.split(',').map(|fd| fd.parse().ok().filter(|fd| *fd > 2));
    Some(Handover { parent, slot, sockets: sockets.collect::<Option<_>>()? })
}

/// How the parent starts a worker.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The listening sockets that it inherits.
    pub sockets: Vec<RawFd>,
}

impl Launch {
    /// Starts the worker of this slot.
    ///
    /// The sockets must not be closed on exec while this runs, and should be before and after:
    /// another process started at that time would inherit them. The caller sees to both.
    pub fn spawn(&self, slot: usize) -> io::Result<Child> {
        let parent = rustix::process::getpid().as_raw_pid();
        let handover = Handover { parent, slot, sockets: self.sockets.clone() };
        Command::new(&self.program)
            .args(&self.arguments)
            .env(HANDOVER, handover.encode())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::Handover;

    #[test]
    fn a_handover_reads_back() {
        let handover = Handover { parent: 12, slot: 3, sockets: vec![7, 8] };
        assert_eq!(handover.encode(), "parent=12;slot=3;sockets=7,8");
        assert_eq!(Handover::decode(&handover.encode()), Ok(handover));
    }

    #[test]
    fn anything_else_is_refused_with_a_way_out() {
        for text in ["", "1", "parent=1;slot=0;sockets=", "parent=1;slot=0;sockets=2", "slot=0"] {
            let error = Handover::decode(text).map_err(|error| error.to_string());
            let error = error.err().unwrap_or_default();
            assert!(error.ends_with("was not written by a weft supervisor; unset it"), "{error}");
        }
    }

    #[test]
    fn a_worker_without_its_parent_does_not_begin() {
        // Nobody's child is its own.
        let parent = rustix::process::getpid().as_raw_pid();
        let orphan = Handover { parent, slot: 0, sockets: vec![3] };
        assert!(orphan.follow_parent().is_err());
        let _ = rustix::process::set_parent_process_death_signal(None);
    }
}

//! Readiness by epoll(7).

mod renew;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;

use super::lend;

/// What a descriptor is watched for.
///
/// `RDHUP` is always part of a readable interest: a peer's shutdown then arrives with the
/// event and saves the read that would discover it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(EventFlags);

impl Interest {
    /// Level-triggered: reported at every wait while the condition holds. `add_reader` and
    /// `add_writer` promise this.
    pub fn level(readable: bool, writable: bool) -> Self {
        let mut flags = EventFlags::empty();
        if readable {
            flags |= EventFlags::IN | EventFlags::RDHUP;
        }
        if writable {
            flags |= EventFlags::OUT;
        }
        Self(flags)
    }

    /// Level-triggered for a listening socket that other processes may watch as well: a new
    /// connection wakes one of them, not all. Such an interest cannot be modified.
    pub fn listening() -> Self {
        Self(EventFlags::IN | EventFlags::EXCLUSIVE)
    }

    /// Nothing for a while. Hang-ups and errors come unasked, but once at most.
    pub fn silent() -> Self {
        Self(EventFlags::ONESHOT)
    }

    /// Edge-triggered in both directions: registered once, never changed. The owner must
    /// remember readiness and forget it only after a short read or write, or `EAGAIN`.
    pub fn edge() -> Self {
        Self(EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET)
    }
}

/// What an event says about its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(EventFlags);

impl Readiness {
    /// As if the kernel had just said that a descriptor is readable: for an owner that left
    /// data where an edge had announced it.
    pub const READABLE: Self = Self(EventFlags::IN);

    /// Nothing new: for a source that wants to be called again with what it remembers.
    pub const NOTHING: Self = Self(EventFlags::empty());

    /// A read will not block: data, end of stream or an error is waiting.
    #[inline]
    pub fn is_readable(self) -> bool {
        self.0.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
    }

    /// A write will not block: there is room, or an error is waiting.
    #[inline]
    pub fn is_writable(self) -> bool {
        self.0.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR)
    }

    /// The peer has shut down its sending side, or the connection is gone: after a short
    /// read there may still be an end of stream that no further edge will announce.
    #[inline]
    pub fn is_hangup(self) -> bool {
        self.0.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR)
    }
}

/// One descriptor's news.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The number given at registration.
    pub token: u64,
    /// What happened.
    pub readiness: Readiness,
}

/// Room for the events of one wait; allocated once.
pub struct Events(Vec<epoll::Event>);

// SAFETY: the kernel's record holds a union that could be a pointer; weft only ever stores
// numbers in it.
unsafe impl Send for Events {}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("len", &self.0.len()).finish()
    }
}

impl Events {
    /// Room for `capacity` events a wait.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Whether the last wait ended without an event.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The events of the last wait.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.0
            .iter()
            .map(|event| Event { token: event.data.u64(), readiness: Readiness(event.flags) })
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    /// Whether `epoll_pwait2` (Linux 5.11) answers here: nanosecond waits.
    nanosecond_waits: AtomicBool,
}

impl Poller {
    /// Creates the kernel object, close-on-exec.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, nanosecond_waits: AtomicBool::new(true) })
    }

    /// The descriptor of the epoll instance itself.
    pub fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Starts watching `fd`. `EEXIST` if it is watched already, `EPERM` for a regular file.
    pub fn add(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, lend(fd)?, EventData::new_u64(token), interest.0)?)
    }

    /// Changes what `fd` is watched for. `ENOENT` if it is not watched.
    pub fn modify(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, lend(fd)?, EventData::new_u64(token), interest.0)?)
    }

    /// Stops watching `fd`. The kernel forgets a descriptor by itself when its last
    /// duplicate is closed.
    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, lend(fd)?)?)
    }

    /// Waits for events: for ever (`None`), not at all (zero) or at least `timeout`.
    ///
    /// Returns `Interrupted` when a signal handler ran.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        match timeout {
            Some(timeout)
                if !timeout.is_zero() && self.nanosecond_waits.load(Ordering::Relaxed) =>
            {
                self.wait_precisely(events, timeout)
            }
            // epoll_pwait counts in milliseconds; rustix rounds up, so it is never early.
            _ => self.wait_coarsely(events, timeout),
        }
    }

    fn wait_coarsely(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().min(i32::MAX as u64 / 1000) as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        epoll::wait(self.epoll.as_fd(), spare_capacity(&mut events.0), timeout.as_ref())?;
        Ok(())
    }

    fn wait_precisely(&self, events: &mut Events, timeout: Duration) -> io::Result<()> {
        let timeout_spec = libc::timespec {
            tv_sec: timeout.as_secs().min(i64::MAX as u64) as libc::time_t,
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        };
        let room = events.0.spare_capacity_mut();
        // SAFETY: the kernel writes at most `room.len()` records of `epoll_event`, whose
        // layout rustix's `Event` has, into uninitialised room that this Vec owns.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                room.as_mut_ptr().cast::<libc::epoll_event>(),
                room.len() as libc::c_int,
                &raw const timeout_spec,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        if count >= 0 {
            // SAFETY: the kernel initialised the first `count` records.
            unsafe { events.0.set_len(count as usize) };
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // Kernels before 5.11 lack the call; seccomp profiles of their age answer EPERM.
            Some(libc::ENOSYS | libc::EPERM) => {
                self.nanosecond_waits.store(false, Ordering::Relaxed);
                self.wait_coarsely(events, Some(timeout))
            }
            _ => Err(error),
        }
    }
}

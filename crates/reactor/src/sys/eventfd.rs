//! Waking a parked poller by eventfd(2).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::{Interest, Poller, replace};

/// Wakes a [`Poller`] from any thread.
#[derive(Debug)]
pub struct Waker {
    eventfd: OwnedFd,
}

impl Waker {
    /// Creates the eventfd and registers it with `poller` under `token`.
    ///
    /// Edge-triggered: every write is an edge, so nobody has to read the counter back.
    pub fn new(poller: &Poller, token: u64) -> io::Result<Self> {
        let waker = Self { eventfd: create()? };
        waker.register(poller, token)?;
        Ok(waker)
    }

    fn register(&self, poller: &Poller, token: u64) -> io::Result<()> {
        poller.add(self.eventfd.as_raw_fd(), token, Interest::edge())
    }

    /// In a child of fork(2), after `poller` was renewed: an eventfd of its own, under the same
    /// number. The parent hears no wake-up of the child, nor the child one of the parent.
    pub fn renew(&self, poller: &Poller, token: u64) -> io::Result<()> {
        // What the poller has under this number is the parent's eventfd, or nothing.
        let _ = poller.delete(self.eventfd.as_raw_fd());
        replace(&create()?, &self.eventfd)?;
        self.register(poller, token)
    }

    /// Another waker of the same eventfd, as a child of fork(2) has it.
    #[cfg(test)]
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { eventfd: self.eventfd.try_clone()? })
    }

    /// Makes the current or the next wait of the poller return.
    pub fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.eventfd, &1u64.to_ne_bytes()) {
            Ok(_) => Ok(()),
            // The counter is full after 2^64 - 2 wake-ups: empty it and write again.
            Err(Errno::AGAIN) => {
                let mut counter = [0u8; 8];
                rustix::io::read(&self.eventfd, &mut counter)?;
                rustix::io::write(&self.eventfd, &1u64.to_ne_bytes())?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn create() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

//! Waking a parked poller by eventfd(2).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::{Interest, Poller};

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
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        poller.add(eventfd.as_raw_fd(), token, Interest::edge())?;
        Ok(Self { eventfd })
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

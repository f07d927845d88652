//! After fork(2): an epoll instance of the child's own.
//!
//! The child inherits the descriptor of its parent's instance, and with it the power to
//! change what the parent is watching. The new instance takes the same number, so nobody who
//! holds a [`Poller`] has to learn of it.

use std::io;
use std::os::fd::RawFd;

use rustix::event::epoll::{self, CreateFlags, EventFlags};

use super::{Interest, Poller};
use crate::sys::replace;

/// One line of what the kernel says an instance watches.
#[derive(Debug, PartialEq, Eq)]
struct Watched {
    fd: RawFd,
    interest: Interest,
    token: u64,
}

impl Poller {
    /// What is watched, in the kernel's words. To be asked before the fork: afterwards the
    /// parent may already have changed it. Empty where there is no `/proc`.
    pub fn listed(&self) -> String {
        std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.as_raw_fd()))
            .unwrap_or_default()
    }

    /// Leaves the instance to the parent, and watches what was listed in a new one.
    pub fn renew(&self, listed: &str) -> io::Result<()> {
        replace(&epoll::create(CreateFlags::CLOEXEC)?, &self.epoll)?;
        for watched in listed.lines().filter_map(parse) {
            // A descriptor that was closed while a duplicate keeps it in the parent's list is
            // nobody's here.
            let _ = self.add(watched.fd, watched.token, watched.interest);
        }
        Ok(())
    }
}

/// Reads `tfd: 5 events: 2019 data: 7 pos:0 ino:1 sdev:2`: a decimal number, then two
/// hexadecimal ones (proc(5)).
fn parse(line: &str) -> Option<Watched> {
    let mut words = line.strip_prefix("tfd:")?.split_whitespace();
    let fd = words.next()?.parse().ok()?;
    let events = words.nth(1)?;
    let interest = Interest(EventFlags::from_bits_retain(u32::from_str_radix(events, 16).ok()?));
    let token = u64::from_str_radix(words.nth(1)?, 16).ok()?;
    Some(Watched { fd, interest, token })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use rustix::pipe::pipe;

    use super::super::Events;
    use super::*;
    use crate::sys::Waker;

    #[test]
    fn lines_of_the_kernel_are_read_and_others_are_not() {
        let interest = Interest(EventFlags::IN | EventFlags::ET);
        let watched = Watched { fd: 5, interest, token: 0xabc0_0000_0001 };
        for (line, expected) in [
            ("tfd:        5 events: 80000001 data:     abc000000001  pos:0 ino:7e sdev:1", true),
            ("tfd: 5 events: 80000001 data: abc000000001", true),
            ("tfd: 5 events: 80000001", false),
            ("tfd: x events: 80000001 data: abc000000001", false),
            ("tfd: 5 events: zz data: abc000000001", false),
            ("flags:\t02000002", false),
            ("", false),
        ] {
            assert_eq!(parse(line), expected.then_some(Watched { ..watched }), "{line}");
        }
    }

    fn tokens(poller: &Poller) -> Vec<u64> {
        let mut events = Events::with_capacity(8);
        poller.wait(&mut events, Some(Duration::ZERO)).expect("a wait that does not block");
        events.iter().map(|event| event.token).collect()
    }

    #[test]
    fn a_renewed_poller_watches_the_same_and_leaves_the_old_instance_alone() {
        let parent = Poller::new().expect("epoll");
        // A duplicate shares the instance, as a child's descriptor does.
        let epoll = parent.epoll.try_clone().expect("dup");
        let child = Poller { epoll, nanosecond_waits: true.into() };
        let (reading, writing) = pipe().expect("pipe");
        parent.add(reading.as_raw_fd(), u64::MAX - 1, Interest::level(true, false)).expect("add");
        child.renew(&parent.listed()).expect("renew");
        rustix::io::write(&writing, b"x").expect("write");
        assert_eq!(tokens(&child), [u64::MAX - 1]);
        child.delete(reading.as_raw_fd()).expect("delete");
        assert_eq!(tokens(&child), []);
        assert_eq!(tokens(&parent), [u64::MAX - 1]);
    }

    #[test]
    fn a_renewed_waker_wakes_its_own_poller_alone() {
        const TOKEN: u64 = u64::MAX;
        let (parent, child) = (Poller::new().expect("epoll"), Poller::new().expect("epoll"));
        let waker = Waker::new(&parent, TOKEN).expect("waker");
        let renewed = waker.try_clone().expect("dup");
        renewed.renew(&child, TOKEN).expect("renew");
        // To be registered is an edge of its own: an eventfd is writable.
        assert_eq!((tokens(&parent), tokens(&child)), (vec![TOKEN], vec![TOKEN]));
        renewed.wake().expect("wake");
        assert_eq!((tokens(&parent), tokens(&child)), (vec![], vec![TOKEN]));
        waker.wake().expect("wake");
        assert_eq!((tokens(&parent), tokens(&child)), (vec![TOKEN], vec![]));
    }
}

//! A level-triggered registration that is there only while something is waited for.
//!
//! Pipes, terminals and datagram sockets give one packet or line a read, so that a short read
//! does not mean "empty" and an edge could be missed: the kernel has to say it again. The price
//! is that a hangup is said again too, for as long as the descriptor is registered at all; who
//! does not want to hear it must not be registered.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use rustix::io::Errno;
use weft_reactor::registry::Token;
use weft_reactor::sys::{Interest, pipe};

use crate::error::is;
use crate::event_loop::{Core, Source};

/// What the loop is asked to watch on behalf of one transport.
#[derive(Default)]
pub(super) struct Subscription(RefCell<Option<Live>>);

struct Live {
    token: Token,
    fd: RawFd,
    interest: Interest,
    /// The number that epoll knows, where the transport's own is watched by somebody else.
    duplicate: Option<OwnedFd>,
}

impl Subscription {
    /// Whether anything is watched.
    pub(super) fn is_live(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Watches `fd` for `interest`; registers it with what `source` makes if it is not yet.
    pub(super) fn set(
        &self,
        core: &Core,
        fd: RawFd,
        interest: Interest,
        source: impl FnOnce() -> Rc<dyn Source>,
    ) -> io::Result<()> {
        if let Some(live) = self.0.borrow_mut().as_mut() {
            if live.interest != interest {
                core.modify(live.fd, live.token, interest)?;
                live.interest = interest;
            }
            return Ok(());
        }
        let live = register(core, fd, interest, source())?;
        self.0.replace(Some(live));
        Ok(())
    }

    /// Watches nothing any more. The descriptor must still be open.
    pub(super) fn end(&self, core: &Core) {
        let live = self.0.take();
        if let Some(live) = live {
            core.deregister(live.fd, live.token);
            drop(live.duplicate);
        }
    }
}

/// epoll takes a number once. A terminal may well be read by one transport and written by
/// another under the same number: the second is then watched through a duplicate.
fn register(
    core: &Core,
    fd: RawFd,
    interest: Interest,
    source: Rc<dyn Source>,
) -> io::Result<Live> {
    match core.adopt(fd, interest, Rc::clone(&source)) {
        Ok(token) => Ok(Live { token, fd, interest, duplicate: None }),
        Err(error) if is(&error, Errno::EXIST) => {
            let duplicate = pipe::duplicate(fd)?;
            let fd = duplicate.as_raw_fd();
            let token = core.register(fd, interest, source)?;
            Ok(Live { token, fd, interest, duplicate: Some(duplicate) })
        }
        Err(error) => Err(error),
    }
}

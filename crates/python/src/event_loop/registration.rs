//! Which source hears of which descriptor.

use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use weft_reactor::registry::Token;
use weft_reactor::sys::Interest;

use super::core::Core;
use super::entry::Entry;
use super::source::Source;

impl Core {
    /// Registers `source` for `fd`; it is called from the next turn on.
    pub(crate) fn register(
        &self,
        fd: RawFd,
        interest: Interest,
        source: Rc<dyn Source>,
    ) -> io::Result<Token> {
        let kernel = self.kernel()?;
        let token = self.sources.borrow_mut().insert(source);
        match kernel.poller.add(fd, token.into(), interest) {
            Ok(()) => Ok(token),
            Err(error) => {
                let source = self.sources.borrow_mut().remove(token);
                drop(source);
                Err(error)
            }
        }
    }

    /// [`register`](Self::register) for a socket that `sock_*` operations may have waited
    /// on: their watch, which stays registered between operations, ends here.
    pub(crate) fn adopt(
        &self,
        fd: RawFd,
        interest: Interest,
        source: Rc<dyn Source>,
    ) -> io::Result<Token> {
        self.end_socket_watch(fd);
        let token = self.register(fd, interest, source)?;
        self.adopted.borrow_mut().insert(fd, token);
        Ok(token)
    }

    /// The source that has adopted `fd`: nobody else may watch it.
    pub(super) fn adopter(&self, fd: RawFd) -> Option<Rc<dyn Source>> {
        let token = self.adopted.borrow().get(&fd).copied()?;
        self.source(token)
    }

    /// Calls [`Source::resumed`] in the next turn.
    pub(crate) fn resume(&self, token: Token) {
        self.schedule(Entry::Resume(token));
    }

    /// Whether a registration is live.
    pub(crate) fn is_registered(&self, token: Token) -> bool {
        self.sources.borrow().get(token).is_some()
    }

    /// Whether debug mode is on.
    pub(crate) fn is_debug(&self) -> bool {
        self.debug.get()
    }

    /// Whether the loop is closed: what is scheduled now never runs.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Changes what a registered descriptor is watched for.
    pub(crate) fn modify(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.kernel()?.poller.modify(fd, token.into(), interest)
    }

    /// Ends a registration. `fd` must still be open, or have been closed by its only owner.
    pub(crate) fn deregister(&self, fd: RawFd, token: Token) {
        self.disown(fd, token);
        let source = self.sources.borrow_mut().remove(token);
        if source.is_some()
            && let Ok(kernel) = self.kernel()
        {
            // A descriptor that was closed behind our back is gone from the kernel's set.
            let _ = kernel.poller.delete(fd);
        }
    }

    /// [`deregister`](Self::deregister) for an owner that closes `fd` right after: the
    /// kernel forgets a closed descriptor by itself, which saves a system call.
    pub(crate) fn forget(&self, fd: RawFd, token: Token) {
        self.disown(fd, token);
        let source = self.sources.borrow_mut().remove(token);
        drop(source);
    }

    fn disown(&self, fd: RawFd, token: Token) {
        let mut adopted = self.adopted.borrow_mut();
        if adopted.get(&fd) == Some(&token) {
            adopted.remove(&fd);
        }
    }

    pub(super) fn source(&self, token: Token) -> Option<Rc<dyn Source>> {
        self.sources.borrow().get(token).cloned()
    }
}

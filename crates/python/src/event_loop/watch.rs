//! Descriptors watched by number: `add_reader`, `add_writer`, and the waits of `sock_*`.
//!
//! `add_reader` and `add_writer` promise level-triggered callbacks, so a watch with a user's
//! callback is registered for exactly those. A watch that only serves `sock_*` is
//! edge-triggered in both directions and stays registered between operations: an operation
//! that has to wait costs no `epoll_ctl`. It belongs to one socket object, and a descriptor
//! number that reappears in another object's hands gets a new watch.

mod half;

use std::cell::Cell;
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyWeakrefMethods;
use pyo3::types::PyWeakrefReference;
use pyo3::{PyTraverseError, PyVisit};
use rustix::io::Errno;
use weft_reactor::registry::Token;
use weft_reactor::sys::{Interest, Readiness};

use self::half::Half;
use super::core::{Core, Kernel};
use super::handle::Handle;
use super::source::Source;
use crate::error::{OsResult, is};

/// One direction of a watched descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

/// A watched descriptor.
pub(super) struct Watch {
    fd: RawFd,
    kernel: Weak<Kernel>,
    token: Cell<Option<Token>>,
    interest: Cell<Interest>,
    read: Half,
    write: Half,
    /// The peer has shut down its side, or the connection is gone.
    hangup: Cell<bool>,
    /// The socket object of a watch made by `sock_*`, weakly.
    socket: Option<Py<PyWeakrefReference>>,
    /// Short reads tell that the socket is empty: true for TCP only. A Unix socket also
    /// reads short where descriptors or credentials were attached.
    short_read_is_empty: bool,
    /// Whether the last read was large, so that the next one may well be too.
    pub(super) bulk: Cell<bool>,
}

impl Watch {
    fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Whether an operation is worth a system call, or would only hear `EAGAIN`.
    pub(super) fn may_be_ready(&self, direction: Direction) -> bool {
        self.half(direction).ready.get() || self.interest.get() != Interest::edge()
    }

    /// A read got less than it had room for.
    pub(super) fn short_read(&self) {
        if self.short_read_is_empty {
            self.exhausted(Direction::Read);
        }
    }

    /// An operation has emptied (or filled) the socket: only the next edge makes it ready.
    ///
    /// Once the peer has shut down, a short read says nothing of the kind: the end of the
    /// stream may have come with the same edge as the data, and is announced by no other.
    pub(super) fn exhausted(&self, direction: Direction) {
        if direction == Direction::Write || !self.hangup.get() {
            self.half(direction).ready.set(false);
        }
    }

    fn serves(&self, socket: &Bound<'_, PyAny>) -> bool {
        let Some(reference) = &self.socket else { return false };
        reference.bind(socket.py()).upgrade().is_some_and(|owner| owner.is(socket))
    }

    /// Whether it was made for a socket object that is gone: the number is another's now.
    fn is_orphaned(&self, py: Python<'_>) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.bind(py).upgrade().is_none())
    }

    /// What the kernel should report: exactly what is wanted where that is level-triggered.
    fn wanted_interest(&self) -> Interest {
        if self.level() || self.socket.is_none() {
            Interest::level(self.read.wanted(), self.write.wanted())
        } else {
            Interest::edge()
        }
    }

    /// A wait that has ended must not leave its condition watched: level-triggered, it would be
    /// reported for ever.
    fn settle(&self) {
        let interest = self.wanted_interest();
        if interest == self.interest.get() {
            return;
        }
        if let (Some(token), Some(kernel)) = (self.token.get(), self.kernel.upgrade()) {
            self.interest.set(interest);
            // The descriptor may have been closed in the callback: then nothing is reported.
            let _ = kernel.poller.modify(self.fd, token.into(), interest);
        }
    }

    fn level(&self) -> bool {
        self.read.handle.borrow().is_some() || self.write.handle.borrow().is_some()
    }
}

impl Source for Watch {
    fn ready(&self, py: Python<'_>, readiness: Readiness) -> PyResult<()> {
        if readiness.is_hangup() {
            self.hangup.set(true);
        }
        if readiness.is_readable() {
            self.read.fire(py)?;
        }
        if readiness.is_writable() {
            self.write.fire(py)?;
        }
        self.settle();
        Ok(())
    }

    fn describe(&self, py: Python<'_>) -> String {
        let name = |half: &Half| {
            let handle = half.handle.borrow().as_ref().map(|handle| handle.clone_ref(py))?;
            handle.bind(py).as_any().repr().ok().map(|repr| repr.to_string())
        };
        let names: Vec<_> = [name(&self.read), name(&self.write)].into_iter().flatten().collect();
        if names.is_empty() { format!("<fd {}>", self.fd) } else { names.join(" and ") }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.read.traverse(visit)?;
        self.write.traverse(visit)?;
        visit.call(&self.socket)
    }
}

impl Core {
    /// Sets or replaces the user's callback for one direction of `fd`.
    pub(super) fn add_watch(
        &self,
        py: Python<'_>,
        fd: RawFd,
        direction: Direction,
        handle: Py<Handle>,
    ) -> PyResult<()> {
        self.refuse_adopted(py, fd)?;
        let watch = self.watches.borrow().get(&fd).cloned();
        if watch.as_ref().is_some_and(|watch| watch.is_orphaned(py)) {
            self.end_socket_watch(fd);
        }
        let watch = self.watches.borrow().get(&fd).cloned();
        let watch = match watch {
            Some(watch) => watch,
            None => self.new_watch(fd, None, false, level(direction))?,
        };
        let previous = watch.half(direction).handle.replace(Some(handle));
        if let Some(previous) = previous {
            previous.call_method0(py, intern!(py, "cancel"))?;
        }
        // Told anew even if nothing changed: the number may have been closed and opened again.
        watch.interest.set(Interest::level(false, false));
        self.update_watch(&watch)
    }

    /// Removes the user's callback for one direction of `fd`; false if there was none.
    pub(super) fn remove_watch(
        &self,
        py: Python<'_>,
        fd: RawFd,
        direction: Direction,
    ) -> PyResult<bool> {
        self.refuse_adopted(py, fd)?;
        let Some(watch) = self.watches.borrow().get(&fd).cloned() else { return Ok(false) };
        let Some(handle) = watch.half(direction).handle.take() else { return Ok(false) };
        handle.call_method0(py, intern!(py, "cancel"))?;
        self.update_watch(&watch)?;
        Ok(true)
    }

    fn refuse_adopted(&self, py: Python<'_>, fd: RawFd) -> PyResult<()> {
        match self.adopter(fd) {
            None => Ok(()),
            Some(owner) => Err(PyRuntimeError::new_err(format!(
                "File descriptor {fd} is used by transport {}",
                owner.describe(py)
            ))),
        }
    }

    /// The watch of a socket object, made and registered if there is none.
    pub(super) fn socket_watch(&self, socket: &Bound<'_, PyAny>, fd: RawFd) -> PyResult<Rc<Watch>> {
        if let Some(watch) = self.known_socket_watch(socket, fd) {
            return Ok(watch);
        }
        let stale = self.watches.borrow_mut().remove(&fd);
        if let Some(stale) = stale {
            if stale.level() {
                // The user also watches this number: share the watch, in level mode.
                self.watches.borrow_mut().insert(fd, Rc::clone(&stale));
                return Ok(stale);
            }
            if let Some(token) = stale.token.get() {
                self.deregister(fd, token);
            }
        }
        let reference = PyWeakrefReference::new(socket)?.unbind();
        self.new_watch(fd, Some(reference), is_tcp(socket), Interest::edge())
    }

    /// The watch of a socket object, if it has one already.
    pub(super) fn known_socket_watch(
        &self,
        socket: &Bound<'_, PyAny>,
        fd: RawFd,
    ) -> Option<Rc<Watch>> {
        let watch = self.watches.borrow().get(&fd).cloned()?;
        watch.serves(socket).then_some(watch)
    }

    /// Makes `future` wait for one direction of a socket object.
    pub(super) fn wait_for_socket(
        &self,
        socket: &Bound<'_, PyAny>,
        fd: RawFd,
        direction: Direction,
        future: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.refuse_adopted(socket.py(), fd)?;
        let watch = self.socket_watch(socket, fd)?;
        let mut waiters = watch.half(direction).waiters.take();
        // Operations that were cancelled leave their future behind until the next event.
        if waiters.len() > 16 {
            let py = socket.py();
            waiters.retain(|waiter| {
                waiter
                    .call_method0(py, intern!(py, "done"))
                    .and_then(|d| d.is_truthy(py))
                    .is_ok_and(|done| !done)
            });
        }
        waiters.push(future.clone().unbind());
        let added = watch.half(direction).waiters.replace(waiters);
        drop(added);
        self.update_watch(&watch)
    }

    /// Makes the kernel report what is ready now, also if it has reported it before: for a
    /// caller whose own look at the socket the watch has not seen.
    pub(super) fn ask_again(&self, fd: RawFd) -> PyResult<()> {
        let watch = self.watches.borrow().get(&fd).cloned();
        match watch.as_ref().and_then(|watch| Some((watch.token.get()?, watch.interest.get()))) {
            Some((token, interest)) => self.modify(fd, token, interest).or_os_error(),
            None => Ok(()),
        }
    }

    /// Ends the watch that `sock_*` operations left on a descriptor.
    pub(super) fn end_socket_watch(&self, fd: RawFd) {
        let idle = self.watches.borrow().get(&fd).is_some_and(|watch| !watch.level());
        if !idle {
            return;
        }
        let watch = self.watches.borrow_mut().remove(&fd);
        if let Some(token) = watch.as_ref().and_then(|watch| watch.token.get()) {
            self.deregister(fd, token);
        }
        drop(watch);
    }

    fn new_watch(
        &self,
        fd: RawFd,
        socket: Option<Py<PyWeakrefReference>>,
        short_read_is_empty: bool,
        interest: Interest,
    ) -> PyResult<Rc<Watch>> {
        let watch = Rc::new(Watch {
            fd,
            kernel: Rc::downgrade(&self.kernel().or_os_error()?),
            token: Cell::new(None),
            interest: Cell::new(interest),
            read: Half::default(),
            write: Half::default(),
            hangup: Cell::new(false),
            socket,
            short_read_is_empty,
            bulk: Cell::new(false),
        });
        let token = self.register(fd, interest, Rc::clone(&watch) as Rc<dyn Source>);
        let token = token.or_os_error()?;
        watch.token.set(Some(token));
        let replaced = self.watches.borrow_mut().insert(fd, Rc::clone(&watch));
        drop(replaced);
        Ok(watch)
    }

    /// Brings the kernel's view of a watch in line with what it is wanted for.
    fn update_watch(&self, watch: &Rc<Watch>) -> PyResult<()> {
        let Some(token) = watch.token.get() else { return Ok(()) };
        let idle = !watch.read.wanted() && !watch.write.wanted();
        if idle && watch.socket.is_none() {
            watch.token.set(None);
            let removed = self.watches.borrow_mut().remove(&watch.fd);
            self.deregister(watch.fd, token);
            drop(removed);
            return Ok(());
        }
        let interest = watch.wanted_interest();
        if interest != watch.interest.replace(interest) {
            match self.modify(watch.fd, token, interest) {
                // The number was closed and opened again behind our back: start afresh.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.rewatch(watch, interest)?;
                }
                // It is closed: what is left of the watch waits for its own removal.
                Err(error) if is(&error, Errno::BADF) => {}
                other => other.or_os_error()?,
            }
        }
        Ok(())
    }

    fn rewatch(&self, watch: &Rc<Watch>, interest: Interest) -> PyResult<()> {
        if let Some(token) = watch.token.take() {
            self.forget(watch.fd, token);
        }
        let token = self.register(watch.fd, interest, Rc::clone(watch) as Rc<dyn Source>);
        let token = token.or_os_error()?;
        watch.token.set(Some(token));
        Ok(())
    }
}

/// False for what does not say so: a stand-in for a socket is none that short reads tell of.
fn is_tcp(socket: &Bound<'_, PyAny>) -> bool {
    let py = socket.py();
    let number = |name| socket.getattr(name).and_then(|value| value.extract::<i32>()).ok();
    // The values of Linux on every architecture: AF_INET, AF_INET6, SOCK_STREAM.
    matches!(number(intern!(py, "family")), Some(2 | 10)) && number(intern!(py, "type")) == Some(1)
}

fn level(direction: Direction) -> Interest {
    Interest::level(direction == Direction::Read, direction == Direction::Write)
}

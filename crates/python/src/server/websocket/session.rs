//! One WebSocket between its connection and its application.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use pyo3::prelude::*;
use weft_protocol::websocket::{Engine, Opening, ProtocolError, code};

use super::options::Options;

/// Messages that wait stop the reading when they are this large together, however few.
const HIGH_WATER: usize = 256 * 1024;

/// Where a WebSocket stands, as the application sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Phase {
    /// The application has not answered the handshake.
    Connecting,
    /// It answers with a response of its own.
    Denying,
    /// Messages both ways.
    Open,
    /// A close frame was sent; the peer's is waited for.
    Closing,
}

/// A message that waits for the application.
pub(super) struct Message {
    /// A str or bytes object.
    pub(super) payload: Py<PyAny>,
    pub(super) is_text: bool,
    length: usize,
}

/// What the peer has done after the messages that wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    /// It has closed.
    Answer,
    /// It has broken the protocol.
    Failure(ProtocolError),
}

/// What `websocket.disconnect` says.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) code: u16,
    pub(super) reason: String,
}

/// The state of one WebSocket.
pub(in super::super) struct Session {
    pub(super) opening: Opening,
    pub(super) phase: Cell<Phase>,
    /// The application has had its `websocket.connect`.
    pub(super) connect_told: Cell<bool>,
    pub(super) engine: RefCell<Engine>,
    queue: RefCell<VecDeque<Message>>,
    queued_bytes: Cell<usize>,
    most_queued: usize,
    end: RefCell<Option<End>>,
    /// How to end it once the messages that came before were received.
    pub(super) due: Cell<Option<Due>>,
    /// A ping was sent, and nothing has come since.
    pub(super) pinged: Cell<bool>,
    /// A ping came while there was no room for its answer.
    pub(super) pong_due: Cell<bool>,
}

impl Session {
    pub(super) fn new(opening: Opening, options: &Options) -> Self {
        let engine = Engine::new(options.limits, opening.deflate);
        Self {
            opening,
            phase: Cell::new(Phase::Connecting),
            connect_told: Cell::new(false),
            engine: RefCell::new(engine),
            queue: RefCell::default(),
            queued_bytes: Cell::new(0),
            most_queued: options.queue,
            end: RefCell::default(),
            due: Cell::new(None),
            pinged: Cell::new(false),
            pong_due: Cell::new(false),
        }
    }

    /// Whether messages were agreed on, and may still be under way.
    pub(in super::super) fn is_accepted(&self) -> bool {
        matches!(self.phase.get(), Phase::Open | Phase::Closing)
    }

    /// Whether so much waits that the connection is not read any further.
    #[inline]
    pub(in super::super) fn is_full(&self) -> bool {
        // Behind a close frame of ours nothing more is kept.
        self.phase.get() == Phase::Open
            && (self.queued_bytes.get() >= HIGH_WATER
                || self.queue.borrow().len() >= self.most_queued)
    }

    /// Whether messages wait.
    pub(super) fn has_messages(&self) -> bool {
        !self.queue.borrow().is_empty()
    }

    /// Takes a message from the peer; once a close frame was sent nobody asks for it.
    #[inline]
    pub(super) fn push(&self, payload: Py<PyAny>, is_text: bool, length: usize) {
        if self.phase.get() == Phase::Open {
            self.queued_bytes.set(self.queued_bytes.get().saturating_add(length));
            self.queue.borrow_mut().push_back(Message { payload, is_text, length });
        }
    }

    /// The message that has waited longest.
    #[inline]
    pub(super) fn pop(&self) -> Option<Message> {
        let message = self.queue.borrow_mut().pop_front()?;
        self.queued_bytes.set(self.queued_bytes.get().saturating_sub(message.length));
        Some(message)
    }

    /// Throws the messages away that wait.
    pub(super) fn clear(&self) {
        self.queued_bytes.set(0);
        let dropped = self.queue.take();
        drop(dropped);
    }

    /// Notes how the WebSocket ended, unless that is known.
    pub(super) fn note_end(&self, code: u16, reason: &str) {
        let mut end = self.end.borrow_mut();
        end.get_or_insert_with(|| End { code, reason: reason.to_owned() });
    }

    /// How the WebSocket ended; without a word unless somebody has given one.
    pub(super) fn end(&self) -> End {
        let end = self.end.borrow().clone();
        end.unwrap_or(End { code: code::ABNORMAL, reason: String::new() })
    }
}

//! One connection, both ways: which frame may follow which, and where in the closing it stands.

use super::close;
use super::deflate::{Deflater, Inflater};
use super::error::ProtocolError;
use super::extensions::Deflate;
use super::frame::{self, Announced, FrameHeader, Kind, Opcode};
use super::mask::unmask;
use super::message::Message;

/// Messages from this size on are compressed. A smaller one fits a packet as it is, and
/// compressing it would cost more time than it saves.
const WORTH_COMPRESSING: usize = 1024;
/// A scratch buffer that has grown beyond this is not kept.
const LARGEST_SCRATCH: usize = 64 * 1024;

/// Upper bounds for what a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of one message, after inflating; beyond it 1009.
    pub message_bytes: usize,
    /// The frames of one message; beyond it 1008.
    pub fragments: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: 16 * 1024 * 1024, fragments: 128 * 1024 }
    }
}

/// What the input turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Nothing to report until more bytes follow those that were not consumed.
    NeedMore,
    /// A whole message of text.
    Text(&'a str),
    /// A whole message of bytes.
    Binary(&'a [u8]),
    /// A ping: [`Engine::answer_ping`] is due. Where it was not called yet, one answer to the
    /// last ping is enough (RFC 6455 section 5.5.3).
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The peer's close frame: [`Engine::answer_close`] is due. Nothing that follows is read.
    Close {
        /// The code; 1005 if there was none.
        code: u16,
        /// The reason; mostly empty.
        reason: &'a str,
    },
}

/// The outcome of one call of [`Engine::decode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// How many bytes of the input are done with, never more than there were. Bytes may be
    /// consumed along with `NeedMore`.
    pub consumed: usize,
    /// What they were.
    pub event: Event<'a>,
}

/// The frame that is being received.
#[derive(Clone, Copy, Debug)]
struct Current {
    announced: Announced,
    remaining: u64,
}

/// Where the found event lies.
enum Found<'a> {
    Nothing,
    Whole(Kind, &'a [u8]),
    Gathered(Kind),
    Control(Opcode),
}

/// The server's end of one WebSocket, behind the handshake.
///
/// Call [`decode`](Self::decode) with all bytes that were received and not consumed, drop
/// [`Step::consumed`] of them, and go on until [`Event::NeedMore`]. However the bytes are split,
/// the events are the same; of several faults in one compressed message any may be the one.
///
/// ```
/// use weft_protocol::websocket::{Engine, Event, Kind, Limits};
///
/// let mut engine = Engine::new(Limits::default(), None);
/// let mut input = *b"\x81\x82\0\0\0\0hi";
/// let step = engine.decode(&mut input)?;
/// assert_eq!((step.consumed, step.event), (8, Event::Text("hi")));
/// let mut out = Vec::new();
/// engine.write(Kind::Text, b"ho", &mut out);
/// assert_eq!(out, b"\x81\x02ho");
/// # Ok::<(), weft_protocol::websocket::ProtocolError>(())
/// ```
pub struct Engine {
    limits: Limits,
    inflater: Option<Inflater>,
    deflater: Option<Deflater>,
    current: Option<Current>,
    message: Message,
    control: Vec<u8>,
    /// The payload of the last ping, while its answer is due.
    ping: Option<Vec<u8>>,
    /// The code of the peer's close frame.
    received_close: Option<u16>,
    sent_close: bool,
    failed: Option<ProtocolError>,
    scratch: Vec<u8>,
}

impl Engine {
    /// An engine behind the handshake.
    #[must_use]
    pub fn new(limits: Limits, deflate: Option<Deflate>) -> Self {
        Self {
            limits,
            inflater: deflate.map(Inflater::new),
            deflater: deflate.map(Deflater::new),
            current: None,
            message: Message::default(),
            control: Vec::new(),
            ping: None,
            received_close: None,
            sent_close: false,
            failed: None,
            scratch: Vec::new(),
        }
    }

    /// Reads one event off the front of `input`, which is unmasked in place.
    ///
    /// Payloads are consumed as they come; only an unfinished header is left to be passed again
    /// with more behind it. Behind a close frame everything is consumed and dropped.
    ///
    /// # Errors
    ///
    /// The peer's fault. It is final: every later call fails the same way.
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Step<'a>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let total = input.len();
        if self.received_close.is_some() {
            return Ok(Step { consumed: total, event: Event::NeedMore });
        }
        self.message.recycle();
        let mut rest = input;
        match self.advance(&mut rest) {
            Ok(found) => {
                let consumed = total.saturating_sub(rest.len());
                self.event(found).map(|event| Step { consumed, event })
            }
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    fn advance<'a>(&mut self, rest: &mut &'a mut [u8]) -> Result<Found<'a>, ProtocolError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some((length, announced)) = frame::read(rest, self.inflater.is_some())? else {
                    return Ok(Found::Nothing);
                };
                take(rest, length);
                self.begin(&announced)?;
                self.current = Some(Current { announced, remaining: announced.length });
                continue;
            };
            let available = usize::try_from(current.remaining).unwrap_or(usize::MAX);
            let piece = take(rest, available.min(rest.len()));
            if piece.is_empty() && current.remaining > 0 {
                return Ok(Found::Nothing);
            }
            unmask(piece, &mut current.announced.key);
            current.remaining = current.remaining.saturating_sub(piece.len() as u64);
            let Announced { opcode, fin, compressed, length, .. } = current.announced;
            let ended = current.remaining == 0;
            if ended {
                self.current = None;
            }
            if opcode.is_control() {
                self.control.extend_from_slice(piece);
                if ended {
                    return Ok(Found::Control(opcode));
                }
                continue;
            }
            if let Opcode::Data(kind) = opcode
                && fin
                && !compressed
                && piece.len() as u64 == length
            {
                self.message.end();
                return Ok(Found::Whole(kind, piece));
            }
            self.message.push(piece, self.inflater.as_mut(), &self.limits)?;
            if ended && fin {
                let kind = self.message.finish(self.inflater.as_mut(), &self.limits)?;
                return Ok(Found::Gathered(kind));
            }
        }
    }

    /// A frame begins: may it?
    fn begin(&mut self, frame: &Announced) -> Result<(), ProtocolError> {
        match frame.opcode {
            Opcode::Continuation if !self.message.is_open() => {
                Err(ProtocolError::UnexpectedContinuation)
            }
            Opcode::Data(_) if self.message.is_open() => Err(ProtocolError::ExpectedContinuation),
            Opcode::Continuation => self.message.announce(frame.length, &self.limits),
            Opcode::Data(kind) => {
                self.message.begin(kind, frame.compressed);
                self.message.announce(frame.length, &self.limits)
            }
            _ => {
                self.control.clear();
                Ok(())
            }
        }
    }

    fn event<'a>(&'a mut self, found: Found<'a>) -> Result<Event<'a>, ProtocolError> {
        let event = match found {
            Found::Nothing => Ok(Event::NeedMore),
            Found::Whole(kind, bytes) => data(kind, bytes),
            Found::Gathered(kind) => data(kind, &self.message.bytes),
            Found::Control(Opcode::Ping) => {
                let ping = self.ping.get_or_insert_default();
                ping.clear();
                ping.extend_from_slice(&self.control);
                Ok(Event::Ping(&self.control))
            }
            Found::Control(Opcode::Close) => close::read(&self.control).map(|(code, reason)| {
                self.received_close = Some(code);
                Event::Close { code, reason }
            }),
            Found::Control(_) => Ok(Event::Pong(&self.control)),
        };
        if let Err(error) = event {
            self.failed = Some(error);
        }
        event
    }

    /// Appends the pong that is due, if one is. Until it is called the engine keeps the payload of
    /// one ping, the last.
    pub fn answer_ping(&mut self, out: &mut Vec<u8>) {
        if let Some(payload) = self.ping.take()
            && !self.sent_close
        {
            control(Opcode::Pong, &payload, out);
        }
    }

    /// Appends a ping; nothing behind a close frame. `payload` is cut at 125 bytes.
    pub fn ping(&self, payload: &[u8], out: &mut Vec<u8>) {
        if !self.sent_close {
            control(Opcode::Ping, payload, out);
        }
    }

    /// Appends the close frame that answers the peer's, unless one was sent.
    pub fn answer_close(&mut self, out: &mut Vec<u8>) {
        if let Some(code) = self.received_close
            && !std::mem::replace(&mut self.sent_close, true)
        {
            close::write(Some(code).filter(|&code| close::is_sendable(code)), "", out);
        }
    }

    /// Appends a close frame, the last frame of this side; false if one was sent. `code` must be
    /// [sendable](super::is_sendable); a reason of more than 123 bytes is cut between characters.
    pub fn close(&mut self, code: u16, reason: &str, out: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.sent_close, true) {
            return false;
        }
        close::write(Some(code), reason, out);
        true
    }

    /// Whether a close frame was sent: nothing more may be.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.sent_close
    }

    /// Whether a message of `length` bytes is compressed: [`write`](Self::write) then does it.
    /// Others may be written from where they are, behind a [`FrameHeader`].
    #[inline]
    #[must_use]
    pub fn compresses(&self, length: usize) -> bool {
        self.deflater.is_some() && length >= WORTH_COMPRESSING
    }

    /// Appends a whole message as one frame.
    #[inline]
    pub fn write(&mut self, kind: Kind, data: &[u8], out: &mut Vec<u8>) {
        if self.compresses(data.len()) && self.write_compressed(kind, data, out) {
            return;
        }
        out.extend_from_slice(&FrameHeader::message(kind, data.len()));
        out.extend_from_slice(data);
    }

    fn write_compressed(&mut self, kind: Kind, data: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(deflater) = &mut self.deflater else { return false };
        self.scratch.clear();
        if !deflater.compress(data, &mut self.scratch) {
            self.deflater = None;
            return false;
        }
        out.extend_from_slice(&FrameHeader::compressed(kind, self.scratch.len()));
        out.extend_from_slice(&self.scratch);
        if self.scratch.capacity() > LARGEST_SCRATCH {
            self.scratch = Vec::new();
        }
        true
    }

    /// To be called now and then: gives memory back that was not used since the last call.
    pub fn rest(&mut self) {
        self.scratch = Vec::new();
        if let Some(deflater) = &mut self.deflater {
            deflater.rest();
        }
    }
}

/// Takes the first `count` bytes, which are there.
fn take<'a>(rest: &mut &'a mut [u8], count: usize) -> &'a mut [u8] {
    let whole = std::mem::take(rest);
    let (front, back) = whole.split_at_mut(count.min(whole.len()));
    *rest = back;
    front
}

fn data(kind: Kind, bytes: &[u8]) -> Result<Event<'_>, ProtocolError> {
    match kind {
        Kind::Binary => Ok(Event::Binary(bytes)),
        Kind::Text => match core::str::from_utf8(bytes) {
            Ok(text) => Ok(Event::Text(text)),
            Err(_) => Err(ProtocolError::Utf8),
        },
    }
}

fn control(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    let payload = payload.get(..frame::CONTROL_BYTES).unwrap_or(payload);
    out.extend_from_slice(&FrameHeader::control(opcode, payload.len()));
    out.extend_from_slice(payload);
}

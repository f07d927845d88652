//! The receiving half of a connection: where in which message it stands.
//!
//! Owns the state and the transitions, and nothing else: heads are read by `head` and `scan`,
//! chunk lines by `chunked`. It keeps no bytes; the caller does.

use core::mem::MaybeUninit;

use httparse::Header;

use super::chunked::{TrailerStep, Trailers, chunk_size, split_line};
use super::error::RequestError;
use super::head::{self, BodyLength, Head};
use super::limits::Limits;
use super::scan::HeadScan;

/// What the input turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'s, 'b> {
    /// Nothing to report until more bytes follow those that were not consumed.
    NeedMore,
    /// A request. With [`BodyLength::None`] it is complete; otherwise `Body` and `End` follow.
    Head(Head<'s, 'b>),
    /// A piece of the body, never empty, transfer coding removed.
    Body {
        /// The bytes, in the caller's own input.
        data: &'b [u8],
        /// Whether nothing but `End` follows, at once and without more input. Set on the last
        /// piece of a body with Content-Length; a chunked body cannot know.
        last: bool,
    },
    /// The body is complete; the next event is another head. Exactly once for every body.
    End,
}

/// The outcome of one call of [`RequestDecoder::decode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'s, 'b> {
    /// How many bytes of the input are done with, never more than there were. Bytes may be
    /// consumed along with `NeedMore`.
    pub consumed: usize,
    /// What they were.
    pub event: Event<'s, 'b>,
}

/// What a connection is waiting for; tells the driver which deadline applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body, or the caller's call that collects `End`.
    Body,
    /// Nothing: the last request asked to close.
    Closed,
    /// Nothing: the peer broke the protocol.
    Failed,
}

/// `Head → (Length → Finished | ChunkSize ⇄ ChunkData, ChunkEnd → Trailers) → Head | Closed`;
/// every state → `Failed`, which is final, as is `Closed`.
#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Length { remaining: u64 },
    Finished,
    ChunkSize,
    ChunkData { remaining: u64 },
    ChunkEnd,
    Trailers,
    Closed,
    Failed(RequestError),
}

/// Turns the bytes of one connection into [`Event`]s.
///
/// Call [`decode`](Self::decode) with all bytes that were received and not consumed, drop
/// [`Step::consumed`] of them, and go on until [`Event::NeedMore`]. However the bytes are split,
/// the events are the same, but for the cuts between pieces of a body.
///
/// ```
/// use std::mem::MaybeUninit;
/// use weft_protocol::http1::{Event, Limits, RequestDecoder};
///
/// let mut decoder = RequestDecoder::new(Limits::default());
/// let mut slots = [MaybeUninit::uninit(); 128];
/// let step = decoder.decode(b"GET /a?b HTTP/1.1\r\nHost: weft\r\n\r\n", &mut slots)?;
/// let Event::Head(head) = step.event else { unreachable!() };
/// assert_eq!((head.method, head.path, head.query), ("GET", "/a", "b"));
/// # Ok::<(), weft_protocol::http1::RequestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RequestDecoder {
    limits: Limits,
    state: State,
    scan: HeadScan,
    empty_lines: usize,
    trailers: Trailers,
    /// What the chunks of the current body add up to.
    body_bytes: u64,
    /// Whether the current message is the last one of the connection.
    closing: bool,
}

impl RequestDecoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Head,
            scan: HeadScan::default(),
            empty_lines: 0,
            trailers: Trailers::default(),
            body_bytes: 0,
            closing: false,
        }
    }

    /// What the connection is waiting for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Head if self.scan.is_fresh() => Phase::Idle,
            State::Head => Phase::Head,
            State::Closed => Phase::Closed,
            State::Failed(_) => Phase::Failed,
            _ => Phase::Body,
        }
    }

    /// Reads one event off the front of `input`.
    ///
    /// A head is consumed whole or not at all; until it is complete, pass the same bytes again
    /// with more behind them. `slots` should have [`Limits::head_fields`] elements; fewer lower
    /// that limit. Once a request has said `Connection: close`, everything behind it is consumed
    /// and dropped (RFC 9112 section 9.6).
    ///
    /// # Errors
    ///
    /// The peer's fault, with the status to answer. It is final: every later call fails the same
    /// way, so that bytes behind a fault are never taken for a request.
    #[inline]
    pub fn decode<'s, 'b>(
        &mut self,
        input: &'b [u8],
        slots: &'s mut [MaybeUninit<Header<'b>>],
    ) -> Result<Step<'s, 'b>, RequestError> {
        let step = match self.state {
            State::Head => self.decode_head(input, slots),
            State::Length { remaining } => Ok(self.decode_length(input, remaining)),
            State::Finished => {
                self.end_message();
                Ok(Step { consumed: 0, event: Event::End })
            }
            State::Closed => Ok(Step { consumed: input.len(), event: Event::NeedMore }),
            State::Failed(error) => return Err(error),
            _ => self.decode_chunked(input),
        };
        if let Err(error) = step {
            self.state = State::Failed(error);
        }
        step
    }

    fn decode_head<'s, 'b>(
        &mut self,
        input: &'b [u8],
        slots: &'s mut [MaybeUninit<Header<'b>>],
    ) -> Result<Step<'s, 'b>, RequestError> {
        let mut rest = input;
        if let Some(b'\r' | b'\n') = input.first() {
            rest = self.skip_empty_lines(input)?;
        }
        let skipped = input.len().saturating_sub(rest.len());
        let need_more = Ok(Step { consumed: skipped, event: Event::NeedMore });
        if let [] | [b'\r'] = rest {
            return need_more;
        }
        // A head that came whole is read in one go. One that came in pieces goes through the
        // scanner, which remembers where it was, and is read once its end has come; so does one
        // that the fast reader refused, because the scanner knows why.
        let fresh = self.scan.is_fresh();
        let length = if fresh { None } else { self.scan.advance(rest, &self.limits)? };
        if !fresh && length.is_none() {
            return need_more;
        }
        let Some((length, head)) = head::read(rest, slots, &self.limits) else {
            return match (length, self.scan.advance(rest, &self.limits)?) {
                (None, None) => need_more,
                _ => Err(RequestError::Malformed),
            };
        };
        let head = head?;
        self.begin_message(&head);
        Ok(Step { consumed: skipped.saturating_add(length), event: Event::Head(head) })
    }

    /// RFC 9112 section 2.2: old clients send a stray CRLF after a body.
    fn skip_empty_lines<'b>(&mut self, input: &'b [u8]) -> Result<&'b [u8], RequestError> {
        let mut rest = input;
        loop {
            match rest {
                [b'\r', b'\n', after @ ..] => rest = after,
                [b'\n', ..] => return Err(RequestError::BareLf),
                // CR and then something else: the scanner refuses it as the start of a method.
                _ => return Ok(rest),
            }
            self.empty_lines = self.empty_lines.saturating_add(1);
            if self.empty_lines > self.limits.leading_empty_lines {
                return Err(RequestError::EmptyLines);
            }
        }
    }

    fn begin_message(&mut self, head: &Head<'_, '_>) {
        self.scan = HeadScan::default();
        self.empty_lines = 0;
        self.closing = !head.keep_alive;
        match head.body {
            BodyLength::None => self.end_message(),
            BodyLength::Length(remaining) => self.state = State::Length { remaining },
            BodyLength::Chunked => {
                self.trailers = Trailers::default();
                self.body_bytes = 0;
                self.state = State::ChunkSize;
            }
        }
    }

    fn end_message(&mut self) {
        self.state = if self.closing { State::Closed } else { State::Head };
    }

    fn decode_length<'s, 'b>(&mut self, input: &'b [u8], remaining: u64) -> Step<'s, 'b> {
        let (data, remaining) = take(input, remaining);
        if data.is_empty() {
            return Step { consumed: 0, event: Event::NeedMore };
        }
        let last = remaining == 0;
        self.state = if last { State::Finished } else { State::Length { remaining } };
        Step { consumed: data.len(), event: Event::Body { data, last } }
    }

    fn decode_chunked<'s, 'b>(&mut self, input: &'b [u8]) -> Result<Step<'s, 'b>, RequestError> {
        let mut rest = input;
        let event = loop {
            match self.state {
                State::ChunkSize => {
                    let limit = self.limits.chunk_line_bytes;
                    let line = split_line(rest, limit, RequestError::ChunkLineTooLong)?;
                    let Some(line) = line else { break Event::NeedMore };
                    rest = line.rest;
                    self.begin_chunk(chunk_size(line.content)?)?;
                }
                State::ChunkData { remaining } => {
                    let (data, remaining) = take(rest, remaining);
                    if data.is_empty() {
                        break Event::NeedMore;
                    }
                    rest = rest.get(data.len()..).unwrap_or_default();
                    self.state = match remaining {
                        0 => State::ChunkEnd,
                        _ => State::ChunkData { remaining },
                    };
                    break Event::Body { data, last: false };
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', after @ ..] => {
                        rest = after;
                        self.state = State::ChunkSize;
                    }
                    [] | [b'\r'] => break Event::NeedMore,
                    _ => return Err(RequestError::ChunkEnd),
                },
                State::Trailers => match self.trailers.take(rest, &self.limits)? {
                    TrailerStep::NeedMore => break Event::NeedMore,
                    TrailerStep::Field(after) => rest = after,
                    TrailerStep::End(after) => {
                        rest = after;
                        self.end_message();
                        break Event::End;
                    }
                },
                // `decode` sends no other state here.
                _ => return Err(RequestError::Malformed),
            }
        };
        Ok(Step { consumed: input.len().saturating_sub(rest.len()), event })
    }

    fn begin_chunk(&mut self, size: u64) -> Result<(), RequestError> {
        // A sum beyond 64 bits is beyond any limit.
        self.body_bytes = self.body_bytes.saturating_add(size);
        if self.body_bytes > self.limits.body_bytes {
            return Err(RequestError::BodyTooLarge);
        }
        self.state = match size {
            0 => State::Trailers,
            remaining => State::ChunkData { remaining },
        };
        Ok(())
    }
}

/// The front of `input`, at most `remaining` bytes, and what then remains.
#[inline]
fn take(input: &[u8], remaining: u64) -> (&[u8], u64) {
    let wanted = usize::try_from(remaining).unwrap_or(usize::MAX);
    let data = input.get(..wanted).unwrap_or(input);
    (data, remaining.saturating_sub(data.len() as u64))
}

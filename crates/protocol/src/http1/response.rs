//! The sending half of one exchange: the application's response, made safe for the wire.
//!
//! Owns the order of calls, the validity of header fields and the choice of framing (RFC 9112
//! section 6). It keeps no bytes: heads go to the caller's buffer, body pieces stay where they
//! are. It must not know how anything is sent.

use super::error::ResponseError;
use super::frame::Framing;
use super::head::{RequestFacts, Version};
use super::response_fields::{SentFields, write_field};
use super::status::reason_phrase;

/// Header values that the server adds if the application has not sent its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults<'a> {
    /// The value of Date (RFC 9110 section 6.6.1).
    pub date: Option<&'a [u8]>,
    /// The value of Server (RFC 9110 section 10.2.4).
    pub server: Option<&'a [u8]>,
}

/// How the body goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// There is none; what the application sends is dropped.
    Swallowed,
    /// Exactly so many bytes.
    Length { declared: u64, remaining: u64 },
    /// Chunked transfer coding.
    Chunked,
    /// Until the connection closes.
    UntilClose,
}

/// `New → Fields → Body → Complete`; every state → `Failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Fields,
    Body(Body),
    Complete,
    Failed,
}

/// Encodes one response.
///
/// Call [`start`](Self::start), [`header`](Self::header) for each field,
/// [`finish_head`](Self::finish_head), then [`frame`](Self::frame) for each piece of the body.
///
/// **On error** of a head call, part of the head may stand in `out`: truncate it to the length it
/// had before `start`, and nothing of the response has happened; [`error_response`] can take its
/// place. Between `start` and `finish_head` the caller may append nothing else to `out`. Every
/// error is final, and makes [`keep_alive`](Self::keep_alive) false; but for
/// [`ResponseError::AfterEnd`], which leaves a complete response as it is.
///
/// [`error_response`]: super::error_response
///
/// ```
/// use weft_protocol::http1::{Defaults, RequestFacts, Response, Version};
///
/// let facts = RequestFacts { is_head: false, version: Version::Http11, keep_alive: true };
/// let (mut response, mut out) = (Response::new(facts), Vec::new());
/// response.start(200, &mut out)?;
/// response.header(b"content-type", b"text/plain", &mut out)?;
/// response.finish_head(Some(2), Defaults::default(), &mut out)?;
/// response.frame(2, false)?.write(b"hi", &mut out);
/// assert!(out.ends_with(b"content-length: 2\r\n\r\nhi") && response.is_complete());
/// # Ok::<(), weft_protocol::http1::ResponseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    request: RequestFacts,
    state: State,
    status: u16,
    keep_alive: bool,
    fields: SentFields,
}

impl Response {
    /// The response to a request of which these facts are known.
    #[must_use]
    pub fn new(request: RequestFacts) -> Self {
        Self {
            request,
            state: State::New,
            status: 0,
            keep_alive: request.keep_alive,
            fields: SentFields::default(),
        }
    }

    /// Lets the connection end with this response, say because the server is shutting down. To be
    /// told to the client, call it before [`finish_head`](Self::finish_head).
    pub fn close_after(&mut self) {
        self.keep_alive = false;
    }

    /// Whether the application has given its last body piece and every byte was framed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Whether the application has started the response.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.state != State::New
    }

    /// Whether the connection may serve another request after this response.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// The status given to [`start`](Self::start), 0 before.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Writes the status line (RFC 9112 section 4). It says HTTP/1.1 to HTTP/1.0 clients too:
    /// it names what the server speaks (RFC 9110 section 2.5).
    ///
    /// # Errors
    ///
    /// Not a three-digit status, or a second call.
    #[inline]
    pub fn start(&mut self, status: u16, out: &mut Vec<u8>) -> Result<(), ResponseError> {
        match self.state {
            State::New => {}
            State::Failed => return Err(ResponseError::Failed),
            State::Complete => return Err(ResponseError::AfterEnd),
            State::Fields | State::Body(_) => return Err(self.fail(ResponseError::StartedTwice)),
        }
        if !(100..=999).contains(&status) {
            return Err(self.fail(ResponseError::Status(status)));
        }
        self.status = status;
        self.state = State::Fields;
        if status == 200 {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            return Ok(());
        }
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        // RFC 9112 section 4: the space stays even where the phrase is empty.
        out.push(b' ');
        out.extend_from_slice(reason_phrase(status).as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Writes one header field as given. Only what would contradict the framing is left out.
    ///
    /// # Errors
    ///
    /// The field could split the response, or contradicts itself; or the call is out of order.
    #[inline]
    pub fn header(
        &mut self,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        self.check_in_head()?;
        match self.fields.add(self.status, name, value, out) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Ends the head: adds the defaults, chooses the framing, says what becomes of the connection.
    ///
    /// `known_body_len` is the length of the whole body if the caller has it at hand already; it
    /// saves chunking, and lets a wrong Content-Length be found while an error can still be told.
    ///
    /// # Errors
    ///
    /// The known body does not fit the application's Content-Length, or the call is out of order.
    pub fn finish_head(
        &mut self,
        known_body_len: Option<u64>,
        defaults: Defaults<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        self.check_in_head()?;
        let body = self.choose_body(known_body_len, out)?;
        self.keep_alive &= !self.fields.close;
        if self.is_informational() {
            // No client takes 1xx for the end of an exchange; whatever the application meant, the
            // connection cannot go on as HTTP/1.1 afterwards.
            self.keep_alive = false;
        } else {
            if let (Some(date), false) = (defaults.date, self.fields.date) {
                write_field(b"date", date, out);
            }
            if let (Some(server), false) = (defaults.server, self.fields.server) {
                write_field(b"server", server, out);
            }
            self.write_connection(out);
        }
        out.extend_from_slice(b"\r\n");
        self.state = State::Body(body);
        Ok(())
    }

    /// How to put the next `len` bytes of the body on the wire, and whether `more` will follow.
    ///
    /// # Errors
    ///
    /// The body does not fit its Content-Length, or the call is out of order. If the head is
    /// already on the wire, the only honest way out is to cut the connection.
    #[inline]
    pub fn frame(&mut self, len: usize, more: bool) -> Result<Framing, ResponseError> {
        let body = match &mut self.state {
            State::Body(body) => body,
            State::Failed => return Err(ResponseError::Failed),
            State::Complete => return Err(ResponseError::AfterEnd),
            State::New | State::Fields => return Err(self.fail(ResponseError::NotStarted)),
        };
        let framing = match body {
            Body::Swallowed => Framing::NOTHING,
            Body::UntilClose => Framing::plain(len),
            Body::Chunked => Framing::chunk(len, more),
            Body::Length { declared, remaining } => {
                let declared = *declared;
                let Some(left) = remaining.checked_sub(len as u64) else {
                    return Err(self.fail(ResponseError::BodyTooLong { declared }));
                };
                if !more && left > 0 {
                    return Err(self.fail(ResponseError::BodyTooShort { declared, missing: left }));
                }
                *remaining = left;
                Framing::plain(len)
            }
        };
        if !more {
            self.state = State::Complete;
        }
        Ok(framing)
    }

    #[inline]
    fn check_in_head(&mut self) -> Result<(), ResponseError> {
        match self.state {
            State::Fields => Ok(()),
            State::Failed => Err(ResponseError::Failed),
            State::New => Err(self.fail(ResponseError::NotStarted)),
            State::Body(_) => Err(self.fail(ResponseError::HeadFinished)),
            State::Complete => Err(ResponseError::AfterEnd),
        }
    }

    /// An error is final: what the peer has received of this response is unknown from here.
    #[cold]
    fn fail(&mut self, error: ResponseError) -> ResponseError {
        self.state = State::Failed;
        self.keep_alive = false;
        error
    }

    fn is_informational(&self) -> bool {
        self.status < 200
    }

    fn choose_body(
        &mut self,
        known_body_len: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<Body, ResponseError> {
        // RFC 9112 section 6.3, rule 1. No length is invented: the one of the body that GET would
        // have had is unknown here.
        if self.request.is_head || self.is_informational() || matches!(self.status, 204 | 304) {
            return Ok(Body::Swallowed);
        }
        match (self.fields.declared_length(), known_body_len) {
            (Some(declared), Some(known)) if known > declared => {
                Err(self.fail(ResponseError::BodyTooLong { declared }))
            }
            (Some(declared), Some(known)) if known < declared => {
                let missing = declared.saturating_sub(known);
                Err(self.fail(ResponseError::BodyTooShort { declared, missing }))
            }
            (Some(declared), _) => Ok(Body::Length { declared, remaining: declared }),
            (None, Some(known)) => {
                let mut digits = itoa::Buffer::new();
                write_field(b"content-length", digits.format(known).as_bytes(), out);
                Ok(Body::Length { declared: known, remaining: known })
            }
            (None, None) if self.request.version == Version::Http11 => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                Ok(Body::Chunked)
            }
            (None, None) => {
                self.keep_alive = false;
                Ok(Body::UntilClose)
            }
        }
    }

    /// RFC 9112 section 9.3: HTTP/1.1 lives on unless told otherwise, HTTP/1.0 the other way.
    fn write_connection(&mut self, out: &mut Vec<u8>) {
        if !self.keep_alive {
            if !self.fields.close {
                out.extend_from_slice(b"connection: close\r\n");
            }
        } else if self.request.version == Version::Http10 {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
    }
}

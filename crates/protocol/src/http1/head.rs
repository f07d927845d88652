//! What a request head means.
//!
//! Owns the vocabulary of a head and the one pass over its fields that the server itself must
//! understand. Syntax was checked before; the state of the connection is the decoder's.

use core::mem::MaybeUninit;

use httparse::{Header, Status};

use super::error::RequestError;
use super::framing::FramingFields;
use super::grammar::{is_authority, list};
use super::limits::Limits;
use super::scan::passes_fast_checks;
use super::target;

/// The protocol version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How the body of a request is delimited (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// No body: no framing field, or `Content-Length: 0`.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

/// What a response must know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// Whether the method was HEAD: the response has no body.
    pub is_head: bool,
    /// The request's version: an HTTP/1.0 client understands no chunks.
    pub version: Version,
    /// Whether the client is willing to reuse the connection.
    pub keep_alive: bool,
}

/// One request head. Borrows from the input (`'b`) and from the caller's header slots (`'s`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'s, 'b> {
    /// The method, a token, case as sent.
    pub method: &'b str,
    /// The whole request target as sent: visible ASCII without `#`.
    pub target: &'b str,
    /// The path of the target, still percent-encoded; `*` for `OPTIONS *`.
    pub path: &'b str,
    /// What follows the first `?` of the target; empty if there is none.
    pub query: &'b str,
    /// Host and port of an absolute-form target; it overrides Host (RFC 9112 section 3.2.2).
    pub authority: Option<&'b str>,
    /// The request's version.
    pub version: Version,
    /// The fields in order; names as sent, values without surrounding whitespace. Values may hold
    /// bytes above 0x7F, never a control byte other than HTAB.
    pub headers: &'s [Header<'b>],
    /// How the body is delimited.
    pub body: BodyLength,
    /// Whether the client is willing to reuse the connection (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body. Never set without a
    /// body nor in HTTP/1.0 (RFC 9110 section 10.1.1).
    pub expect_continue: bool,
    /// The Upgrade field, if Connection names it and the version is 1.1 (RFC 9110 section 7.8).
    pub upgrade: Option<&'b [u8]>,
}

impl Head<'_, '_> {
    /// What the response must know of this request.
    #[must_use]
    pub fn facts(&self) -> RequestFacts {
        RequestFacts {
            is_head: self.method == "HEAD",
            version: self.version,
            keep_alive: self.keep_alive,
        }
    }
}

/// Reads the head at the start of `input` at full speed: its length and meaning, or `None` if it
/// is incomplete or anything about it is not as strict as it must be.
#[inline]
pub(super) fn read<'s, 'b>(
    input: &'b [u8],
    slots: &'s mut [MaybeUninit<Header<'b>>],
    limits: &Limits,
) -> Option<(usize, Result<Head<'s, 'b>, RequestError>)> {
    let (slots, _) = slots.split_at_mut(slots.len().min(limits.head_fields));
    let mut request = httparse::Request::new(&mut []);
    let Ok(Status::Complete(length)) = request.parse_with_uninit_headers(input, slots) else {
        return None;
    };
    let (Some(method), Some(target)) = (request.method, request.path) else { return None };
    if !passes_fast_checks(input.get(..length)?, method, target, limits) {
        return None;
    }
    let version = if request.version == Some(1) { Version::Http11 } else { Version::Http10 };
    Some((length, interpret(method, target, version, request.headers, limits)))
}

/// The fields that the server acts upon.
#[derive(Default)]
struct Noted<'b> {
    framing: FramingFields,
    host: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: Option<&'b [u8]>,
    expect_continue: bool,
    expect_other: bool,
}

impl<'b> Noted<'b> {
    #[inline]
    fn field(&mut self, field: &Header<'b>) -> Result<(), RequestError> {
        let name = field.name;
        // By length first: most fields of most requests are then done with one comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                if self.host {
                    return Err(RequestError::HostRepeated);
                }
                if !is_authority(field.value) {
                    return Err(RequestError::HostSyntax);
                }
                self.host = true;
            }
            6 if name.eq_ignore_ascii_case("expect") => self.expect(field.value),
            7 if name.eq_ignore_ascii_case("upgrade") => {
                self.upgrade = self.upgrade.or(Some(field.value));
            }
            10 if name.eq_ignore_ascii_case("connection") => self.connection(field.value),
            14 if name.eq_ignore_ascii_case("content-length") => {
                self.framing.content_length(field.value)?;
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.framing.transfer_encoding(field.value)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in list(value) {
            match option.len() {
                5 => self.close |= option.eq_ignore_ascii_case(b"close"),
                10 => self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive"),
                7 => self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade"),
                _ => {}
            }
        }
    }

    fn expect(&mut self, value: &[u8]) {
        if value.eq_ignore_ascii_case(b"100-continue") {
            self.expect_continue = true;
        } else {
            self.expect_other = true;
        }
    }
}

#[inline]
fn interpret<'s, 'b>(
    method: &'b str,
    target: &'b str,
    version: Version,
    headers: &'s [Header<'b>],
    limits: &Limits,
) -> Result<Head<'s, 'b>, RequestError> {
    let mut noted = Noted::default();
    for field in headers {
        noted.field(field)?;
    }
    let parts = target::split(method, target)?;
    let modern = version == Version::Http11;
    // RFC 9112 section 3.2: Host is due even beside an absolute target that overrides it.
    if modern && !noted.host {
        return Err(RequestError::HostMissing);
    }
    let body = noted.framing.body_length(version, limits.body_bytes)?;
    // RFC 9110 section 10.1.1: an HTTP/1.0 client's expectation is ignored.
    if modern && noted.expect_other {
        return Err(RequestError::ExpectationUnsupported);
    }
    Ok(Head {
        method,
        target,
        path: parts.path,
        query: parts.query,
        authority: parts.authority,
        version,
        headers,
        body,
        keep_alive: !noted.close && (modern || noted.keep_alive),
        expect_continue: modern && noted.expect_continue && body != BodyLength::None,
        upgrade: noted.upgrade.filter(|_| modern && noted.connection_upgrade),
    })
}

//! What can go wrong, with the blame in the name and the answer beside it.

use core::fmt;

use super::close::code;

/// The peer has broken the protocol, or a limit. Final: the close frame with
/// [`code`](Self::code) is the last thing that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolError {
    /// RSV bits without an extension that gives them a meaning (RFC 6455 section 5.2).
    ReservedBits,
    /// An opcode that nobody has defined.
    Opcode,
    /// A client's frame without a mask (section 5.1).
    Unmasked,
    /// A length in more bytes than it needs (section 5.2).
    LengthNotMinimal,
    /// A length of 64 bits with its first bit set (section 5.2).
    LengthTopBit,
    /// A control frame of more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A control frame in fragments (section 5.5).
    ControlFragmented,
    /// A continuation of nothing (section 5.4).
    UnexpectedContinuation,
    /// A new message within the fragments of another (section 5.4).
    ExpectedContinuation,
    /// A close frame with a payload of one byte (section 5.5.1).
    ClosePayload,
    /// A close code that must not be sent (section 7.4).
    CloseCode,
    /// Text that is no UTF-8 (section 8.1).
    Utf8,
    /// Compressed data that is none (RFC 7692).
    Deflate,
    /// A message beyond the limit, after inflating.
    MessageTooBig,
    /// A message in more fragments than the limit.
    TooManyFragments,
}

impl ProtocolError {
    /// The close code that tells the peer (section 7.4.1).
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Utf8 | Self::Deflate => code::INVALID_DATA,
            Self::MessageTooBig => code::TOO_BIG,
            Self::TooManyFragments => code::POLICY,
            _ => code::PROTOCOL_ERROR,
        }
    }

    /// What the close frame says.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits are set",
            Self::Opcode => "unknown opcode",
            Self::Unmasked => "frame is not masked",
            Self::LengthNotMinimal => "length is not in its shortest form",
            Self::LengthTopBit => "length is beyond 63 bits",
            Self::ControlTooLong => "control frame is too long",
            Self::ControlFragmented => "control frame is fragmented",
            Self::UnexpectedContinuation => "continuation of no message",
            Self::ExpectedContinuation => "message within a message",
            Self::ClosePayload => "close frame of one byte",
            Self::CloseCode => "close code is not allowed",
            Self::Utf8 => "text is not UTF-8",
            Self::Deflate => "compressed data is broken",
            Self::MessageTooBig => "message is too big",
            Self::TooManyFragments => "message has too many fragments",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for ProtocolError {}

/// A request for a WebSocket that cannot be one (RFC 6455 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpeningError {
    /// Any method but GET.
    Method,
    /// A body.
    Body,
    /// Sec-WebSocket-Version is not 13, or there is none.
    Version,
    /// Sec-WebSocket-Key is missing, comes twice or is not sixteen bytes in base64.
    Key,
    /// Sec-WebSocket-Protocol is no list of different tokens.
    Subprotocols,
    /// Sec-WebSocket-Extensions breaks its grammar.
    Extensions,
}

impl OpeningError {
    /// The status to answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Version => 426,
            _ => 400,
        }
    }

    /// The body of the answer.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Method => "a WebSocket is opened by GET",
            Self::Body => "a WebSocket handshake has no body",
            Self::Version => "WebSocket version 13 is spoken here",
            Self::Key => "Sec-WebSocket-Key must be 16 bytes in base64",
            Self::Subprotocols => "Sec-WebSocket-Protocol must be a list of different tokens",
            Self::Extensions => "Sec-WebSocket-Extensions is malformed",
        }
    }

    /// The field that the answer must carry (RFC 9110 sections 15.5.6 and 15.5.22, RFC 6455
    /// section 4.4).
    #[must_use]
    pub fn fields(self) -> &'static [(&'static [u8], &'static [u8])] {
        match self {
            Self::Method => &[(b"allow", b"GET")],
            Self::Version => &[
                (b"upgrade", b"websocket"),
                (b"connection", b"upgrade, close"),
                (b"sec-websocket-version", b"13"),
            ],
            _ => &[],
        }
    }
}

/// The application's answer cannot open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptError {
    /// A header name that is no token.
    HeaderName,
    /// A header value with a control character.
    HeaderValue,
    /// A header that belongs to the handshake itself.
    HandshakeHeader,
    /// A subprotocol that the client has not offered (section 4.2.2).
    Subprotocol,
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeaderName => "Invalid HTTP header name.",
            Self::HeaderValue => "Invalid HTTP header value.",
            Self::HandshakeHeader => {
                "This header is the server's to send; a subprotocol is named by 'subprotocol'."
            }
            Self::Subprotocol => {
                "The client has not offered this subprotocol; choose one of scope['subprotocols'] \
                 or None."
            }
        })
    }
}

impl core::error::Error for AcceptError {}

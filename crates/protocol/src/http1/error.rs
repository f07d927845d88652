//! What can go wrong, and whose fault it is.
//!
//! [`RequestError`] blames the peer and knows the status to answer with; [`ResponseError`] blames
//! the application. Neither carries peer bytes, so that a message is always safe to log.

use core::fmt;

/// The peer sent something that is not a request we may act on.
///
/// Every variant ends the connection: after a framing fault nobody knows where the next request
/// would start (RFC 9112 section 11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// A line ended in LF without CR (RFC 9112 section 2.2 lets a server refuse it).
    BareLf,
    /// More empty lines before the request than the limit allows.
    EmptyLines,
    /// The request line is not `method SP target SP version` (RFC 9112 section 3).
    RequestLine,
    /// The method is not a token (RFC 9110 section 9.1).
    Method,
    /// A byte that no request target may hold: control, space, non-ASCII or `#`.
    TargetBytes,
    /// The target's form does not fit the method (RFC 9112 section 3.2).
    TargetForm,
    /// No protocol version: HTTP/0.9.
    VersionMissing,
    /// The version is not `HTTP/` digit `.` digit (RFC 9112 section 2.3).
    VersionSyntax,
    /// A well-formed version that is neither 1.0 nor 1.1.
    VersionUnsupported,
    /// CONNECT; this is no tunnel (RFC 9110 section 9.3.6).
    ConnectUnsupported,
    /// A field name is empty or not a token (RFC 9110 section 5.1).
    FieldName,
    /// Whitespace between field name and colon (RFC 9112 section 5.1).
    FieldNameSpace,
    /// A field line without a colon.
    FieldColon,
    /// A control byte in a field value (RFC 9110 section 5.5).
    FieldValue,
    /// A line that starts with whitespace: obsolete folding (RFC 9112 section 5.2).
    ObsFold,
    /// HTTP/1.1 without Host (RFC 9112 section 3.2).
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// Host, or the authority of an absolute target, is not `host [":" port]`.
    HostSyntax,
    /// Content-Length is not a plain decimal number of 64 bits (RFC 9112 section 6.3).
    ContentLength,
    /// More than one Content-Length, equal or not.
    ContentLengthRepeated,
    /// Content-Length together with Transfer-Encoding (RFC 9112 section 6.1).
    ContentLengthAndTransferEncoding,
    /// Transfer-Encoding in which `chunked` is not the only and last coding.
    TransferEncoding,
    /// More than one Transfer-Encoding field.
    TransferEncodingRepeated,
    /// Transfer-Encoding in an HTTP/1.0 request (RFC 9112 section 6.1).
    TransferEncodingInHttp10,
    /// A transfer coding we do not implement.
    TransferCodingUnsupported,
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    ExpectationUnsupported,
    /// The request line exceeds its limit.
    RequestLineTooLong,
    /// The head exceeds its limit in bytes.
    HeadTooLarge,
    /// The head exceeds its limit in fields.
    TooManyFields,
    /// The body exceeds its limit.
    BodyTooLarge,
    /// The chunk size is not 1 to 16 hexadecimal digits (RFC 9112 section 7.1).
    ChunkSize,
    /// A chunk extension outside the grammar (RFC 9112 section 7.1.1).
    ChunkExtension,
    /// The chunk-size line exceeds its limit.
    ChunkLineTooLong,
    /// Chunk data is not followed by CRLF.
    ChunkEnd,
    /// The trailer section exceeds its limit in bytes.
    TrailersTooLarge,
    /// The trailer section exceeds its limit in fields.
    TooManyTrailers,
    /// The two head readers disagree. No input is known to cause it; it is refused all the same.
    Malformed,
}

impl RequestError {
    /// The status code to answer with (RFC 9110 section 15).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BodyTooLarge => 413,
            Self::RequestLineTooLong => 414,
            Self::ExpectationUnsupported => 417,
            Self::HeadTooLarge
            | Self::TooManyFields
            | Self::TrailersTooLarge
            | Self::TooManyTrailers => 431,
            Self::ConnectUnsupported | Self::TransferCodingUnsupported => 501,
            Self::VersionUnsupported => 505,
            _ => 400,
        }
    }

    /// The plain reason, fit for a response body and for a log line.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BareLf => "a line does not end in CR LF",
            Self::EmptyLines => "too many empty lines before the request",
            Self::RequestLine => "the request line is not method, target and version",
            Self::Method => "the method is not a token",
            Self::TargetBytes => "the request target holds a forbidden byte",
            Self::TargetForm => "the request target does not fit the method",
            Self::VersionMissing => "the request line has no HTTP version",
            Self::VersionSyntax => "the HTTP version is malformed",
            Self::VersionUnsupported => "only HTTP/1.0 and HTTP/1.1 are spoken here",
            Self::ConnectUnsupported => "CONNECT is not implemented",
            Self::FieldName => "a header name is not a token",
            Self::FieldNameSpace => "whitespace before the colon of a header",
            Self::FieldColon => "a header line has no colon",
            Self::FieldValue => "a header value holds a control byte",
            Self::ObsFold => "a header line is folded",
            Self::HostMissing => "the Host header is missing",
            Self::HostRepeated => "more than one Host header",
            Self::HostSyntax => "the host is malformed",
            Self::ContentLength => "Content-Length is not a number",
            Self::ContentLengthRepeated => "more than one Content-Length",
            Self::ContentLengthAndTransferEncoding => {
                "both Content-Length and Transfer-Encoding are present"
            }
            Self::TransferEncoding => "chunked is not the one and last transfer coding",
            Self::TransferEncodingRepeated => "more than one Transfer-Encoding",
            Self::TransferEncodingInHttp10 => "Transfer-Encoding in an HTTP/1.0 request",
            Self::TransferCodingUnsupported => "this transfer coding is not implemented",
            Self::ExpectationUnsupported => "this expectation cannot be met",
            Self::RequestLineTooLong => "the request line is too long",
            Self::HeadTooLarge => "the request head is too large",
            Self::TooManyFields => "too many header fields",
            Self::BodyTooLarge => "the request body is too large",
            Self::ChunkSize => "the chunk size is malformed",
            Self::ChunkExtension => "a chunk extension is malformed",
            Self::ChunkLineTooLong => "a chunk-size line is too long",
            Self::ChunkEnd => "chunk data does not end in CR LF",
            Self::TrailersTooLarge => "the trailer section is too large",
            Self::TooManyTrailers => "too many trailer fields",
            Self::Malformed => "the request is malformed",
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for RequestError {}

/// The application asked for a response that must not go on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseError {
    /// The status is not a three-digit number.
    Status(u16),
    /// A header name is empty or not a token.
    HeaderName,
    /// A header value holds CR, LF, NUL or another control byte.
    HeaderValue,
    /// Content-Length is not a plain decimal number of 64 bits.
    ContentLength,
    /// Two Content-Length headers that differ.
    ContentLengthConflict,
    /// A Transfer-Encoding other than `chunked`.
    TransferEncoding,
    /// The body is longer than the Content-Length that was declared.
    BodyTooLong {
        /// The declared length.
        declared: u64,
    },
    /// The body ended before the Content-Length that was declared.
    BodyTooShort {
        /// The declared length.
        declared: u64,
        /// How many bytes are missing.
        missing: u64,
    },
    /// The response was started twice.
    StartedTwice,
    /// A header or a body piece came before the start, or a body piece before the end of the head.
    NotStarted,
    /// A header came after the end of the head.
    HeadFinished,
    /// Any call after the last body piece; the complete response stands.
    AfterEnd,
    /// A call after one that had failed.
    Failed,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Status(status) => write!(f, "{status} is not a three-digit status code"),
            Self::HeaderName => f.write_str("a response header name is not a token"),
            Self::HeaderValue => f.write_str("a response header value holds a control byte"),
            Self::ContentLength => f.write_str("the response's Content-Length is not a number"),
            Self::ContentLengthConflict => {
                f.write_str("the response has two different Content-Length headers")
            }
            Self::TransferEncoding => {
                f.write_str("the response's Transfer-Encoding is not chunked")
            }
            Self::BodyTooLong { declared } => {
                write!(f, "the response body is longer than its Content-Length {declared}")
            }
            Self::BodyTooShort { declared, missing } => write!(
                f,
                "the response body is {missing} bytes shorter than its Content-Length {declared}"
            ),
            Self::StartedTwice => f.write_str("the response was started twice"),
            Self::NotStarted => f.write_str("the response was not started"),
            Self::HeadFinished => f.write_str("a header after the response head was finished"),
            Self::AfterEnd => f.write_str("the response was already complete"),
            Self::Failed => f.write_str("the response had already failed"),
        }
    }
}

impl core::error::Error for ResponseError {}

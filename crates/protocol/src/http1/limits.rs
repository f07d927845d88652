//! How much a peer may ask this crate to remember or to scan.
//!
//! Owns the numbers only; each is enforced where its bytes are read.

/// Upper bounds for one request. [`Limits::default`] is safe to expose to the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request line with its CRLF; beyond it the answer is 414. RFC 9112 section 3 asks for at
    /// least 8000.
    pub request_line_bytes: usize,
    /// Request line, header fields and the final empty line together; beyond it 431.
    pub head_bytes: usize,
    /// Header field lines; beyond it 431.
    pub head_fields: usize,
    /// Empty lines tolerated before a request line (RFC 9112 section 2.2); beyond it 400.
    pub leading_empty_lines: usize,
    /// One chunk-size line with its extensions and CRLF; beyond it 400. Extensions carry nothing
    /// we use, and unbounded ones turn a small body into endless input.
    pub chunk_line_bytes: usize,
    /// The whole trailer section of a chunked body; beyond it 431.
    pub trailer_bytes: usize,
    /// Trailer field lines; beyond it 431.
    pub trailer_fields: usize,
    /// Body bytes, declared or streamed; beyond it 413. Unlimited by default, because only the
    /// application knows what an upload may weigh.
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes: 16_384,
            head_bytes: 65_536,
            head_fields: 128,
            leading_empty_lines: 8,
            chunk_line_bytes: 256,
            trailer_bytes: 8_192,
            trailer_fields: 32,
            body_bytes: u64::MAX,
        }
    }
}

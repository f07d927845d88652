//! What the application's own header fields say about framing and connection.
//!
//! Owns the recognition and normalisation of the few fields that the server must not pass on
//! blindly. The order of calls and the choice of framing are `response`'s.

use core::ops::Range;

use super::error::ResponseError;
use super::grammar::{decimal, is_field_value, is_token, list, trim};

/// What the fields written so far have said.
#[derive(Clone, Debug, Default)]
pub(super) struct SentFields {
    content_length: Option<u64>,
    /// Where the Content-Length line stands in `out`, should it have to go again.
    content_length_line: Range<usize>,
    chunked: bool,
    /// Whether a Connection line with `close` was written.
    pub(super) close: bool,
    /// Whether a Date line was written.
    pub(super) date: bool,
    /// Whether a Server line was written.
    pub(super) server: bool,
}

impl SentFields {
    /// The length the application has declared and is to be held to.
    pub(super) fn declared_length(&self) -> Option<u64> {
        // RFC 9112 section 6.3: Transfer-Encoding overrides.
        self.content_length.filter(|_| !self.chunked)
    }

    /// Checks one field and writes it as given, unless it would contradict the framing of a
    /// response with this `status`.
    #[inline]
    pub(super) fn add(
        &mut self,
        status: u16,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        if !is_token(name) {
            return Err(ResponseError::HeaderName);
        }
        if !is_field_value(value) {
            return Err(ResponseError::HeaderValue);
        }
        // By length first: most fields are then done with one comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"date") => self.date = true,
            6 if name.eq_ignore_ascii_case(b"server") => self.server = true,
            10 if name.eq_ignore_ascii_case(b"connection") => {
                return self.connection(name, value, out);
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                return self.content_length(status, name, value, out);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                return self.transfer_encoding(value, out);
            }
            _ => {}
        }
        write_field(name, value, out);
        Ok(())
    }

    /// `close` is obeyed and kept. A lone `keep-alive` is left out: whether the connection lives
    /// on is not the application's to promise.
    fn connection(
        &mut self,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        let mut keep = false;
        for option in list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
                keep = true;
            } else if !option.is_empty() && !option.eq_ignore_ascii_case(b"keep-alive") {
                keep = true;
            }
        }
        if keep {
            write_field(name, value, out);
        }
        Ok(())
    }

    /// RFC 9110 section 8.6: none in 1xx and 204; as given for HEAD and 304, where it speaks of
    /// the body that is not sent.
    fn content_length(
        &mut self,
        status: u16,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ResponseError> {
        let length = decimal(trim(value)).ok_or(ResponseError::ContentLength)?;
        match self.content_length {
            Some(before) if before != length => return Err(ResponseError::ContentLengthConflict),
            Some(_) => return Ok(()),
            None => self.content_length = Some(length),
        }
        // RFC 9112 section 6.2: never beside Transfer-Encoding.
        if !(self.chunked || status < 200 || status == 204) {
            let start = out.len();
            write_field(name, value, out);
            self.content_length_line = start..out.len();
        }
        Ok(())
    }

    /// The application may ask for chunks, as one that relays another server's head does. The
    /// line itself is written with the framing, and a Content-Length beside it is taken back.
    fn transfer_encoding(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<(), ResponseError> {
        if !trim(value).eq_ignore_ascii_case(b"chunked") {
            return Err(ResponseError::TransferEncoding);
        }
        self.chunked = true;
        let line = core::mem::take(&mut self.content_length_line);
        if line.start < line.end && line.end <= out.len() {
            out.drain(line);
        }
        Ok(())
    }
}

/// Appends one field line.
#[inline]
pub(crate) fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.reserve(name.len().saturating_add(value.len()).saturating_add(4));
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

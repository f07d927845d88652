//! The pieces of the chunked transfer coding (RFC 9112 section 7.1).
//!
//! Owns the grammar of chunk-size lines and the budget of the trailer section; where in a body
//! the connection stands is the decoder's.

use super::error::RequestError;
use super::grammar::is_tchar;
use super::limits::Limits;
use super::scan::check_field_line;

/// A complete line, and what follows it.
pub(super) struct Line<'b> {
    /// The line without its CRLF.
    pub(super) content: &'b [u8],
    /// The input behind the CRLF.
    pub(super) rest: &'b [u8],
}

/// Splits the first line off `input`; `None` if it is not complete. A line, CRLF included, of more
/// than `limit` bytes is `too_long`.
#[inline]
pub(super) fn split_line(
    input: &[u8],
    limit: usize,
    too_long: RequestError,
) -> Result<Option<Line<'_>>, RequestError> {
    let window = input.get(..limit).unwrap_or(input);
    let Some(newline) = memchr::memchr(b'\n', window) else {
        return if input.len() >= limit { Err(too_long) } else { Ok(None) };
    };
    let Some((line, [b'\n', rest @ ..])) = input.split_at_checked(newline) else {
        return Ok(None);
    };
    let content = line.strip_suffix(b"\r").ok_or(RequestError::BareLf)?;
    Ok(Some(Line { content, rest }))
}

/// The size on a chunk-size line, whose extensions are checked and dropped.
#[inline]
pub(super) fn chunk_size(line: &[u8]) -> Result<u64, RequestError> {
    let mut size = 0_u64;
    let mut rest = line;
    let mut digits = 0_u8;
    while let Some((&byte, after)) = rest.split_first() {
        let Some(digit) = char::from(byte).to_digit(16) else { break };
        // Sixteen digits fill 64 bits exactly; a seventeenth would overflow.
        digits += 1;
        if digits > 16 {
            return Err(RequestError::ChunkSize);
        }
        size = (size << 4) | u64::from(digit);
        rest = after;
    }
    if digits == 0 {
        return Err(RequestError::ChunkSize);
    }
    check_extensions(rest)?;
    Ok(size)
}

/// `chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, RFC 9112
/// section 7.1.1.
fn check_extensions(mut rest: &[u8]) -> Result<(), RequestError> {
    while !rest.is_empty() {
        // Anything but an extension after the digits is a malformed size.
        rest = skip_space(rest).strip_prefix(b";").ok_or(RequestError::ChunkSize)?;
        rest = skip_token(skip_space(rest))?;
        if let Some(value) = skip_space(rest).strip_prefix(b"=") {
            rest = match skip_space(value).strip_prefix(b"\"") {
                Some(quoted) => skip_quoted(quoted)?,
                None => skip_token(skip_space(value))?,
            };
        }
    }
    Ok(())
}

fn skip_space(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn skip_token(bytes: &[u8]) -> Result<&[u8], RequestError> {
    let end = bytes.iter().position(|&byte| !is_tchar(byte)).unwrap_or(bytes.len());
    match bytes.split_at_checked(end) {
        Some((token, rest)) if !token.is_empty() => Ok(rest),
        _ => Err(RequestError::ChunkExtension),
    }
}

/// What follows the closing quote (RFC 9110 section 5.6.4).
fn skip_quoted(mut bytes: &[u8]) -> Result<&[u8], RequestError> {
    loop {
        bytes = match bytes {
            [b'"', rest @ ..] => return Ok(rest),
            [b'\\', b'\t' | 0x20..=0x7E | 0x80..=0xFF, rest @ ..]
            | [b'\t' | b' '..=b'[' | b']'..=0x7E | 0x80..=0xFF, rest @ ..] => rest,
            _ => return Err(RequestError::ChunkExtension),
        };
    }
}

/// What the trailer section of the current body has used of its budget.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trailers {
    bytes: usize,
    fields: usize,
}

/// One step through the trailer section.
pub(super) enum TrailerStep<'b> {
    /// The line is not complete.
    NeedMore,
    /// A field was checked and dropped; the rest follows.
    Field(&'b [u8]),
    /// The empty line came; the rest follows.
    End(&'b [u8]),
}

impl Trailers {
    /// Takes one line. Fields are checked and dropped: merging them into the head would let a
    /// trailer say what the head may not (RFC 9110 section 6.5.1).
    pub(super) fn take<'b>(
        &mut self,
        input: &'b [u8],
        limits: &Limits,
    ) -> Result<TrailerStep<'b>, RequestError> {
        let budget = limits.trailer_bytes.saturating_sub(self.bytes);
        let line = split_line(input, budget, RequestError::TrailersTooLarge)?;
        let Some(Line { content: line, rest }) = line else { return Ok(TrailerStep::NeedMore) };
        if line.is_empty() {
            return Ok(TrailerStep::End(rest));
        }
        self.bytes = self.bytes.saturating_add(line.len()).saturating_add(2);
        self.fields = self.fields.saturating_add(1);
        if self.fields > limits.trailer_fields {
            return Err(RequestError::TooManyTrailers);
        }
        check_field_line(line)?;
        Ok(TrailerStep::Field(rest))
    }
}

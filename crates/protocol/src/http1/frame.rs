//! What goes around one piece of a response body.
//!
//! Owns the bytes of the chunked coding on the way out (RFC 9112 section 7.1), so that the driver
//! can write the application's own bytes without copying them.

use core::ops::Deref;

/// Sixteen hexadecimal digits and CRLF.
const PREFIX_BYTES: usize = 18;

/// The bytes before a body piece: a chunk-size line or nothing. Lives on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Right-aligned; `start` is where the text begins.
    bytes: [u8; PREFIX_BYTES],
    start: u8,
}

impl Prefix {
    pub(super) const EMPTY: Self = Self { bytes: [0; PREFIX_BYTES], start: PREFIX_BYTES as u8 };

    /// The chunk-size line for a chunk of `size` bytes.
    #[inline]
    pub(super) fn chunk_size(size: u64) -> Self {
        let mut bytes = [0; PREFIX_BYTES];
        let [digits @ .., cr, lf] = &mut bytes;
        (*cr, *lf) = (b'\r', b'\n');
        let mut rest = size;
        let mut start = PREFIX_BYTES as u8 - 2;
        for digit in digits.iter_mut().rev() {
            let nibble = (rest & 0xF) as u8;
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) };
            start -= 1;
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        Self { bytes, start }
    }
}

impl Deref for Prefix {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.get(usize::from(self.start)..).unwrap_or_default()
    }
}

/// How to put one body piece on the wire: `prefix`, then the piece if `write_data`, then `suffix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Bytes before the piece.
    pub prefix: Prefix,
    /// Whether the piece itself is written; not in answer to HEAD, nor with 204 and 304.
    pub write_data: bool,
    /// Bytes after the piece.
    pub suffix: &'static [u8],
}

impl Framing {
    pub(super) const NOTHING: Self = Self { prefix: Prefix::EMPTY, write_data: false, suffix: b"" };

    /// The piece as it is.
    #[inline]
    pub(super) fn plain(len: usize) -> Self {
        Self { write_data: len > 0, ..Self::NOTHING }
    }

    /// The piece as a chunk, with the last chunk behind it unless there is `more`. An empty piece
    /// makes no chunk: it would end the body.
    #[inline]
    pub(super) fn chunk(len: usize, more: bool) -> Self {
        match (len, more) {
            (0, true) => Self::NOTHING,
            (0, false) => Self { suffix: b"0\r\n\r\n", ..Self::NOTHING },
            _ => Self {
                prefix: Prefix::chunk_size(len as u64),
                write_data: true,
                suffix: if more { b"\r\n" } else { b"\r\n0\r\n\r\n" },
            },
        }
    }

    /// Whether nothing at all is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.write_data && self.prefix.is_empty() && self.suffix.is_empty()
    }

    /// Appends the framed piece to `out`, for a driver that copies.
    #[inline]
    pub fn write(&self, data: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        if self.write_data {
            out.extend_from_slice(data);
        }
        out.extend_from_slice(self.suffix);
    }
}

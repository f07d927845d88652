//! The header of one frame (RFC 6455 section 5.2).
//!
//! Owns bits and lengths. Which frame may follow which is `engine`'s.

use core::ops::Deref;

use super::error::ProtocolError;

/// The longest header that a server sends: two bytes and a length of eight.
const HEADER_BYTES: usize = 10;
/// The longest payload of a control frame (section 5.5).
pub(super) const CONTROL_BYTES: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Anything.
    Binary,
}

/// What a frame is (section 5.2, "opcode").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Data(Kind),
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Data(Kind::Text),
            0x2 => Self::Data(Kind::Binary),
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Data(Kind::Text) => 0x1,
            Self::Data(Kind::Binary) => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A client's frame, as its header announces it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    /// RSV1: the message that begins here is compressed (RFC 7692 section 6).
    pub(super) compressed: bool,
    pub(super) length: u64,
    pub(super) key: [u8; 4],
}

/// Reads the header at the start of `input`, and how long it is; `None` if more is needed. What
/// the first two bytes tell is checked before the rest has come.
#[inline]
pub(super) fn read(
    input: &[u8],
    deflate: bool,
) -> Result<Option<(usize, Announced)>, ProtocolError> {
    let [first, second, rest @ ..] = input else {
        // One byte is enough to know an opcode that nobody may send.
        return match input {
            [first] => check_first(*first, deflate).map(|_| None),
            _ => Ok(None),
        };
    };
    let opcode = check_first(*first, deflate)?;
    if second & MASKED == 0 {
        return Err(ProtocolError::Unmasked);
    }
    let short = second & !MASKED;
    if opcode.is_control() && usize::from(short) > CONTROL_BYTES {
        return Err(ProtocolError::ControlTooLong);
    }
    let (length, rest) = match (short, rest) {
        (126, [a, b, rest @ ..]) => {
            let length = u16::from_be_bytes([*a, *b]);
            // Section 5.2: the minimal number of bytes must be used.
            if length < 126 {
                return Err(ProtocolError::LengthNotMinimal);
            }
            (u64::from(length), rest)
        }
        (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            if length <= u64::from(u16::MAX) {
                return Err(ProtocolError::LengthNotMinimal);
            }
            if length > i64::MAX as u64 {
                return Err(ProtocolError::LengthTopBit);
            }
            (length, rest)
        }
        (126 | 127, _) => return Ok(None),
        (short, rest) => (u64::from(short), rest),
    };
    let [a, b, c, d, payload @ ..] = rest else { return Ok(None) };
    let announced = Announced {
        opcode,
        fin: first & FIN != 0,
        compressed: first & RSV1 != 0,
        length,
        key: [*a, *b, *c, *d],
    };
    Ok(Some((input.len().saturating_sub(payload.len()), announced)))
}

#[inline]
fn check_first(first: u8, deflate: bool) -> Result<Opcode, ProtocolError> {
    if first & RESERVED != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let Some(opcode) = Opcode::from_bits(first & 0x0F) else {
        return Err(ProtocolError::Opcode);
    };
    // RFC 7692 section 6: on the first frame of a message, and nowhere else.
    if first & RSV1 != 0 && !(deflate && matches!(opcode, Opcode::Data(_))) {
        return Err(ProtocolError::ReservedBits);
    }
    if opcode.is_control() && first & FIN == 0 {
        return Err(ProtocolError::ControlFragmented);
    }
    Ok(opcode)
}

/// The header of a frame to the client, which is never masked. Lives on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    bytes: [u8; HEADER_BYTES],
    len: u8,
}

impl FrameHeader {
    /// A whole message of `length` bytes, not compressed.
    #[inline]
    #[must_use]
    pub fn message(kind: Kind, length: usize) -> Self {
        Self::new(Opcode::Data(kind), false, length)
    }

    pub(super) fn compressed(kind: Kind, length: usize) -> Self {
        Self::new(Opcode::Data(kind), true, length)
    }

    pub(super) fn control(opcode: Opcode, length: usize) -> Self {
        Self::new(opcode, false, length)
    }

    #[inline]
    fn new(opcode: Opcode, compressed: bool, length: usize) -> Self {
        let first = FIN | opcode.bits() | if compressed { RSV1 } else { 0 };
        let [a, b, c, d, e, f, g, h] = (length as u64).to_be_bytes();
        let (bytes, len) = match length {
            0..=125 => ([first, h, 0, 0, 0, 0, 0, 0, 0, 0], 2),
            126..=0xFFFF => ([first, 126, g, h, 0, 0, 0, 0, 0, 0], 4),
            _ => ([first, 127, a, b, c, d, e, f, g, h], 10),
        };
        Self { bytes, len }
    }
}

impl Deref for FrameHeader {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

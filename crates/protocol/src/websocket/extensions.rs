//! Sec-WebSocket-Extensions: what is offered, and what is agreed (RFC 6455 section 9.1, RFC 7692
//! section 7).
//!
//! Owns the grammar and the choice. How bytes are compressed is `deflate`'s.

use crate::http1::grammar::{is_tchar, trim};

/// The window that is asked for where the client lets the server choose: 4 KiB. A larger one
/// gains little on messages of some kilobytes, and is kept for every connection.
const PREFERRED_BITS: u8 = 12;
/// What the window of a client that promises nothing may have.
const LARGEST_BITS: u8 = 15;
/// The smallest window that the compressor can do.
const SMALLEST_BITS: u8 = 9;

/// permessage-deflate as it was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// The server forgets its window after each message.
    pub server_no_context_takeover: bool,
    /// The client forgets its window after each message.
    pub client_no_context_takeover: bool,
    /// The server's window, as a power of two.
    pub server_max_window_bits: u8,
    /// The client's window, as a power of two; None if the client cannot be told.
    pub client_max_window_bits: Option<u8>,
}

impl Deflate {
    /// The window that the client may use.
    pub(super) fn client_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(LARGEST_BITS).max(SMALLEST_BITS)
    }

    /// Appends the extension as the 101 names it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(b"permessage-deflate");
        if self.server_no_context_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        out.extend_from_slice(b"; server_max_window_bits=");
        out.extend_from_slice(digits.format(self.server_max_window_bits).as_bytes());
        if let Some(bits) = self.client_max_window_bits {
            out.extend_from_slice(b"; client_max_window_bits=");
            out.extend_from_slice(digits.format(bits).as_bytes());
        }
    }
}

/// The grammar is broken.
#[derive(Debug)]
pub(super) struct Malformed;

/// Reads one field: the first offer that can be met goes into `agreed`, unless one is there.
/// Extensions that are not known, and parameters that cannot be met, decline their offer.
pub(super) fn negotiate(value: &[u8], agreed: &mut Option<Deflate>) -> Result<(), Malformed> {
    let mut rest = trim(value);
    while !rest.is_empty() {
        if let [b',', after @ ..] = rest {
            rest = trim(after);
            continue;
        }
        let (name, after) = token(rest)?;
        let mut offer = name.eq_ignore_ascii_case(b"permessage-deflate").then(Offer::default);
        rest = trim(after);
        while let [b';', after @ ..] = rest {
            let (name, after) = token(trim(after))?;
            let (value, after) = parameter_value(trim(after))?;
            offer = offer.and_then(|offer| offer.with(name, value.as_deref()));
            rest = trim(after);
        }
        if !matches!(rest, [] | [b',', ..]) {
            return Err(Malformed);
        }
        if let (None, Some(offer)) = (&agreed, offer) {
            *agreed = Some(offer.answer());
        }
    }
    Ok(())
}

fn token(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let end = bytes.iter().position(|&byte| !is_tchar(byte)).unwrap_or(bytes.len());
    match bytes.split_at_checked(end) {
        Some((token, rest)) if !token.is_empty() => Ok((token, rest)),
        _ => Err(Malformed),
    }
}

/// The value behind a parameter's name, if it has one, and what follows. A quoted value must be
/// a token once it is unquoted.
fn parameter_value(bytes: &[u8]) -> Result<(Option<Vec<u8>>, &[u8]), Malformed> {
    let [b'=', bytes @ ..] = bytes else { return Ok((None, bytes)) };
    let [b'"', quoted @ ..] = trim(bytes) else {
        let (value, rest) = token(trim(bytes))?;
        return Ok((Some(value.to_vec()), rest));
    };
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        match rest {
            [b'"', after @ ..] if !value.is_empty() => return Ok((Some(value), after)),
            [b'\\', byte, after @ ..] | [byte, after @ ..] if is_tchar(*byte) => {
                value.push(*byte);
                rest = after;
            }
            _ => return Err(Malformed),
        }
    }
}

/// One offer of permessage-deflate, as far as it was read (RFC 7692 section 7.1).
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_bits: Option<u8>,
    /// None: the parameter was not given; the inner None: without a value.
    client_bits: Option<Option<u8>>,
}

impl Offer {
    /// The offer with one more parameter; None if it must be declined.
    fn with(mut self, name: &[u8], value: Option<&[u8]>) -> Option<Self> {
        let fresh = match (name, value) {
            (b"server_no_context_takeover", None) => {
                !core::mem::replace(&mut self.server_no_context_takeover, true)
            }
            (b"client_no_context_takeover", None) => {
                !core::mem::replace(&mut self.client_no_context_takeover, true)
            }
            (b"server_max_window_bits", Some(value)) => {
                // A window of 8 bits is more than the compressor can promise.
                let bits = window_bits(value).filter(|&bits| bits >= SMALLEST_BITS)?;
                self.server_bits.replace(bits).is_none()
            }
            (b"client_max_window_bits", None) => self.client_bits.replace(None).is_none(),
            (b"client_max_window_bits", Some(value)) => {
                self.client_bits.replace(Some(window_bits(value)?)).is_none()
            }
            _ => false,
        };
        fresh.then_some(self)
    }

    fn answer(&self) -> Deflate {
        Deflate {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_bits.unwrap_or(LARGEST_BITS).min(PREFERRED_BITS),
            client_max_window_bits: self
                .client_bits
                .map(|bits| bits.unwrap_or(LARGEST_BITS).min(PREFERRED_BITS)),
        }
    }
}

/// `8` to `15`, without leading zeros.
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

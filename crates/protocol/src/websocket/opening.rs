//! The opening handshake (RFC 6455 section 4.2): from a request to its 101.
//!
//! Owns what makes a request a WebSocket's, and the head of the answer that opens one. Whether it
//! shall be opened is the application's question.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::error::{AcceptError, OpeningError};
use super::extensions::{self, Deflate};
use crate::http1::grammar::{is_field_value, is_token, list};
use crate::http1::response_fields::write_field;
use crate::http1::{BodyLength, Defaults, Head};

/// Bits behind the sixteen bytes are nobody's business: there are clients that make their keys of
/// random letters.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
/// What is hashed behind the key (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The longest base64 of a SHA-1.
const ACCEPT_BYTES: usize = 28;

/// Fields of the 101 that are not the application's to send.
const OWN_FIELDS: &[&str] = &[
    "connection",
    "content-length",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
];

/// A request for a WebSocket that may be granted.
#[derive(Clone, Debug)]
pub struct Opening {
    accept: [u8; ACCEPT_BYTES],
    /// What the client offers, in its order of preference.
    pub subprotocols: Vec<String>,
    /// What will be agreed about compression.
    pub deflate: Option<Deflate>,
}

impl Opening {
    /// Whether the request asks for a WebSocket: in HTTP/1.1, Connection names Upgrade and an
    /// Upgrade field names `websocket`. Another request's Upgrade may be ignored (RFC 9110
    /// section 7.8), and an HTTP/1.0 one must be.
    #[must_use]
    pub fn is_asked_for(head: &Head<'_, '_>) -> bool {
        head.upgrade.is_some()
            && values(head, "upgrade")
                .flat_map(list)
                .any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
    }

    /// Reads a request that [asks for](Self::is_asked_for) a WebSocket.
    ///
    /// # Errors
    ///
    /// It cannot be granted; the error knows the answer.
    pub fn read(head: &Head<'_, '_>, deflate: bool) -> Result<Self, OpeningError> {
        if head.method != "GET" {
            return Err(OpeningError::Method);
        }
        if head.body != BodyLength::None {
            return Err(OpeningError::Body);
        }
        let mut versions = values(head, "sec-websocket-version");
        if (versions.next(), versions.next()) != (Some(b"13".as_slice()), None) {
            return Err(OpeningError::Version);
        }
        let mut keys = values(head, "sec-websocket-key");
        let (Some(key), None) = (keys.next(), keys.next()) else { return Err(OpeningError::Key) };
        let mut agreed = None;
        for value in values(head, "sec-websocket-extensions") {
            extensions::negotiate(value, &mut agreed).map_err(|_| OpeningError::Extensions)?;
        }
        Ok(Self {
            accept: accept(key)?,
            subprotocols: subprotocols(head)?,
            deflate: agreed.filter(|_| deflate),
        })
    }

    /// Appends the head that opens the WebSocket; on error part of it may stand in `out`.
    ///
    /// # Errors
    ///
    /// The application's answer is not one that a client could take.
    pub fn write<'h>(
        &self,
        subprotocol: Option<&str>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
        defaults: Defaults<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), AcceptError> {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        write_field(b"upgrade", b"websocket", out);
        write_field(b"connection", b"upgrade", out);
        write_field(b"sec-websocket-accept", &self.accept, out);
        if let Some(subprotocol) = subprotocol {
            if !self.subprotocols.iter().any(|offered| offered == subprotocol) {
                return Err(AcceptError::Subprotocol);
            }
            write_field(b"sec-websocket-protocol", subprotocol.as_bytes(), out);
        }
        if let Some(deflate) = &self.deflate {
            out.extend_from_slice(b"sec-websocket-extensions: ");
            deflate.write(out);
            out.extend_from_slice(b"\r\n");
        }
        let (mut date, mut server) = (defaults.date, defaults.server);
        for (name, value) in headers {
            check_field(name, value)?;
            if name.eq_ignore_ascii_case(b"date") {
                date = None;
            } else if name.eq_ignore_ascii_case(b"server") {
                server = None;
            }
            write_field(name, value, out);
        }
        for (name, value) in [(b"date".as_slice(), date), (b"server".as_slice(), server)] {
            if let Some(value) = value {
                write_field(name, value, out);
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

fn check_field(name: &[u8], value: &[u8]) -> Result<(), AcceptError> {
    if !is_token(name) {
        return Err(AcceptError::HeaderName);
    }
    if !is_field_value(value) {
        return Err(AcceptError::HeaderValue);
    }
    if OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes())) {
        return Err(AcceptError::HandshakeHeader);
    }
    Ok(())
}

fn values<'a>(head: &'a Head<'_, 'a>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = head.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| field.value)
}

/// Sec-WebSocket-Accept for a key (section 4.2.2, item 5.4).
fn accept(key: &[u8]) -> Result<[u8; ACCEPT_BYTES], OpeningError> {
    let mut decoded = [0; 18];
    if key.len() != 24 || BASE64.decode_slice(key, &mut decoded) != Ok(16) {
        return Err(OpeningError::Key);
    }
    let mut sha1 = sha1_smol::Sha1::new();
    sha1.update(key);
    sha1.update(GUID);
    let mut accept = [0; ACCEPT_BYTES];
    match BASE64.encode_slice(sha1.digest().bytes(), &mut accept) {
        Ok(_) => Ok(accept),
        Err(_) => Err(OpeningError::Key),
    }
}

/// The subprotocols that are offered: tokens, none of them twice (section 4.1, item 10).
fn subprotocols(head: &Head<'_, '_>) -> Result<Vec<String>, OpeningError> {
    let mut offered: Vec<String> = Vec::new();
    for value in values(head, "sec-websocket-protocol").flat_map(list) {
        if value.is_empty() {
            continue;
        }
        match core::str::from_utf8(value) {
            Ok(name) if is_token(value) && !offered.iter().any(|known| known == name) => {
                offered.push(name.to_owned());
            }
            _ => return Err(OpeningError::Subprotocols),
        }
    }
    Ok(offered)
}

//! Close codes, and the payload of a close frame (RFC 6455 sections 5.5.1 and 7.4).

use super::error::ProtocolError;
use super::frame::{CONTROL_BYTES, FrameHeader, Opcode};

/// The codes that a server has a use for; the registry is that of RFC 6455 section 11.7.
pub mod code {
    /// The purpose is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The peer has broken the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// Never on the wire: the peer's close frame had no code.
    pub const NONE: u16 = 1005;
    /// Never on the wire: the connection ended without a close frame.
    pub const ABNORMAL: u16 = 1006;
    /// The payload is not what it claims to be.
    pub const INVALID_DATA: u16 = 1007;
    /// The peer breaks a rule that has no code of its own.
    pub const POLICY: u16 = 1008;
    /// The message is too big.
    pub const TOO_BIG: u16 = 1009;
    /// The server has failed.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// The server restarts: come back later.
    pub const SERVICE_RESTART: u16 = 1012;
}

/// Whether a close frame may carry `code` (section 7.4.2).
#[must_use]
pub fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The code and reason in a client's close frame.
pub(super) fn read(payload: &[u8]) -> Result<(u16, &str), ProtocolError> {
    match payload {
        [] => Ok((code::NONE, "")),
        [_] => Err(ProtocolError::ClosePayload),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !is_sendable(code) {
                return Err(ProtocolError::CloseCode);
            }
            let reason = core::str::from_utf8(reason).map_err(|_| ProtocolError::Utf8)?;
            Ok((code, reason))
        }
    }
}

/// Appends a close frame; without a payload if there is no code. A reason that does not fit is
/// cut between two characters.
pub(super) fn write(code: Option<u16>, reason: &str, out: &mut Vec<u8>) {
    let Some(code) = code else {
        out.extend_from_slice(&FrameHeader::control(Opcode::Close, 0));
        return;
    };
    let mut end = reason.len().min(CONTROL_BYTES - 2);
    while !reason.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let reason = reason.get(..end).unwrap_or_default();
    out.extend_from_slice(&FrameHeader::control(Opcode::Close, reason.len().saturating_add(2)));
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

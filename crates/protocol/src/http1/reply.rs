//! Responses that the server gives in its own name, without asking the application.
//!
//! Owns complete messages only; knows nothing of the connection they are written to.

use super::head::{RequestFacts, Version};
use super::response::{Defaults, Response};
use super::status::reason_phrase;

/// The interim response that asks for the body (RFC 9110 section 15.2.1). Send it when the
/// application first asks for the body of a request whose head has `expect_continue`, unless body
/// bytes have already come or the final response has started.
#[must_use]
pub const fn continue_100() -> &'static [u8] {
    b"HTTP/1.1 100 Continue\r\n\r\n"
}

/// Appends a whole `Connection: close` response with `reason` as its plain-text body. An empty
/// `reason` means the standard phrase; `is_head` leaves the body away. `status` is the caller's
/// own constant; one that is no final status is sent as 500.
pub fn error_response(
    status: u16,
    reason: &str,
    is_head: bool,
    defaults: Defaults<'_>,
    out: &mut Vec<u8>,
) {
    write(status, reason, &[], is_head, defaults, out);
}

/// [`error_response`] with header fields that this status asks for, to a method other than HEAD.
pub fn refusal(
    status: u16,
    reason: &str,
    fields: &[(&[u8], &[u8])],
    defaults: Defaults<'_>,
    out: &mut Vec<u8>,
) {
    write(status, reason, fields, false, defaults, out);
}

fn write(
    status: u16,
    reason: &str,
    fields: &[(&[u8], &[u8])],
    is_head: bool,
    defaults: Defaults<'_>,
    out: &mut Vec<u8>,
) {
    let status = if (200..=999).contains(&status) { status } else { 500 };
    let reason = if reason.is_empty() { reason_phrase(status) } else { reason };
    let facts = RequestFacts { is_head, version: Version::Http11, keep_alive: false };
    let mut response = Response::new(facts);
    let body = [reason.as_bytes(), b"\n"].concat();
    let mut length = itoa::Buffer::new();
    let length = length.format(body.len()).as_bytes();
    // None of these calls can fail for a valid status and our own header fields.
    let written = response
        .start(status, out)
        .and_then(|()| response.header(b"content-type", b"text/plain; charset=utf-8", out))
        .and_then(|()| response.header(b"content-length", length, out))
        .and_then(|()| {
            fields.iter().try_for_each(|(name, value)| response.header(name, value, out))
        })
        .and_then(|()| response.finish_head(None, defaults, out))
        .and_then(|()| response.frame(body.len(), false));
    if let Ok(framing) = written {
        framing.write(&body, out);
    }
}

//! How long a request body is (RFC 9112 section 6).
//!
//! Owns the reading of Content-Length and Transfer-Encoding. This is where request smuggling
//! lives, so whatever two parsers could read differently is refused.

use super::error::RequestError;
use super::grammar::{decimal, is_token, list};
use super::head::{BodyLength, Version};

/// The framing fields of one head, gathered in any order.
#[derive(Default)]
pub(super) struct FramingFields {
    content_length: Option<u64>,
    chunked: bool,
}

impl FramingFields {
    /// Notes a Content-Length. Equal duplicates could be merged (RFC 9110 section 8.6); no honest
    /// client sends them.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), RequestError> {
        if self.content_length.is_some() {
            return Err(RequestError::ContentLengthRepeated);
        }
        let length = decimal(value).ok_or(RequestError::ContentLength)?;
        self.content_length = Some(length);
        Ok(())
    }

    /// Notes a Transfer-Encoding.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), RequestError> {
        if self.chunked {
            return Err(RequestError::TransferEncodingRepeated);
        }
        check_codings(value)?;
        self.chunked = true;
        Ok(())
    }

    /// The verdict, once all fields are known.
    pub(super) fn body_length(
        &self,
        version: Version,
        limit: u64,
    ) -> Result<BodyLength, RequestError> {
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(RequestError::ContentLengthAndTransferEncoding),
            (true, None) if version == Version::Http10 => {
                Err(RequestError::TransferEncodingInHttp10)
            }
            (true, None) => Ok(BodyLength::Chunked),
            (false, Some(length)) if length > limit => Err(RequestError::BodyTooLarge),
            (false, None | Some(0)) => Ok(BodyLength::None),
            (false, Some(length)) => Ok(BodyLength::Length(length)),
        }
    }
}

/// Accepts exactly `chunked`; tells codings we lack (501) from lists nobody may send (400).
fn check_codings(value: &[u8]) -> Result<(), RequestError> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut chunked_before = false;
    for coding in list(value) {
        // RFC 9112 section 7: a coding may carry parameters, `chunked` has none.
        let name = coding.split(|&byte| byte == b';').next().unwrap_or_default();
        if chunked_before || !is_token(super::grammar::trim(name)) {
            return Err(RequestError::TransferEncoding);
        }
        if name.eq_ignore_ascii_case(b"chunked") {
            if name.len() != coding.len() {
                return Err(RequestError::TransferEncoding);
            }
            chunked_before = true;
        }
    }
    Err(RequestError::TransferCodingUnsupported)
}

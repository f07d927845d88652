//! The strict, resumable reading of a head, line by line.
//!
//! Owns two jobs that are one: finding the end of a head that arrives in pieces without looking
//! at any byte twice, and naming the first fault of a head that the fast reader refused. It looks
//! only at whole lines, so that the verdict never depends on how the bytes were split. It must
//! not know what the fields mean.

use super::error::RequestError;
use super::grammar::{has_bare_lf, is_field_value, is_target, is_tchar, is_token};
use super::limits::Limits;

/// Where the reading of one head stands; offsets count from the head's first byte.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    line_start: usize,
    searched: usize,
    fields: usize,
}

impl HeadScan {
    /// Whether no byte of this head has been seen.
    pub(super) fn is_fresh(&self) -> bool {
        self.searched == 0
    }

    /// Reads on; `input` starts at the head's first byte. The length of the head once its empty
    /// line has come.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, RequestError> {
        // A TLS hello or other noise need not send a line end before it gets its answer.
        if self.is_fresh() && input.first().is_some_and(|&byte| !is_tchar(byte)) {
            return Err(RequestError::Method);
        }
        while let Some(newline) = self.find_newline(input) {
            let end = newline.saturating_add(1);
            self.check_length(end, limits)?;
            let line = input.get(self.line_start..newline).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else { return Err(RequestError::BareLf) };
            if self.line_start == 0 {
                check_request_line(line)?;
            } else if line.is_empty() {
                return Ok(Some(end));
            } else {
                self.fields = self.fields.saturating_add(1);
                if self.fields > limits.head_fields {
                    return Err(RequestError::TooManyFields);
                }
                check_field_line(line)?;
            }
            self.line_start = end;
            self.searched = end;
        }
        self.searched = input.len();
        self.check_length(input.len(), limits)?;
        Ok(None)
    }

    fn find_newline(&self, input: &[u8]) -> Option<usize> {
        let unread = input.get(self.searched..)?;
        Some(self.searched.saturating_add(memchr::memchr(b'\n', unread)?))
    }

    /// Refuses a line that ends, or an unfinished line that has grown, beyond `end`.
    fn check_length(&self, end: usize, limits: &Limits) -> Result<(), RequestError> {
        if self.line_start == 0 {
            if end > limits.request_line_bytes.min(limits.head_bytes) {
                return Err(RequestError::RequestLineTooLong);
            }
        } else if end > limits.head_bytes {
            return Err(RequestError::HeadTooLarge);
        }
        Ok(())
    }
}

/// Whether a head that the fast reader took also passes the rules that it does not enforce.
#[inline]
pub(super) fn passes_fast_checks(head: &[u8], method: &str, target: &str, limits: &Limits) -> bool {
    // Two spaces, eight bytes of version and CRLF complete the line.
    let line = method.len().saturating_add(target.len()).saturating_add(12);
    line <= limits.request_line_bytes
        && head.len() <= limits.head_bytes
        && is_target(target.as_bytes())
        && !has_bare_lf(head)
}

/// `request-line = method SP request-target SP HTTP-version` (RFC 9112 section 3). RFC 9112 lets
/// a server split on other whitespace; that very leniency makes two parsers disagree.
fn check_request_line(line: &[u8]) -> Result<(), RequestError> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let method = parts.next().unwrap_or_default();
    if !is_token(method) {
        return Err(RequestError::Method);
    }
    let Some(target) = parts.next() else { return Err(RequestError::RequestLine) };
    if target.is_empty() {
        return Err(RequestError::RequestLine);
    }
    if !is_target(target) {
        return Err(RequestError::TargetBytes);
    }
    match parts.next() {
        Some(b"HTTP/1.1" | b"HTTP/1.0") => Ok(()),
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(RequestError::VersionUnsupported)
        }
        Some(_) => Err(RequestError::VersionSyntax),
        None => Err(RequestError::VersionMissing),
    }
}

/// `field-line = field-name ":" OWS field-value OWS` (RFC 9112 section 5); for the trailer
/// section as well.
pub(super) fn check_field_line(line: &[u8]) -> Result<(), RequestError> {
    if let Some(b' ' | b'\t') = line.first() {
        return Err(RequestError::ObsFold);
    }
    let Some((name, rest)) =
        memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
    else {
        return Err(RequestError::FieldColon);
    };
    if !is_token(name) {
        let spaced = matches!(name, [.., b' ' | b'\t']);
        return Err(if spaced { RequestError::FieldNameSpace } else { RequestError::FieldName });
    }
    if !is_field_value(rest) {
        return Err(RequestError::FieldValue);
    }
    Ok(())
}

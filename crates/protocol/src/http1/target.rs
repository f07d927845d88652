//! The forms of a request target (RFC 9112 section 3.2).
//!
//! Splits what the scanner has already found to be plain visible ASCII; decodes nothing.

use super::error::RequestError;
use super::grammar::is_authority;

/// A request target, taken apart.
pub(super) struct Target<'b> {
    /// Path as sent, still percent-encoded; `*` for the asterisk form.
    pub(super) path: &'b str,
    /// What follows the first `?`, or nothing.
    pub(super) query: &'b str,
    /// Host and port of the absolute form.
    pub(super) authority: Option<&'b str>,
}

/// Takes `target` apart, or says why it does not fit `method`.
#[inline]
pub(super) fn split<'b>(method: &str, target: &'b str) -> Result<Target<'b>, RequestError> {
    // RFC 9110 section 9.1: a method that is known but not implemented is answered 501.
    if method == "CONNECT" {
        return Err(RequestError::ConnectUnsupported);
    }
    if target.starts_with('/') {
        let (path, query) = split_query(target);
        return Ok(Target { path, query, authority: None });
    }
    if target == "*" {
        return if method == "OPTIONS" {
            Ok(Target { path: target, query: "", authority: None })
        } else {
            Err(RequestError::TargetForm)
        };
    }
    split_absolute(target)
}

#[cold]
fn split_absolute(target: &str) -> Result<Target<'_>, RequestError> {
    let Some((scheme, rest)) = target.split_once("://") else {
        // Authority form; only CONNECT may use it.
        return Err(RequestError::TargetForm);
    };
    if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
        return Err(RequestError::TargetForm);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at_checked(end).unwrap_or((rest, ""));
    // RFC 9110 section 4.2.1 makes an empty host invalid here, section 4.2.4 user information.
    let empty = authority.is_empty() || authority.starts_with(':');
    if empty || !is_authority(authority.as_bytes()) {
        return Err(RequestError::HostSyntax);
    }
    let (path, query) = split_query(path_and_query);
    // RFC 9110 section 4.2.3: an empty path is the same as "/".
    let path = if path.is_empty() { "/" } else { path };
    Ok(Target { path, query, authority: Some(authority) })
}

#[inline]
fn split_query(path_and_query: &str) -> (&str, &str) {
    memchr::memchr(b'?', path_and_query.as_bytes())
        .and_then(|mark| path_and_query.split_at_checked(mark))
        .map_or((path_and_query, ""), |(path, query)| (path, query.get(1..).unwrap_or_default()))
}

//! Percent codes (RFC 3986 section 2.1): away for the application, and back for a log.
//!
//! Pure text; knows no request.

use std::borrow::Cow;

/// `text` with its percent codes decoded, read as UTF-8; what is no UTF-8 becomes U+FFFD, and
/// what is no code stays.
#[must_use]
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    let decoded = String::from_utf8(decoded)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Cow::Owned(decoded)
}

/// Appends a request target as an access log shows it: the path decoded and quoted again by one
/// rule, that of Python's `urllib.parse.quote`, and the query as sent. Whatever the peer has
/// sent, there are neither control bytes nor quotes in it.
pub fn quote_target(path: &str, query: &str, out: &mut Vec<u8>) {
    if path.bytes().all(is_plain) {
        out.extend_from_slice(path.as_bytes());
    } else {
        for &byte in percent_decoded(path).as_bytes() {
            if is_plain(byte) { out.push(byte) } else { push_code(byte, out) }
        }
    }
    if query.is_empty() {
        return;
    }
    out.push(b'?');
    for byte in query.bytes() {
        if matches!(byte, 0x21..0x7F) && byte != b'"' {
            out.push(byte);
        } else {
            push_code(byte, out);
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~' | b'/')
}

fn push_code(byte: u8, out: &mut Vec<u8>) {
    let digit = |value: u8| match value {
        0..10 => b'0' + value,
        _ => b'A' + (value - 10),
    };
    out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xF)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(path: &str, query: &str) -> String {
        let mut out = Vec::new();
        quote_target(path, query, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn codes_become_text() {
        assert_eq!(percent_decoded("/plain"), "/plain");
        assert_eq!(percent_decoded("/%E2%82%ac/%41%2f"), "/€/A/");
    }

    #[test]
    fn what_is_no_code_stays() {
        for text in ["%", "/%4", "/%zz", "/%%", "100%"] {
            assert_eq!(percent_decoded(text), text);
        }
        assert_eq!(percent_decoded("/%%41"), "/%A");
    }

    #[test]
    fn what_is_no_utf8_is_replaced() {
        assert_eq!(percent_decoded("/%FFx"), "/\u{FFFD}x");
    }

    #[test]
    fn a_logged_target_is_quoted_by_one_rule() {
        assert_eq!(quoted("/a-b_c.d~e/f", "x=1&y=%20"), "/a-b_c.d~e/f?x=1&y=%20");
        assert_eq!(quoted("/caf%c3%a9", ""), "/caf%C3%A9");
        assert_eq!(quoted("/a:b", ""), "/a%3Ab");
    }

    #[test]
    fn a_logged_target_cannot_forge_a_line() {
        assert_eq!(quoted("/%0d%0aINFO:%20x", "\""), "/%0D%0AINFO%3A%20x?%22");
        assert_eq!(quoted("/%22", "a=\u{7f}\u{1b}"), "/%22?a=%7F%1B");
    }
}

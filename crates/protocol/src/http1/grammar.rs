//! The character classes and small productions of RFC 9110 section 5.6 and RFC 9112.
//!
//! Pure predicates over bytes, for both directions; knows neither heads nor states.

/// May appear in a token (RFC 9110 section 5.6.2).
const TOKEN: u8 = 1;
/// May appear in a `reg-name` (RFC 3986 section 3.2.2); percent signs are checked apart.
const REG_NAME: u8 = 2;

static CLASS: [u8; 256] = build_classes();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn build_classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        let alphanumeric = byte.is_ascii_alphanumeric();
        let mut class = 0;
        let token = b"!#$%&'*+-.^_`|~";
        let reg_name = b"-._~!$&'()*+,;=%";
        if alphanumeric || contains(token, byte) {
            class |= TOKEN;
        }
        if alphanumeric || contains(reg_name, byte) {
            class |= REG_NAME;
        }
        table[byte as usize] = class;
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn contains(set: &[u8], byte: u8) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == byte {
            return true;
        }
        i += 1;
    }
    false
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a u8 cannot leave a table of 256")]
fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// Whether `byte` is a `tchar`.
#[inline]
pub(crate) fn is_tchar(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// Whether `bytes` is a token: one or more `tchar`.
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_tchar(byte))
}

/// Whether `bytes` may stand in a field value: no control byte but HTAB (RFC 9110 section 5.5).
/// Bytes above 0x7F are `obs-text` and pass.
#[inline]
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    // A fold without early exit, so that the compiler turns it into vector compares.
    !bytes.iter().fold(false, |bad, &byte| bad | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7F))
}

/// Whether `bytes` may stand in a request target: visible ASCII without `#`, for a fragment never
/// goes on the wire (RFC 9110 section 7.1). Of visible ASCII, RFC 3986 also excludes quotes,
/// braces and the like; clients send them raw every day and no two parsers split on them, so they
/// pass.
#[inline]
pub(super) fn is_target(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |bad, &byte| bad | !(0x21..0x7F).contains(&byte) | (byte == b'#'))
}

/// Whether some LF is not preceded by CR.
#[inline]
pub(super) fn has_bare_lf(bytes: &[u8]) -> bool {
    let Some((first, tail)) = bytes.split_first() else { return false };
    let bad = bytes
        .iter()
        .zip(tail)
        .fold(false, |bad, (&before, &byte)| bad | ((byte == b'\n') & (before != b'\r')));
    bad | (*first == b'\n')
}

/// The elements of a comma-separated list, trimmed, empty ones included (RFC 9110 section 5.6.1).
#[inline]
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// `bytes` without optional whitespace at either end (RFC 9110 section 5.6.3).
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A plain decimal number: digits only, no sign, no space, no overflow (RFC 9110 section 8.6).
#[inline]
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    // u64::MAX has 20 digits; more can only be leading zeros, which nobody sends in good faith.
    if bytes.is_empty() || bytes.len() > 20 {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Whether `bytes` is `uri-host [ ":" port ]` (RFC 9110 section 7.2): a name, an IPv4 address or
/// an IPv6 address in brackets. No user information, no path. An empty host is the caller's
/// question. `IPvFuture` and zone identifiers are refused: no client sends them to a server.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    if let Some(rest) = bytes.strip_prefix(b"[") {
        let mut parts = rest.splitn(2, |&byte| byte == b']');
        let (Some(address), Some(port)) = (parts.next(), parts.next()) else { return false };
        let address = core::str::from_utf8(address).ok();
        return address.is_some_and(|text| text.parse::<core::net::Ipv6Addr>().is_ok())
            && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_port));
    }
    let (host, port) = match memchr::memchr(b':', bytes).and_then(|at| bytes.split_at_checked(at)) {
        Some((host, port)) => (host, port.strip_prefix(b":")),
        None => (bytes, None),
    };
    host.iter().all(|&byte| is(byte, REG_NAME))
        && percents_are_pairs(host)
        && port.is_none_or(is_port)
}

/// `*DIGIT` that fits a TCP port; the grammar allows it to be empty.
fn is_port(bytes: &[u8]) -> bool {
    bytes.is_empty() || decimal(bytes).is_some_and(|port| port <= u64::from(u16::MAX))
}

fn percents_are_pairs(mut bytes: &[u8]) -> bool {
    while let Some((_, rest)) =
        memchr::memchr(b'%', bytes).and_then(|at| bytes.split_at_checked(at))
    {
        let [b'%', high, low, after @ ..] = rest else { return false };
        if !(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()) {
            return false;
        }
        bytes = after;
    }
    true
}

//! Every request that must be refused, with the reason and the status; fed every way, and always
//! followed by a good request that must never be seen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::{Seen, feed_every_way};
use weft_protocol::http1::{Limits, RequestError as E};

const NEXT: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

/// Asserts that `bytes` end in `error`, and that no head follows it.
#[track_caller]
fn refused(bytes: &[u8], error: E, status: u16) {
    let seen = feed_every_way(Limits::default(), &[bytes, NEXT].concat());
    let text = bytes.escape_ascii();
    assert_eq!(seen.last(), Some(&Seen::Error(error)), "{text}");
    let smuggled = |event: &Seen| matches!(event, Seen::Head(head) if head.path == "/smuggled");
    assert!(!seen.iter().any(smuggled), "{text}: {seen:?}");
    assert_eq!(error.status(), status, "{text}");
    assert!(!error.to_string().is_empty());
}

#[track_caller]
fn refused_line(line: &str, error: E, status: u16) {
    refused(format!("{line}\r\nHost: h\r\n\r\n").as_bytes(), error, status);
}

#[track_caller]
fn refused_fields(fields: &str, error: E, status: u16) {
    refused(format!("POST / HTTP/1.1\r\n{fields}\r\n").as_bytes(), error, status);
}

#[test]
fn malformed_request_lines() {
    for (line, error) in [
        ("GET", E::RequestLine),
        ("GET  / HTTP/1.1", E::RequestLine),
        ("GET ", E::RequestLine),
        ("GET /", E::VersionMissing),
        ("GET /  HTTP/1.1", E::VersionSyntax),
        ("GET / HTTP/1.1 ", E::VersionSyntax),
        ("GET / a HTTP/1.1", E::VersionSyntax),
        ("GET\t/\tHTTP/1.1", E::Method),
        ("GET /\tHTTP/1.1", E::TargetBytes),
        (" GET / HTTP/1.1", E::Method),
        ("G@T / HTTP/1.1", E::Method),
        ("G\u{e9}T / HTTP/1.1", E::Method),
        ("G\0T / HTTP/1.1", E::Method),
        (":GET / HTTP/1.1", E::Method),
        ("GET / http/1.1", E::VersionSyntax),
        ("GET / HTTP/1", E::VersionSyntax),
        ("GET / HTTP/1.10", E::VersionSyntax),
        ("GET / HTTP/11", E::VersionSyntax),
        ("GET / HTTP/+.1", E::VersionSyntax),
        ("GET / HTTPS/1.1", E::VersionSyntax),
        ("GET / HTTP/1.1\r", E::VersionSyntax),
        ("GET / HTTP/1.1\rX: y", E::VersionSyntax),
    ] {
        refused_line(line, error, 400);
    }
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", E::Method, 400);
    refused(b"\r\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", E::Method, 400);
}

#[test]
fn versions_other_than_1_0_and_1_1_are_505() {
    for version in ["2.0", "1.2", "0.9", "3.0", "9.9"] {
        refused_line(&format!("GET / HTTP/{version}"), E::VersionUnsupported, 505);
    }
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", E::VersionUnsupported, 505);
}

#[test]
fn malformed_targets() {
    for (target, error) in [
        ("/a\u{e9}", E::TargetBytes),
        ("/a\0", E::TargetBytes),
        ("/a\u{1b}", E::TargetBytes),
        ("/a\u{7f}", E::TargetBytes),
        ("/a#b", E::TargetBytes),
        ("#", E::TargetBytes),
        ("*", E::TargetForm),
        ("a", E::TargetForm),
        ("?a", E::TargetForm),
        ("example.org:80", E::TargetForm),
        ("ftp://h/", E::TargetForm),
        ("://h/", E::TargetForm),
        ("http:/h", E::TargetForm),
        ("http://", E::HostSyntax),
        ("http:///p", E::HostSyntax),
        ("http://:80/", E::HostSyntax),
        ("http://user@h/", E::HostSyntax),
        ("http://h:x/", E::HostSyntax),
    ] {
        refused_line(&format!("GET {target} HTTP/1.1"), error, 400);
    }
    refused(b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n", E::TargetBytes, 400);
    refused_line("OPTIONS ** HTTP/1.1", E::TargetForm, 400);
}

#[test]
fn connect_is_not_implemented() {
    refused_line("CONNECT h:80 HTTP/1.1", E::ConnectUnsupported, 501);
    refused_line("CONNECT / HTTP/1.1", E::ConnectUnsupported, 501);
}

#[test]
fn a_host_is_due_exactly_once() {
    refused_fields("", E::HostMissing, 400);
    refused_fields("X-Host: h\r\n", E::HostMissing, 400);
    refused(b"GET http://h/ HTTP/1.1\r\n\r\n", E::HostMissing, 400);
    refused_fields("Host: h\r\nHost: h\r\n", E::HostRepeated, 400);
    refused_fields("Host: h\r\nhOST: i\r\n", E::HostRepeated, 400);
    refused(b"GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", E::HostRepeated, 400);
    for host in [
        "a b",
        "u@h",
        "h/p",
        "h?q",
        "h#f",
        "h:80:80",
        "h:8x",
        "h:-1",
        "h:65536",
        "[::1",
        "::1",
        "[::1]x",
        "[h]",
        "[::1%25eth0]",
        "h%zz",
        "h%2",
        "h\\",
        "\u{e9}",
        "a\"b",
        "http://h",
    ] {
        refused_fields(&format!("Host: {host}\r\n"), E::HostSyntax, 400);
    }
}

#[test]
fn malformed_fields() {
    for (field, error) in [
        ("A : b", E::FieldNameSpace),
        ("A\t: b", E::FieldNameSpace),
        (": b", E::FieldName),
        ("A B: c", E::FieldName),
        ("A(: b", E::FieldName),
        ("\u{e9}: b", E::FieldName),
        ("A\0: b", E::FieldName),
        ("A", E::FieldColon),
        ("A: b\0c", E::FieldValue),
        ("A: b\u{7}", E::FieldValue),
        ("A: b\u{7f}", E::FieldValue),
        ("A: b\rc", E::FieldValue),
        ("A: b\r", E::FieldValue),
        ("A: b\u{b}", E::FieldValue),
        (" A: b", E::ObsFold),
        ("A: b\r\n c", E::ObsFold),
        ("A: b\r\n\tc", E::ObsFold),
        ("A: b\r\n ", E::ObsFold),
    ] {
        refused_fields(&format!("Host: h\r\n{field}\r\n"), error, 400);
        refused_fields(&format!("{field}\r\nHost: h\r\n"), error, 400);
    }
}

#[test]
fn lines_end_in_cr_lf_and_nothing_else() {
    for bytes in [
        &b"GET / HTTP/1.1\nHost: h\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: h\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        refused(bytes, E::BareLf, 400);
    }
    // A bare LF before another fault is found first, however the bytes arrive.
    refused(b"GET / HTTP/1.1\r\nHost: h\nA : b\r\n\r\n", E::BareLf, 400);
}

#[test]
fn content_lengths_that_two_parsers_could_read_differently() {
    for value in [
        "",
        "+3",
        "-3",
        "3, 3",
        "3,3",
        "3 3",
        "0x3",
        "3;",
        "3.0",
        "a",
        "\"3\"",
        "18446744073709551616",
        "18446744073709551619",
        "000000000000000000003",
        "99999999999999999999",
        "3\t3",
    ] {
        let fields = format!("Host: h\r\nContent-Length: {value}\r\n");
        refused_fields(&fields, E::ContentLength, 400);
    }
    for (first, second) in [("3", "3"), ("3", "4"), ("0", "3")] {
        let fields = format!("Host: h\r\nContent-Length: {first}\r\ncontent-length: {second}\r\n");
        refused_fields(&fields, E::ContentLengthRepeated, 400);
    }
    for fields in [
        "Host: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        refused_fields(fields, E::ContentLengthAndTransferEncoding, 400);
    }
}

#[test]
fn transfer_encodings_other_than_one_chunked() {
    for (value, error, status) in [
        ("gzip", E::TransferCodingUnsupported, 501),
        ("gzip, chunked", E::TransferCodingUnsupported, 501),
        ("identity", E::TransferCodingUnsupported, 501),
        ("xchunked", E::TransferCodingUnsupported, 501),
        ("foo;bar=baz, chunked", E::TransferCodingUnsupported, 501),
        ("chunked, gzip", E::TransferEncoding, 400),
        ("chunked, chunked", E::TransferEncoding, 400),
        ("chunked, identity", E::TransferEncoding, 400),
        ("chunked;a=b", E::TransferEncoding, 400),
        ("chunked,", E::TransferEncoding, 400),
        (",chunked", E::TransferEncoding, 400),
        ("", E::TransferEncoding, 400),
        ("\"chunked\"", E::TransferEncoding, 400),
        ("chunked chunked", E::TransferEncoding, 400),
        ("ch\u{e9}nked", E::TransferEncoding, 400),
        ("\u{b}chunked", E::FieldValue, 400),
        ("chunked\0", E::FieldValue, 400),
    ] {
        refused_fields(&format!("Host: h\r\nTransfer-Encoding: {value}\r\n"), error, status);
    }
    for (first, second) in [("chunked", "chunked"), ("chunked", "gzip"), ("chunked", "identity")] {
        let fields =
            format!("Host: h\r\nTransfer-Encoding: {first}\r\nTransfer-Encoding: {second}\r\n");
        refused_fields(&fields, E::TransferEncodingRepeated, 400);
    }
    refused_fields("Host: h\r\nTransfer-Encoding : chunked\r\n", E::FieldNameSpace, 400);
    let old = b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(old, E::TransferEncodingInHttp10, 400);
}

#[test]
fn unknown_expectations_are_417() {
    for value in ["200-ok", "100-continue, other", "", "100-continue=x"] {
        let fields = format!("Host: h\r\nExpect: {value}\r\nContent-Length: 1\r\n");
        refused_fields(&fields, E::ExpectationUnsupported, 417);
    }
}

#[test]
fn chunked_bodies_outside_the_grammar() {
    for (body, error) in [
        ("0x3\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        (" 3\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("3 \r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("+3\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("-3\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("3g\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        (";a\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("3\r\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("10000000000000003\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("00000000000000003\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("3\nabc\r\n0\r\n\r\n", E::BareLf),
        ("3\r\nabc\n0\r\n\r\n", E::ChunkEnd),
        ("3\r\nabcd\r\n0\r\n\r\n", E::ChunkEnd),
        ("3\r\nabc\rX0\r\n\r\n", E::ChunkEnd),
        ("3\r\nab\r\n0\r\n\r\n", E::ChunkEnd),
        ("3;\r\nabc\r\n0\r\n\r\n", E::ChunkExtension),
        ("3;a=\r\nabc\r\n0\r\n\r\n", E::ChunkExtension),
        ("3;a=\"b\r\nabc\r\n0\r\n\r\n", E::ChunkExtension),
        ("3;a=\"b\0\"\r\nabc\r\n0\r\n\r\n", E::ChunkExtension),
        ("3;a=b c\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("3;a\0\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("3;a\rb\r\nabc\r\n0\r\n\r\n", E::ChunkSize),
        ("3;a\nbc\r\n0\r\n\r\n", E::BareLf),
        ("0\r\nA : b\r\n\r\n", E::FieldNameSpace),
        ("0\r\nA\r\n\r\n", E::FieldColon),
        ("0\r\nA: \0\r\n\r\n", E::FieldValue),
        ("0\r\nA: b\n\r\n", E::BareLf),
        ("0\r\n\n", E::BareLf),
        ("0\r\nA: b\r\n c\r\n\r\n", E::ObsFold),
        ("0\r\nGET /x HTTP/1.1\r\n\r\n", E::FieldColon),
    ] {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        refused(format!("{head}{body}").as_bytes(), error, 400);
    }
}

//! Every limit, at the limit and one beyond.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use support::{Connection, Seen, feed, feed_every_way};
use weft_protocol::http1::{Limits, RequestError as E};

fn small() -> Limits {
    Limits {
        request_line_bytes: 40,
        head_bytes: 80,
        head_fields: 3,
        leading_empty_lines: 2,
        chunk_line_bytes: 8,
        trailer_bytes: 12,
        trailer_fields: 2,
        body_bytes: 6,
    }
}

#[track_caller]
fn passes(limits: Limits, bytes: &[u8]) {
    let seen = feed_every_way(limits, bytes);
    let complete = matches!(seen.as_slice(), [Seen::Head(_)] | [Seen::Head(_), .., Seen::End]);
    assert!(complete, "{}: {seen:?}", bytes.escape_ascii());
}

#[track_caller]
fn fails(limits: Limits, bytes: &[u8], error: E, status: u16) {
    let seen = feed_every_way(limits, bytes);
    assert_eq!(seen.last(), Some(&Seen::Error(error)), "{}", bytes.escape_ascii());
    assert_eq!(error.status(), status);
}

fn with_path(length: usize) -> Vec<u8> {
    format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "p".repeat(length - 1)).into_bytes()
}

#[test]
fn the_request_line_is_bounded() {
    // "GET " and " HTTP/1.1" and CRLF are 15 bytes.
    passes(small(), &with_path(25));
    fails(small(), &with_path(26), E::RequestLineTooLong, 414);
    fails(small(), &[b'A'; 41], E::RequestLineTooLong, 414);
}

#[test]
fn the_head_is_bounded_in_bytes() {
    let head =
        |length: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}\r\n\r\n", "b".repeat(length));
    // All but the value are 32 bytes.
    passes(small(), head(48).as_bytes());
    fails(small(), head(49).as_bytes(), E::HeadTooLarge, 431);
    let endless = format!("GET / HTTP/1.1\r\nHost: {}", "h".repeat(200));
    fails(small(), endless.as_bytes(), E::HeadTooLarge, 431);
}

#[test]
fn the_head_is_bounded_in_fields() {
    passes(small(), b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n\r\n");
    let four = b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\nE: f\r\n\r\n";
    fails(small(), four, E::TooManyFields, 431);
    fails(small(), &four[..four.len() - 2], E::TooManyFields, 431);
}

#[test]
fn the_defaults_are_64_kib_and_128_fields() {
    let fields = |count: usize| {
        let rest = "X: y\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: h\r\n{rest}\r\n").into_bytes()
    };
    let bytes = |total: usize| {
        let value = "v".repeat(total - 32);
        format!("GET / HTTP/1.1\r\nHost: h\r\nA: {value}\r\n\r\n").into_bytes()
    };
    let whole = |bytes: &[u8]| feed(Limits::default(), [bytes]).pop();
    let halves = |bytes: &[u8]| {
        let (front, back) = bytes.split_at(bytes.len() / 2);
        feed(Limits::default(), [front, back]).pop()
    };
    for way in [&whole as &dyn Fn(&[u8]) -> Option<Seen>, &halves] {
        assert!(matches!(way(&fields(128)), Some(Seen::Head(_))));
        assert_eq!(way(&fields(129)), Some(Seen::Error(E::TooManyFields)));
        assert!(matches!(way(&bytes(65_536)), Some(Seen::Head(_))));
        assert_eq!(way(&bytes(65_537)), Some(Seen::Error(E::HeadTooLarge)));
        assert_eq!(way(&[b'A'; 16_385]), Some(Seen::Error(E::RequestLineTooLong)));
    }
}

#[test]
fn empty_lines_before_a_request_are_bounded() {
    passes(small(), b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    fails(small(), b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", E::EmptyLines, 400);
}

#[test]
fn chunked_framing_is_bounded() {
    let chunked = |body: &str| {
        format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
            .into_bytes()
    };
    passes(small(), &chunked("1;abcd\r\nx\r\n0\r\n\r\n"));
    fails(small(), &chunked("1;abcde\r\nx\r\n0\r\n\r\n"), E::ChunkLineTooLong, 400);
    fails(small(), &chunked("00000000"), E::ChunkLineTooLong, 400);
    passes(small(), &chunked("0\r\nA:\r\nB:12\r\n\r\n"));
    fails(small(), &chunked("0\r\nA:\r\nB:123\r\n\r\n"), E::TrailersTooLarge, 431);
    fails(small(), &chunked("0\r\nABCDEFGHIJKLMNOP"), E::TrailersTooLarge, 431);
    let limits = Limits { trailer_bytes: 100, ..small() };
    fails(limits, &chunked("0\r\nA:\r\nB:\r\nC:\r\n\r\n"), E::TooManyTrailers, 431);
}

#[test]
fn bodies_are_bounded_declared_or_streamed() {
    let declared =
        |length| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\nabcdef");
    passes(small(), declared(6).as_bytes());
    fails(small(), declared(7).as_bytes(), E::BodyTooLarge, 413);
    let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    passes(small(), format!("{chunked}3\r\ndef\r\n0\r\n\r\n").as_bytes());
    fails(small(), format!("{chunked}4\r\ndefg\r\n0\r\n\r\n").as_bytes(), E::BodyTooLarge, 413);
    let huge = format!("{chunked}ffffffffffffffff\r\n");
    let long_lines = Limits { chunk_line_bytes: 256, ..small() };
    fails(long_lines, huge.as_bytes(), E::BodyTooLarge, 413);
    // Without a limit the largest size is only awaited.
    let seen = feed(Limits::default(), [huge.as_bytes()]);
    assert!(matches!(seen.as_slice(), [Seen::Head(_), Seen::Body(_)]), "{seen:?}");
}

#[test]
fn a_dripping_head_costs_linear_time() {
    let value = "v".repeat(60_000);
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nA: {value}\r\n\r\n");
    let start = Instant::now();
    let mut connection = Connection::new(Limits::default());
    for byte in head.as_bytes().chunks(1) {
        connection.receive(byte);
    }
    assert!(matches!(connection.seen.as_slice(), [Seen::Head(_)]));
    // Linear is some milliseconds even unoptimised; quadratic is 1.8 thousand million steps.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

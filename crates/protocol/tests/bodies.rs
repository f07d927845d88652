//! Request bodies: what comes out, when, and what the decoder says it waits for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::mem::MaybeUninit;

use support::{Connection, Seen, feed_every_way};
use weft_protocol::http1::{Event, Limits, Phase, RequestDecoder};

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

#[track_caller]
fn chunked_body(body: &str) -> Vec<u8> {
    let seen = feed_every_way(Limits::default(), format!("{CHUNKED}{body}").as_bytes());
    match seen.as_slice() {
        [Seen::Head(_), Seen::Body(data), Seen::End] => data.clone(),
        [Seen::Head(_), Seen::End] => Vec::new(),
        other => panic!("{body:?}: {other:?}"),
    }
}

#[test]
fn chunks_are_joined_and_trailers_dropped() {
    for (body, data) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\n\r\n0\r\n0\r\n\r\n", "\r\n0"),
        ("3;a\r\nabc\r\n0;b=c\r\n\r\n", "abc"),
        ("3 ; a = \"q \\\" ;\" ;b\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\nabc\r\n0\r\nX-Sum: 1\r\nEmpty:\r\n\r\n", "abc"),
        ("3\r\nabc\r\n0\r\nContent-Length: 9\r\nHost: i\r\n\r\n", "abc"),
    ] {
        assert_eq!(chunked_body(body), data.as_bytes(), "{body:?}");
    }
}

#[test]
fn a_body_of_declared_length_ends_with_its_last_byte() {
    let request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab\r\ncGET";
    let seen = feed_every_way(Limits::default(), request);
    assert!(matches!(&seen[..], [Seen::Head(_), Seen::Body(b), Seen::End] if b == b"ab\r\nc"));
}

#[test]
fn the_last_piece_of_a_declared_body_says_so() {
    let mut decoder = RequestDecoder::new(Limits::default());
    let mut slots = [MaybeUninit::uninit(); 128];
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(decoder.decode(head, &mut slots).unwrap().consumed, head.len());
    let step = decoder.decode(b"ab", &mut slots).unwrap();
    assert_eq!(step.event, Event::Body { data: b"ab", last: false });
    let step = decoder.decode(b"", &mut slots).unwrap();
    assert_eq!(step.event, Event::NeedMore);
    let step = decoder.decode(b"cGET", &mut slots).unwrap();
    assert_eq!((step.consumed, step.event), (1, Event::Body { data: b"c", last: true }));
    let step = decoder.decode(b"", &mut slots).unwrap();
    assert_eq!((step.consumed, step.event), (0, Event::End));
}

#[test]
fn the_phase_names_what_is_awaited() {
    let mut connection = Connection::new(Limits::default());
    let mut after = |piece: &[u8]| {
        connection.receive(piece);
        connection.decoder.phase()
    };
    assert_eq!(after(b""), Phase::Idle);
    assert_eq!(after(b"\r\n"), Phase::Idle);
    assert_eq!(after(b"GE"), Phase::Head);
    assert_eq!(after(b"T / HTTP/1.1\r\nHost: h\r\n\r\n"), Phase::Idle);
    assert_eq!(after(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"), Phase::Body);
    assert_eq!(after(b"ab"), Phase::Idle);
    assert_eq!(after(CHUNKED.as_bytes()), Phase::Body);
    assert_eq!(after(b"0\r\nA: b\r\n"), Phase::Body);
    assert_eq!(after(b"\r\n"), Phase::Idle);
    assert_eq!(after(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), Phase::Closed);
    assert_eq!(after(b"GET / HTTP/1.1\r\n"), Phase::Closed);
    assert!(connection.buffer.is_empty());
}

#[test]
fn a_failed_decoder_stays_failed() {
    let mut connection = Connection::new(Limits::default());
    connection.receive(b"\0");
    let seen = connection.seen.clone();
    connection.buffer.clear();
    connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(connection.decoder.phase(), Phase::Failed);
    assert_eq!(connection.seen, seen);
}

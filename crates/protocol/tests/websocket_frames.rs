//! Frames to the letter of RFC 6455 section 5, by table and at every split position.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::frames::{
    BINARY, CLOSE, ENDS, GOES_ON, PING, PONG, RSV1, Seen, TEXT, TEXT_BEGINS, feed, feed_every_way,
    feed_every_way_with, frame, text,
};
use weft_protocol::websocket::{Engine, FrameHeader, Kind, Limits, ProtocolError};

#[track_caller]
fn seen(bytes: &[u8]) -> Vec<Seen> {
    feed_every_way(bytes).0
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    // Section 5.7.
    assert_eq!(
        seen(&[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]),
        [text("Hello")]
    );
    let fragments = [frame(TEXT_BEGINS, b"Hel"), frame(ENDS, b"lo")].concat();
    assert_eq!(seen(&fragments), [text("Hello")]);
}

#[test]
fn lengths_of_all_three_forms_are_read_at_their_borders() {
    for length in [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000] {
        let payload = vec![0xA5; length];
        let bytes = frame(BINARY, &payload);
        let expected = vec![Seen::Binary(payload)];
        assert_eq!(feed(Limits::default(), None, [bytes.as_slice()]).0, expected, "{length}");
        assert_eq!(feed(Limits::default(), None, bytes.chunks(1)).0, expected, "{length}");
        for at in [1, 2, 3, 5, 9, 13, 14, length / 2].into_iter().filter(|&at| at < bytes.len()) {
            let (front, back) = bytes.split_at(at);
            assert_eq!(feed(Limits::default(), None, [front, back]).0, expected, "cut at {at}");
        }
    }
}

#[test]
fn what_no_client_may_send_is_refused_with_its_reason() {
    use ProtocolError as E;
    let with_length = |bytes: &[u8]| [bytes, &[0; 4]].concat();
    let cases: &[(&str, Vec<u8>, E)] = &[
        ("RSV1 without an extension", frame(TEXT | RSV1, b"x"), E::ReservedBits),
        ("RSV2", frame(TEXT | 0x20, b"x"), E::ReservedBits),
        ("RSV3", frame(TEXT | 0x10, b"x"), E::ReservedBits),
        ("RSV3 in a ping", frame(PING | 0x10, b""), E::ReservedBits),
        ("opcode 3", frame(0x83, b""), E::Opcode),
        ("opcode 7", frame(0x87, b""), E::Opcode),
        ("opcode 11", frame(0x8B, b""), E::Opcode),
        ("opcode 15", frame(0x8F, b""), E::Opcode),
        ("no mask", vec![0x81, 0x01, b'x'], E::Unmasked),
        ("no mask on a ping", vec![0x89, 0x00], E::Unmasked),
        ("125 in two bytes", with_length(&[BINARY, 0xFE, 0, 125]), E::LengthNotMinimal),
        ("0 in two bytes", with_length(&[BINARY, 0xFE, 0, 0]), E::LengthNotMinimal),
        (
            "65535 in eight bytes",
            with_length(&[BINARY, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
            E::LengthNotMinimal,
        ),
        (
            "the top bit of eight bytes",
            with_length(&[BINARY, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            E::LengthTopBit,
        ),
        (
            "a length that no memory has",
            with_length(&[BINARY, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            E::MessageTooBig,
        ),
        ("a ping of 126", frame(PING, &[0; 126]), E::ControlTooLong),
        ("a close frame of 126", frame(CLOSE, &[0; 126]), E::ControlTooLong),
        ("a ping in fragments", frame(0x09, b"x"), E::ControlFragmented),
        ("a close frame in fragments", frame(0x08, b""), E::ControlFragmented),
        ("a continuation of nothing", frame(ENDS, b"x"), E::UnexpectedContinuation),
        ("an open continuation of nothing", frame(GOES_ON, b"x"), E::UnexpectedContinuation),
        (
            "a text within a text",
            [frame(TEXT_BEGINS, b"x"), frame(TEXT, b"y")].concat(),
            E::ExpectedContinuation,
        ),
        (
            "a continuation behind the end",
            [frame(TEXT_BEGINS, b"x"), frame(ENDS, b"y"), frame(ENDS, b"z")].concat(),
            E::UnexpectedContinuation,
        ),
    ];
    for (name, bytes, error) in cases {
        let found = seen(bytes);
        assert_eq!(found.last(), Some(&Seen::Error(*error)), "{name}");
        let code = if *error == E::MessageTooBig { 1009 } else { 1002 };
        assert_eq!(error.code(), code, "{name}");
        assert!(error.reason().len() <= 123, "{name}");
    }
}

#[test]
fn a_fault_is_seen_at_its_first_byte() {
    for first in [TEXT | RSV1, 0x83, 0x8B, 0x09, TEXT | 0x10] {
        let (found, _) = feed(Limits::default(), None, [[first].as_slice()]);
        assert!(matches!(found.as_slice(), [Seen::Error(_)]), "{first:#x}");
    }
}

#[test]
fn nothing_is_read_behind_a_fault() {
    let bytes = [frame(0x83, b""), frame(TEXT, b"x")].concat();
    assert_eq!(seen(&bytes), [Seen::Error(ProtocolError::Opcode)]);
}

#[test]
fn control_frames_come_between_fragments() {
    let bytes = [
        frame(TEXT_BEGINS, b"a"),
        frame(PING, b"one"),
        frame(GOES_ON, b"b"),
        frame(PONG, b"two"),
        frame(GOES_ON, b""),
        frame(ENDS, b"c"),
    ]
    .concat();
    let (found, out) = feed_every_way(&bytes);
    let (ping, pong) = (Seen::Ping(b"one".to_vec()), Seen::Pong(b"two".to_vec()));
    assert_eq!(found, [ping, pong, text("abc")]);
    assert_eq!(out, b"\x8A\x03one");
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let payload = [0x5A; 125];
    let (_, out) = feed_every_way(&frame(PING, &payload));
    assert_eq!(out, [&[0x8A, 125], payload.as_slice()].concat());
}

#[test]
fn of_pings_that_wait_for_room_the_last_is_answered() {
    let mut engine = Engine::new(Limits::default(), None);
    for number in 0..1000_u16 {
        let mut bytes = frame(PING, &number.to_be_bytes());
        engine.decode(&mut bytes).unwrap();
    }
    let mut out = Vec::new();
    engine.answer_ping(&mut out);
    engine.answer_ping(&mut out);
    assert_eq!(out, [&[0x8A, 2], 999_u16.to_be_bytes().as_slice()].concat());
}

#[test]
fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    let limits = Limits { message_bytes: 10, fragments: 100 };
    let whole = |bytes: &[u8]| feed_every_way_with(limits, None, bytes).0;
    let too_big = Seen::Error(ProtocolError::MessageTooBig);
    assert_eq!(whole(&frame(BINARY, &[1; 10])), [Seen::Binary(vec![1; 10])]);
    assert_eq!(whole(&frame(BINARY, &[1; 11])), std::slice::from_ref(&too_big));
    let fragments = [frame(TEXT_BEGINS, b"12345"), frame(GOES_ON, b"67890")].concat();
    assert_eq!(whole(&[fragments.clone(), frame(ENDS, b"")].concat()), [text("1234567890")]);
    assert_eq!(whole(&[fragments, frame(ENDS, b"1")].concat()), std::slice::from_ref(&too_big));
    // The header alone tells: nothing of the payload is waited for.
    let header = &frame(BINARY, &[1; 11])[..6];
    assert_eq!(whole(header), [too_big]);
}

#[test]
fn a_message_has_no_more_fragments_than_the_limit() {
    let limits = Limits { message_bytes: 100, fragments: 3 };
    let open = [frame(TEXT_BEGINS, b""), frame(GOES_ON, b"")].concat();
    let three = [open.clone(), frame(ENDS, b"")].concat();
    let twice = [three.clone(), three].concat();
    assert_eq!(feed_every_way_with(limits, None, &twice).0, [text(""), text("")]);
    let four = [open, frame(GOES_ON, b""), frame(ENDS, b"")].concat();
    let found = feed_every_way_with(limits, None, &four).0;
    assert_eq!(found, [Seen::Error(ProtocolError::TooManyFragments)]);
    assert_eq!(ProtocolError::TooManyFragments.code(), 1008);
}

#[test]
fn headers_to_the_client_have_the_shortest_length_and_no_mask() {
    let header = |length| FrameHeader::message(Kind::Binary, length).to_vec();
    assert_eq!(header(0), [0x82, 0]);
    assert_eq!(header(125), [0x82, 125]);
    assert_eq!(header(126), [0x82, 126, 0, 126]);
    assert_eq!(header(0xFFFF), [0x82, 126, 0xFF, 0xFF]);
    assert_eq!(header(0x1_0000), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    let mut out = Vec::new();
    Engine::new(Limits::default(), None).write(Kind::Text, "höh".as_bytes(), &mut out);
    assert_eq!(out, [&[0x81, 4], "höh".as_bytes()].concat());
}

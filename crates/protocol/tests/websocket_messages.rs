//! Text in pieces (RFC 6455 section 8.1) and the closing handshake (sections 5.5.1 and 7.4).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::frames::{
    CLOSE, ENDS, GOES_ON, PING, Peer, Seen, TEXT, TEXT_BEGINS, feed, feed_every_way, frame, text,
};
use weft_protocol::websocket::{Engine, Kind, Limits, ProtocolError, is_sendable};

const BROKEN: Seen = Seen::Error(ProtocolError::Utf8);

#[test]
fn characters_may_be_cut_by_frames_anywhere() {
    let word = "κόσμε — 日本 🧵 \u{10FFFF}\u{FFFF}";
    let bytes = word.as_bytes();
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        let message = [frame(TEXT_BEGINS, front), frame(ENDS, back)].concat();
        assert_eq!(feed_every_way(&message).0, [text(word)], "cut at {at}");
    }
    let mut message = frame(TEXT_BEGINS, b"");
    for byte in bytes {
        message.extend(frame(GOES_ON, &[*byte]));
    }
    message.extend(frame(ENDS, b""));
    assert_eq!(feed_every_way(&message).0, [text(word)]);
}

/// What is no UTF-8, and how many of its bytes show it.
const BROKEN_TEXTS: &[(&[u8], usize)] = &[
    (b"\x80", 1),
    (b"\xFF", 1),
    (b"ok\xC0\xAF", 3),
    (b"\xE0\x80\xAF", 2),
    (b"\xED\xA0\x80", 2),         // a surrogate
    (b"\xF4\x90\x80\x80", 2),     // beyond U+10FFFF
    (b"\xF8\x88\x80\x80\x80", 1), // five bytes
    (b"\xCE\xBA\xCEx", 4),
    (b"\xE2\x82x", 3),
    (b"\xF0\x9F\xA7\xC0", 4),
];

#[test]
fn text_that_is_none_is_refused_however_it_is_cut() {
    for (bytes, _) in BROKEN_TEXTS {
        let shown = bytes.escape_ascii();
        assert_eq!(feed_every_way(&frame(TEXT, bytes)).0, [BROKEN], "{shown}");
        for at in 0..=bytes.len() {
            let (front, back) = bytes.split_at(at);
            let message = [frame(TEXT_BEGINS, front), frame(ENDS, back)].concat();
            assert_eq!(feed_every_way(&message).0, [BROKEN], "{shown} cut at {at}");
        }
    }
    assert_eq!(ProtocolError::Utf8.code(), 1007);
}

#[test]
fn text_fails_at_the_first_byte_that_cannot_be_right() {
    for (bytes, telling) in BROKEN_TEXTS {
        let shown = bytes.escape_ascii();
        let (front, back) = bytes.split_at(*telling);
        let early = frame(TEXT_BEGINS, front);
        assert_eq!(feed(Limits::default(), None, [early.as_slice()]).0, [BROKEN], "{shown}");
        // Within a frame whose end has not come.
        let message = frame(TEXT, &[bytes, back, b"more"].concat());
        let seen = feed(Limits::default(), None, [&message[..6 + telling]]).0;
        assert_eq!(seen, [BROKEN], "{shown}");
        let right = frame(TEXT_BEGINS, &front[..telling - 1]);
        assert_eq!(feed(Limits::default(), None, [right.as_slice()]).0, [], "{shown}");
    }
}

#[test]
fn text_that_ends_within_a_character_is_refused() {
    for bytes in [b"\xCE".as_slice(), b"a\xE2\x82", b"\xF0\x9F\xA7"] {
        assert_eq!(feed_every_way(&frame(TEXT, bytes)).0, [BROKEN]);
        let message = [frame(TEXT_BEGINS, bytes), frame(ENDS, b"")].concat();
        assert_eq!(feed_every_way(&message).0, [BROKEN]);
        // The next message starts anew.
        let good = [frame(TEXT, b"a"), frame(TEXT, "ß".as_bytes())].concat();
        assert_eq!(feed_every_way(&good).0, [text("a"), text("ß")]);
    }
}

#[test]
fn bytes_need_not_be_text() {
    let bytes = [frame(0x02, b"\xFF\x80"), frame(ENDS, b"\xC0")].concat();
    assert_eq!(feed_every_way(&bytes).0, [Seen::Binary(b"\xFF\x80\xC0".to_vec())]);
}

// closing

#[test]
fn a_close_frame_is_answered_with_its_code() {
    for code in [1000_u16, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999] {
        let payload = [&code.to_be_bytes(), "bye ß".as_bytes()].concat();
        let (seen, out) = feed_every_way(&frame(CLOSE, &payload));
        assert_eq!(seen, [Seen::Close(code, "bye ß".to_owned())]);
        assert_eq!(out, [&[0x88, 2], code.to_be_bytes().as_slice()].concat());
    }
}

#[test]
fn a_close_frame_without_a_code_is_answered_without_one() {
    let (seen, out) = feed_every_way(&frame(CLOSE, b""));
    assert_eq!(seen, [Seen::Close(1005, String::new())]);
    assert_eq!(out, [0x88, 0]);
}

#[test]
fn codes_that_must_not_be_sent_are_refused() {
    let reserved = [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];
    for code in reserved {
        assert!(!is_sendable(code));
        let seen = feed_every_way(&frame(CLOSE, &code.to_be_bytes())).0;
        assert_eq!(seen, [Seen::Error(ProtocolError::CloseCode)], "{code}");
    }
    let seen = feed_every_way(&frame(CLOSE, b"\x03")).0;
    assert_eq!(seen, [Seen::Error(ProtocolError::ClosePayload)]);
    assert_eq!(feed_every_way(&frame(CLOSE, b"\x03\xE8\xCE")).0, [BROKEN]);
}

#[test]
fn what_follows_a_close_frame_is_dropped() {
    let bytes = [frame(CLOSE, b""), frame(TEXT, b"late"), frame(PING, b""), vec![0xFF; 40]];
    let (seen, out) = feed_every_way(&bytes.concat());
    assert_eq!(seen, [Seen::Close(1005, String::new())]);
    assert_eq!(out, [0x88, 0]);
}

#[test]
fn a_close_frame_that_was_sent_is_the_last_frame() {
    let mut peer = Peer::new(Limits::default(), None);
    assert!(peer.engine.close(1000, "done", &mut peer.out));
    assert!(!peer.engine.close(1001, "again", &mut peer.out));
    assert!(peer.engine.is_closing());
    peer.engine.ping(b"x", &mut peer.out);
    // What is under way is still read, up to the answer.
    peer.receive(&[frame(PING, b"x"), frame(TEXT, b"y"), frame(CLOSE, b"\x03\xE8")].concat());
    assert_eq!(peer.out, b"\x88\x06\x03\xE8done");
    assert_eq!(peer.seen.last(), Some(&Seen::Close(1000, String::new())));
}

#[test]
fn a_reason_that_does_not_fit_is_cut_between_characters() {
    for (reason, length) in [("x".repeat(200), 123), ("ß".repeat(100), 122), ("x".into(), 1)] {
        let mut out = Vec::new();
        Engine::new(Limits::default(), None).close(1011, &reason, &mut out);
        assert_eq!(out[..2], [0x88, 2 + length as u8]);
        assert_eq!(out.len(), 4 + length);
        assert!(reason.starts_with(std::str::from_utf8(&out[4..]).unwrap()));
    }
}

#[test]
fn a_ping_of_the_server_is_cut_at_125_bytes() {
    let engine = Engine::new(Limits::default(), None);
    let mut out = Vec::new();
    engine.ping(&[7; 130], &mut out);
    assert_eq!(out, [&[0x89, 125], [7; 125].as_slice()].concat());
    let mut plain = Vec::new();
    Engine::new(Limits::default(), None).write(Kind::Binary, &[7; 4], &mut plain);
    assert_eq!(plain, [0x82, 4, 7, 7, 7, 7]);
}

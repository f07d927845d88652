//! permessage-deflate (RFC 7692): what is agreed, what is inflated, and where that stops.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use support::Random;
use support::frames::{
    DEFLATE, ENDS, GOES_ON, PING, Peer, RSV1, Seen, TEXT, TEXT_BEGINS, feed_every_way_with, frame,
    text,
};
use weft_protocol::websocket::{Deflate, Engine, Event, Kind, Limits, ProtocolError};

/// A client that compresses and inflates with windows of its own.
struct Client {
    deflate: Deflate,
    sending: Compress,
    receiving: Decompress,
}

impl Client {
    fn new(deflate: Deflate) -> Self {
        let bits = deflate.client_max_window_bits.unwrap_or(15);
        Self {
            deflate,
            sending: Compress::new_with_window_bits(Compression::new(3), false, bits),
            receiving: Decompress::new_with_window_bits(false, deflate.server_max_window_bits),
        }
    }

    fn compress(&mut self, data: &[u8]) -> Vec<u8> {
        if data.is_empty() {
            // RFC 7692 section 7.2.3.6: zlib flushes nothing twice.
            return vec![0];
        }
        let mut out = Vec::with_capacity(data.len() * 2 + 64);
        self.sending.compress_vec(data, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.ends_with(b"\0\0\xFF\xFF"));
        out.truncate(out.len() - 4);
        if self.deflate.client_no_context_takeover {
            self.sending.reset();
        }
        out
    }

    /// The payload of one compressed frame of the server.
    fn inflate(&mut self, frame: &[u8]) -> Vec<u8> {
        assert_eq!(frame[0] & 0xF0, 0xC0, "FIN and RSV1, nothing else");
        let header = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let data = [&frame[header..], b"\0\0\xFF\xFF"].concat();
        let mut out = Vec::with_capacity(4 * 1024 * 1024);
        self.receiving.decompress_vec(&data, &mut out, FlushDecompress::Sync).unwrap();
        if self.deflate.server_no_context_takeover {
            self.receiving.reset(false);
        }
        out
    }
}

#[track_caller]
fn seen(bytes: &[u8]) -> Vec<Seen> {
    feed_every_way_with(Limits::default(), Some(DEFLATE), bytes).0
}

#[test]
fn the_examples_of_the_rfc_are_inflated() {
    // RFC 7692 section 7.2.3: one message, fragments, a shared window, no compression, BFINAL.
    let hello = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
    assert_eq!(seen(&frame(TEXT | RSV1, hello)), [text("Hello")]);
    let fragments = [frame(TEXT_BEGINS | RSV1, &hello[..3]), frame(ENDS, &hello[3..])].concat();
    assert_eq!(seen(&fragments), [text("Hello")]);
    let twice = [frame(TEXT | RSV1, hello), frame(TEXT | RSV1, b"\xF2\x00\x11\x00\x00")].concat();
    assert_eq!(seen(&twice), [text("Hello"), text("Hello")]);
    let stored = frame(TEXT | RSV1, b"\x00\x05\x00\xFA\xFFHello\x00");
    assert_eq!(seen(&stored), [text("Hello")]);
    let last = frame(TEXT | RSV1, b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00");
    assert_eq!(seen(&[last.clone(), last].concat()), [text("Hello"), text("Hello")]);
    let blocks = frame(TEXT | RSV1, b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00");
    assert_eq!(seen(&blocks), [text("Hello")]);
}

#[test]
fn plain_and_empty_messages_pass_beside_compressed_ones() {
    let bytes = [
        frame(TEXT, b"plain"),
        frame(TEXT | RSV1, b"\x00"),
        frame(TEXT_BEGINS | RSV1, b"\xF2\x48"),
        frame(PING, b"between"),
        frame(GOES_ON, b""),
        frame(ENDS, b"\xCD\xC9\xC9\x07\x00"),
    ]
    .concat();
    let ping = Seen::Ping(b"between".to_vec());
    assert_eq!(seen(&bytes), [text("plain"), text(""), ping, text("Hello")]);
}

#[test]
fn the_compressed_bit_stands_on_first_frames_alone() {
    let reserved = Seen::Error(ProtocolError::ReservedBits);
    let continued = [frame(TEXT_BEGINS | RSV1, b"\xF2"), frame(ENDS | RSV1, b"\x48")].concat();
    assert_eq!(seen(&continued), std::slice::from_ref(&reserved));
    assert_eq!(seen(&frame(PING | RSV1, b"")), [reserved]);
}

#[test]
fn compressed_data_that_is_none_is_refused() {
    for data in [b"\xFF\xFF\xFF".as_slice(), b"\x06", b"\x00\x05\x00\x00\x00Hello"] {
        let found = seen(&frame(TEXT | RSV1, data));
        assert_eq!(found, [Seen::Error(ProtocolError::Deflate)], "{}", data.escape_ascii());
    }
    assert_eq!(ProtocolError::Deflate.code(), 1007);
}

#[test]
fn inflated_text_must_be_utf8() {
    let mut client = Client::new(DEFLATE);
    let data = client.compress(b"fine until here \xFF");
    assert_eq!(seen(&frame(TEXT | RSV1, &data)), [Seen::Error(ProtocolError::Utf8)]);
    // It fails in the first fragment, which has all of it.
    let data = Client::new(DEFLATE).compress(b"\xFF and a long way to go");
    let mut peer = Peer::new(Limits::default(), Some(DEFLATE));
    peer.receive(&frame(TEXT_BEGINS | RSV1, &data));
    assert_eq!(peer.seen, [Seen::Error(ProtocolError::Utf8)]);
}

#[test]
fn the_limit_holds_for_what_is_inflated() {
    let limits = Limits { message_bytes: 5000, ..Limits::default() };
    for (length, fits) in [(4999, true), (5000, true), (5001, false), (50_000, false)] {
        let data = Client::new(DEFLATE).compress(&vec![b'x'; length]);
        let (found, _) = feed_every_way_with(limits, Some(DEFLATE), &frame(TEXT | RSV1, &data));
        match fits {
            true => assert_eq!(found, [text(&"x".repeat(length))]),
            false => assert_eq!(found, [Seen::Error(ProtocolError::MessageTooBig)], "{length}"),
        }
    }
}

#[test]
fn a_bomb_is_not_inflated_beyond_the_limit() {
    // 32 MiB in 32 KiB, and no end: what comes behind the limit is not looked at.
    let mut stream = Compress::new_with_window_bits(Compression::fast(), false, 12);
    let mut bomb = Vec::with_capacity(2 << 20);
    let zeros = vec![0; 1 << 20];
    for _ in 0..32 {
        stream.compress_vec(&zeros, &mut bomb, FlushCompress::None).unwrap();
    }
    let limits = Limits { message_bytes: 1 << 20, ..Limits::default() };
    let mut engine = Engine::new(limits, Some(DEFLATE));
    let mut bytes = frame(0x82 | RSV1, &bomb);
    assert_eq!(engine.decode(&mut bytes), Err(ProtocolError::MessageTooBig));
}

#[test]
fn a_message_of_empty_blocks_has_an_end() {
    let limits = Limits { message_bytes: 1000, ..Limits::default() };
    let mut peer = Peer::new(limits, Some(DEFLATE));
    peer.receive(&frame(TEXT_BEGINS | RSV1, b""));
    let blocks = b"\x00\x00\x00\xFF\xFF".repeat(100);
    for _ in 0..5 {
        peer.receive(&frame(GOES_ON, &blocks));
    }
    assert_eq!(peer.seen, [Seen::Error(ProtocolError::MessageTooBig)]);
}

#[test]
fn small_messages_are_sent_as_they_are() {
    let mut engine = Engine::new(Limits::default(), Some(DEFLATE));
    let mut out = Vec::new();
    assert!(!engine.compresses(1023) && engine.compresses(1024));
    engine.write(Kind::Text, &[b'x'; 1023], &mut out);
    assert_eq!(out[0], 0x81);
    assert!(!Engine::new(Limits::default(), None).compresses(1 << 20));
}

fn messages(random: &mut Random) -> Vec<Vec<u8>> {
    let words = ["weft ", "warp ", "{\"id\": 1, ", "日本 ", "0", "\u{10FFFF}"];
    let length = [0, 3, 900, 2000, 20_000, 100_000];
    (0..6)
        .map(|_| {
            let wanted = length[random.below(length.len())];
            let noisy = random.below(3) == 0;
            let mut message = Vec::new();
            while message.len() < wanted {
                match noisy {
                    true => message.push(random.next() as u8 & 0x7F),
                    false => message.extend(words[random.below(words.len())].bytes()),
                }
            }
            message
        })
        .collect()
}

#[test]
fn whatever_is_sent_comes_back_whatever_was_agreed() {
    let mut random = Random(0x5EED_0007);
    for round in 0..28 {
        let deflate = Deflate {
            server_no_context_takeover: round % 2 == 0,
            client_no_context_takeover: round % 3 == 0,
            server_max_window_bits: 9 + (round % 7) as u8,
            client_max_window_bits: [None, Some(8), Some(9), Some(15)][round % 4]
                .map(|bits: u8| bits.max(9)),
        };
        let mut client = Client::new(deflate);
        let mut engine = Engine::new(Limits::default(), Some(deflate));
        for message in messages(&mut random) {
            let compressed = client.compress(&message);
            let cut = random.below(compressed.len() + 1);
            let (front, back) = compressed.split_at(cut);
            let mut bytes = [frame(TEXT_BEGINS | RSV1, front), frame(ENDS, back)].concat();
            let step = engine.decode(&mut bytes).unwrap();
            let Event::Text(found) = step.event else { panic!("{:?}", step.event) };
            assert_eq!(found.as_bytes(), message, "round {round}");
            let mut out = Vec::new();
            engine.write(Kind::Text, &message, &mut out);
            if engine.compresses(message.len()) {
                assert_eq!(client.inflate(&out), message, "round {round}");
            }
            if random.below(3) == 0 {
                // Memory that is given back costs nothing but ratio.
                engine.rest();
            }
        }
    }
}

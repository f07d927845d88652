//! Arbitrary and nearly-right input: no panic, no disagreement between ways of feeding, no second
//! head behind a fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::mem::MaybeUninit;

use support::{Random, Seen, feed};
use weft_protocol::http1::{
    Defaults, Limits, RequestDecoder, RequestError, RequestFacts, Response, Version,
};

const SEEDS: &[&[u8]] = &[
    b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
    b"\r\nPOST / HTTP/1.1\r\nHost: h:80\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: u\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nConnection: close, Upgrade\r\nUpgrade: x\r\n\r\nrest",
    b"GET http://h:80/p?q HTTP/1.1\r\nHost: i\r\nConnection: keep-alive\r\n\r\n",
];

/// Bytes that parsers trip over.
const SPICE: &[u8] = b"\r\n\r\n \t:;,\0\"\\/?#*@%[]0123456789abcdefxXHhTtGPp\x7f\x80\xff";

fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = SEEDS[random.below(SEEDS.len())].to_vec();
    if random.below(3) == 0 {
        bytes.extend_from_slice(SEEDS[random.below(SEEDS.len())]);
    }
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let byte = SPICE[random.below(SPICE.len())];
        match random.below(4) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            _ => {
                let end = (at + random.below(12)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn tight() -> Limits {
    Limits {
        request_line_bytes: 40,
        head_bytes: 100,
        head_fields: 3,
        leading_empty_lines: 1,
        chunk_line_bytes: 9,
        trailer_bytes: 10,
        trailer_fields: 1,
        body_bytes: 8,
    }
}

#[test]
fn nearly_right_input_gives_the_same_events_however_it_is_split() {
    let mut random = Random(0x5EED_0002);
    for round in 0..60_000 {
        let bytes = mutated(&mut random);
        let limits = if round % 2 == 0 { Limits::default() } else { tight() };
        let whole = feed(limits, [bytes.as_slice()]);
        let text = bytes.escape_ascii();
        assert_eq!(whole, feed(limits, bytes.chunks(1)), "byte by byte: {text}");
        let (front, back) = bytes.split_at(random.below(bytes.len() + 1));
        assert_eq!(whole, feed(limits, [front, back]), "cut at {}: {text}", front.len());
        let riddle = Seen::Error(RequestError::Malformed);
        assert!(!whole.contains(&riddle), "the two head readers disagree: {text}");
        let error = whole.iter().position(|event| matches!(event, Seen::Error(_)));
        assert!(error.is_none_or(|at| at + 1 == whole.len()), "events behind a fault: {text}");
    }
}

#[test]
fn accepted_heads_are_plain_lines_and_nothing_else() {
    let mut random = Random(0x5EED_0003);
    let mut accepted = 0;
    for _ in 0..60_000 {
        let bytes = mutated(&mut random);
        for event in feed(Limits::default(), [bytes.as_slice()]) {
            let Seen::Head(head) = event else { continue };
            accepted += 1;
            let plain = |text: &str| text.bytes().all(|byte| (0x21..0x7F).contains(&byte));
            assert!(plain(&head.method) && plain(&head.target) && !head.target.contains('#'));
            for (name, value) in &head.headers {
                assert!(plain(name) && !name.contains(':'));
                assert!(!value.iter().any(|&byte| byte < 0x20 && byte != b'\t' || byte == 0x7F));
            }
            let named = |wanted: &str| {
                head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).count()
            };
            assert!(named("content-length") + named("transfer-encoding") <= 1);
            assert!(named("host") == 1 || named("host") == 0 && head.version == Version::Http10);
        }
    }
    assert!(accepted > 10_000, "the mutations leave too little intact: {accepted}");
}

#[test]
fn noise_never_panics_and_never_consumes_more_than_there_is() {
    let mut random = Random(0x5EED_0004);
    for _ in 0..60_000 {
        let length = random.below(80);
        let noise: Vec<u8> = (0..length)
            .map(|_| match random.below(3) {
                0 => random.next() as u8,
                _ => SPICE[random.below(SPICE.len())],
            })
            .collect();
        // As a head, and as the chunks of a body.
        feed(tight(), [noise.as_slice()]);
        feed(tight(), [SEEDS[2].split_at(57).0, &noise]);
    }
}

#[test]
fn a_caller_that_forgets_or_repeats_bytes_cannot_cause_a_panic() {
    let mut random = Random(0x5EED_0005);
    for _ in 0..20_000 {
        let mut decoder = RequestDecoder::new(Limits::default());
        for _ in 0..4 {
            let bytes = mutated(&mut random);
            let (front, _) = bytes.split_at(random.below(bytes.len() + 1));
            let mut slots = [MaybeUninit::uninit(); 4];
            if let Ok(step) = decoder.decode(front, &mut slots) {
                assert!(step.consumed <= front.len());
            }
        }
    }
}

#[test]
fn any_sequence_of_response_calls_is_survived() {
    let mut random = Random(0x5EED_0006);
    let names: &[&[u8]] = &[b"a", b"content-length", b"transfer-encoding", b"connection", b"\r"];
    let values: &[&[u8]] = &[b"5", b"chunked", b"close", b"6", b"x\ny", b""];
    for _ in 0..60_000 {
        let facts = RequestFacts {
            is_head: random.below(4) == 0,
            version: if random.below(2) == 0 { Version::Http10 } else { Version::Http11 },
            keep_alive: random.below(2) == 0,
        };
        let (mut response, mut out) = (Response::new(facts), Vec::new());
        let mut failed = false;
        for _ in 0..8 {
            let result = match random.below(6) {
                0 => response.start(random.below(1100) as u16, &mut out),
                1 | 2 => response.header(
                    names[random.below(names.len())],
                    values[random.below(values.len())],
                    &mut out,
                ),
                3 => response.finish_head(
                    (random.below(2) == 0).then_some(random.below(8) as u64),
                    Defaults::default(),
                    &mut out,
                ),
                4 => response.frame(random.below(8), random.below(2) == 0).map(drop),
                // The driver's buffer was taken from under the encoder.
                _ => {
                    out.clear();
                    Ok(())
                }
            };
            failed |= result.is_err() && !response.is_complete();
            assert!(!(failed && (response.keep_alive() || response.is_complete())));
        }
    }
}

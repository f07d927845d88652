//! Arbitrary and nearly-right frames: no panic, no disagreement between ways of feeding, nothing
//! behind a fault.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use support::Random;
use support::frames::{BINARY, CLOSE, DEFLATE, ENDS, PING, RSV1, Seen, TEXT, feed, frame};
use weft_protocol::websocket::{Deflate, Engine, Limits, ProtocolError};

fn conversation(random: &mut Random) -> Vec<u8> {
    let firsts = [TEXT, BINARY, ENDS, 0x00, 0x01, 0x02, PING, 0x8A, CLOSE, TEXT | RSV1, 0x83];
    let mut bytes = Vec::new();
    for _ in 0..=random.below(5) {
        let first = firsts[random.below(firsts.len())];
        let length = [0, 1, 2, 5, 126, 300][random.below(6)];
        let payload: Vec<u8> = match random.below(3) {
            0 => (0..length).map(|_| random.next() as u8).collect(),
            1 => "aß日🧵".bytes().cycle().take(length).collect(),
            _ => b"\x03\xE8\xF2\x48\xCD\xC9\xC9\x07\x00"
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect(),
        };
        bytes.extend(frame(first, &payload));
    }
    if random.below(2) == 0 {
        let at = random.below(bytes.len());
        bytes[at] = random.next() as u8;
    }
    bytes
}

/// What is seen and answered. A compressed message with several faults fails by the one that is
/// met first, which depends on how much is inflated at once.
fn outcome<'a>(
    limits: Limits,
    deflate: Option<Deflate>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Seen>, Vec<u8>) {
    use ProtocolError as E;
    let (mut seen, out) = feed(limits, deflate, pieces);
    if let Some(Seen::Error(error @ (E::Utf8 | E::MessageTooBig))) = seen.last_mut()
        && deflate.is_some()
    {
        *error = E::Deflate;
    }
    (seen, out)
}

#[test]
fn nearly_right_frames_give_the_same_events_however_they_are_split() {
    let mut random = Random(0x5EED_0008);
    let (mut messages, mut faults) = (0, 0);
    for round in 0..40_000 {
        let bytes = conversation(&mut random);
        let deflate: Option<Deflate> = (round % 2 == 0).then_some(DEFLATE);
        let limits = match round % 3 {
            0 => Limits { message_bytes: 300, fragments: 2 },
            _ => Limits::default(),
        };
        let whole = outcome(limits, deflate, [bytes.as_slice()]);
        let text = bytes.escape_ascii();
        assert_eq!(whole, outcome(limits, deflate, bytes.chunks(1)), "byte by byte: {text}");
        let (front, back) = bytes.split_at(random.below(bytes.len() + 1));
        let cut = outcome(limits, deflate, [front, back]);
        assert_eq!(whole, cut, "cut at {}: {text}", front.len());
        let last = whole.0.iter().position(|e| matches!(e, Seen::Error(_) | Seen::Close(..)));
        assert!(last.is_none_or(|at| at + 1 == whole.0.len()), "events behind the end: {text}");
        messages += whole.0.iter().filter(|e| matches!(e, Seen::Text(_) | Seen::Binary(_))).count();
        faults += usize::from(matches!(whole.0.last(), Some(Seen::Error(_))));
    }
    assert!(messages > 5_000 && faults > 5_000, "a poor mixture: {messages}, {faults}");
}

#[test]
fn noise_never_panics_and_never_consumes_more_than_there_is() {
    let mut random = Random(0x5EED_0009);
    for round in 0..40_000 {
        let length = random.below(60);
        let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        let deflate = (round % 2 == 0).then_some(DEFLATE);
        feed(Limits::default(), deflate, [noise.as_slice()]);
        // As the payload of a compressed message.
        feed(Limits::default(), Some(DEFLATE), [frame(TEXT | RSV1, &noise).as_slice()]);
    }
}

#[test]
fn a_driver_that_forgets_or_repeats_bytes_cannot_cause_a_panic() {
    let mut random = Random(0x5EED_000A);
    for _ in 0..20_000 {
        let mut engine = Engine::new(Limits::default(), Some(DEFLATE));
        let mut out = Vec::new();
        for _ in 0..6 {
            let mut bytes = conversation(&mut random);
            let length = bytes.len();
            let at = random.below(length);
            match engine.decode(&mut bytes[at..]) {
                Ok(step) => assert!(step.consumed <= length - at),
                Err(_) => break,
            }
            match random.below(4) {
                0 => engine.answer_ping(&mut out),
                1 => engine.answer_close(&mut out),
                2 => drop(engine.close(1000, "x", &mut out)),
                _ => engine.rest(),
            }
        }
    }
}

//! Feeds a decoder in every way bytes can arrive, and keeps what came out.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod frames;

use std::mem::MaybeUninit;

use weft_protocol::http1::{
    BodyLength, Event, Limits, RequestDecoder, RequestError, RequestFacts, Version,
};

/// A head that outlives its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenHead {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authority: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: BodyLength,
    pub(crate) facts: RequestFacts,
    pub(crate) expect_continue: bool,
    pub(crate) upgrade: Option<Vec<u8>>,
}

/// An event that outlives its input; adjacent body pieces are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Head(Box<SeenHead>),
    Body(Vec<u8>),
    End,
    Error(RequestError),
}

/// One connection: a decoder and the buffer its driver would keep.
pub(crate) struct Connection {
    pub(crate) decoder: RequestDecoder,
    pub(crate) buffer: Vec<u8>,
    pub(crate) seen: Vec<Seen>,
}

impl Connection {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { decoder: RequestDecoder::new(limits), buffer: Vec::new(), seen: Vec::new() }
    }

    /// Receives `piece` and decodes until more is needed.
    pub(crate) fn receive(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
        loop {
            let mut slots = [MaybeUninit::uninit(); 128];
            let step = match self.decoder.decode(&self.buffer, &mut slots) {
                Ok(step) => step,
                Err(error) => {
                    if self.seen.last() != Some(&Seen::Error(error)) {
                        self.seen.push(Seen::Error(error));
                    }
                    return;
                }
            };
            assert!(step.consumed <= self.buffer.len(), "consumed more than there was");
            let more = step.event != Event::NeedMore;
            note(&mut self.seen, step.event);
            let consumed = step.consumed;
            self.buffer.drain(..consumed);
            if !more {
                return;
            }
        }
    }
}

fn note(seen: &mut Vec<Seen>, event: Event<'_, '_>) {
    match event {
        Event::NeedMore => {}
        Event::End => seen.push(Seen::End),
        Event::Body { data, .. } => {
            assert!(!data.is_empty(), "an empty piece of body");
            match seen.last_mut() {
                Some(Seen::Body(before)) => before.extend_from_slice(data),
                _ => seen.push(Seen::Body(data.to_vec())),
            }
        }
        Event::Head(head) => seen.push(Seen::Head(Box::new(SeenHead {
            method: head.method.into(),
            target: head.target.into(),
            path: head.path.into(),
            query: head.query.into(),
            authority: head.authority.map(Into::into),
            version: head.version,
            headers: head.headers.iter().map(|h| (h.name.into(), h.value.to_vec())).collect(),
            body: head.body,
            facts: head.facts(),
            expect_continue: head.expect_continue,
            upgrade: head.upgrade.map(Into::into),
        }))),
    }
}

/// What comes of these pieces, one read each.
pub(crate) fn feed<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut connection = Connection::new(limits);
    for piece in pieces {
        connection.receive(piece);
    }
    connection.seen
}

/// What comes of `bytes`: the same whole, byte by byte and cut in two anywhere.
#[track_caller]
pub(crate) fn feed_every_way(limits: Limits, bytes: &[u8]) -> Vec<Seen> {
    let whole = feed(limits, [bytes]);
    let text = bytes.escape_ascii();
    assert_eq!(whole, feed(limits, bytes.chunks(1)), "byte by byte: {text}");
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert_eq!(whole, feed(limits, [front, back]), "cut at {at}: {text}");
    }
    whole
}

/// The one head of `bytes`, fed every way.
#[track_caller]
pub(crate) fn only_head(bytes: &[u8]) -> SeenHead {
    let seen = feed_every_way(Limits::default(), bytes);
    match seen.as_slice() {
        [Seen::Head(head), ..] => SeenHead::clone(head),
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// A small deterministic generator (xorshift), so that a failure repeats.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

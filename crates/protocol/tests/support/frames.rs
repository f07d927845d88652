//! A client's frames, and an engine that is fed in every way they can arrive.

use weft_protocol::websocket::{Deflate, Engine, Event, Limits, ProtocolError};

pub(crate) const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8A;
/// The first and later fragments of a text, and its last.
pub(crate) const TEXT_BEGINS: u8 = 0x01;
pub(crate) const GOES_ON: u8 = 0x00;
pub(crate) const ENDS: u8 = 0x80;
/// What the first byte of a compressed message has besides.
pub(crate) const RSV1: u8 = 0x40;

/// What both sides have agreed on where nothing else is said.
pub(crate) const DEFLATE: Deflate = Deflate {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 12,
    client_max_window_bits: Some(12),
};

/// A client's frame with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&KEY);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// An event that outlives its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Error(ProtocolError),
}

pub(crate) fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

/// One connection: an engine, the bytes that its driver would keep, and what it has answered.
pub(crate) struct Peer {
    pub(crate) engine: Engine,
    pub(crate) seen: Vec<Seen>,
    pub(crate) out: Vec<u8>,
    left: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(limits: Limits, deflate: Option<Deflate>) -> Self {
        let engine = Engine::new(limits, deflate);
        Self { engine, seen: Vec::new(), out: Vec::new(), left: Vec::new() }
    }

    /// Receives `piece`, decodes until more is needed, and answers pings and the close frame.
    pub(crate) fn receive(&mut self, piece: &[u8]) {
        self.left.extend_from_slice(piece);
        loop {
            let step = match self.engine.decode(&mut self.left) {
                Ok(step) => step,
                Err(error) => {
                    if self.seen.last() != Some(&Seen::Error(error)) {
                        self.seen.push(Seen::Error(error));
                    }
                    return;
                }
            };
            let consumed = step.consumed;
            let event = match step.event {
                Event::NeedMore => None,
                Event::Text(text) => Some(Seen::Text(text.to_owned())),
                Event::Binary(data) => Some(Seen::Binary(data.to_vec())),
                Event::Ping(payload) => Some(Seen::Ping(payload.to_vec())),
                Event::Pong(payload) => Some(Seen::Pong(payload.to_vec())),
                Event::Close { code, reason } => Some(Seen::Close(code, reason.to_owned())),
            };
            assert!(consumed <= self.left.len(), "consumed more than there was");
            self.left.drain(..consumed);
            match &event {
                Some(Seen::Ping(_)) => self.engine.answer_ping(&mut self.out),
                Some(Seen::Close(..)) => self.engine.answer_close(&mut self.out),
                _ => {}
            }
            match event {
                Some(event) => self.seen.push(event),
                None => break,
            }
        }
        assert!(self.left.len() < 14, "more than a header is left: {}", self.left.len());
    }
}

pub(crate) fn feed<'a>(
    limits: Limits,
    deflate: Option<Deflate>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Seen>, Vec<u8>) {
    let mut peer = Peer::new(limits, deflate);
    for piece in pieces {
        peer.receive(piece);
    }
    (peer.seen, peer.out)
}

/// What comes of `bytes` and what is answered: the same whole, byte by byte and cut anywhere.
#[track_caller]
pub(crate) fn feed_every_way_with(
    limits: Limits,
    deflate: Option<Deflate>,
    bytes: &[u8],
) -> (Vec<Seen>, Vec<u8>) {
    let whole = feed(limits, deflate, [bytes]);
    assert_eq!(whole, feed(limits, deflate, bytes.chunks(1)), "byte by byte");
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert_eq!(whole, feed(limits, deflate, [front, back]), "cut at {at}");
    }
    whole
}

/// The same, with the limits by default and nothing compressed.
#[track_caller]
pub(crate) fn feed_every_way(bytes: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    feed_every_way_with(Limits::default(), None, bytes)
}

//! The encoder's bytes, read back by a small independent reader of responses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::Random;
use weft_protocol::http1::{Defaults, RequestFacts, Response, Version};

/// One response as a client would take it off a stream.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    until_close: bool,
}

fn line<'a>(stream: &mut &'a [u8]) -> &'a str {
    let end = stream.windows(2).position(|pair| pair == b"\r\n").expect("a CRLF");
    let (text, rest) = stream.split_at(end);
    *stream = &rest[2..];
    std::str::from_utf8(text).unwrap()
}

/// RFC 9112 section 6.3 from the client's side, as plainly as it can be written.
fn read_reply(stream: &mut &[u8], is_head: bool) -> Reply {
    let status_line = line(stream);
    let status: u16 = status_line.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    let mut fields = Vec::new();
    loop {
        let text = line(stream);
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(": ").unwrap();
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "ambiguous framing: {fields:?}");
    let mut body = Vec::new();
    let mut until_close = false;
    if is_head || status < 200 || status == 204 || status == 304 {
        assert!(codings.is_empty());
    } else if codings == ["chunked"] {
        loop {
            let size = usize::from_str_radix(line(stream), 16).unwrap();
            let (data, rest) = stream.split_at(size);
            body.extend_from_slice(data);
            *stream = rest;
            assert_eq!(line(stream), "");
            if size == 0 {
                break;
            }
        }
    } else if let [length] = lengths.as_slice() {
        let (data, rest) = stream.split_at(length.parse().unwrap());
        body.extend_from_slice(data);
        *stream = rest;
    } else {
        body.extend_from_slice(stream);
        *stream = &[];
        until_close = true;
    }
    Reply { status, fields, body, until_close }
}

/// Header sets that applications send, sound or contradictory, for a body of `length` bytes.
fn fields(random: &mut Random, length: usize) -> Vec<(&'static str, String)> {
    let mut fields = vec![("x-one", "1".to_owned())];
    for _ in 0..random.below(4) {
        fields.push(match random.below(5) {
            0 => ("Content-Length", length.to_string()),
            1 => ("transfer-encoding", "chunked".to_owned()),
            2 => ("Connection", "keep-alive".to_owned()),
            3 => ("connection", "close".to_owned()),
            _ => ("X-Two", "two".to_owned()),
        });
    }
    fields
}

#[test]
fn every_response_reads_back_as_it_was_meant() {
    let mut random = Random(0x5EED_0001);
    for _ in 0..20_000 {
        let facts = RequestFacts {
            is_head: random.below(5) == 0,
            version: if random.below(3) == 0 { Version::Http10 } else { Version::Http11 },
            keep_alive: random.below(3) != 0,
        };
        let status = [200, 201, 404, 500, 204, 304][random.below(6)];
        let pieces: Vec<Vec<u8>> =
            (0..=random.below(4)).map(|_| vec![b'x'; random.below(40)]).collect();
        let whole = pieces.concat();
        let known = (pieces.len() == 1 && random.below(2) == 0).then_some(whole.len() as u64);

        let (mut response, mut out) = (Response::new(facts), Vec::new());
        response.start(status, &mut out).unwrap();
        for (name, value) in fields(&mut random, whole.len()) {
            response.header(name.as_bytes(), value.as_bytes(), &mut out).unwrap();
        }
        response.finish_head(known, Defaults::default(), &mut out).unwrap();
        for (at, piece) in pieces.iter().enumerate() {
            let framing = response.frame(piece.len(), at + 1 < pieces.len()).unwrap();
            framing.write(piece, &mut out);
        }
        // A marker stands for the next response on the connection.
        let marker = b"HTTP/1.1 299 next\r\n";
        if response.keep_alive() {
            out.extend_from_slice(marker);
        }

        let mut stream = out.as_slice();
        let reply = read_reply(&mut stream, facts.is_head);
        let text = out.escape_ascii();
        assert_eq!(reply.status, status);
        let bodiless = facts.is_head || status == 204 || status == 304;
        assert_eq!(reply.body, if bodiless { Vec::new() } else { whole }, "{text}");
        assert_eq!(stream, if response.keep_alive() { &marker[..] } else { b"" }, "{text}");
        assert!(!(reply.until_close && response.keep_alive()), "{text}");
        let said = |option: &str| reply.fields.contains(&("connection".into(), option.into()));
        assert_eq!(said("close"), !response.keep_alive(), "{text}");
        if facts.version == Version::Http10 {
            assert_eq!(said("keep-alive"), response.keep_alive(), "{text}");
        }
    }
}

#[test]
fn chunk_sizes_of_every_magnitude_read_back() {
    let facts = RequestFacts { is_head: false, version: Version::Http11, keep_alive: true };
    let mut response = Response::new(facts);
    let mut out = Vec::new();
    response.start(200, &mut out).unwrap();
    response.finish_head(None, Defaults::default(), &mut out).unwrap();
    for bit in 0..usize::BITS {
        for size in [1_usize << bit, (1_usize << bit) + 1, usize::MAX >> bit] {
            let prefix = response.frame(size, true).unwrap().prefix;
            assert_eq!(&*prefix, format!("{size:x}\r\n").as_bytes());
        }
    }
}

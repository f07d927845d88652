//! What one request and its response cost in this crate: nanoseconds a round, best of several.
//!
//! Run with `cargo run --release -p weft-protocol --example exchange_cost`. Knows nothing but the
//! public API; the figures are for comparing two states of the crate on one machine.
#![allow(clippy::print_stdout, reason = "printing is its purpose")]

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::time::Instant;

use weft_protocol::http1::{Defaults, Event, Limits, RequestDecoder, RequestError, Response};

const WRK: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

const THREE: &[u8] = b"GET /hello?name=weft HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\
User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";

const TWELVE: &[u8] = b"GET /conversations/42?full=1 HTTP/1.1\r\nHost: api.example.org\r\n\
Connection: keep-alive\r\nCache-Control: max-age=0\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nReferer: https://example.org/list\r\n\
Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n\
X-Request-Id: 7f3f5a0c-64a1-4a2f-9f0e-0d9a2b6d9c11\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

const POST: &[u8] = b"POST /conversations/end HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\
Content-Type: application/json\r\nAccept: */*\r\nContent-Length: 27\r\n\r\n\
{\"id\": \"42\", \"reason\": 123}";

const CHUNKED: &[u8] = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\
Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";

fn main() -> Result<(), RequestError> {
    for (name, request) in [
        ("GET, 1 header", WRK),
        ("GET, 3 headers", THREE),
        ("GET, 12 headers", TWELVE),
        ("POST, 27 bytes", POST),
        ("POST, 2 chunks", CHUNKED),
    ] {
        let mut decoder = RequestDecoder::new(Limits::default());
        let mut out = Vec::with_capacity(1024);
        let decoding = best(|| {
            decode(&mut decoder, request)?;
            Ok(())
        })?;
        let both = best(|| {
            let response = decode(&mut decoder, request)?;
            out.clear();
            encode(response, &mut out);
            black_box(&out);
            Ok(())
        })?;
        println!("{name:16} decode {decoding:6.1} ns   decode and encode {both:6.1} ns");
    }
    Ok(())
}

/// Nanoseconds a round, the best of 20 batches: the least disturbed one.
fn best(mut round: impl FnMut() -> Result<(), RequestError>) -> Result<f64, RequestError> {
    const BATCH: u32 = 20_000;
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..BATCH {
            round()?;
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
    Ok(best)
}

fn decode(decoder: &mut RequestDecoder, request: &[u8]) -> Result<Option<Response>, RequestError> {
    let mut slots = [MaybeUninit::uninit(); 128];
    let mut rest = black_box(request);
    let mut response = None;
    loop {
        let step = decoder.decode(rest, &mut slots)?;
        rest = rest.get(step.consumed..).unwrap_or_default();
        match step.event {
            Event::Head(head) => response = Some(Response::new(black_box(head).facts())),
            Event::NeedMore => return Ok(response),
            event => {
                black_box(event);
            }
        }
        if rest.is_empty() && decoder.phase() == weft_protocol::http1::Phase::Idle {
            return Ok(response);
        }
    }
}

/// A response like FastAPI's: two headers of its own, one body piece.
fn encode(response: Option<Response>, out: &mut Vec<u8>) {
    let Some(mut response) = response else { return };
    let body = b"{\"hello\": \"world\"}";
    let defaults = Defaults { date: Some(b"Thu, 01 Jan 1970 00:00:00 GMT"), server: Some(b"weft") };
    let framing = response
        .start(black_box(200), out)
        .and_then(|()| response.header(b"content-length", black_box(b"18"), out))
        .and_then(|()| response.header(b"content-type", black_box(b"application/json"), out))
        .and_then(|()| response.finish_head(Some(18), defaults, out))
        .and_then(|()| response.frame(body.len(), false));
    if let Ok(framing) = framing {
        framing.write(body, out);
    }
}

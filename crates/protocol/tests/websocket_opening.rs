//! The opening handshake (RFC 6455 section 4.2), by table.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::mem::MaybeUninit;

use weft_protocol::http1::{Defaults, Event, Limits, RequestDecoder};
use weft_protocol::websocket::{AcceptError, Deflate, Opening, OpeningError};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket";

/// What the request is: None for plain HTTP.
fn open_by(line: &str, fields: &[&str]) -> Option<Result<Opening, OpeningError>> {
    let bytes = format!("{line}\r\nHost: h\r\n{}\r\n\r\n", fields.join("\r\n"));
    let mut slots = [MaybeUninit::uninit(); 128];
    let mut decoder = RequestDecoder::new(Limits::default());
    let step = decoder.decode(bytes.as_bytes(), &mut slots).unwrap();
    let Event::Head(head) = step.event else { panic!("no head: {bytes}") };
    Opening::is_asked_for(&head).then(|| Opening::read(&head, true))
}

fn open(fields: &[&str]) -> Option<Result<Opening, OpeningError>> {
    open_by("GET / HTTP/1.1", fields)
}

/// A request for a WebSocket with these fields besides.
fn open_with(fields: &[&str]) -> Result<Opening, OpeningError> {
    open(&[&[UPGRADE, KEY, VERSION], fields].concat()).unwrap()
}

fn agreed(extensions: &str) -> Option<Deflate> {
    open_with(&[&format!("Sec-WebSocket-Extensions: {extensions}")]).unwrap().deflate
}

fn head(opening: &Opening, subprotocol: Option<&str>) -> Result<String, AcceptError> {
    let mut out = Vec::new();
    opening.write(subprotocol, std::iter::empty(), Defaults::default(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn the_example_of_the_rfc_is_accepted() {
    let opening = open_with(&["Sec-WebSocket-Protocol: chat, superchat"]).unwrap();
    assert_eq!(opening.subprotocols, ["chat", "superchat"]);
    assert_eq!(
        head(&opening, Some("chat")).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: chat\r\n\r\n"
    );
}

#[test]
fn only_a_request_that_asks_for_a_websocket_is_one() {
    let asked = |upgrade: &[&str]| open(&[upgrade, &[KEY, VERSION]].concat()).is_some();
    for upgrade in [
        ["Connection: keep-alive, upgrade", "Upgrade: WebSocket"],
        ["Connection: UPGRADE", "Upgrade: h2c, websocket"],
        ["Upgrade: h2c\r\nUpgrade: websocket", "Connection: x\r\nConnection: , upgrade"],
    ] {
        assert!(asked(&upgrade), "{upgrade:?}");
    }
    for upgrade in [
        ["Connection: keep-alive", "Upgrade: websocket"],
        ["Connection: upgrade", "X: y"],
        ["Connection: upgrade", "Upgrade: h2c"],
        ["Connection: upgrade", "Upgrade: websocket2"],
        ["Connection: upgrades", "Upgrade: websocket"],
    ] {
        assert!(!asked(&upgrade), "{upgrade:?}");
    }
    // RFC 9110 section 7.8: an HTTP/1.0 client's Upgrade is ignored.
    assert!(open_by("GET / HTTP/1.0", &[UPGRADE, KEY, VERSION]).is_none());
}

#[test]
fn what_cannot_be_granted_is_refused_with_its_status() {
    use OpeningError as E;
    let cases: &[(&str, &[&str], E, u16)] = &[
        ("POST / HTTP/1.1", &[KEY, VERSION], E::Method, 405),
        ("HEAD / HTTP/1.1", &[KEY, VERSION], E::Method, 405),
        ("GET / HTTP/1.1", &[KEY, VERSION, "Content-Length: 1"], E::Body, 400),
        ("GET / HTTP/1.1", &[KEY, VERSION, "Transfer-Encoding: chunked"], E::Body, 400),
        ("GET / HTTP/1.1", &[KEY], E::Version, 426),
        ("GET / HTTP/1.1", &[KEY, "Sec-WebSocket-Version: 8"], E::Version, 426),
        ("GET / HTTP/1.1", &[KEY, "Sec-WebSocket-Version: 13, 8"], E::Version, 426),
        ("GET / HTTP/1.1", &[KEY, VERSION, VERSION], E::Version, 426),
        ("GET / HTTP/1.1", &[VERSION], E::Key, 400),
        ("GET / HTTP/1.1", &[VERSION, KEY, KEY], E::Key, 400),
        ("GET / HTTP/1.1", &[VERSION, "Sec-WebSocket-Key: "], E::Key, 400),
        ("GET / HTTP/1.1", &[VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"], E::Key, 400),
        ("GET / HTTP/1.1", &[VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"], E::Key, 400),
        ("GET / HTTP/1.1", &[VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU="], E::Key, 400),
        ("GET / HTTP/1.1", &[VERSION, "Sec-WebSocket-Key: dGhl!HNhbXBsZSBub25jZQ=="], E::Key, 400),
    ];
    for (line, fields, error, status) in cases {
        let found = open_by(line, &[&[UPGRADE], *fields].concat()).unwrap().map(drop);
        assert_eq!(found, Err(*error), "{line} {fields:?}");
        assert_eq!(error.status(), *status);
    }
    let version = E::Version.fields();
    assert!(version.contains(&(b"sec-websocket-version", b"13")));
    assert!(E::Method.fields().contains(&(b"allow", b"GET")));
}

#[test]
fn a_key_of_random_letters_will_do() {
    let fields = [UPGRADE, VERSION, "Sec-WebSocket-Key: abcdefghijklmnopqrstuv=="];
    assert!(open(&fields).unwrap().is_ok());
}

#[test]
fn subprotocols_are_different_tokens() {
    let offered = |value: &str| {
        open_with(&[&format!("Sec-WebSocket-Protocol: {value}")]).map(|found| found.subprotocols)
    };
    assert_eq!(offered("a"), Ok(vec!["a".to_owned()]));
    assert_eq!(offered("b,a , ,c").unwrap(), ["b", "a", "c"]);
    assert_eq!(offered("").unwrap(), Vec::<String>::new());
    for bad in ["a, a", "a b", "ü", "a;b", "\"a\""] {
        assert_eq!(offered(bad), Err(OpeningError::Subprotocols), "{bad}");
    }
    let twice = ["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"];
    assert_eq!(open_with(&twice).unwrap().subprotocols, ["a", "b"]);
}

#[test]
fn the_chosen_subprotocol_must_be_offered() {
    let opening = open_with(&["Sec-WebSocket-Protocol: chat"]).unwrap();
    assert!(!head(&opening, None).unwrap().contains("sec-websocket-protocol"));
    for wrong in ["Chat", "", "chat\r\nx: y", "superchat"] {
        assert_eq!(head(&opening, Some(wrong)), Err(AcceptError::Subprotocol), "{wrong}");
    }
}

#[test]
fn compression_is_agreed_by_the_first_offer_that_can_be_met() {
    let plain = Deflate {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 12,
        client_max_window_bits: None,
    };
    let told = Deflate { client_max_window_bits: Some(12), ..plain };
    let cases: &[(&str, Option<Deflate>)] = &[
        ("permessage-deflate", Some(plain)),
        ("Permessage-Deflate;client_max_window_bits", Some(told)),
        (
            "permessage-deflate ; client_max_window_bits = 10",
            Some(Deflate { client_max_window_bits: Some(10), ..plain }),
        ),
        ("permessage-deflate; client_max_window_bits=\"15\"", Some(told)),
        (
            "permessage-deflate; client_max_window_bits=8",
            Some(Deflate { client_max_window_bits: Some(8), ..plain }),
        ),
        (
            "permessage-deflate; server_max_window_bits=9",
            Some(Deflate { server_max_window_bits: 9, ..plain }),
        ),
        ("permessage-deflate; server_max_window_bits=15", Some(plain)),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Some(Deflate {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                ..plain
            }),
        ),
        // Offers that must be declined (RFC 7692 section 7.1), and those behind them.
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some(plain)),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=012", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; unknown", None),
        ("x-webkit-deflate-frame", None),
        ("foo; a=\"1\"; b, bar, permessage-deflate", Some(plain)),
        ("", None),
    ];
    for (offer, expected) in cases {
        assert_eq!(agreed(offer), *expected, "{offer}");
    }
}

#[test]
fn offers_that_break_the_grammar_are_refused() {
    for bad in
        ["a b", ";", "a;", "a; b=", "a; b=\"", "a; b=\"\"", "a; b=\"c d\"", "=a", "a=b", "a; b=c d"]
    {
        let fields = [format!("Sec-WebSocket-Extensions: {bad}")];
        let found = open_with(&[&fields[0]]).map(drop);
        assert_eq!(found, Err(OpeningError::Extensions), "{bad}");
    }
}

#[test]
fn what_was_agreed_is_named_in_the_answer() {
    let answer = |offer: &str| {
        let fields = [format!("Sec-WebSocket-Extensions: {offer}")];
        let answer = head(&open_with(&[&fields[0]]).unwrap(), None).unwrap();
        let line = answer.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions: "));
        line.map(str::to_owned)
    };
    assert_eq!(
        answer("permessage-deflate; client_max_window_bits").unwrap(),
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    );
    // RFC 7692 section 7.1.2.2: not to a client that has not said that it can be told.
    assert_eq!(
        answer("permessage-deflate").unwrap(),
        "permessage-deflate; server_max_window_bits=12"
    );
    assert_eq!(
        answer("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
            .unwrap(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=12"
    );
    assert_eq!(answer("other"), None);
}

#[test]
fn headers_of_the_application_are_checked() {
    let opening = open_with(&[]).unwrap();
    let write = |name: &'static [u8], value: &'static [u8]| {
        let mut out = Vec::new();
        let defaults = Defaults { date: Some(b"now"), server: Some(b"weft") };
        let pair = std::iter::once((name, value));
        opening.write(None, pair, defaults, &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    assert!(write(b"x-a", b"b").unwrap().ends_with("x-a: b\r\ndate: now\r\nserver: weft\r\n\r\n"));
    assert!(write(b"Server", b"s").unwrap().ends_with("Server: s\r\ndate: now\r\n\r\n"));
    assert_eq!(write(b"x a", b"b"), Err(AcceptError::HeaderName));
    assert_eq!(write(b"x-a", b"b\r\nc: d"), Err(AcceptError::HeaderValue));
    for own in ["Connection", "upgrade", "sec-websocket-accept", "Sec-WebSocket-Extensions"] {
        assert_eq!(write(own.as_bytes(), b"x"), Err(AcceptError::HandshakeHeader), "{own}");
    }
    assert_eq!(write(b"sec-websocket-protocol", b"x"), Err(AcceptError::HandshakeHeader));
    assert_eq!(write(b"content-length", b"0"), Err(AcceptError::HandshakeHeader));
}

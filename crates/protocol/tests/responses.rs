//! The response encoder: bytes for the usual, errors for the wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use weft_protocol::http1::{
    Defaults, Framing, RequestFacts, Response, ResponseError as E, Version, continue_100,
    error_response, reason_phrase,
};

const GET: RequestFacts =
    RequestFacts { is_head: false, version: Version::Http11, keep_alive: true };
const HEAD: RequestFacts = RequestFacts { is_head: true, ..GET };
const OLD: RequestFacts = RequestFacts { version: Version::Http10, keep_alive: false, ..GET };
const OLD_ALIVE: RequestFacts = RequestFacts { keep_alive: true, ..OLD };

type Fields<'a> = &'a [(&'a str, &'a str)];

/// Runs the head calls; the response and what it wrote.
fn head(
    facts: RequestFacts,
    status: u16,
    fields: Fields<'_>,
    known: Option<u64>,
) -> Result<(Response, Vec<u8>), E> {
    let (mut response, mut out) = (Response::new(facts), Vec::new());
    response.start(status, &mut out)?;
    for (name, value) in fields {
        response.header(name.as_bytes(), value.as_bytes(), &mut out)?;
    }
    response.finish_head(known, Defaults::default(), &mut out)?;
    Ok((response, out))
}

/// The whole message for these body pieces, and whether the connection lives on.
fn message(facts: RequestFacts, status: u16, fields: Fields<'_>, body: &[&str]) -> (String, bool) {
    let (mut response, mut out) = head(facts, status, fields, None).unwrap();
    for (at, piece) in body.iter().enumerate() {
        let framing = response.frame(piece.len(), at + 1 < body.len()).unwrap();
        framing.write(piece.as_bytes(), &mut out);
    }
    assert!(response.is_complete());
    (String::from_utf8(out).unwrap(), response.keep_alive())
}

#[test]
fn framing_follows_the_request_and_what_is_known() {
    let (chunked, close) = ("transfer-encoding: chunked\r\n", "connection: close\r\n");
    let alive = "connection: keep-alive\r\n";
    let cl = &[("Content-Length", "3")][..];
    for (facts, fields, lines, body, keep_alive) in [
        (GET, cl, "Content-Length: 3\r\n".to_owned(), "abc", true),
        (GET, &[][..], chunked.to_owned(), "3\r\nabc\r\n0\r\n\r\n", true),
        (OLD, cl, format!("Content-Length: 3\r\n{close}"), "abc", false),
        (OLD, &[], close.to_owned(), "abc", false),
        (OLD_ALIVE, cl, format!("Content-Length: 3\r\n{alive}"), "abc", true),
        (OLD_ALIVE, &[], close.to_owned(), "abc", false),
        (HEAD, cl, "Content-Length: 3\r\n".to_owned(), "", true),
        (HEAD, &[], String::new(), "", true),
    ] {
        let (text, alive) = message(facts, 200, fields, &["abc"]);
        assert_eq!(text, format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}"), "{facts:?} {fields:?}");
        assert_eq!(alive, keep_alive, "{facts:?} {fields:?}");
    }
}

#[test]
fn a_known_body_gets_its_length() {
    for facts in [GET, OLD, OLD_ALIVE] {
        let (mut response, out) = head(facts, 200, &[], Some(10)).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("\r\ncontent-length: 10\r\n"));
        assert_eq!(response.keep_alive(), facts.keep_alive);
        assert_eq!(response.frame(11, false), Err(E::BodyTooLong { declared: 10 }));
    }
    // The application's wish for chunks was a wish for a body without a length; it has one.
    let (_, out) = head(GET, 200, &[("transfer-encoding", "chunked")], Some(0)).unwrap();
    assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    // Of HEAD, the length of the body that is not sent is unknown.
    assert_eq!(head(HEAD, 200, &[], Some(0)).unwrap().1, b"HTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn statuses_without_a_body_swallow_it() {
    let cl = &[("content-length", "3")][..];
    for (status, fields, lines) in [
        (204, cl, ""),
        (204, &[("transfer-encoding", "chunked")], ""),
        (304, cl, "content-length: 3\r\n"),
        (304, &[], ""),
        (304, &[("transfer-encoding", "chunked")], ""),
    ] {
        let phrase = reason_phrase(status);
        for body in [&["abc"][..], &["", ""], &["abcdef", "g"]] {
            let (text, alive) = message(GET, status, fields, body);
            assert_eq!(text, format!("HTTP/1.1 {status} {phrase}\r\n{lines}\r\n"));
            assert!(alive);
        }
    }
    let (text, alive) = message(GET, 101, &[("Connection", "Upgrade"), ("Upgrade", "x")], &[""]);
    assert_eq!(
        text,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    );
    assert!(!alive);
}

#[test]
fn chunked_and_content_length_never_stand_together() {
    let (te, cl) = (("Transfer-Encoding", " Chunked "), ("Content-Length", "7"));
    let x = ("X", "y");
    for fields in [&[te, cl, x][..], &[cl, te, x], &[cl, x, te], &[te, te, x, cl]] {
        let (text, alive) = message(GET, 200, fields, &["abc", ""]);
        let lines = "X: y\r\ntransfer-encoding: chunked\r\n";
        assert_eq!(text, format!("HTTP/1.1 200 OK\r\n{lines}\r\n3\r\nabc\r\n0\r\n\r\n"));
        assert!(alive);
        let (text, _) = message(OLD, 200, fields, &["abc"]);
        assert_eq!(text, "HTTP/1.1 200 OK\r\nX: y\r\nconnection: close\r\n\r\nabc");
    }
    for value in ["gzip", "gzip, chunked", "identity", ""] {
        let fields = &[("transfer-encoding", value)];
        assert_eq!(head(GET, 200, fields, None).unwrap_err(), E::TransferEncoding);
    }
}

#[test]
fn content_length_must_be_one_number() {
    for value in ["", "+1", "-1", "1, 1", "a", "1.0", "18446744073709551616"] {
        let fields = &[("content-length", value)];
        assert_eq!(head(GET, 200, fields, None).unwrap_err(), E::ContentLength, "{value}");
    }
    let twice = |second| [("content-length", "3"), ("Content-Length", second)];
    assert_eq!(head(GET, 200, &twice("4"), None).unwrap_err(), E::ContentLengthConflict);
    let (text, _) = message(GET, 200, &twice("3"), &["abc"]);
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
}

#[test]
fn connection_headers_are_obeyed_or_left_out() {
    for (facts, value, lines, keep_alive) in [
        (GET, "close", "Connection: close\r\n", false),
        (GET, "x, Close", "Connection: x, Close\r\n", false),
        (GET, "keep-alive", "", true),
        (GET, "", "", true),
        (GET, "x", "Connection: x\r\n", true),
        (OLD_ALIVE, "close", "Connection: close\r\n", false),
        (OLD_ALIVE, "keep-alive", "connection: keep-alive\r\n", true),
        (OLD, "keep-alive", "connection: close\r\n", false),
        (OLD, "x", "Connection: x\r\nconnection: close\r\n", false),
    ] {
        let fields = &[("content-length", "0"), ("Connection", value)];
        let (text, alive) = message(facts, 200, fields, &[""]);
        assert_eq!(text, format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{lines}\r\n"), "{value}");
        assert_eq!(alive, keep_alive, "{value}");
    }
    let (mut response, mut out) = (Response::new(GET), Vec::new());
    response.close_after();
    response.start(200, &mut out).unwrap();
    response.finish_head(Some(0), Defaults::default(), &mut out).unwrap();
    assert!(out.ends_with(b"connection: close\r\n\r\n") && !response.keep_alive());
}

#[test]
fn date_and_server_are_added_unless_sent() {
    let defaults = Defaults { date: Some(b"today"), server: Some(b"weft") };
    for (own, text) in [
        (&[][..], "date: today\r\nserver: weft\r\n"),
        (&[("Date", "then")], "Date: then\r\nserver: weft\r\n"),
        (&[("SERVER", "")], "SERVER: \r\ndate: today\r\n"),
        (&[("server", "a"), ("date", "b")], "server: a\r\ndate: b\r\n"),
    ] {
        let (mut response, mut out) = (Response::new(HEAD), Vec::new());
        response.start(404, &mut out).unwrap();
        for (name, value) in own {
            response.header(name.as_bytes(), value.as_bytes(), &mut out).unwrap();
        }
        response.finish_head(None, defaults, &mut out).unwrap();
        assert_eq!(out, format!("HTTP/1.1 404 Not Found\r\n{text}\r\n").as_bytes());
    }
}

#[test]
fn status_lines_carry_the_registered_phrase() {
    for (status, line) in
        [(200, "200 OK"), (422, "422 Unprocessable Content"), (299, "299 "), (999, "999 ")]
    {
        let (_, out) = head(HEAD, status, &[], None).unwrap();
        assert_eq!(out, format!("HTTP/1.1 {line}\r\n\r\n").as_bytes());
    }
    for status in [0, 1, 99, 1000, u16::MAX] {
        assert_eq!(head(GET, status, &[], None).unwrap_err(), E::Status(status));
    }
}

#[test]
fn headers_cannot_split_a_response() {
    for (name, error) in [
        ("", E::HeaderName),
        ("a b", E::HeaderName),
        ("a:", E::HeaderName),
        ("a\r\nb", E::HeaderName),
        ("\u{e9}", E::HeaderName),
        ("a\0", E::HeaderName),
    ] {
        assert_eq!(head(GET, 200, &[(name, "v")], None).unwrap_err(), error, "{name:?}");
    }
    for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\u{1b}[0m", "\u{7f}", "\r", "\n"] {
        for name in ["x", "content-length", "connection", "date", "transfer-encoding"] {
            let error = head(GET, 200, &[(name, value)], None).unwrap_err();
            assert_eq!(error, E::HeaderValue, "{name} {value:?}");
        }
    }
    let (_, out) = head(HEAD, 200, &[("X", " caf\u{e9}\t! ")], None).unwrap();
    assert_eq!(out, "HTTP/1.1 200 OK\r\nX:  caf\u{e9}\t! \r\n\r\n".as_bytes());
}

#[test]
fn a_body_must_match_its_declared_length() {
    let cl = &[("content-length", "5")][..];
    let (long, short) =
        (E::BodyTooLong { declared: 5 }, |missing| E::BodyTooShort { declared: 5, missing });
    for (pieces, outcome) in [
        (&[(5, false)][..], Ok(())),
        (&[(2, true), (0, true), (3, false)], Ok(())),
        (&[(5, true), (0, false)], Ok(())),
        (&[(6, false)], Err(long)),
        (&[(6, true)], Err(long)),
        (&[(5, true), (1, false)], Err(long)),
        (&[(0, false)], Err(short(5))),
        (&[(4, false)], Err(short(1))),
        (&[(2, true), (2, false)], Err(short(1))),
    ] {
        let (mut response, _) = head(GET, 200, cl, None).unwrap();
        let result: Result<Vec<Framing>, E> =
            pieces.iter().map(|&(len, more)| response.frame(len, more)).collect();
        assert_eq!(result.map(|_| ()), outcome, "{pieces:?}");
        assert_eq!(
            (response.is_complete(), response.keep_alive()),
            (outcome.is_ok(), outcome.is_ok())
        );
        if outcome.is_err() {
            assert_eq!(response.frame(0, false), Err(E::Failed));
        }
    }
    // While the head is still unsent, a wrong length is found before it is promised.
    assert_eq!(head(GET, 200, cl, Some(6)).unwrap_err(), long);
    assert_eq!(head(GET, 200, cl, Some(3)).unwrap_err(), short(2));
    assert!(head(HEAD, 200, cl, Some(0)).is_ok());
}

#[test]
fn calls_out_of_order_are_errors() {
    let mut out = Vec::new();
    let fresh = || Response::new(GET);
    let started = |out: &mut Vec<u8>| {
        let mut response = fresh();
        response.start(200, out).unwrap();
        response
    };
    assert_eq!(fresh().header(b"a", b"b", &mut out), Err(E::NotStarted));
    assert_eq!(fresh().finish_head(None, Defaults::default(), &mut out), Err(E::NotStarted));
    assert_eq!(fresh().frame(0, false), Err(E::NotStarted));
    assert_eq!(started(&mut out).start(200, &mut out), Err(E::StartedTwice));
    assert_eq!(started(&mut out).frame(0, false), Err(E::NotStarted));
    let (mut response, _) = head(GET, 200, &[], None).unwrap();
    assert_eq!(response.header(b"a", b"b", &mut out), Err(E::HeadFinished));
    assert_eq!(response.frame(0, false), Err(E::Failed));
    assert!(!response.keep_alive());
    // What comes after the end is an error, and leaves the finished exchange as it is.
    let (mut response, _) = head(GET, 200, &[], None).unwrap();
    response.frame(0, false).unwrap();
    let before = out.len();
    assert_eq!(response.frame(1, false), Err(E::AfterEnd));
    assert_eq!(response.start(200, &mut out), Err(E::AfterEnd));
    assert_eq!(response.header(b"a", b"b", &mut out), Err(E::AfterEnd));
    assert!(response.is_complete() && response.keep_alive() && out.len() == before);
}

#[test]
fn the_servers_own_responses_are_complete() {
    assert_eq!(continue_100(), b"HTTP/1.1 100 Continue\r\n\r\n");
    let own = |status, reason, is_head| {
        let mut out = b"before".to_vec();
        error_response(status, reason, is_head, Defaults::default(), &mut out);
        String::from_utf8(out).unwrap()
    };
    let lines =
        "content-type: text/plain; charset=utf-8\r\ncontent-length: 8\r\nconnection: close\r\n";
    let expected = format!("beforeHTTP/1.1 400 Bad Request\r\n{lines}\r\n");
    assert_eq!(own(400, "no host", false), format!("{expected}no host\n"));
    assert_eq!(own(400, "no host", true), expected);
    assert!(own(503, "", false).ends_with("\r\n\r\nService Unavailable\n"));
    assert!(own(7, "", false).contains("500 Internal Server Error"));
}

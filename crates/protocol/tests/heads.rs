//! What accepted heads mean.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::{Seen, feed_every_way, only_head};
use weft_protocol::http1::{BodyLength, Limits, Version};

fn head_with(line: &str, fields: &str) -> support::SeenHead {
    only_head(format!("{line}\r\n{fields}\r\n").as_bytes())
}

#[test]
fn a_plain_request_is_read_in_full() {
    let head = head_with("GET /a%20b?c=d?e HTTP/1.1", "Host: weft\r\nX-One:  two \t\r\nEmpty:\r\n");
    assert_eq!((head.method.as_str(), head.target.as_str()), ("GET", "/a%20b?c=d?e"));
    assert_eq!((head.path.as_str(), head.query.as_str()), ("/a%20b", "c=d?e"));
    assert_eq!(head.authority, None);
    assert_eq!((head.version, head.body), (Version::Http11, BodyLength::None));
    let headers: Vec<_> = head.headers.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
    assert_eq!(headers, [("Host", &b"weft"[..]), ("X-One", b"two"), ("Empty", b"")]);
    assert!(head.facts.keep_alive && !head.facts.is_head);
}

#[test]
fn targets_are_taken_apart_by_form() {
    let host = "Host: other\r\n";
    for (line, path, query, authority) in [
        ("GET / HTTP/1.1", "/", "", None),
        ("GET /? HTTP/1.1", "/", "", None),
        ("GET //x?a HTTP/1.1", "//x", "a", None),
        ("GET /a{b}|\"c\" HTTP/1.1", "/a{b}|\"c\"", "", None),
        ("OPTIONS * HTTP/1.1", "*", "", None),
        ("GET http://h/p?q HTTP/1.1", "/p", "q", Some("h")),
        ("GET http://h:80 HTTP/1.1", "/", "", Some("h:80")),
        ("GET HTTPS://h?q HTTP/1.1", "/", "q", Some("h")),
        ("GET http://[::1]:8000/ HTTP/1.1", "/", "", Some("[::1]:8000")),
    ] {
        let head = head_with(line, host);
        assert_eq!((head.path.as_str(), head.query.as_str()), (path, query), "{line}");
        assert_eq!(head.authority.as_deref(), authority, "{line}");
    }
}

#[test]
fn any_token_is_a_method() {
    for method in ["GET", "get", "PATCH", "M-SEARCH", "x!#$%&'*+-.^_`|~1"] {
        assert_eq!(head_with(&format!("{method} / HTTP/1.1"), "Host: h\r\n").method, method);
    }
    assert!(head_with("HEAD / HTTP/1.1", "Host: h\r\n").facts.is_head);
    assert!(!head_with("head / HTTP/1.1", "Host: h\r\n").facts.is_head);
}

#[test]
fn well_formed_hosts_pass() {
    for host in [
        "",
        "h",
        "h:",
        "h:8000",
        "a.b-c_d~",
        "127.0.0.1:80",
        "[::1]",
        "[2001:db8::1]:443",
        "a%20b",
        "h:65535",
        "\tspaced ",
    ] {
        head_with("GET / HTTP/1.1", &format!("Host: {host}\r\n"));
    }
    // An HTTP/1.0 client need not know of Host.
    head_with("GET / HTTP/1.0", "");
}

#[test]
fn connection_options_and_version_decide_about_reuse() {
    for (version, fields, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "connection: CLOSE\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: foo , close\r\n", false),
        ("1.1", "Connection: foo\r\nConnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: Keep-Alive, close\r\n", false),
    ] {
        let head = head_with(&format!("GET / HTTP/{version}"), &format!("Host: h\r\n{fields}"));
        assert_eq!(head.facts.keep_alive, keep_alive, "{version} {fields}");
    }
}

#[test]
fn framing_fields_give_the_body_length() {
    for (fields, body) in [
        ("", BodyLength::None),
        ("Content-Length: 0\r\n", BodyLength::None),
        ("content-length: 7\r\n", BodyLength::Length(7)),
        ("Content-Length: 007\r\n", BodyLength::Length(7)),
        ("Content-Length: 18446744073709551615\r\n", BodyLength::Length(u64::MAX)),
        ("Transfer-Encoding: chunked\r\n", BodyLength::Chunked),
        ("TRANSFER-ENCODING: \t Chunked \r\n", BodyLength::Chunked),
        ("TE: trailers\r\n", BodyLength::None),
    ] {
        let head = head_with("POST / HTTP/1.1", &format!("Host: h\r\n{fields}"));
        assert_eq!(head.body, body, "{fields}");
    }
}

#[test]
fn an_expectation_needs_a_body_and_http_1_1() {
    for (version, fields, expected) in [
        ("1.1", "Expect: 100-continue\r\nContent-Length: 1\r\n", true),
        ("1.1", "expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("1.1", "Expect: 100-continue\r\n", false),
        ("1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", false),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", false),
        ("1.0", "Expect: miracles\r\nContent-Length: 1\r\n", false),
    ] {
        let head = head_with(&format!("POST / HTTP/{version}"), &format!("Host: h\r\n{fields}"));
        assert_eq!(head.expect_continue, expected, "{version} {fields}");
    }
}

#[test]
fn an_upgrade_must_be_named_by_connection_in_http_1_1() {
    for (version, fields, upgrade) in [
        ("1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", Some("websocket")),
        ("1.1", "Upgrade: h2c\r\nConnection: keep-alive, upgrade\r\n", Some("h2c")),
        ("1.1", "Upgrade: websocket\r\n", None),
        ("1.1", "Connection: upgrade\r\n", None),
        ("1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n", None),
    ] {
        let head = head_with(&format!("GET / HTTP/{version}"), &format!("Host: h\r\n{fields}"));
        assert_eq!(head.upgrade.as_deref(), upgrade.map(str::as_bytes), "{version} {fields}");
    }
}

#[test]
fn obs_text_and_tabs_pass_in_values() {
    let head = only_head(b"GET / HTTP/1.1\r\nHost: h\r\nX: caf\xE9\tau \xFF\r\n\r\n");
    assert_eq!(head.headers[1].1, b"caf\xE9\tau \xFF");
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    let request =
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n";
    let seen = feed_every_way(Limits::default(), request);
    assert!(
        matches!(seen.as_slice(), [Seen::Head(_), Seen::Head(b)] if b.path == "/b"),
        "{seen:?}"
    );
}

#[test]
fn pipelined_requests_come_in_order() {
    let bytes = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\n\
Content-Length: 3\r\n\r\nabcPOST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
2\r\nde\r\n0\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n";
    let seen = feed_every_way(Limits::default(), bytes);
    let order: Vec<String> = seen
        .iter()
        .map(|event| match event {
            Seen::Head(head) => head.path.clone(),
            Seen::Body(data) => String::from_utf8_lossy(data).into_owned(),
            Seen::End => "end".into(),
            Seen::Error(error) => format!("{error:?}"),
        })
        .collect();
    assert_eq!(order, ["/1", "/2", "abc", "end", "/3", "de", "end", "/4"]);
}

#[test]
fn nothing_behind_a_closing_request_is_read() {
    for bytes in [
        &b"GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"[..],
        b"GET /1 HTTP/1.0\r\n\r\n\0garbage",
        b"POST /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\naGET /2 HTTP/1.1\r\n\r\n",
    ] {
        let seen = feed_every_way(Limits::default(), bytes);
        let heads = seen.iter().filter(|event| matches!(event, Seen::Head(_))).count();
        let errors = seen.iter().filter(|event| matches!(event, Seen::Error(_))).count();
        assert_eq!((heads, errors), (1, 0), "{}", bytes.escape_ascii());
    }
}

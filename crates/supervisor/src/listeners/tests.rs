//! Real sockets on the loopback: what is bound, and how a refusal reads.
#![allow(clippy::expect_used, clippy::panic)] // a broken expectation is how a test fails

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::{env, fs, process};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, FdFlags, fcntl_getfd};
use rustix::net::{getsockname, sockopt};

use super::{advice, bind, remove_if_dead};
use crate::error::{Error, exit_code};
use crate::options::{Request, parse};

fn listen(flags: &[&str]) -> Result<Vec<OwnedFd>, Error> {
    let argv: Vec<OsString> = ["a:b"].iter().chain(flags).map(OsString::from).collect();
    match parse(&argv, &|_| None) {
        Ok(Request::Serve(settings)) => bind(&settings),
        other => panic!("{flags:?} should be settings, is {other:?}"),
    }
}

#[track_caller]
fn refusal(flags: &[&str]) -> String {
    let error = listen(flags).expect_err("it cannot be bound");
    assert_eq!(error.exit_code(), exit_code::STARTUP);
    error.to_string()
}

fn address(socket: impl AsFd) -> SocketAddr {
    getsockname(socket).expect("it is bound").try_into().expect("an internet address")
}

fn path(name: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("weft-{}-{name}.sock", process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn a_tcp_listener_is_ready_for_a_loop_and_closed_on_exec() {
    let sockets = listen(&["--port", "0"]).expect("a free port");
    let [socket] = sockets.as_slice() else { panic!("one address, one socket") };
    assert!(socket.as_raw_fd() > 2);
    assert!(fcntl_getfd(socket).expect("open").contains(FdFlags::CLOEXEC));
    assert!(fcntl_getfl(socket).expect("open").contains(OFlags::NONBLOCK));
    assert!(sockopt::socket_reuseaddr(socket).expect("a socket"));
    assert!(sockopt::tcp_nodelay(socket).expect("a socket"));
    assert_ne!(address(socket).port(), 0);
    TcpStream::connect(address(socket)).expect("it listens");
}

#[test]
fn an_accepted_connection_inherits_no_delay() {
    let sockets = listen(&["--port", "0"]).expect("a free port");
    let client = TcpStream::connect(address(&sockets[0])).expect("it listens");
    let accepted = rustix::net::accept(&sockets[0]).expect("a connection waits");
    assert!(sockopt::tcp_nodelay(accepted).expect("a socket"));
    drop(client);
}

#[test]
fn every_address_of_a_name_is_bound_at_one_port() {
    let sockets = listen(&["--host", "localhost", "--port", "0"]).expect("a free port");
    let ports: Vec<u16> = sockets.iter().map(|socket| address(socket).port()).collect();
    assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
}

#[test]
fn the_unspecified_ipv6_address_takes_ipv4_too() {
    let Ok(sockets) = listen(&["--host", "::", "--port", "0"]) else {
        return; // a machine without IPv6 has nothing to show here
    };
    let port = address(&sockets[0]).port();
    TcpStream::connect(("127.0.0.1", port)).expect("IPv4 reaches it");
}

#[test]
fn a_port_in_use_is_named_with_a_way_out() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = holder.local_addr().expect("bound").port().to_string();
    let text = refusal(&["--port", &port]);
    assert_eq!(
        text,
        format!(
            "cannot listen on 127.0.0.1:{port}: the port is in use; stop the process that has \
             it (ss -ltnp 'sport = :{port}' shows it) or choose another --port"
        )
    );
}

#[test]
fn foreign_and_unknown_hosts_are_named() {
    let text = refusal(&["--host", "203.0.113.7", "--port", "8000"]);
    assert!(text.starts_with("cannot listen on 203.0.113.7:8000: 203.0.113.7 is not"), "{text}");
    let text = refusal(&["--host", "no-such-host.invalid", "--port", "8000"]);
    assert!(text.contains("no-such-host.invalid:8000: the host cannot be resolved"), "{text}");
}

#[test]
fn a_missing_permission_suggests_a_higher_port() {
    // Root may bind any port, so the errno is given rather than provoked.
    let text = advice(Errno::ACCESS, ([0, 0, 0, 0], 80).into());
    assert!(text.contains("--port from 1024 up"), "{text}");
}

#[test]
fn a_unix_socket_is_open_to_other_users() {
    let path = path("mode");
    let sockets = listen(&["--uds", &path.to_string_lossy()]).expect("a new path");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o666);
    UnixStream::connect(&path).expect("it listens");
    assert!(!remove_if_dead(&path), "somebody listens");
    drop(sockets);
    assert!(remove_if_dead(&path), "nobody listens");
    assert!(!path.exists());
    assert!(remove_if_dead(&path), "gone is gone");
}

#[test]
fn the_file_of_a_dead_server_is_replaced() {
    let path = path("stale");
    drop(UnixListener::bind(&path).expect("a new path")); // std leaves the file behind
    assert!(path.exists());
    listen(&["--uds", &path.to_string_lossy()]).expect("the file is stale");
    fs::remove_file(path).expect("it is there");
}

#[test]
fn the_file_of_a_live_server_is_left_alone() {
    let path = path("live");
    let holder = UnixListener::bind(&path).expect("a new path");
    let text = refusal(&["--uds", &path.to_string_lossy()]);
    assert!(text.contains("a server listens there already"), "{text}");
    UnixStream::connect(&path).expect("the other server still listens");
    drop(holder);
    fs::remove_file(path).expect("it is there");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = path("file");
    fs::write(&path, "mine").expect("a new path");
    let text = refusal(&["--uds", &path.to_string_lossy()]);
    assert!(text.contains("a file that is not a socket stands there"), "{text}");
    assert!(!remove_if_dead(&path));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "mine");
    fs::remove_file(path).expect("it is there");
}

#[test]
fn impossible_socket_paths_say_why() {
    let long = format!("/tmp/{}", "x".repeat(120));
    assert!(refusal(&["--uds", &long]).contains("choose a shorter --uds"));
    assert!(refusal(&["--uds", "/no/such/folder/x.sock"]).contains("its folder does not exist"));
}

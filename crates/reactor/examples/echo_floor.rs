//! What an echo over TCP costs without any Python: CPU nanoseconds a round trip, best of several.
//!
//! The exchange is that of the benchmark rows `proto1k` and `proto100k`: one connection on
//! 127.0.0.1, both ends in this process, one wait, one read and one send a message. The kernel's
//! share is the same for every event loop, so the figure bounds what a faster loop can reach.
//!
//! Run with `taskset -c 0 cargo run --release -p weft-reactor --example echo_floor`.
#![allow(clippy::print_stdout, reason = "printing is its purpose")]

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use rustix::time::{ClockId, clock_gettime};
use weft_reactor::sys::{Events, Interest, Poller, socket};

const REPEATS: usize = 7;
const ROOM: usize = 256 * 1024;

fn main() -> io::Result<()> {
    for (size, turns) in [(1024, 50_000), (100 * 1024, 5_000)] {
        let mut exchange = Exchange::new(size)?;
        let mut best = u64::MAX;
        for _ in 0..REPEATS {
            let begun = cpu_ns();
            exchange.run(turns)?;
            best = best.min((cpu_ns() - begun) / turns);
        }
        println!("echo of {size} bytes: {best} ns a round trip");
    }
    Ok(())
}

fn cpu_ns() -> u64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as u64 * 1_000_000_000 + spent.tv_nsec as u64
}

/// A connection with both its ends, watched as weft's transports are.
struct Exchange {
    poller: Poller,
    events: Events,
    client: TcpStream,
    server: TcpStream,
    message: Vec<u8>,
    buffer: Vec<u8>,
}

impl Exchange {
    fn new(size: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        let poller = Poller::new()?;
        for (token, stream) in [(0, &client), (1, &server)] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            poller.add(stream.as_raw_fd(), token, Interest::edge())?;
        }
        let (message, buffer) = (vec![7; size], vec![0; ROOM]);
        Ok(Self { poller, events: Events::with_capacity(8), client, server, message, buffer })
    }

    fn run(&mut self, turns: u64) -> io::Result<()> {
        let (client, server) = (self.client.as_raw_fd(), self.server.as_raw_fd());
        let (mut left, mut missing) = (turns, self.message.len());
        send_all(client, &self.message)?;
        while left > 0 {
            self.poller.wait(&mut self.events, None)?;
            for event in self.events.iter().filter(|event| event.readiness.is_readable()) {
                if event.token == 1 {
                    let len = socket::recv(server, &mut self.buffer)?;
                    send_all(server, &self.buffer[..len])?;
                    continue;
                }
                missing -= match socket::recv(client, &mut self.buffer) {
                    Ok(len) => len,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(error) => return Err(error),
                };
                if missing == 0 {
                    missing = self.message.len();
                    left -= 1;
                    if left > 0 {
                        send_all(client, &self.message)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The sockets' buffers hold more than the largest message, so this does not spin.
fn send_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket::send(fd, bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

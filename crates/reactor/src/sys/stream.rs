//! Output streams that the loop does not watch: a terminal, a file, a pipe to a log collector.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, write};

/// What a pipe that polls as writable takes without blocking (`PIPE_BUF`).
const PIPE_ROOM: usize = 4096;

/// Writes as much of `bytes` as `stream` takes without blocking: how much it was.
///
/// The descriptor itself may well block, since it is shared with whoever set it up. A stream
/// that is broken takes everything: nobody will ever read it.
pub fn write_ready(stream: impl AsFd, bytes: &[u8]) -> usize {
    // A file and a terminal take what they are given; a pipe is asked before each piece.
    let is_pipe = fstat(&stream).is_ok_and(|status| {
        matches!(FileType::from_raw_mode(status.st_mode), FileType::Fifo | FileType::Socket)
    });
    let step = if is_pipe { PIPE_ROOM } else { bytes.len() };
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        if !is_writable(&stream) {
            break;
        }
        match write(&stream, rest.get(..step).unwrap_or(rest)) {
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(_) => return bytes.len(),
        }
    }
    written
}

fn is_writable(stream: &impl AsFd) -> bool {
    let mut interest = [PollFd::new(stream, PollFlags::OUT)];
    loop {
        match poll(&mut interest, Some(&Timespec::default())) {
            Ok(count) => return count > 0,
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
    }
}

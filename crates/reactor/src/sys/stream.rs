//! Output streams that the loop does not watch: a terminal, a file, a pipe to a log collector.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, write};

/// What a pipe that polls as writable takes without blocking (`PIPE_BUF`).
const PIPE_ROOM: usize = 4096;

/// Writes as much of `bytes` as `stream` takes without blocking for longer than `patience`: how
/// much it was.
///
/// The descriptor itself may well block, since it is shared with whoever set it up. A stream
/// that is broken takes everything: nobody will ever read it.
pub fn write_within(stream: impl AsFd, bytes: &[u8], patience: Duration) -> usize {
    let start = Instant::now();
    // A file and a terminal take what they are given; a pipe is asked before each piece.
    let is_pipe = fstat(&stream).is_ok_and(|status| {
        matches!(FileType::from_raw_mode(status.st_mode), FileType::Fifo | FileType::Socket)
    });
    let step = if is_pipe { PIPE_ROOM } else { bytes.len() };
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        if !is_writable(&stream, patience.saturating_sub(start.elapsed())) {
            break;
        }
        match write(&stream, whole_lines(rest, step)) {
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(_) => return bytes.len(),
        }
    }
    written
}

/// As many whole lines of `bytes` as fit into `room`: what another writer of the same pipe says
/// meanwhile shall not stand in the middle of one. A line that does not fit is cut.
fn whole_lines(bytes: &[u8], room: usize) -> &[u8] {
    let Some(fitting) = bytes.get(..room) else { return bytes };
    match fitting.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => &fitting[..=end],
        None => fitting,
    }
}

fn is_writable(stream: &impl AsFd, patience: Duration) -> bool {
    let mut interest = [PollFd::new(stream, PollFlags::OUT)];
    // Longer than can be said is for ever.
    let patience = Timespec::try_from(patience).ok();
    loop {
        match poll(&mut interest, patience.as_ref()) {
            Ok(count) => return count > 0,
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn lines_are_cut_only_when_they_do_not_fit() {
        assert_eq!(whole_lines(b"one\ntwo\n", 8), b"one\ntwo\n");
        assert_eq!(whole_lines(b"one\ntwo\n", 6), b"one\n");
        assert_eq!(whole_lines(b"one\ntwo\n", 3), b"one");
    }

    #[test]
    fn a_pipe_takes_what_it_has_room_for_and_no_more() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes = vec![b'x'; 1024 * 1024];
        let first = write_within(&writer, &bytes, Duration::ZERO);
        assert!((PIPE_ROOM..bytes.len()).contains(&first), "{first}");
        assert_eq!(write_within(&writer, &bytes, Duration::ZERO), 0);
        let mut some = vec![0; 2 * PIPE_ROOM];
        reader.read_exact(&mut some).unwrap();
        assert!(write_within(&writer, &bytes, Duration::ZERO) >= PIPE_ROOM);
    }

    #[test]
    fn a_broken_pipe_takes_everything() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(write_within(&writer, b"lost", Duration::ZERO), 4);
    }

    #[test]
    fn a_reader_is_waited_for_with_patience() {
        let (mut reader, writer) = io::pipe().unwrap();
        let bytes = vec![b'x'; 256 * 1024];
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all.len()
        });
        assert_eq!(write_within(&writer, &bytes, Duration::from_secs(10)), bytes.len());
        drop(writer);
        assert_eq!(reading.join().unwrap(), bytes.len());
    }
}

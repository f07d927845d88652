//! permessage-deflate: messages through a DEFLATE stream (RFC 7692 section 7.2).
//!
//! Owns the two streams of a connection. What was agreed about them is `extensions`'.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::error::ProtocolError;
use super::extensions::Deflate;

/// What a message's data ends with in the stream and leaves out on the wire (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// Output is asked for in pieces of this size, at least and at most.
const LEAST_ROOM: usize = 1024;
const MOST_ROOM: usize = 64 * 1024;
/// The lowest level with Huffman codes made for the data. Each level above it costs the loop's
/// thread more than it saves on the wire.
const LEVEL: u32 = 2;

/// The sending stream; made when the first message needs it, for it takes some 200 KiB.
pub(super) struct Deflater {
    agreed: Deflate,
    stream: Option<Box<Compress>>,
    used: bool,
}

impl Deflater {
    pub(super) fn new(agreed: Deflate) -> Self {
        Self { agreed, stream: None, used: false }
    }

    /// Appends the compressed message to `out`; false if the library refuses, which it has no
    /// reason to.
    pub(super) fn compress(&mut self, data: &[u8], out: &mut Vec<u8>) -> bool {
        let bits = self.agreed.server_max_window_bits;
        let stream = self.stream.get_or_insert_with(|| {
            Box::new(Compress::new_with_window_bits(Compression::new(LEVEL), false, bits))
        });
        self.used = true;
        let mut rest = data;
        loop {
            out.reserve(rest.len().clamp(LEAST_ROOM, MOST_ROOM));
            let (before, length) = (stream.total_in(), out.len());
            if stream.compress_vec(rest, out, FlushCompress::Sync).is_err() {
                return false;
            }
            let taken = stream.total_in().saturating_sub(before);
            rest = usize::try_from(taken).ok().and_then(|taken| rest.get(taken..)).unwrap_or(&[]);
            // The flush is complete where room is left (zlib.h on avail_out and Z_SYNC_FLUSH).
            if rest.is_empty() && out.len() < out.capacity() {
                break;
            }
            if taken == 0 && out.len() == length {
                return false;
            }
        }
        if self.agreed.server_no_context_takeover {
            stream.reset();
        }
        if !out.ends_with(&TAIL) {
            return false;
        }
        out.truncate(out.len().saturating_sub(TAIL.len()));
        true
    }

    /// Gives the stream's memory back if no message has gone through it since the last call. A
    /// sender may begin with an empty window at any message.
    pub(super) fn rest(&mut self) {
        if !std::mem::take(&mut self.used) {
            self.stream = None;
        }
    }
}

/// The receiving stream.
pub(super) struct Inflater {
    agreed: Deflate,
    stream: Option<Box<Decompress>>,
}

impl Inflater {
    pub(super) fn new(agreed: Deflate) -> Self {
        Self { agreed, stream: None }
    }

    /// Appends what `data` inflates to, and stops where `out` has more than `limit` bytes.
    pub(super) fn inflate(
        &mut self,
        data: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let bits = self.agreed.client_bits();
        let stream = self
            .stream
            .get_or_insert_with(|| Box::new(Decompress::new_with_window_bits(false, bits)));
        let mut rest = data;
        loop {
            // One byte more than allowed is enough to know.
            let allowed = limit.saturating_sub(out.len()).saturating_add(1);
            let room = rest.len().saturating_mul(4).clamp(LEAST_ROOM, MOST_ROOM).min(allowed);
            out.reserve(room);
            let (before, length) = (stream.total_in(), out.len());
            let status = stream
                .decompress_vec(rest, out, FlushDecompress::Sync)
                .map_err(|_| ProtocolError::Deflate)?;
            if out.len() > limit {
                return Err(ProtocolError::MessageTooBig);
            }
            let taken = stream.total_in().saturating_sub(before);
            rest = usize::try_from(taken).ok().and_then(|taken| rest.get(taken..)).unwrap_or(&[]);
            if status == Status::StreamEnd {
                // Section 7.2.3.4: a sender may end its stream, and then begins another.
                stream.reset(false);
            }
            if rest.is_empty() && out.len() < out.capacity() {
                return Ok(());
            }
            if taken == 0 && out.len() == length && status != Status::StreamEnd {
                return Err(ProtocolError::Deflate);
            }
        }
    }

    /// Takes the end of a message.
    pub(super) fn finish(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.inflate(&TAIL, limit, out)?;
        if self.agreed.client_no_context_takeover
            && let Some(stream) = &mut self.stream
        {
            stream.reset(false);
        }
        Ok(())
    }
}

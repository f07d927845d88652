//! Bytes waiting for a socket.
//!
//! Small writes are copied together so that they leave in one `send`; an immutable buffer that
//! is large or alone is kept by reference. The outbox never touches a socket itself: it shows slices
//! and is told how much was sent.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Buffers up to this size are copied behind another; larger shared ones are kept by
/// reference. Copying 8 KiB costs less than a second slot in an `iovec` and the bookkeeping of
/// its owner.
pub const COPY_LIMIT: usize = 8 * 1024;

/// Slices offered to one vectored send.
pub const MAX_SLICES: usize = 16;

#[derive(Debug)]
enum Chunk<B> {
    Copied(Vec<u8>),
    /// Given away by its maker; not kept for reuse, so that an idle connection holds no memory.
    Given(Vec<u8>),
    Shared(B),
}

impl<B: AsRef<[u8]>> Chunk<B> {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Copied(bytes) | Chunk::Given(bytes) => bytes,
            Chunk::Shared(owner) => owner.as_ref(),
        }
    }
}

/// A queue of bytes with their owners `B`.
#[derive(Debug)]
pub struct Outbox<B> {
    chunks: VecDeque<Chunk<B>>,
    /// How much of the first chunk is already sent.
    sent: usize,
    len: usize,
    /// The emptied buffer of the last small chunk, kept for the next one.
    spare: Vec<u8>,
}

impl<B> Default for Outbox<B> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), sent: 0, len: 0, spare: Vec::new() }
    }
}

impl<B: AsRef<[u8]>> Outbox<B> {
    /// Bytes not yet sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether all is sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a copy of `bytes`.
    pub fn push_copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.len += bytes.len();
        self.copy_small_end();
        if let Some(Chunk::Copied(last)) = self.chunks.back_mut()
            && last.len() + bytes.len() <= 4 * COPY_LIMIT
        {
            last.extend_from_slice(bytes);
            return;
        }
        let mut chunk = std::mem::take(&mut self.spare);
        chunk.extend_from_slice(bytes);
        self.chunks.push_back(Chunk::Copied(chunk));
    }

    /// Appends an immutable buffer: kept by reference when large or alone, copied otherwise.
    pub fn push_shared(&mut self, owner: B) {
        let len = owner.as_ref().len();
        if len == 0 {
            return;
        }
        if len <= COPY_LIMIT && !self.chunks.is_empty() {
            self.push_copy(owner.as_ref());
        } else {
            self.len += len;
            self.chunks.push_back(Chunk::Shared(owner));
        }
    }

    /// Copies a small buffer at the end that was kept by reference while it was alone.
    fn copy_small_end(&mut self) {
        if let Some(Chunk::Shared(owner)) = self.chunks.back()
            && owner.as_ref().len() <= COPY_LIMIT
        {
            let mut chunk = std::mem::take(&mut self.spare);
            chunk.extend_from_slice(owner.as_ref());
            self.chunks.pop_back();
            self.chunks.push_back(Chunk::Copied(chunk));
        }
    }

    /// Appends a buffer that its maker does not need: copied when small, kept when large. What was
    /// copied comes back, for its room.
    pub fn push_vec(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        if bytes.len() <= COPY_LIMIT {
            self.push_copy(&bytes);
            return Some(bytes);
        }
        self.len += bytes.len();
        self.chunks.push_back(Chunk::Given(bytes));
        None
    }

    /// The first slice to send, if anything waits. With [`is_single`](Self::is_single) it
    /// is all there is.
    pub fn first(&self) -> Option<&[u8]> {
        self.chunks.front().map(|chunk| &chunk.bytes()[self.sent..])
    }

    /// Whether one slice holds everything.
    pub fn is_single(&self) -> bool {
        self.chunks.len() == 1
    }

    /// Fills `slices` from the front and says how many were filled.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            let skip = if count == 0 { self.sent } else { 0 };
            *slice = IoSlice::new(&chunk.bytes()[skip..]);
            count += 1;
        }
        count
    }

    /// Forgets the first `sent` bytes. Owners whose bytes are all sent are dropped.
    pub fn advance(&mut self, sent: usize) {
        debug_assert!(sent <= self.len);
        self.len = self.len.saturating_sub(sent);
        let mut left = sent;
        while let Some(first) = self.chunks.front() {
            let remaining = first.bytes().len() - self.sent;
            if left < remaining {
                self.sent += left;
                return;
            }
            left -= remaining;
            self.sent = 0;
            if let Some(Chunk::Copied(mut buffer)) = self.chunks.pop_front()
                && buffer.capacity() <= 4 * COPY_LIMIT
            {
                buffer.clear();
                self.spare = buffer;
            }
        }
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.spare = Vec::new();
        self.sent = 0;
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outbox: &mut Outbox<Vec<u8>>, step: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = outbox.fill(&mut slices);
            let offered: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
            let sent = step.min(offered.len());
            wire.extend_from_slice(&offered[..sent]);
            outbox.advance(sent);
        }
        wire
    }

    fn filled() -> (Outbox<Vec<u8>>, Vec<u8>) {
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for n in 0..40u8 {
            let bytes = vec![n; usize::from(n) * 600 + 1];
            expected.extend_from_slice(&bytes);
            if n % 3 == 0 { outbox.push_copy(&bytes) } else { outbox.push_shared(bytes) }
        }
        (outbox, expected)
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_socket_takes() {
        for step in [997_usize, 4096, 65_536, usize::MAX] {
            let (mut outbox, expected) = filled();
            assert_eq!(outbox.len(), expected.len());
            assert_eq!(drain(&mut outbox, step), expected, "{step} bytes at a time");
            assert!(outbox.first().is_none());
        }
    }

    #[test]
    fn small_writes_leave_as_one_slice() {
        let mut outbox = Outbox::<Vec<u8>>::default();
        outbox.push_copy(b"head");
        outbox.push_shared(b"body".to_vec());
        assert!(outbox.is_single());
        assert_eq!(outbox.first(), Some(&b"headbody"[..]));
    }

    #[test]
    fn a_small_buffer_that_is_alone_is_not_copied() {
        let mut outbox = Outbox::default();
        let small = b"alone".to_vec();
        let address = small.as_ptr();
        outbox.push_shared(small);
        assert_eq!(outbox.first().map(<[u8]>::as_ptr), Some(address));
    }

    #[test]
    fn a_small_buffer_that_is_partly_sent_is_joined_by_the_next() {
        for (step, rest) in [(1, &b"eadbody"[..]), (3, b"dbody")] {
            let mut outbox = Outbox::<Vec<u8>>::default();
            outbox.push_shared(b"head".to_vec());
            outbox.advance(step);
            outbox.push_shared(b"body".to_vec());
            assert!(outbox.is_single());
            assert_eq!(outbox.first(), Some(rest));
            assert_eq!(outbox.len(), rest.len());
        }
    }

    #[test]
    fn a_large_buffer_is_not_copied() {
        let mut outbox = Outbox::default();
        let large = vec![1u8; COPY_LIMIT + 1];
        let address = large.as_ptr();
        outbox.push_shared(large);
        assert_eq!(outbox.first().map(<[u8]>::as_ptr), Some(address));
    }

    #[test]
    fn a_buffer_that_is_given_away_is_copied_only_when_small() {
        let mut outbox = Outbox::<Vec<u8>>::default();
        assert!(outbox.push_vec(b"head".to_vec()).is_some());
        outbox.push_vec(b"body".to_vec());
        assert!(outbox.is_single());
        outbox.advance(8);
        let large = vec![1u8; COPY_LIMIT + 1];
        let address = large.as_ptr();
        assert!(outbox.push_vec(large).is_none());
        assert_eq!(outbox.len(), COPY_LIMIT + 1);
        assert_eq!(outbox.first().map(<[u8]>::as_ptr), Some(address));
        outbox.push_vec(Vec::new());
        assert!(outbox.is_single());
    }

    #[test]
    fn empty_writes_leave_nothing_behind() {
        let mut outbox = Outbox::<Vec<u8>>::default();
        outbox.push_copy(b"");
        outbox.push_shared(Vec::new());
        assert!(outbox.is_empty());
        assert!(outbox.first().is_none());
    }
}

//! Datagrams waiting for a socket.
//!
//! Unlike the bytes of a stream they are never merged or cut. The queue never touches a socket
//! itself: it hands out the first datagram, and takes it back if that could not be sent.

use std::collections::VecDeque;

/// A queue of datagrams with the bytes' owner `B` and a destination `D` each.
#[derive(Debug)]
pub struct Datagrams<B, D> {
    queue: VecDeque<(B, D)>,
    size: usize,
    /// What each counts on top of its bytes, so that empty ones are not free.
    header: usize,
}

impl<B: AsRef<[u8]>, D> Datagrams<B, D> {
    /// An empty queue that counts `header` bytes for each datagram besides its own.
    pub fn new(header: usize) -> Self {
        Self { queue: VecDeque::new(), size: 0, header }
    }

    /// Bytes that wait, headers included.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Appends a datagram.
    pub fn push(&mut self, bytes: B, destination: D) {
        self.size += bytes.as_ref().len() + self.header;
        self.queue.push_back((bytes, destination));
    }

    /// Gives a datagram that could not be sent its place at the front back.
    pub fn push_front(&mut self, bytes: B, destination: D) {
        self.size += bytes.as_ref().len() + self.header;
        self.queue.push_front((bytes, destination));
    }

    /// Takes the datagram whose turn it is.
    pub fn pop(&mut self) -> Option<(B, D)> {
        let (bytes, destination) = self.queue.pop_front()?;
        self.size -= bytes.as_ref().len() + self.header;
        Some((bytes, destination))
    }

    /// Takes all.
    #[must_use = "dropping an owner may run foreign code: do it when the queue is not borrowed"]
    pub fn take_all(&mut self) -> VecDeque<(B, D)> {
        self.size = 0;
        std::mem::take(&mut self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_leave_in_order_and_whole() {
        let mut queue = Datagrams::new(0);
        queue.push("one", 1);
        queue.push("", 2);
        queue.push("three", 3);
        assert_eq!(queue.pop(), Some(("one", 1)));
        queue.push_front("one", 1);
        let all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [("one", 1), ("", 2), ("three", 3)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn the_size_counts_bytes_and_headers() {
        let mut queue = Datagrams::new(8);
        queue.push("", ());
        assert_eq!((queue.size(), queue.is_empty()), (8, false));
        queue.push("12345", ());
        assert_eq!(queue.size(), 21);
        queue.pop();
        assert_eq!(queue.size(), 13);
        assert_eq!(queue.take_all().len(), 1);
        assert_eq!((queue.size(), queue.is_empty()), (0, true));
        assert_eq!(queue.pop(), None);
    }
}

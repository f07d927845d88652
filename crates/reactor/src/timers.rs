//! The timer heap.
//!
//! A 4-ary min-heap of `(deadline, sequence)`: timers with one deadline fire in the order in
//! which they were set. Cancelling marks the entry dead and is O(1); dead entries leave when
//! they reach the top, when they are the newest entry, or all at once when they are the
//! majority, so memory is bounded by what is alive. The heap reads no clock.

/// Names one timer of one heap; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId(u64);

#[derive(Debug)]
struct Entry<T> {
    deadline: i64,
    sequence: u64,
    payload: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (i64, u64) {
        (self.deadline, self.sequence)
    }
}

/// Below this many dead entries the heap is not swept.
const SWEEP_FLOOR: usize = 64;

/// Timers with a payload each; deadlines in nanoseconds of the caller's clock, which may lie
/// before its origin.
#[derive(Debug)]
pub struct Timers<T> {
    heap: Vec<Entry<T>>,
    sequence: u64,
    dead: usize,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: Vec::new(), sequence: 0, dead: 0 }
    }
}

impl<T> Timers<T> {
    /// Sets a timer.
    pub fn insert(&mut self, deadline: i64, payload: T) -> TimerId {
        let sequence = self.sequence;
        self.sequence += 1;
        self.heap.push(Entry { deadline, sequence, payload });
        self.rise(self.heap.len() - 1);
        TimerId(sequence)
    }

    /// Says that the owner of `id` has marked its payload dead.
    ///
    /// `is_dead` must tell so for every payload reported here. Returns the payloads that
    /// left the heap, for the caller to drop at a moment of its choosing: dropping may run
    /// foreign code.
    #[must_use = "dropping a payload may run foreign code: do it when the heap is not borrowed"]
    pub fn cancelled(&mut self, id: TimerId, is_dead: impl Fn(&T) -> bool) -> Cancelled<T> {
        if self.heap.last().is_some_and(|newest| newest.sequence == id.0) {
            return match self.heap.pop() {
                Some(entry) => Cancelled::One(entry.payload),
                None => Cancelled::None,
            };
        }
        self.dead += 1;
        if self.dead < SWEEP_FLOOR || self.dead * 2 < self.heap.len() {
            return Cancelled::None;
        }
        let (dead, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.heap).into_iter().partition(|entry| is_dead(&entry.payload));
        self.heap = alive;
        self.dead = 0;
        for index in (0..self.heap.len().div_ceil(ARITY)).rev() {
            self.sink(index);
        }
        Cancelled::Many(dead.into_iter().map(|entry| entry.payload).collect())
    }

    /// When the earliest timer is due, dead or alive.
    pub fn next_deadline(&self) -> Option<i64> {
        self.heap.first().map(|entry| entry.deadline)
    }

    /// Takes the earliest timer if it is due at `now`. Call until it gives `None`.
    pub fn pop_due(&mut self, now: i64) -> Option<T> {
        if self.next_deadline()? > now {
            return None;
        }
        let entry = self.heap.swap_remove(0);
        if !self.heap.is_empty() {
            self.sink(0);
        }
        Some(entry.payload)
    }

    /// Says that a payload taken by [`pop_due`](Self::pop_due) was a dead one.
    pub fn popped_dead(&mut self) {
        self.dead = self.dead.saturating_sub(1);
    }

    /// All payloads, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.heap.iter().map(|entry| &entry.payload)
    }

    /// Empties the heap.
    pub fn take_all(&mut self) -> Vec<T> {
        self.dead = 0;
        std::mem::take(&mut self.heap).into_iter().map(|entry| entry.payload).collect()
    }

    /// How many entries the heap holds, dead ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether the heap holds no entry.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn rise(&mut self, mut index: usize) {
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if self.heap[parent].key() <= self.heap[index].key() {
                break;
            }
            self.heap.swap(parent, index);
            index = parent;
        }
    }

    fn sink(&mut self, mut index: usize) {
        loop {
            let first = index * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.heap[child].key()) else {
                break;
            };
            if self.heap[index].key() <= self.heap[least].key() {
                break;
            }
            self.heap.swap(index, least);
            index = least;
        }
    }
}

/// Children of a node: four share a cache line or two, and the heap is half as deep as a
/// binary one.
const ARITY: usize = 4;

/// The payloads that a cancellation took out of the heap.
#[derive(Debug)]
pub enum Cancelled<T> {
    /// The entry stays until a later sweep.
    None,
    /// The cancelled timer itself.
    One(T),
    /// All dead timers.
    Many(Vec<T>),
}

#[cfg(test)]
mod tests;

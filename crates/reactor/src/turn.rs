//! How one loop turn waits, as a pure function of what is known.

use std::time::Duration;

/// While callbacks are ready and no descriptor is watched, the kernel is asked no later than
/// this after it was last asked. Below it a turn costs no system call at all: `sleep(0)` loops
/// and long chains of `call_soon` run at memory speed, and a signal waits 50 µs at most. With
/// a watched descriptor every turn asks, because programs count on one `sleep(0)` being enough
/// for what has arrived; only the turn directly behind one that has found events does not: it
/// runs the tasks that those events have woken.
pub const LONGEST_SKIP_NS: i64 = 50_000;

/// What a turn does before it runs callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Work is ready and the kernel was asked a moment ago.
    Skip,
    /// Ask the kernel, do not wait.
    Poll,
    /// Nothing to do until an event, or until the duration is over.
    Park(Option<Duration>),
}

/// What is known when a turn begins. All times in nanoseconds of one monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    /// Whether callbacks are ready, or the loop has been asked to stop.
    pub busy: bool,
    /// Whether descriptors are watched.
    pub watching: bool,
    /// Whether the turn before has asked the kernel and found events.
    pub fresh: bool,
    /// When the earliest timer is due.
    pub next_deadline: Option<i64>,
    /// When the kernel was last asked.
    pub last_poll: i64,
    /// Now; of no account while nothing is ready and no timer is set.
    pub now: i64,
}

/// Decides how to wait.
pub fn plan(outlook: Outlook) -> Wait {
    let Outlook { busy, watching, fresh, next_deadline, last_poll, now } = outlook;
    let due = next_deadline.is_some_and(|deadline| deadline <= now);
    if busy || due {
        if (!watching || fresh) && now.saturating_sub(last_poll) < LONGEST_SKIP_NS {
            Wait::Skip
        } else {
            Wait::Poll
        }
    } else {
        Wait::Park(next_deadline.map(|deadline| Duration::from_nanos((deadline - now) as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Outlook = Outlook {
        busy: false,
        watching: false,
        fresh: false,
        next_deadline: None,
        last_poll: 0,
        now: 1_000_000,
    };

    #[test]
    fn an_idle_loop_parks_until_woken() {
        assert_eq!(plan(IDLE), Wait::Park(None));
    }

    #[test]
    fn an_idle_loop_parks_exactly_until_its_next_timer() {
        let outlook = Outlook { next_deadline: Some(1_000_001), ..IDLE };
        assert_eq!(plan(outlook), Wait::Park(Some(Duration::from_nanos(1))));
    }

    #[test]
    fn a_timer_that_is_due_does_not_wait() {
        let outlook = Outlook { next_deadline: Some(1_000_000), ..IDLE };
        assert_eq!(plan(outlook), Wait::Poll);
    }

    #[test]
    fn a_busy_loop_asks_the_kernel_once_in_a_while() {
        let just_asked = Outlook { busy: true, last_poll: IDLE.now - LONGEST_SKIP_NS + 1, ..IDLE };
        assert_eq!(plan(just_asked), Wait::Skip);
        let watching = Outlook { watching: true, ..just_asked };
        assert_eq!(plan(watching), Wait::Poll);
        assert_eq!(plan(Outlook { fresh: true, ..watching }), Wait::Skip);
        let long_ago = Outlook { last_poll: IDLE.now - LONGEST_SKIP_NS, ..just_asked };
        assert_eq!(plan(long_ago), Wait::Poll);
        assert_eq!(plan(Outlook { watching: true, fresh: true, ..long_ago }), Wait::Poll);
    }
}

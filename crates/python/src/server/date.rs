//! The Date header, written once a second.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_reactor::sys::monotonic_ns;

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(super) const DATE_LEN: usize = 29;

/// The current second as an HTTP date (RFC 9110 section 5.6.7).
#[derive(Default)]
pub(super) struct Date {
    /// When the text is out of date, by the monotonic clock.
    stale: Cell<i64>,
    text: Cell<[u8; DATE_LEN]>,
}

impl Date {
    /// The date at `now`, a reading of the monotonic clock.
    #[inline]
    pub(super) fn at(&self, now: i64) -> [u8; DATE_LEN] {
        if now >= self.stale.get() {
            self.renew();
        }
        self.text.get()
    }

    #[cold]
    fn renew(&self) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs());
        let mut text = [b' '; DATE_LEN];
        for (place, byte) in text.iter_mut().zip(httpdate::fmt_http_date(second).bytes()) {
            *place = byte;
        }
        self.text.set(text);
        let left = 1_000_000_000 - i64::from(since_epoch.subsec_nanos());
        self.stale.set(monotonic_ns() + left);
    }
}

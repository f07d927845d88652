//! UTF-8 that arrives in pieces, cut anywhere (RFC 6455 section 8.1).

use core::str;

/// A validator that fails at the first byte that cannot be right, and not later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    /// The start of a character whose rest is to come.
    pending: [u8; 4],
    len: usize,
}

impl Utf8 {
    /// Takes the next piece; false if the text is no UTF-8.
    pub(super) fn push(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        while self.len > 0 {
            let Some((&byte, after)) = rest.split_first() else { return true };
            let Some(place) = self.pending.get_mut(self.len) else { return false };
            *place = byte;
            self.len += 1;
            rest = after;
            match str::from_utf8(self.pending.get(..self.len).unwrap_or_default()) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = str::from_utf8(rest) else { return true };
        if error.error_len().is_some() {
            return false;
        }
        // No more than the three bytes of a character whose fourth is missing.
        let cut = rest.get(error.valid_up_to()..).unwrap_or_default();
        for (place, byte) in self.pending.iter_mut().zip(cut) {
            *place = *byte;
        }
        self.len = cut.len();
        true
    }

    /// The text has ended; false if it stops within a character. What follows is another text.
    pub(super) fn finish(&mut self) -> bool {
        core::mem::take(&mut self.len) == 0
    }
}

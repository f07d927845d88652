//! A message that is gathered from pieces of frames (RFC 6455 section 5.4).
//!
//! Owns the limits of a message. A message that came whole in one frame never passes here.

use super::deflate::Inflater;
use super::engine::Limits;
use super::error::ProtocolError;
use super::frame::Kind;
use super::utf8::Utf8;

/// A buffer that has grown beyond this is not kept for the next message.
const LARGEST_KEPT: usize = 16 * 1024;

/// The message that is being received, if there is one.
#[derive(Default)]
pub(super) struct Message {
    kind: Option<Kind>,
    compressed: bool,
    fragments: u32,
    /// What its frames add up to, as announced.
    announced: u64,
    /// What was inflated of it, checked up to here.
    checked: usize,
    utf8: Utf8,
    pub(super) bytes: Vec<u8>,
}

impl Message {
    /// Whether fragments of it may follow.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.kind.is_some()
    }

    /// Forgets the message before.
    #[inline]
    pub(super) fn recycle(&mut self) {
        if self.kind.is_none() && self.bytes.capacity() > 0 {
            self.bytes.clear();
            self.bytes.shrink_to(LARGEST_KEPT);
        }
    }

    #[inline]
    pub(super) fn begin(&mut self, kind: Kind, compressed: bool) {
        self.kind = Some(kind);
        self.compressed = compressed;
        self.fragments = 0;
        self.announced = 0;
        self.checked = 0;
        self.utf8 = Utf8::default();
    }

    /// A frame of it begins: its length tells early what will be too much.
    #[inline]
    pub(super) fn announce(&mut self, length: u64, limits: &Limits) -> Result<(), ProtocolError> {
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > limits.fragments {
            return Err(ProtocolError::TooManyFragments);
        }
        self.announced = self.announced.saturating_add(length);
        let mut most = limits.message_bytes as u64;
        if self.compressed {
            // What cannot be compressed grows by a few bytes; what is nothing but empty blocks
            // would never reach the limit of what it inflates to.
            most = most.saturating_add(most / 8).saturating_add(1024);
        }
        if self.announced > most { Err(ProtocolError::MessageTooBig) } else { Ok(()) }
    }

    /// Takes unmasked bytes of it.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        inflater: Option<&mut Inflater>,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        match inflater.filter(|_| self.compressed) {
            Some(inflater) => inflater.inflate(piece, limits.message_bytes, &mut self.bytes)?,
            None => self.bytes.extend_from_slice(piece),
        }
        self.check()
    }

    /// The last of it has come.
    pub(super) fn finish(
        &mut self,
        inflater: Option<&mut Inflater>,
        limits: &Limits,
    ) -> Result<Kind, ProtocolError> {
        if let Some(inflater) = inflater.filter(|_| self.compressed) {
            inflater.finish(limits.message_bytes, &mut self.bytes)?;
            self.check()?;
        }
        let kind = self.end();
        if kind == Kind::Text && !self.utf8.finish() {
            return Err(ProtocolError::Utf8);
        }
        Ok(kind)
    }

    /// It is no longer open.
    #[inline]
    pub(super) fn end(&mut self) -> Kind {
        self.kind.take().unwrap_or(Kind::Binary)
    }

    fn check(&mut self) -> Result<(), ProtocolError> {
        let fresh = self.bytes.get(self.checked..).unwrap_or_default();
        if self.kind == Some(Kind::Text) && !self.utf8.push(fresh) {
            return Err(ProtocolError::Utf8);
        }
        self.checked = self.bytes.len();
        Ok(())
    }
}

//! What the rooms above see of a stream transport from Rust: protocols that are native.
//!
//! For asyncio such a protocol is an object like any other, with `connection_made`,
//! `connection_lost` and `eof_received`. When its connection is made it says that it is native;
//! from then on it gets bytes where the socket left them instead of in objects, and is asked
//! itself for what flow control needs.

use pyo3::prelude::*;

use super::state::State;
use super::stream::{SocketTransport, read_later};
use super::{close, write};

/// The contract between a transport and a native protocol. `protocol` is the protocol's object.
pub(crate) trait NativeProtocol: Sync {
    /// Whether it takes bytes now; `hangup` says that the peer has shut down.
    fn takes(&self, protocol: &Bound<'_, PyAny>, hangup: bool) -> bool;

    /// Bytes have arrived. They stand in a buffer that the whole loop shares, so no code of the
    /// application may run here.
    fn take(&self, protocol: &Bound<'_, PyAny>, bytes: &[u8]) -> PyResult<()>;

    /// `take` is over: the moment for the application's code.
    fn process(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()>;

    /// The socket has taken bytes; it may have taken all.
    fn drained(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()>;
}

/// A native protocol's behaviour; its state is in its object.
pub(crate) type Native = &'static dyn NativeProtocol;

/// The current protocol with its behaviour, if it is native.
#[inline]
pub(super) fn of<'py>(py: Python<'py>, state: &State) -> Option<(Bound<'py, PyAny>, Native)> {
    let protocol = state.protocol.borrow();
    let protocol = protocol.as_ref()?;
    Some((protocol.object.bind(py).clone(), protocol.native?))
}

impl SocketTransport {
    /// Makes `protocol`, if it is the current one, native. Says whether writing was paused:
    /// from here on that is the protocol's affair.
    pub(crate) fn speak_natively(
        slf: &Bound<'_, Self>,
        protocol: &Bound<'_, PyAny>,
        native: Native,
    ) -> bool {
        let state = slf.get().state(slf.py());
        if let Some(current) = state.protocol.borrow_mut().as_mut()
            && current.object.is(protocol)
        {
            current.native = Some(native);
            current.is_buffered = false;
            return state.write.flow.hand_over();
        }
        false
    }

    /// Sends `bytes` at the end of the running callback. A vector that was copied comes back.
    pub(crate) fn send(slf: &Bound<'_, Self>, bytes: Vec<u8>) -> PyResult<Option<Vec<u8>>> {
        write::write_vec(slf, bytes)
    }

    /// Bytes that wait for the socket, those of the running callback among them.
    pub(crate) fn waiting(slf: &Bound<'_, Self>) -> usize {
        slf.get().state(slf.py()).outbox.borrow().len()
    }

    /// Sends now what the running callback wrote.
    pub(crate) fn flush(slf: &Bound<'_, Self>) -> PyResult<()> {
        write::buffer_size(slf).map(drop)
    }

    /// The protocol takes bytes again.
    pub(crate) fn takes_again(slf: &Bound<'_, Self>) {
        if slf.get().state(slf.py()).read.ready.get() {
            read_later(slf);
        }
    }

    /// Closes the connection now; what the socket does not take is thrown away.
    pub(crate) fn drop_connection(slf: &Bound<'_, Self>, error: Option<PyErr>) {
        close::force_close(slf, error);
    }
}

//! The extension module `weft._core`: a table of contents, nothing else.

mod event_loop;
mod ffi;
mod transport;

use pyo3::prelude::*;

/// weft's native half.
#[pymodule(gil_used = true)]
mod _core {
    use super::*;

    #[pymodule_export]
    use crate::event_loop::{EventLoop, SocketOperation};

    #[pymodule_export]
    use crate::transport::{Listener, SocketTransport};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        event_loop::install(module)?;
        transport::install(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

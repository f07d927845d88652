//! The extension module `weft._core`: a table of contents, nothing else.

mod address;
mod error;
mod event_loop;
mod ffi;
mod launch;
mod server;
mod tls;
mod transport;

use pyo3::prelude::*;

/// weft's native half.
#[pymodule(gil_used = true)]
mod _core {
    use super::*;

    #[pymodule_export]
    use crate::event_loop::{EventLoop, SocketOperation};
    #[pymodule_export]
    use crate::launch::{
        Settings, StartupError, bind, parse_command_line, remove_socket_file, supervise,
        take_worker_sockets,
    };
    #[pymodule_export]
    use crate::server::{ClientDisconnected, Exchange, HttpServer, Operation};
    #[pymodule_export]
    use crate::tls::{SslTransport, TlsProtocol, tls_unavailable};
    #[pymodule_export]
    use crate::transport::{
        DatagramTransport, Listener, ReadPipeTransport, SocketTransport, WritePipeTransport,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        event_loop::install(module)?;
        launch::complete(module)?;
        transport::install(module.py())?;
        tls::install(module.py())?;
        server::install(module);
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

//! The extension module `weft._core`: a table of contents, nothing else.

use pyo3::prelude::*;

mod launch;

/// weft's native half.
#[pymodule(gil_used = true)]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::launch::{
        Settings, StartupError, bind, parse_command_line, remove_socket_file, supervise,
        take_worker_sockets,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        launch::complete(module)
    }
}

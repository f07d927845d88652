//! The extension module `weft._core`: a table of contents, nothing else.

use pyo3::prelude::*;

/// weft's native half.
#[pymodule(gil_used = true)]
mod _core {
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

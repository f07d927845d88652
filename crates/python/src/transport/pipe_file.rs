//! Which files a pipe transport takes, and how it takes them.

use std::os::fd::RawFd;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use weft_reactor::sys::pipe::{self, Kind};

use crate::error::OsResult;

/// The number behind a file object, made non-blocking; `ValueError` for a file that is always
/// ready, which nobody could wait for.
pub(super) fn open(file: &Bound<'_, PyAny>) -> PyResult<(RawFd, Kind)> {
    let fd: RawFd = file.call_method0(intern!(file.py(), "fileno"))?.extract()?;
    let kind = pipe::kind(fd).or_os_error()?;
    if kind == Kind::Other {
        return Err(PyValueError::new_err(
            "Pipe transport is for pipes/sockets/character devices only: \
             read and write regular files in an executor",
        ));
    }
    pipe::set_nonblocking(fd).or_os_error()?;
    Ok((fd, kind))
}

/// What `get_extra_info` answers from: the file as `pipe`, and what the maker adds.
pub(super) fn extra<'py>(
    file: &Bound<'py, PyAny>,
    given: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let extra = given.map_or_else(|| Ok(PyDict::new(file.py())), |given| given.copy())?;
    extra.set_item("pipe", file)?;
    Ok(extra)
}

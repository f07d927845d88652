//! Signals for a supervisor: a pipe that holds their numbers.
//!
//! CPython's own handlers write each caught signal's number into the wake-up descriptor, at
//! once and in C, whoever holds the GIL. So no signal handler is written here, and none of
//! weft's code runs inside one. It must not know what a signal means.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCFunction};
use rustix::pipe::{PipeFlags, pipe_with};
use weft_supervisor::supervise::SIGNALS;

use super::error::StartupError;

/// Signals are caught while it lives; dropped, it puts back what was there before.
pub(super) struct Signals {
    reading: OwnedFd,
    /// Open as long as CPython writes to it.
    _writing: OwnedFd,
    earlier_wakeup: i32,
    earlier_handlers: Vec<(i32, Py<PyAny>)>,
}

impl Signals {
    /// Begins to catch signals; possible on the main thread alone.
    pub(super) fn catch(py: Python<'_>) -> PyResult<Self> {
        let (reading, writing) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(std::io::Error::from)?;
        let signal = py.import("signal")?;
        let quiet = [("warn_on_full_buffer", false)].into_py_dict(py)?;
        let earlier_wakeup = signal
            .call_method("set_wakeup_fd", (writing.as_raw_fd(),), Some(&quiet))
            .map_err(|error| needs_main_thread(py, error))?
            .extract()?;
        let mut caught =
            Self { reading, _writing: writing, earlier_wakeup, earlier_handlers: Vec::new() };
        // The handler has nothing to do: that it exists is what makes CPython catch the signal.
        let nothing = PyCFunction::new_closure(py, None, None, |_, _| ())?;
        for number in SIGNALS {
            let earlier = signal.call_method1("signal", (number, &nothing))?;
            caught.earlier_handlers.push((number, earlier.unbind()));
        }
        Ok(caught)
    }

    fn restore(&mut self, py: Python<'_>) -> PyResult<()> {
        let signal = py.import("signal")?;
        for (number, handler) in self.earlier_handlers.drain(..) {
            // None stands for a handler that Python did not install and cannot put back.
            if !handler.is_none(py) {
                signal.call_method1("signal", (number, handler))?;
            }
        }
        signal.call_method1("set_wakeup_fd", (self.earlier_wakeup,))?;
        Ok(())
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reading.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        Python::attach(|py| {
            if let Err(error) = self.restore(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}

fn needs_main_thread(py: Python<'_>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyValueError>(py) {
        StartupError::new_err(
            "more than one worker can be started from the main thread only, which gets the \
             signals; use workers=1 in other threads",
        )
    } else {
        error
    }
}

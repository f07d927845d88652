//! The access log: uvicorn's line, formatted here and written in batches.
//!
//! A LogRecord for each request costs more than the rest of the server. So while the logger
//! is weft's own and unchanged, which Python is asked about once a second, lines are appended
//! to a buffer that leaves with one write(2). Otherwise each line is a record like any other.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use weft_protocol::http1::Version;
use weft_reactor::sys::stream;

/// A buffer of this size is written at once.
const FULL: usize = 16 * 1024;
/// No line waits longer than this.
pub(super) const LONGEST_WAIT_NS: i64 = 10_000_000;
/// While the stream does not take anything, no more than this is kept.
const MOST_KEPT: usize = 1024 * 1024;

/// How long the last lines wait for a reader that takes nothing at all.
const LAST_PATIENCE: Duration = Duration::from_millis(250);

/// Where lines go.
enum Route {
    /// Nowhere.
    Off,
    /// To the stream of weft's own handler.
    Stream { fd: OwnedFd, colours: bool },
    /// Through `logging`.
    Logger(Py<PyAny>),
}

/// One request, as its line shows it.
pub(super) struct Line<'a> {
    pub(super) client: &'a str,
    pub(super) method: &'a str,
    pub(super) path: &'a [u8],
    pub(super) version: Version,
    pub(super) status: u16,
}

/// What became of a line.
pub(super) enum Noted {
    /// Nothing is left to do.
    Done,
    /// It is the first that waits: somebody must flush within [`LONGEST_WAIT_NS`].
    Waiting,
}

/// The access log of one server.
pub(super) struct AccessLog {
    /// Says where lines go now: None, a logger, or a descriptor to take over and whether to
    /// colour.
    ask: Py<PyAny>,
    route: RefCell<Route>,
    /// The number and colours of the stream behind the route, as they were asked for.
    stream: Cell<Option<(i32, bool)>>,
    enabled: Cell<bool>,
    buffer: RefCell<Vec<u8>>,
    lost: Cell<u64>,
    /// `200 OK` and so on, for statuses from 100 up, as `http.HTTPStatus` names them.
    phrases: Vec<Box<str>>,
}

impl AccessLog {
    pub(super) fn new(py: Python<'_>, ask: Py<PyAny>) -> PyResult<Self> {
        let mut phrases: Vec<Box<str>> = Vec::new();
        phrases.resize(500, Box::from(""));
        for status in py.import("http")?.getattr("HTTPStatus")?.try_iter()? {
            let status = status?;
            let code: usize = status.extract()?;
            let phrase: String = status.getattr("phrase")?.extract()?;
            if let Some(place) = code.checked_sub(100).and_then(|index| phrases.get_mut(index)) {
                *place = phrase.into_boxed_str();
            }
        }
        Ok(Self {
            ask,
            route: RefCell::new(Route::Off),
            stream: Cell::new(None),
            enabled: Cell::new(false),
            buffer: RefCell::default(),
            lost: Cell::new(0),
            phrases,
        })
    }

    /// Asks again where lines go.
    pub(super) fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        let answer = self.ask.bind(py).call0()?;
        let route = if answer.is_none() {
            Route::Off
        } else if let Ok((fd, colours)) = answer.extract::<(i32, bool)>() {
            let asked = (fd, colours);
            if self.stream.get() == Some(asked) {
                return Ok(());
            }
            let fd = crate::ffi::descriptor::duplicate(fd)?;
            self.stream.set(Some(asked));
            Route::Stream { fd, colours }
        } else {
            Route::Logger(answer.unbind())
        };
        if !matches!(route, Route::Stream { .. }) {
            self.stream.set(None);
        }
        self.write_out();
        self.enabled.set(!matches!(route, Route::Off));
        let before = self.route.replace(route);
        drop(before);
        Ok(())
    }

    /// Whether any line goes anywhere.
    #[inline]
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.get()
    }

    /// Notes one request.
    pub(super) fn note(&self, py: Python<'_>, line: &Line<'_>) -> PyResult<Noted> {
        let logger = match &*self.route.borrow() {
            Route::Off => return Ok(Noted::Done),
            Route::Logger(logger) => logger.clone_ref(py),
            Route::Stream { colours, .. } => return Ok(self.append(line, *colours)),
        };
        let path = String::from_utf8_lossy(line.path);
        let arguments = (
            intern!(py, "%s - \"%s %s HTTP/%s\" %d"),
            line.client,
            line.method,
            path,
            version(line.version),
            line.status,
        );
        let arguments = arguments.into_pyobject(py)?;
        logger.bind(py).call_method1(intern!(py, "info"), arguments.cast::<PyTuple>()?)?;
        Ok(Noted::Done)
    }

    fn append(&self, line: &Line<'_>, colours: bool) -> Noted {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.len() >= MOST_KEPT {
            self.lost.set(self.lost.get() + 1);
            return Noted::Done;
        }
        let first = buffer.is_empty();
        self.format(line, colours, &mut buffer);
        let full = buffer.len() >= FULL;
        drop(buffer);
        if full {
            self.write_out();
            // What the stream did not take has its flush coming from the first line.
            return Noted::Done;
        }
        if first { Noted::Waiting } else { Noted::Done }
    }

    fn format(&self, line: &Line<'_>, colours: bool, out: &mut Vec<u8>) {
        let paint = |on: &[u8], out: &mut Vec<u8>| {
            if colours {
                out.extend_from_slice(on);
            }
        };
        let off = b"\x1b[0m";
        paint(b"\x1b[32m", out);
        out.extend_from_slice(b"INFO");
        paint(off, out);
        out.extend_from_slice(b":     ");
        out.extend_from_slice(line.client.as_bytes());
        out.extend_from_slice(b" - \"");
        paint(b"\x1b[1m", out);
        out.extend_from_slice(line.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(line.path);
        out.extend_from_slice(b" HTTP/");
        out.extend_from_slice(version(line.version).as_bytes());
        paint(off, out);
        out.extend_from_slice(b"\" ");
        paint(status_colour(line.status), out);
        out.extend_from_slice(itoa::Buffer::new().format(line.status).as_bytes());
        out.push(b' ');
        let index = usize::from(line.status).wrapping_sub(100);
        out.extend_from_slice(self.phrases.get(index).map_or("", |phrase| phrase).as_bytes());
        if status_colour(line.status).is_empty() {
            out.push(b'\n');
        } else {
            paint(off, out);
            out.push(b'\n');
        }
    }

    /// Writes what waits, as far as the stream takes it without blocking.
    pub(super) fn write_out(&self) {
        self.write_within(Duration::ZERO);
    }

    /// Writes what waits when there is no later: a reader that is slow is given a moment.
    pub(super) fn write_last(&self) {
        self.write_within(LAST_PATIENCE);
    }

    fn write_within(&self, patience: Duration) {
        let mut buffer = self.buffer.borrow_mut();
        let Route::Stream { fd, .. } = &*self.route.borrow() else {
            buffer.clear();
            return;
        };
        let lost = self.lost.take();
        if lost > 0 {
            // Writing to a Vec cannot fail.
            let _ = writeln!(buffer, "WARNING:  {lost} access log lines were lost");
        }
        let written = stream::write_within(fd, &buffer, patience);
        if written == buffer.len() {
            buffer.clear();
        } else {
            buffer.drain(..written);
        }
    }

    /// Whether lines wait.
    pub(super) fn is_waiting(&self) -> bool {
        !self.buffer.borrow().is_empty()
    }

    /// Visits the logger, if there is one.
    pub(super) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.ask)?;
        match self.route.try_borrow().as_deref() {
            Ok(Route::Logger(logger)) => visit.call(logger),
            _ => Ok(()),
        }
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    }
}

fn status_colour(status: u16) -> &'static [u8] {
    match status / 100 {
        1 => b"\x1b[97m",
        2 => b"\x1b[32m",
        3 => b"\x1b[33m",
        4 => b"\x1b[31m",
        5 => b"\x1b[91m",
        _ => b"",
    }
}

//! A request head as an ASGI scope.
//!
//! Every request gets dictionaries of its own. They are copies of a template that holds what
//! never changes: copying a dictionary clones its table in one go, keys and hashes included,
//! so that only the values that differ are put in.

use std::cell::RefCell;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use weft_protocol::http1::{Head, Version, percent_decoded, quote_target};

/// ASGI 3.0, the HTTP part of 2.3: `send()` after a disconnect is ignored, and frameworks
/// watch `receive()` for it. With 2.4 they rely on an OSError of `send()`, and a stream that
/// waits for its next event would not learn that its client has gone.
const SPEC_VERSION: &str = "2.3";

/// ASGI 3.0, the WebSocket part of 2.5: `send()` after a disconnect is an OSError, and the
/// disconnect has a reason.
const WEBSOCKET_SPEC_VERSION: &str = "2.5";

/// What scopes are made from.
pub(super) struct Scopes {
    template: Py<PyDict>,
    websocket: Py<PyDict>,
    asgi: Py<PyDict>,
    root_path: String,
    /// What the application's lifespan has put aside, if it has one.
    state: Option<Py<PyDict>>,
    names: NameCache,
}

/// Who talks to whom, as a scope says it.
pub(super) struct Endpoints<'a, 'py> {
    pub(super) client: &'a Bound<'py, PyAny>,
    pub(super) server: &'a Bound<'py, PyAny>,
}

impl Scopes {
    pub(super) fn new(
        py: Python<'_>,
        root_path: String,
        state: Option<Py<PyDict>>,
    ) -> PyResult<Self> {
        let asgi = PyDict::new(py);
        asgi.set_item(intern!(py, "version"), "3.0")?;
        asgi.set_item(intern!(py, "spec_version"), SPEC_VERSION)?;
        let template = PyDict::new(py);
        let none = py.None();
        template.set_item(intern!(py, "asgi"), &none)?;
        template.set_item(intern!(py, "http_version"), intern!(py, "1.1"))?;
        template.set_item(intern!(py, "server"), &none)?;
        template.set_item(intern!(py, "client"), &none)?;
        template.set_item(intern!(py, "root_path"), &root_path)?;
        template.set_item(intern!(py, "path"), &none)?;
        template.set_item(intern!(py, "raw_path"), &none)?;
        template.set_item(intern!(py, "query_string"), PyBytes::new(py, b""))?;
        template.set_item(intern!(py, "headers"), &none)?;
        if state.is_some() {
            template.set_item(intern!(py, "state"), &none)?;
        }
        let websocket = template.copy()?;
        websocket.set_item(intern!(py, "type"), intern!(py, "websocket"))?;
        websocket.set_item(intern!(py, "scheme"), intern!(py, "ws"))?;
        template.set_item(intern!(py, "type"), intern!(py, "http"))?;
        template.set_item(intern!(py, "scheme"), intern!(py, "http"))?;
        template.set_item(intern!(py, "method"), intern!(py, "GET"))?;
        Ok(Self {
            template: template.unbind(),
            websocket: websocket.unbind(),
            asgi: asgi.unbind(),
            root_path,
            state,
            names: NameCache::default(),
        })
    }

    /// The scope of one request.
    pub(super) fn scope<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_, '_>,
        endpoints: &Endpoints<'_, 'py>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope = self.template.bind(py).copy()?;
        if head.version == Version::Http10 {
            scope.set_item(intern!(py, "http_version"), intern!(py, "1.0"))?;
        }
        match head.method {
            "GET" => {}
            method => scope.set_item(intern!(py, "method"), method_name(py, method))?,
        }
        self.fill(&scope, head, endpoints)?;
        Ok(scope)
    }

    /// The scope of one WebSocket.
    pub(super) fn websocket<'py>(
        &self,
        py: Python<'py>,
        head: &Head<'_, '_>,
        endpoints: &Endpoints<'_, 'py>,
        subprotocols: &[String],
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope = self.websocket.bind(py).copy()?;
        self.fill(&scope, head, endpoints)?;
        if let Some(asgi) = scope.get_item(intern!(py, "asgi"))? {
            asgi.set_item(intern!(py, "spec_version"), intern!(py, WEBSOCKET_SPEC_VERSION))?;
        }
        scope.set_item(intern!(py, "subprotocols"), subprotocols)?;
        let extensions = PyDict::new(py);
        extensions.set_item(intern!(py, "websocket.http.response"), PyDict::new(py))?;
        scope.set_item(intern!(py, "extensions"), extensions)?;
        Ok(scope)
    }

    /// What both kinds of scope have.
    fn fill<'py>(
        &self,
        scope: &Bound<'py, PyDict>,
        head: &Head<'_, '_>,
        endpoints: &Endpoints<'_, 'py>,
    ) -> PyResult<()> {
        let py = scope.py();
        scope.set_item(intern!(py, "asgi"), self.asgi.bind(py).copy()?)?;
        scope.set_item(intern!(py, "server"), endpoints.server)?;
        scope.set_item(intern!(py, "client"), endpoints.client)?;
        scope.set_item(intern!(py, "path"), self.path(py, head.path))?;
        scope.set_item(intern!(py, "raw_path"), self.raw_path(py, head.path))?;
        if !head.query.is_empty() {
            let query = PyBytes::new(py, head.query.as_bytes());
            scope.set_item(intern!(py, "query_string"), query)?;
        }
        scope.set_item(intern!(py, "headers"), self.headers(py, head)?)?;
        if let Some(state) = &self.state {
            scope.set_item(intern!(py, "state"), state.bind(py).copy()?)?;
        }
        Ok(())
    }

    fn path<'py>(&self, py: Python<'py>, path: &str) -> Bound<'py, PyString> {
        let decoded = percent_decoded(path);
        if self.root_path.is_empty() || path == "*" {
            return PyString::new(py, &decoded);
        }
        PyString::new(py, &[self.root_path.as_str(), &decoded].concat())
    }

    fn raw_path<'py>(&self, py: Python<'py>, path: &str) -> Bound<'py, PyBytes> {
        if self.root_path.is_empty() || path == "*" {
            return PyBytes::new(py, path.as_bytes());
        }
        PyBytes::new(py, [self.root_path.as_str(), path].concat().as_bytes())
    }

    fn headers<'py>(&self, py: Python<'py>, head: &Head<'_, '_>) -> PyResult<Bound<'py, PyList>> {
        // Built as a whole: a list that grows is moved several times.
        let mut fields = smallvec::SmallVec::<[Bound<'py, PyTuple>; 32]>::new();
        for field in head.headers {
            let name = self.names.get(py, field.name.as_bytes());
            let value = match head.authority {
                // RFC 9112 section 3.2.2: the host of an absolute target overrides the field.
                Some(authority) if field.name.eq_ignore_ascii_case("host") => authority.as_bytes(),
                _ => field.value,
            };
            fields.push(PyTuple::new(py, [name, PyBytes::new(py, value)])?);
        }
        PyList::new(py, fields)
    }

    /// The target as the access log shows it.
    pub(super) fn logged_target(&self, path: &str, query: &str, out: &mut Vec<u8>) {
        if !self.root_path.is_empty() {
            quote_target(&self.root_path, "", out);
        }
        quote_target(path, query, out);
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.template)?;
        visit.call(&self.websocket)?;
        visit.call(&self.asgi)?;
        visit.call(&self.state)
    }
}

fn method_name<'py>(py: Python<'py>, method: &str) -> Bound<'py, PyString> {
    match method {
        "POST" => intern!(py, "POST").clone(),
        "PUT" => intern!(py, "PUT").clone(),
        "PATCH" => intern!(py, "PATCH").clone(),
        "DELETE" => intern!(py, "DELETE").clone(),
        "HEAD" => intern!(py, "HEAD").clone(),
        "OPTIONS" => intern!(py, "OPTIONS").clone(),
        // ASGI has the name in upper case. Methods are case-sensitive (RFC 9110, 9.1), but an
        // application that compares with "GET" must not be passed by with "get".
        other => PyString::new(py, &other.to_ascii_uppercase()),
    }
}

/// Slots of the name cache; a power of two.
const NAME_SLOTS: usize = 256;
/// Longer names are not worth a slot.
const LONGEST_NAME: usize = 48;

/// Header names as lower-case bytes objects. Clients send the same few dozen names all day:
/// one slot for each hash, the last one wins.
struct NameCache(RefCell<Box<[Option<Py<PyBytes>>]>>);

impl Default for NameCache {
    fn default() -> Self {
        Self(RefCell::new((0..NAME_SLOTS).map(|_| None).collect()))
    }
}

impl NameCache {
    fn get<'py>(&self, py: Python<'py>, name: &[u8]) -> Bound<'py, PyBytes> {
        let mut room = [0_u8; LONGEST_NAME];
        let Some(lower) = room.get_mut(..name.len()) else {
            return PyBytes::new(py, &name.to_ascii_lowercase());
        };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let mut slots = self.0.borrow_mut();
        // Bytes objects run no Python code when they come or go, so the borrow is safe.
        let Some(slot) = slots.get_mut(slot_of(lower)) else { return PyBytes::new(py, lower) };
        match slot {
            Some(known) if known.as_bytes(py) == lower => known.bind(py).clone(),
            slot => {
                let fresh = PyBytes::new(py, lower);
                *slot = Some(fresh.clone().unbind());
                fresh
            }
        }
    }
}

#[inline]
fn slot_of(name: &[u8]) -> usize {
    let at = |index: usize| name.get(index).map_or(0, |&byte| usize::from(byte));
    let last = name.len().wrapping_sub(1);
    (at(0).wrapping_mul(31) ^ at(last).wrapping_mul(7) ^ at(name.len() / 2) ^ (name.len() << 4))
        % NAME_SLOTS
}

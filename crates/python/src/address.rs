//! Socket addresses ↔ what Python's `socket` module writes for them.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use weft_reactor::sys::datagram::{Address, Family, Name};

/// The longest path that Python's socket takes (`sun_path` and a NUL).
const LONGEST_PATH: usize = 107;

/// The address of a datagram's sender: `(host, port)`, `(host, port, flowinfo, scope_id)`, a
/// path as a string, an abstract name as bytes; `None` for a sender without a name.
pub(crate) fn sender<'py>(
    py: Python<'py>,
    address: Option<&Address>,
) -> PyResult<Bound<'py, PyAny>> {
    match address.map(Address::name) {
        Some(Name::Internet(address)) => internet(py, &address),
        Some(Name::Path(path)) => OsStr::from_bytes(path).into_bound_py_any(py),
        Some(Name::Abstract(name)) => Ok(PyBytes::new(py, name).into_any()),
        Some(Name::Other) | None => Ok(py.None().into_bound(py)),
    }
}

/// `(host, port)` or `(host, port, flowinfo, scope_id)`.
pub(crate) fn internet<'py>(py: Python<'py>, address: &SocketAddr) -> PyResult<Bound<'py, PyAny>> {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_string(), v4.port()).into_bound_py_any(py),
        SocketAddr::V6(v6) => {
            (host_v6(v6.ip()), v6.port(), v6.flowinfo(), v6.scope_id()).into_bound_py_any(py)
        }
    }
}

/// As `inet_ntop` writes it. Rust's own text differs for IPv4-compatible addresses (RFC 4291,
/// section 2.5.5.1): `inet_ntop` writes their last four bytes in decimal.
fn host_v6(address: &Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = address.octets();
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => address.to_string(),
    }
}

/// The address that `address` says in numbers, for a socket of this family.
///
/// `None` for everything else: names that have to be resolved, numbers that do not fit, objects
/// of the wrong type. Python's own socket knows what to do with those, and how to refuse them.
pub(crate) fn destination(family: Family, address: &Bound<'_, PyAny>) -> Option<Address> {
    match family {
        Family::Unix => unix(address),
        Family::V4 => {
            let items = address.cast_exact::<PyTuple>().ok()?;
            (items.len() == 2).then_some(())?;
            let host: Ipv4Addr = host(items)?;
            Some(Address::v4(SocketAddrV4::new(host, number(items, 1)?)))
        }
        Family::V6 => {
            let items = address.cast_exact::<PyTuple>().ok()?;
            (2..=4).contains(&items.len()).then_some(())?;
            let host: Ipv6Addr = host(items)?;
            let flow = if items.len() > 2 { number(items, 2)? } else { 0 };
            let scope = if items.len() > 3 { number(items, 3)? } else { 0 };
            // Twenty bits (RFC 8200, section 3).
            (flow < 1 << 20).then_some(())?;
            Some(Address::v6(SocketAddrV6::new(host, number(items, 1)?, flow, scope)))
        }
    }
}

fn host<T: std::str::FromStr>(items: &Bound<'_, PyTuple>) -> Option<T> {
    items.get_borrowed_item(0).ok()?.cast_exact::<PyString>().ok()?.to_str().ok()?.parse().ok()
}

fn number<T>(items: &Bound<'_, PyTuple>, index: usize) -> Option<T>
where
    T: for<'a, 'py> FromPyObject<'a, 'py>,
{
    items.get_borrowed_item(index).ok()?.cast_exact::<PyInt>().ok()?.extract().ok()
}

fn unix(address: &Bound<'_, PyAny>) -> Option<Address> {
    let name = match address.cast_exact::<PyBytes>() {
        Ok(name) => name.as_bytes(),
        // The encoding of file names is Python's business; they agree on ASCII.
        Err(_) => {
            let text = address.cast_exact::<PyString>().ok()?.to_str().ok()?;
            text.is_ascii().then_some(text.as_bytes())?
        }
    };
    (1..=LONGEST_PATH).contains(&name.len()).then_some(())?;
    Address::unix(name).ok()
}

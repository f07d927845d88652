//! `Settings` as Python sees it: read-only, its attributes made from the option table.
//!
//! It owns the way of a value between the two languages. It must not know any single option.

use std::env;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCFunction, PyDict, PyString, PyTuple};
use weft_supervisor::options::{self, Opt, Value};

use super::error::raise;

/// What a server is to do: every option, with all sources weighed.
///
/// Made from the command line by `parse_command_line`, or from keywords, which have the names
/// and take the values of the command line. A keyword that is None counts as not given.
#[pyclass(frozen, module = "weft._core")]
pub(crate) struct Settings {
    inner: options::Settings,
}

impl Settings {
    pub(super) fn new(inner: options::Settings) -> Self {
        Self { inner }
    }

    pub(super) fn inner(&self) -> &options::Settings {
        &self.inner
    }
}

#[pymethods]
impl Settings {
    #[new]
    #[pyo3(signature = (app = None, **options))]
    fn from_keywords(
        app: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut keywords = Vec::new();
        if let Some(app) = app {
            keywords.push(("app".to_owned(), text("app", app)?));
        }
        for (keyword, value) in options.into_iter().flatten() {
            if !value.is_none() {
                let keyword = keyword.extract::<String>()?;
                let value = text(&keyword, &value)?;
                keywords.push((keyword, value));
            }
        }
        options::from_keywords(&keywords, &|name| env::var_os(name))
            .map(Self::new)
            .map_err(|error| raise(&error))
    }

    /// The variables of the environment file, in its order.
    #[getter]
    fn env_file_variables(&self) -> Vec<(String, String)> {
        self.inner.env_file_variables.clone()
    }

    /// The words of a command line that says the same.
    #[getter]
    fn arguments(&self) -> Vec<String> {
        self.inner.arguments.clone()
    }

    /// This process is a worker of a supervisor.
    #[getter]
    fn supervised(&self) -> bool {
        self.inner.supervised
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut parts = Vec::new();
        for option in options::options() {
            let value = read(option, &self.inner, py)?;
            parts.push(format!("{}={}", option.keyword(), value.bind(py).repr()?));
        }
        Ok(format!("Settings({})", parts.join(", ")))
    }
}

/// Gives the class one property for each entry of the option table.
pub(super) fn add_attributes(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<Settings>();
    let property = py.import("builtins")?.getattr("property")?;
    for option in options::options() {
        let getter = PyCFunction::new_closure(py, None, None, move |args, _| get(option, args))?;
        let none = py.None();
        let made = property.call1((getter, &none, &none, option.help))?;
        class.setattr(PyString::intern(py, &option.keyword()), made)?;
    }
    Ok(())
}

fn get(option: &Opt, args: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
    let settings = args.get_item(0)?.cast_into::<Settings>()?;
    read(option, &settings.get().inner, args.py())
}

fn read(option: &Opt, settings: &options::Settings, py: Python<'_>) -> PyResult<Py<PyAny>> {
    Ok(match option.slot.value(settings) {
        Value::Nothing => py.None(),
        Value::Flag(flag) => flag.into_pyobject(py)?.to_owned().into_any().unbind(),
        Value::Number(number) => number.into_pyobject(py)?.into_any().unbind(),
        Value::Seconds(seconds) => seconds.into_pyobject(py)?.into_any().unbind(),
        Value::Text(text) => text.into_pyobject(py)?.into_any().unbind(),
    })
}

/// A keyword's value as the command line would write it.
fn text(keyword: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(if flag.is_true() { "true" } else { "false" }.to_owned());
    }
    let py = value.py();
    let numbers = py.import("numbers")?.getattr("Real")?;
    if value.is_instance(&numbers)? {
        return value.str()?.extract();
    }
    let path = py.import("os")?.call_method1("fspath", (value,)).and_then(|path| path.extract());
    path.map_err(|_| {
        let kind = value
            .get_type()
            .qualname()
            .map_or_else(|_| "object".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!(
            "{keyword}: a value of type {kind} cannot be used; give a string"
        ))
    })
}

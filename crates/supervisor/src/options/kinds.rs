//! The types that a setting can have, each with the one place where its text is parsed.
//!
//! A value that exists is a value that holds: nothing downstream checks again. It must not
//! know which option uses a type.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::option::{Setting, Value};
use super::suggest;

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("is neither true nor false".to_owned()),
        }
    }

    fn value(&self) -> Value {
        Value::Flag(*self)
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("is not a path: it contains a NUL".to_owned());
        }
        Ok(Self::from(text))
    }

    fn value(&self) -> Value {
        Value::Text(Path::to_string_lossy(self).into_owned())
    }
}

/// Not set, or a value; an empty text leaves it unset.
impl<T: Setting> Setting for Option<T> {
    const CHOICES: &'static [&'static str] = T::CHOICES;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Nothing, T::value)
    }
}

/// A whole number between two bounds, both of them allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Default for Bounded<MIN, MAX> {
    fn default() -> Self {
        Self(MIN)
    }
}

impl<const MIN: u32, const MAX: u32> Setting for Bounded<MIN, MAX> {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().parse() {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(format!("is not a whole number from {MIN} to {MAX}")),
        }
    }

    fn value(&self) -> Value {
        Value::Number(u64::from(self.0))
    }
}

/// A span of time, written as seconds, with a fraction if need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seconds(Duration);

impl Seconds {
    /// A year: longer is a mistake, and far beyond it a clock sum would overflow.
    const MAX: f64 = 31_536_000.0;

    /// The span.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Setting for Seconds {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().parse::<f64>() {
            Ok(seconds) if (0.0..=Self::MAX).contains(&seconds) => {
                Ok(Self(Duration::from_secs_f64(seconds)))
            }
            _ => Err("is not a number of seconds, such as 30 or 0.5".to_owned()),
        }
    }

    fn value(&self) -> Value {
        Value::Seconds(self.0.as_secs_f64())
    }
}

/// A host to listen on: a name or an address, without port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host(String);

impl Host {
    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Host {
    fn parse(text: &str) -> Result<Self, String> {
        let host = text.trim();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if bare.is_empty() {
            return Err("is empty; 0.0.0.0 listens on every IPv4 address".to_owned());
        }
        if bare.contains("://") {
            return Err("is a URL; give the host alone".to_owned());
        }
        if bare.contains(|c: char| c.is_whitespace() || c == '\0' || c == '/') {
            return Err("is not a host name or address".to_owned());
        }
        if let Some((name, port)) = bare.rsplit_once(':')
            && (!name.contains(':') || name.ends_with(']'))
            && port.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(format!("names a port too; write --host {name} --port {port}"));
        }
        Ok(Self(bare.to_owned()))
    }

    fn value(&self) -> Value {
        Value::Text(self.0.clone())
    }
}

/// The path under which a proxy shows the application: empty, or `/` and no `/` at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootPath(String);

impl RootPath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for RootPath {
    fn parse(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        if !path.is_empty() && !path.starts_with('/') {
            return Err(format!("does not begin with a slash; write /{path}"));
        }
        Ok(Self(path.to_owned()))
    }

    fn value(&self) -> Value {
        Value::Text(self.0.clone())
    }
}

/// Whether the application's start-up and shut-down are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifespan {
    /// Run, and an application that does not know the protocol is served without.
    #[default]
    Auto,
    /// Run, and an application that does not know the protocol is an error.
    On,
    /// Not run.
    Off,
}

impl Setting for Lifespan {
    const CHOICES: &'static [&'static str] = &["auto", "on", "off"];

    fn parse(text: &str) -> Result<Self, String> {
        choose(text, Self::CHOICES, &[Self::Auto, Self::On, Self::Off])
    }

    fn value(&self) -> Value {
        name_of(*self, Self::CHOICES, &[Self::Auto, Self::On, Self::Off])
    }
}

/// Whether WebSockets are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WebSockets {
    /// They are.
    #[default]
    Auto,
    /// A request for one is served as plain HTTP.
    None,
}

impl Setting for WebSockets {
    const CHOICES: &'static [&'static str] = &["auto", "none"];

    fn parse(text: &str) -> Result<Self, String> {
        choose(text, Self::CHOICES, &[Self::Auto, Self::None])
    }

    fn value(&self) -> Value {
        name_of(*self, Self::CHOICES, &[Self::Auto, Self::None])
    }
}

/// The least severe message that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Only what ends the service.
    Critical,
    /// And what failed.
    Error,
    /// And what may fail soon.
    Warning,
    /// And what happens in normal service, the access log among it.
    #[default]
    Info,
    /// And what helps to debug.
    Debug,
    /// And every message between server and application.
    Trace,
}

impl LogLevel {
    const ALL: &'static [Self] =
        &[Self::Critical, Self::Error, Self::Warning, Self::Info, Self::Debug, Self::Trace];
}

impl Setting for LogLevel {
    const CHOICES: &'static [&'static str] =
        &["critical", "error", "warning", "info", "debug", "trace"];

    fn parse(text: &str) -> Result<Self, String> {
        choose(text, Self::CHOICES, Self::ALL)
    }

    fn value(&self) -> Value {
        name_of(*self, Self::CHOICES, Self::ALL)
    }
}

/// The variant that `text` names; `names` and `variants` stand in the same order.
fn choose<T: Copy>(text: &str, names: &[&str], variants: &[T]) -> Result<T, String> {
    let wanted = text.trim().to_ascii_lowercase();
    if let Some((_, variant)) = names.iter().zip(variants).find(|(name, _)| **name == wanted) {
        return Ok(*variant);
    }
    let listed = names.join(", ");
    Err(match suggest::closest(&wanted, names.iter().copied()) {
        Some(near) => format!("is not one of {listed}; did you mean {near}?"),
        None => format!("is not one of {listed}"),
    })
}

/// The name of a variant; `names` and `variants` stand in the same order.
fn name_of<T: PartialEq>(variant: T, names: &[&str], variants: &[T]) -> Value {
    let name = names.iter().zip(variants).find(|(_, known)| **known == variant);
    name.map_or(Value::Nothing, |(name, _)| Value::Text((*name).to_owned()))
}

//! Which source wins: flag or keyword, then environment, then environment file, then default.
//!
//! It owns the order and the one place where text becomes a typed setting. It must not know
//! any single option beyond those that the order itself needs (the application, the file).

use std::ffi::OsString;

use super::command::{self, Spoken};
use super::option::{Opt, Preset, Takes};
use super::settings::Settings;
use super::{env_file, suggest, table};
use crate::error::Error;
use crate::worker;

/// Looks an environment variable up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Request {
    /// Show this text, and end well.
    Help(String),
    /// Show the version, and end well.
    Version,
    /// Serve.
    Serve(Box<Settings>),
}

/// Reads a command line, without the name of the program.
pub fn parse(argv: &[OsString], environment: Environment<'_>) -> Result<Request, Error> {
    match command::read(argv)? {
        Spoken::Help(text) => Ok(Request::Help(text)),
        Spoken::Version => Ok(Request::Version),
        Spoken::Options(given) => resolve(given, Opt::display_name, environment)
            .map(|found| Request::Serve(Box::new(found))),
    }
}

/// Reads keyword arguments: the names and values of the command line, in a program.
pub fn from_keywords(
    keywords: &[(String, String)],
    environment: Environment<'_>,
) -> Result<Settings, Error> {
    let given = keywords.iter().map(|(keyword, text)| {
        let option = table::find(keyword).ok_or_else(|| unknown_keyword(keyword))?;
        Ok((option, text.clone()))
    });
    resolve(given.collect::<Result<_, Error>>()?, Opt::keyword, environment)
}

fn unknown_keyword(keyword: &str) -> Error {
    let known: Vec<String> = table::options().map(Opt::keyword).collect();
    let suggestion = suggest::closest(keyword, known.iter().map(String::as_str));
    Error::UserUnknownKeyword {
        keyword: keyword.to_owned(),
        suggestion: suggestion.map(str::to_owned),
    }
}

/// Weighs the sources. `given` is the strongest; `name` is how it writes an option.
fn resolve(
    given: Vec<(&'static Opt, String)>,
    name: fn(&Opt) -> String,
    environment: Environment<'_>,
) -> Result<Settings, Error> {
    let mut settings =
        Settings { supervised: environment(worker::HANDOVER).is_some(), ..Settings::default() };
    let mut open = Vec::new();
    for option in table::options() {
        if let Some((_, text)) = given.iter().find(|(known, _)| known.name == option.name) {
            store(&mut settings, option, text, || name(option))?;
        } else if let Some((variable, text)) = from_environment(option, environment)? {
            store(&mut settings, option, &text, || variable)?;
        } else {
            open.push(option);
        }
    }
    if let Some(path) = &settings.env_file {
        settings.env_file_variables = env_file::read(path, environment)?;
    }
    for option in open {
        if let Some((variable, text)) = from_file(option, &settings.env_file_variables) {
            let path = settings.env_file.clone().unwrap_or_default();
            store(&mut settings, option, &text, || format!("{variable} in {}", path.display()))?;
        } else if let Preset::Text(text) = option.preset {
            store(&mut settings, option, text, || option.display_name())?;
        }
    }
    if settings.app.is_empty() {
        return Err(Error::UserNoApplication);
    }
    settings.arguments = spell(&given);
    Ok(settings)
}

/// The command line that says what `given` says.
fn spell(given: &[(&'static Opt, String)]) -> Vec<String> {
    // A false flag without a negative form is the same as none: there is no word for it.
    let sayable = |(option, text): &&(&'static Opt, String)| {
        option.takes != Takes::Nothing || matches!(text.as_str(), "true")
    };
    given.iter().filter(sayable).map(|(option, text)| option.spell(text)).collect()
}

fn store(
    settings: &mut Settings,
    option: &Opt,
    text: &str,
    origin: impl FnOnce() -> String,
) -> Result<(), Error> {
    settings.store(option, text).map_err(|reason| Error::UserValue {
        origin: origin(),
        value: text.to_owned(),
        reason,
    })
}

/// The first of the option's variables that is set; an empty one counts as not set, as it is
/// the only way to take a variable back in many a container file.
fn from_environment(
    option: &Opt,
    environment: Environment<'_>,
) -> Result<Option<(String, String)>, Error> {
    for variable in option.variables() {
        match environment(&variable).map(OsString::into_string) {
            None => {}
            Some(Ok(text)) if text.is_empty() => {}
            Some(Ok(text)) => return Ok(Some((variable, text))),
            Some(Err(raw)) => {
                return Err(Error::UserValue {
                    origin: variable,
                    value: raw.to_string_lossy().into_owned(),
                    reason: "is not valid UTF-8".to_owned(),
                });
            }
        }
    }
    Ok(None)
}

fn from_file(option: &Opt, variables: &[(String, String)]) -> Option<(String, String)> {
    option.variables().find_map(|variable| {
        // The last line of a file wins, as it does in a shell.
        let found =
            variables.iter().rev().find(|(name, text)| *name == variable && !text.is_empty());
        found.cloned()
    })
}

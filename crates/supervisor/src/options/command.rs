//! The command line: the table as a parser, its help text, its mistakes in one line.
//!
//! It owns what the words of a command line are. Their values stay text here: `sources.rs`
//! weighs and parses them.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, Id};

use super::option::{Opt, Preset, Takes};
use super::{suggest, table};
use crate::error::Error;

/// What a command line says.
pub(super) enum Spoken {
    /// Show this help text.
    Help(String),
    /// Show the version.
    Version,
    /// Serve, with these options.
    Options(Vec<(&'static Opt, String)>),
}

/// Reads a command line, without the name of the program.
pub(super) fn read(argv: &[OsString]) -> Result<Spoken, Error> {
    match command().try_get_matches_from(argv) {
        Ok(matches) => given(&matches).map(Spoken::Options),
        Err(stop) => match stop.kind() {
            ErrorKind::DisplayHelp => Ok(Spoken::Help(stop.render().to_string())),
            ErrorKind::DisplayVersion => Ok(Spoken::Version),
            _ => Err(in_one_line(&stop, argv)),
        },
    }
}

fn command() -> Command {
    Command::new("weft")
        .no_binary_name(true)
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serve a Python ASGI application")
        .override_usage("weft [OPTIONS] APP")
        .after_help(
            "Every option can also be set by its environment variable. A flag wins over the \
             environment, the environment over the --env-file, that over the default.",
        )
        .args(table::sections().flat_map(|section| {
            section.options.iter().flat_map(args).map(move |arg| {
                if arg.is_positional() { arg } else { arg.help_heading(section.title) }
            })
        }))
}

/// The arguments of one option: two for a toggle.
fn args(option: &'static Opt) -> Vec<Arg> {
    let mut arg = Arg::new(option.name).help(summary(option)).long_help(description(option));
    if let Some(letter) = option.short {
        arg = arg.short(letter);
    }
    // Values stay text, and a flag that stands twice means what it says last.
    match option.takes {
        Takes::Word(word) => vec![arg.value_name(word).value_parser(OsStringValueParser::new())],
        Takes::Value(value) => vec![
            arg.long(option.name)
                .value_name(value)
                .value_parser(OsStringValueParser::new())
                .allow_negative_numbers(true) // "-1" deserves a message about its range
                .overrides_with(option.name),
        ],
        Takes::Nothing => {
            vec![arg.long(option.name).action(ArgAction::SetTrue).overrides_with(option.name)]
        }
        Takes::Toggle => {
            let off = negative(option);
            let arg = arg.long(option.name);
            let no =
                Arg::new(off.clone()).long(off.clone()).help(format!("Turn --{} off", option.name));
            [arg, no]
                .map(|arg| {
                    arg.action(ArgAction::SetTrue)
                        .overrides_with_all([Id::from(option.name), Id::from(off.clone())])
                })
                .into()
        }
    }
}

/// The flag that turns a toggle off.
fn negative(option: &Opt) -> String {
    format!("no-{}", option.name)
}

/// The help line of `-h`.
fn summary(option: &Opt) -> String {
    let mut text = option.help.to_owned();
    let choices = option.slot.choices();
    if !choices.is_empty() {
        text.push_str(&format!(" [{}]", choices.join("|")));
    }
    if let Preset::Text(preset) = option.preset
        && matches!(option.takes, Takes::Value(_))
        && !preset.is_empty()
    {
        text.push_str(&format!(" [default: {preset}]"));
    }
    text
}

/// The help text of `--help`.
fn description(option: &Opt) -> String {
    let mut text = option.help.to_owned();
    if !option.details.is_empty() {
        text.push_str(". ");
        text.push_str(option.details);
    }
    let choices = option.slot.choices();
    if !choices.is_empty() {
        text.push_str(&format!("\n[{}]", choices.join("|")));
    }
    text.push('\n');
    if let Some(preset) = preset_words(option) {
        text.push_str(&format!("[default: {preset}] "));
    }
    let variables: Vec<String> = option.variables().collect();
    text.push_str(&format!("[env: {}]", variables.join(", then ")));
    text
}

/// What holds without the option, in words; nothing where there is nothing to say.
pub(super) fn preset_words(option: &Opt) -> Option<&'static str> {
    match (option.preset, option.takes) {
        (Preset::Text(""), _) => Some("empty"),
        (Preset::Text("true"), Takes::Toggle) => Some("on"),
        (Preset::Text("false"), Takes::Toggle | Takes::Nothing) => Some("off"),
        (Preset::Text(text), _) => Some(text),
        (Preset::Blank(_), Takes::Word(_)) => None,
        (Preset::Blank(words), _) => Some(words),
    }
}

/// The options that the command line gives a value.
fn given(matches: &ArgMatches) -> Result<Vec<(&'static Opt, String)>, Error> {
    let mut given = Vec::new();
    for option in table::options() {
        let text = match option.takes {
            Takes::Word(_) | Takes::Value(_) => match matches.get_one::<OsString>(option.name) {
                None => continue,
                Some(word) => word.to_str().map(str::to_owned).ok_or_else(|| Error::UserValue {
                    origin: option.display_name(),
                    value: word.to_string_lossy().into_owned(),
                    reason: "is not valid UTF-8".to_owned(),
                })?,
            },
            Takes::Nothing | Takes::Toggle if matches.get_flag(option.name) => "true".to_owned(),
            Takes::Toggle if matches.get_flag(&negative(option)) => "false".to_owned(),
            Takes::Nothing | Takes::Toggle => continue,
        };
        given.push((option, text));
    }
    Ok(given)
}

/// A complaint of the parser, as one of ours.
fn in_one_line(stop: &clap::Error, argv: &[OsString]) -> Error {
    let named = |kind| match stop.get(kind) {
        Some(ContextValue::String(word)) => word.clone(),
        Some(ContextValue::Strings(words)) => words.join(" "),
        _ => String::new(),
    };
    let word = named(ContextKind::InvalidArg);
    match stop.kind() {
        ErrorKind::UnknownArgument if word.starts_with('-') => {
            let option = as_written(&word, argv);
            Error::UserUnknownOption { suggestion: suggestion(&option), option }
        }
        ErrorKind::UnknownArgument => {
            Error::UserArguments(format!("{word:?} is one word too many; APP is a single word"))
        }
        ErrorKind::InvalidValue => Error::UserArguments(format!(
            "{} needs a value",
            word.replace(" <", " (").replace('>', ")")
        )),
        ErrorKind::TooManyValues => Error::UserArguments(format!("{word} takes no value")),
        _ => Error::UserArguments(first_line(&stop.to_string())),
    }
}

/// The whole word of the command line that an unknown option stands in: of `-port` the parser
/// names only `-p`.
fn as_written(word: &str, argv: &[OsString]) -> String {
    let written = argv.iter().filter_map(|arg| arg.to_str()).find(|arg| arg.starts_with(word));
    let whole = written.unwrap_or(word);
    whole.split_once('=').map_or(whole, |(name, _)| name).to_owned()
}

fn suggestion(option: &str) -> Option<String> {
    let bare = option.trim_start_matches('-').replace('_', "-");
    let known: Vec<String> = table::options()
        .filter(|option| !matches!(option.takes, Takes::Word(_)))
        .flat_map(|option| {
            let off = (option.takes == Takes::Toggle).then(|| negative(option));
            std::iter::once(option.name.to_owned()).chain(off)
        })
        .chain(["help".to_owned(), "version".to_owned()])
        .collect();
    suggest::closest(&bare, known.iter().map(String::as_str)).map(|name| format!("--{name}"))
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

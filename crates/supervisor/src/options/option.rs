//! What one entry of the option table is made of.
//!
//! An entry holds words for people (name, help, section) and one [`Slot`], the typed place in
//! [`Settings`] that the option fills. The type of that place decides how text is parsed, so
//! there is no second list of kinds to keep in step. It must not know where text comes from.

use super::settings::Settings;

/// One option.
#[derive(Clone, Copy)]
pub struct Opt {
    /// Kebab-case; `name` is the flag `--name`, the variable `WEFT_NAME` and, with
    /// underscores, the keyword.
    pub name: &'static str,
    /// The one-letter flag.
    pub short: Option<char>,
    /// What the command line may write after the flag.
    pub takes: Takes,
    /// What holds when no source gives a value.
    pub preset: Preset,
    /// Environment variables that count besides `WEFT_NAME`, after it.
    pub also_env: &'static [&'static str],
    /// One line.
    pub help: &'static str,
    /// What else a reader needs, in full sentences; may be empty.
    pub details: &'static str,
    /// The place in [`Settings`] that it fills.
    pub slot: &'static dyn Slot,
}

/// What the command line may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// The option has no flag: it is the word itself, shown by this name.
    Word(&'static str),
    /// `--name VALUE`; the value is shown by this name.
    Value(&'static str),
    /// `--name` alone.
    Nothing,
    /// `--name` or `--no-name`.
    Toggle,
}

/// What holds when no source gives a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// This text, parsed like any other.
    Text(&'static str),
    /// The field's blank value, which means this.
    Blank(&'static str),
}

/// Options that a reader looks for in one place.
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// The entries, in the order of the help text.
    pub options: &'static [Opt],
}

/// A setting as the world outside this crate sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not set.
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(u64),
    /// A span of time, in seconds.
    Seconds(f64),
    /// Words, a path, a choice.
    Text(String),
}

/// A type that a setting can have: it parses itself, and shows itself.
pub(super) trait Setting: Sized {
    /// The words it can be, where there are few.
    const CHOICES: &'static [&'static str] = &[];

    /// Parses a value; the error finishes the sentence "`text` …".
    fn parse(text: &str) -> Result<Self, String>;

    /// What it is to the world outside.
    fn value(&self) -> Value;
}

/// A place in [`Settings`], with its type out of sight.
pub trait Slot: Sync {
    /// Parses `text` into the place; the error finishes the sentence "`text` …".
    fn store(&self, settings: &mut Settings, text: &str) -> Result<(), String>;

    /// What stands in the place.
    fn value(&self, settings: &Settings) -> Value;

    /// The words that the place can hold, where there are few.
    fn choices(&self) -> &'static [&'static str];
}

/// The [`Slot`] of one field.
pub(super) struct Field<T> {
    pub(super) get: fn(&Settings) -> &T,
    pub(super) get_mut: fn(&mut Settings) -> &mut T,
}

impl<T: Setting> Slot for Field<T> {
    fn store(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        *(self.get_mut)(settings) = T::parse(text)?;
        Ok(())
    }

    fn value(&self, settings: &Settings) -> Value {
        (self.get)(settings).value()
    }

    fn choices(&self) -> &'static [&'static str] {
        T::CHOICES
    }
}

/// The slot of the field of that name.
macro_rules! field {
    ($name:ident) => {
        &$crate::options::option::Field {
            get: |settings| &settings.$name,
            get_mut: |settings| &mut settings.$name,
        }
    };
}
pub(super) use field;

impl Opt {
    /// Its name among keyword arguments and attributes.
    #[must_use]
    pub fn keyword(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The environment variables that it reads, the first one that is set wins.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let own = format!("WEFT_{}", self.keyword().to_ascii_uppercase());
        std::iter::once(own).chain(self.also_env.iter().map(|&name| name.to_owned()))
    }

    /// How a person would refer to it: `--port`, `APP`.
    #[must_use]
    pub fn display_name(&self) -> String {
        match self.takes {
            Takes::Word(word) => word.to_owned(),
            Takes::Value(_) | Takes::Nothing | Takes::Toggle => format!("--{}", self.name),
        }
    }

    /// The command-line word that gives it this value.
    #[must_use]
    pub fn spell(&self, text: &str) -> String {
        match self.takes {
            Takes::Word(_) => text.to_owned(),
            Takes::Value(_) => format!("--{}={text}", self.name),
            Takes::Nothing => format!("--{}", self.name),
            Takes::Toggle if text == "false" => format!("--no-{}", self.name),
            Takes::Toggle => format!("--{}", self.name),
        }
    }
}

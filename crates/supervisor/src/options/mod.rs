//! From words to [`Settings`]: one table, four sources, one set of checks.
//!
//! - `table/` is the list of options, one entry each; everything else is derived from it.
//! - `option.rs` says what an entry is made of, `kinds.rs` which types a setting can have.
//! - `command.rs` reads the command line, `env_file.rs` the environment file.
//! - `sources.rs` decides which source wins and turns text into typed settings.
//! - `reference.rs` writes the page in `docs/reference/`.
//!
//! To add an option: a field in `settings.rs` and an entry in `table/`. Nothing else.

mod command;
mod env_file;
mod kinds;
mod option;
mod reference;
mod settings;
mod sources;
mod suggest;
mod table;
#[cfg(test)]
mod tests;

pub use kinds::{Bounded, Host, Lifespan, LogLevel, RootPath, Seconds, WebSockets};
pub use option::{Opt, Preset, Section, Slot, Takes, Value};
pub use reference::page as reference_page;
pub use settings::Settings;
pub use sources::{Environment, Request, from_keywords, parse};
pub use table::{find, options, sections};

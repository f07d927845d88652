//! The option table: every option that weft has, in the order of the help text.
//!
//! One file a section. An entry is data; a new section is a line in [`sections`].

mod application;
mod listening;
mod logging;
mod processes;
mod websocket;

use super::option::{Opt, Section};

static SECTIONS: &[&Section] = &[
    &application::SECTION,
    &listening::SECTION,
    &websocket::SECTION,
    &processes::SECTION,
    &logging::SECTION,
];

/// The sections, in order.
pub fn sections() -> impl Iterator<Item = &'static Section> {
    SECTIONS.iter().copied()
}

/// Every option, in order.
pub fn options() -> impl Iterator<Item = &'static Opt> {
    sections().flat_map(|section| section.options)
}

/// The option that answers to this keyword.
#[must_use]
pub fn find(keyword: &str) -> Option<&'static Opt> {
    options().find(|option| option.keyword() == keyword)
}

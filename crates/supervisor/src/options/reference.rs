//! The reference page of all options, written from the table.
//!
//! It owns the page's form. `tests/reference_page.rs` compares it with the copy on disk.

use std::fmt::Write as _;

use super::command::preset_words;
use super::option::{Opt, Takes};
use super::table;

const HEAD: &str = "\
# Options

<!-- Written from the option table in crates/supervisor/src/options/table/; do not edit. -->

Every option of `weft` can be given in four ways. From the strongest to the weakest:

1. a flag of the command line, or a keyword of `weft.serve`;
2. an environment variable (an empty one counts as not set);
3. the same variable in the file that `--env-file` names;
4. the default.

In variables, yes and no are `true` and `false`, `1` and `0`, `yes` and `no`, or `on` and `off`.
A value that cannot be used ends weft with exit code 2 and one line that names its source.
";

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for section in table::sections() {
        page.push_str(&format!("\n## {}\n", section.title));
        for option in section.options {
            page.push_str(&entry(option));
        }
    }
    page
}

fn entry(option: &Opt) -> String {
    let mut text = format!("\n### `{}`\n\n{}.", heading(option), option.help);
    if !option.details.is_empty() {
        let _ = write!(text, " {}", option.details);
    }
    text.push_str("\n\n");
    let choices = option.slot.choices();
    if !choices.is_empty() {
        let _ = writeln!(text, "- one of: `{}`", choices.join("`, `"));
    }
    if let Some(preset) = preset_words(option) {
        let _ = writeln!(text, "- default: {preset}");
    }
    let variables: Vec<String> = option.variables().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(text, "- environment: {}", variables.join(", then "));
    let _ = writeln!(text, "- keyword: `{}`", option.keyword());
    text
}

fn heading(option: &Opt) -> String {
    let short = option.short.map(|letter| format!("-{letter}, ")).unwrap_or_default();
    match option.takes {
        Takes::Word(word) => word.to_owned(),
        Takes::Value(value) => format!("{short}--{} {value}", option.name),
        Takes::Nothing => format!("{short}--{}", option.name),
        Takes::Toggle => format!("{short}--{name}, --no-{name}", name = option.name),
    }
}

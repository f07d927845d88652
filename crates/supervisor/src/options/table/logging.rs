//! What is logged, and how it looks.

use crate::options::option::{Opt, Preset, Section, Takes, field};

pub(super) static SECTION: Section = Section {
    title: "Logging",
    options: &[
        Opt {
            name: "log-level",
            short: None,
            takes: Takes::Value("LEVEL"),
            preset: Preset::Text("info"),
            also_env: &[],
            help: "Log messages of this severity and above",
            details: "",
            slot: field!(log_level),
        },
        Opt {
            name: "access-log",
            short: None,
            takes: Takes::Toggle,
            preset: Preset::Text("true"),
            also_env: &[],
            help: "Log every request",
            details: "To standard output, by the logger `uvicorn.access`.",
            slot: field!(access_log),
        },
        Opt {
            name: "use-colors",
            short: None,
            takes: Takes::Toggle,
            preset: Preset::Blank("where the output is a terminal"),
            also_env: &[],
            help: "Colour the log",
            details: "Unless one of the two is given, the variable NO_COLOR turns colours off.",
            slot: field!(use_colors),
        },
    ],
};

//! How many processes serve, and how they end.

use crate::options::option::{Opt, Preset, Section, Takes, field};

pub(super) static SECTION: Section = Section {
    title: "Processes",
    options: &[
        Opt {
            name: "workers",
            short: None,
            takes: Takes::Value("N"),
            preset: Preset::Text("1"),
            also_env: &["WEB_CONCURRENCY"],
            help: "Processes that serve",
            details: "With more than one, a supervisor starts them, restarts one that dies and \
                      stops them together; it does not import the application. Each worker is a \
                      process of its own, with its own memory, which shares nothing but the \
                      listening socket.",
            slot: field!(workers),
        },
        Opt {
            name: "timeout-graceful-shutdown",
            short: None,
            takes: Takes::Value("SECONDS"),
            preset: Preset::Blank("no limit"),
            also_env: &[],
            help: "At a stop, wait this long for requests in flight",
            details: "After that they are cancelled. A worker that has not ended ten seconds \
                      later is killed by its supervisor.",
            slot: field!(timeout_graceful_shutdown),
        },
    ],
};

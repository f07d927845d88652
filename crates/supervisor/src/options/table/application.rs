//! What is served, and how it is found.

use crate::options::option::{Opt, Preset, Section, Takes, field};

pub(super) static SECTION: Section = Section {
    title: "Application",
    options: &[
        Opt {
            name: "app",
            short: None,
            takes: Takes::Word("APP"),
            preset: Preset::Blank("none: it must be given"),
            also_env: &[],
            help: "The application to serve, as MODULE:ATTRIBUTE",
            details: "MODULE is what `import` would take, with dots and without `.py`; ATTRIBUTE \
                      is the name in it, and may itself have dots: `main:app`, \
                      `shop.api:container.app`.",
            slot: field!(app),
        },
        Opt {
            name: "factory",
            short: None,
            takes: Takes::Nothing,
            preset: Preset::Text("false"),
            also_env: &[],
            help: "Call ATTRIBUTE, and serve what it returns",
            details: "Without the flag a function that takes no argument is called too, with a \
                      warning.",
            slot: field!(factory),
        },
        Opt {
            name: "app-dir",
            short: None,
            takes: Takes::Value("DIR"),
            preset: Preset::Blank("the current folder"),
            also_env: &[],
            help: "Look for MODULE in this folder first",
            details: "It becomes the first entry of `sys.path`.",
            slot: field!(app_dir),
        },
        Opt {
            name: "env-file",
            short: None,
            takes: Takes::Value("PATH"),
            preset: Preset::Blank("none"),
            also_env: &[],
            help: "Read environment variables from this file",
            details: "Lines are NAME=value; quotes, `export`, comments and ${NAME} are \
                      understood. A variable that is already set keeps its value. WEFT_* \
                      variables in the file are options, weaker than those of the environment.",
            slot: field!(env_file),
        },
        Opt {
            name: "lifespan",
            short: None,
            takes: Takes::Value("MODE"),
            preset: Preset::Text("auto"),
            also_env: &[],
            help: "Run the application's start-up and shut-down",
            details: "`auto` runs them if the application knows the lifespan protocol, `on` \
                      makes it an error if it does not, `off` runs nothing.",
            slot: field!(lifespan),
        },
        Opt {
            name: "root-path",
            short: None,
            takes: Takes::Value("PATH"),
            preset: Preset::Text(""),
            also_env: &[],
            help: "The path under which a proxy shows the application",
            details: "It reaches the application as `root_path`; a slash at its end is dropped.",
            slot: field!(root_path),
        },
    ],
};

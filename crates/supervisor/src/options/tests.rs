//! The table is consistent, the sources are weighed in order, and mistakes read well.
#![allow(clippy::expect_used, clippy::panic)] // a broken expectation is how a test fails

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use super::{
    Lifespan, LogLevel, Opt, Preset, Request, Settings, Value, WebSockets, from_keywords, options,
    parse,
};
use crate::error::{Error, exit_code};

fn request(line: &str, variables: &[(&str, &str)]) -> Result<Request, Error> {
    let argv: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    parse(&argv, &|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

#[track_caller]
fn settings(line: &str, variables: &[(&str, &str)]) -> Settings {
    match request(line, variables) {
        Ok(Request::Serve(settings)) => *settings,
        other => panic!("{line:?} should be settings, is {other:?}"),
    }
}

#[track_caller]
fn mistake(line: &str, variables: &[(&str, &str)]) -> String {
    match request(line, variables) {
        Err(error) => {
            assert_eq!(error.exit_code(), exit_code::USAGE);
            let text = error.to_string();
            assert!(!text.contains('\n'), "one line: {text:?}");
            text
        }
        Ok(found) => panic!("{line:?} should be a mistake, is {found:?}"),
    }
}

fn env_file(name: &str, text: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("weft-{}-{name}.env", std::process::id()));
    fs::write(&path, text).expect("the file can be written");
    path
}

#[test]
fn names_and_variables_are_unique() {
    let mut seen = HashSet::new();
    for option in options() {
        assert!(seen.insert(option.name.to_owned()), "{}", option.name);
        if let Some(letter) = option.short {
            assert!(seen.insert(letter.to_string()), "{letter}");
        }
        for variable in option.variables() {
            assert!(seen.insert(variable.clone()), "{variable}");
        }
    }
}

#[test]
fn every_default_in_the_table_is_a_good_value() {
    for option in options() {
        if let Preset::Text(text) = option.preset {
            assert_eq!(Settings::default().store(option, text), Ok(()), "{}", option.name);
        }
    }
}

#[test]
fn every_option_fills_a_place_of_its_own() {
    // Two entries with the same slot would be a slip of copy and paste.
    for option in options() {
        let choice = option.slot.choices().last().copied();
        let mut settings = Settings::default();
        choice
            .into_iter()
            .chain(["true", "/7", "7"])
            .find(|text| settings.store(option, text).is_ok())
            .expect("a choice, yes, a path or a number");
        let changed = options()
            .filter(|other| other.slot.value(&settings) != other.slot.value(&Settings::default()));
        let changed: Vec<_> = changed.map(|other| other.name).collect();
        assert_eq!(changed, [option.name]);
    }
}

#[test]
fn help_lines_are_short_and_carry_no_full_stop() {
    for option in options() {
        assert!(option.help.len() <= 60, "{}", option.help);
        assert!(!option.help.ends_with('.'), "{}", option.help);
        assert!(option.details.is_empty() || option.details.ends_with('.'), "{}", option.details);
    }
}

#[test]
fn an_application_alone_gets_every_default() {
    let settings = settings("main:app", &[]);
    assert_eq!(settings.app, "main:app");
    assert_eq!(settings.host.as_str(), "127.0.0.1");
    assert_eq!(settings.port.get(), 8000);
    assert_eq!(settings.uds, None);
    assert_eq!(settings.backlog.get(), 2048);
    assert_eq!(settings.workers.get(), 1);
    assert_eq!(settings.lifespan, Lifespan::Auto);
    assert_eq!(settings.log_level, LogLevel::Info);
    assert_eq!(settings.timeout_keep_alive.duration(), Duration::from_secs(75));
    assert_eq!(settings.timeout_graceful_shutdown, None);
    assert_eq!(settings.ws, WebSockets::Auto);
    assert_eq!((settings.ws_max_size.get(), settings.ws_max_queue.get()), (16_777_216, 32));
    assert_eq!(settings.ws_ping_interval.duration(), Duration::from_secs(20));
    assert_eq!(settings.ws_ping_timeout.duration(), Duration::from_secs(20));
    assert!(settings.ws_per_message_deflate);
    assert_eq!(settings.use_colors, None);
    assert!(settings.access_log && !settings.factory && !settings.supervised);
    assert_eq!(settings.arguments, ["main:app"]);
}

#[test]
fn flags_are_read_in_any_order_and_the_last_one_wins() {
    let found = settings("--port 1 main:app --port=2 --factory --no-access-log --factory", &[]);
    assert_eq!(found.port.get(), 2);
    assert!(found.factory && !found.access_log);
    assert!(settings("a:b --no-access-log --access-log", &[]).access_log);
    assert!(!settings("a:b --access-log --no-access-log", &[]).access_log);
    assert_eq!(settings("a:b --no-use-colors", &[]).use_colors, Some(false));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let path = env_file("order", "WEFT_PORT=3\nWEFT_HOST=::1\nWEFT_LOG_LEVEL=debug\nDB=x\n");
    let line = format!("a:b --port 1 --env-file {}", path.display());
    let found = settings(&line, &[("WEFT_PORT", "2"), ("WEFT_HOST", "0.0.0.0")]);
    assert_eq!(found.port.get(), 1);
    assert_eq!(found.host.as_str(), "0.0.0.0");
    assert_eq!(found.log_level, LogLevel::Debug);
    assert_eq!(found.backlog.get(), 2048);
    assert_eq!(found.env_file_variables.last(), Some(&("DB".to_owned(), "x".to_owned())));
    fs::remove_file(path).expect("the file is there");
}

#[test]
fn the_environment_can_name_the_application_and_the_file() {
    let path = env_file("app", "WEFT_APP=from.file:app\n");
    let name = path.display().to_string();
    assert_eq!(settings("", &[("WEFT_ENV_FILE", &name)]).app, "from.file:app");
    assert_eq!(settings("", &[("WEFT_APP", "main:app")]).app, "main:app");
    fs::remove_file(path).expect("the file is there");
}

#[test]
fn web_concurrency_counts_after_wefts_own_variable() {
    assert_eq!(settings("a:b", &[("WEB_CONCURRENCY", "3")]).workers.get(), 3);
    let both = [("WEB_CONCURRENCY", "3"), ("WEFT_WORKERS", "2")];
    assert_eq!(settings("a:b", &both).workers.get(), 2);
    assert_eq!(settings("a:b --workers 5", &both).workers.get(), 5);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(settings("a:b", &[("WEFT_PORT", ""), ("WEFT_ACCESS_LOG", "off")]).port.get(), 8000);
}

#[test]
fn keywords_pass_the_same_table() {
    let words = [("app", "a:b"), ("port", "0"), ("access_log", "false"), ("factory", "false")];
    let words = words.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let found = from_keywords(&words, &|_| None).expect("good keywords");
    assert_eq!(found.port.get(), 0);
    assert!(!found.access_log);
    let line = found.arguments.join(" ");
    assert_eq!(line, "a:b --port=0 --no-access-log");
    assert_eq!(settings(&line, &[]), found);

    let wrong = [("wokers".to_owned(), "2".to_owned())];
    let error = from_keywords(&wrong, &|_| None).expect_err("no such keyword");
    assert_eq!(error.to_string(), "unknown option wokers; did you mean workers?");
    let wrong = [("port".to_owned(), "x".to_owned())];
    let error = from_keywords(&wrong, &|_| None).expect_err("no number");
    assert_eq!(error.to_string(), "port: \"x\" is not a whole number from 0 to 65535");
}

#[test]
fn the_words_for_a_worker_read_back_as_the_same_settings() {
    let found = settings("--uds /tmp/x.sock --workers 3 --no-use-colors m:a --root-path /v1/", &[]);
    assert_eq!(settings(&found.arguments.join(" "), &[]), found);
    assert_eq!(found.root_path.as_str(), "/v1");
}

#[test]
fn help_and_version_are_asked_for() {
    let Ok(Request::Help(short)) = request("-h", &[]) else { panic!("help") };
    let Ok(Request::Help(long)) = request("main:app --help", &[]) else { panic!("help") };
    assert_eq!(request("--version", &[]), Ok(Request::Version));
    assert!(long.len() > short.len());
    for option in options() {
        assert!(short.contains(&option.display_name()), "{}", option.name);
        for variable in option.variables() {
            assert!(long.contains(&variable), "{variable}");
        }
    }
}

#[test]
fn mistakes_on_the_command_line_are_one_line_that_helps() {
    let cases = [
        ("", "no application given; name it as MODULE:ATTRIBUTE, for example: weft main:app"),
        ("a:b --prot 80", "unknown option --prot; did you mean --port?"),
        ("a:b -port 80", "unknown option -port; did you mean --port?"),
        ("a:b --access_log", "unknown option --access_log; did you mean --access-log?"),
        ("a:b --noaccess-log", "unknown option --noaccess-log; did you mean --no-access-log?"),
        ("a:b --frobnicate=1", "unknown option --frobnicate; weft --help lists them all"),
        ("a:b --port", "--port (PORT) needs a value"),
        ("a:b --factory=1", "--factory takes no value"),
        ("a:b c:d", "\"c:d\" is one word too many; APP is a single word"),
        ("a:b --port abc", "--port: \"abc\" is not a whole number from 0 to 65535"),
        ("a:b --port -1", "--port: \"-1\" is not a whole number from 0 to 65535"),
        ("a:b --port 65536", "--port: \"65536\" is not a whole number from 0 to 65535"),
        ("a:b --workers 0", "--workers: \"0\" is not a whole number from 1 to 1024"),
        ("a:b --lifespan onn", "--lifespan: \"onn\" is not one of auto, on, off; did you mean on?"),
        (
            "a:b --timeout-keep-alive 5s",
            "--timeout-keep-alive: \"5s\" is not a number of seconds, such as 30 or 0.5",
        ),
        (
            "a:b --host 0.0.0.0:80",
            "--host: \"0.0.0.0:80\" names a port too; write --host 0.0.0.0 --port 80",
        ),
        ("a:b --host http://x", "--host: \"http://x\" is a URL; give the host alone"),
        ("a:b --root-path v1", "--root-path: \"v1\" does not begin with a slash; write /v1"),
    ];
    for (line, expected) in cases {
        assert_eq!(mistake(line, &[]), expected, "{line}");
    }
}

#[test]
fn mistakes_elsewhere_name_their_source() {
    assert_eq!(
        mistake("a:b", &[("WEFT_ACCESS_LOG", "maybe")]),
        "WEFT_ACCESS_LOG: \"maybe\" is neither true nor false"
    );
    assert_eq!(
        mistake("a:b", &[("WEB_CONCURRENCY", "many")]),
        "WEB_CONCURRENCY: \"many\" is not a whole number from 1 to 1024"
    );
    let path = env_file("bad", "WEFT_PORT=http\n");
    let name = path.display();
    assert_eq!(
        mistake(&format!("a:b --env-file {name}"), &[]),
        format!("WEFT_PORT in {name}: \"http\" is not a whole number from 0 to 65535")
    );
    fs::remove_file(&path).expect("the file is there");
    let text = mistake(&format!("a:b --env-file {name}"), &[]);
    assert!(text.starts_with(&format!("environment file {name}: cannot be read: ")), "{text}");
}

#[test]
fn ipv6_addresses_are_hosts_with_and_without_brackets() {
    assert_eq!(settings("a:b --host [::1]", &[]).host.as_str(), "::1");
    assert_eq!(settings("a:b --host ::", &[]).host.as_str(), "::");
    assert_eq!(settings("a:b --host fe80::1%eth0", &[]).host.as_str(), "fe80::1%eth0");
    assert_eq!(
        mistake("a:b --host [::1]:80", &[]),
        "--host: \"[::1]:80\" names a port too; write --host [::1] --port 80"
    );
}

#[test]
fn settings_show_themselves_through_the_table() {
    let found = settings("a:b --port 7 --timeout-graceful-shutdown 1.5", &[]);
    let value = |name: &str| {
        let option: Option<&Opt> = super::find(name);
        option.map(|option| option.slot.value(&found))
    };
    assert_eq!(value("app"), Some(Value::Text("a:b".to_owned())));
    assert_eq!(value("port"), Some(Value::Number(7)));
    assert_eq!(value("uds"), Some(Value::Nothing));
    assert_eq!(value("access_log"), Some(Value::Flag(true)));
    assert_eq!(value("timeout_graceful_shutdown"), Some(Value::Seconds(1.5)));
    assert_eq!(value("lifespan"), Some(Value::Text("auto".to_owned())));
    assert_eq!(value("nothing_such"), None);
}

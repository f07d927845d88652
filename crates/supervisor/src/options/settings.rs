//! The settings of one server: every option, typed, with the sources already weighed.
//!
//! It owns the fields. It must not know their defaults, names or help texts: those stand in
//! the table.

use std::path::PathBuf;

use super::kinds::{Bounded, Host, Lifespan, LogLevel, RootPath, Seconds, WebSockets};
use super::option::Opt;

/// What a server is to do.
///
/// `parse` and `from_keywords` make one. `Default` is the blank sheet that the table's own
/// defaults are written on, not a set of defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The application, as `module:attribute`; never empty in finished settings.
    pub app: String,
    /// The application is a function that makes the application.
    pub factory: bool,
    /// The folder put first on the module path; empty is the current one.
    pub app_dir: PathBuf,
    /// A file of environment variables for the application and for weft.
    pub env_file: Option<PathBuf>,
    /// Whether start-up and shut-down are run.
    pub lifespan: Lifespan,
    /// The path under which a proxy shows the application.
    pub root_path: RootPath,

    /// The host to listen on.
    pub host: Host,
    /// The port to listen on; 0 is any.
    pub port: Bounded<0, 65535>,
    /// The Unix socket to listen on, instead of host and port.
    pub uds: Option<PathBuf>,
    /// How many connections may wait to be accepted.
    pub backlog: Bounded<1, 65535>,

    /// Whether WebSockets are served.
    pub ws: WebSockets,
    /// The bytes of the largest message.
    pub ws_max_size: Bounded<1, { u32::MAX }>,
    /// How many messages may wait for the application.
    pub ws_max_queue: Bounded<1, 65535>,
    /// How often clients are pinged; never if it is zero.
    pub ws_ping_interval: Seconds,
    /// How long a client may be silent after a ping; for ever if it is zero.
    pub ws_ping_timeout: Seconds,
    /// Whether messages are compressed.
    pub ws_per_message_deflate: bool,

    /// How many processes serve.
    pub workers: Bounded<1, 1024>,
    /// How long a stop waits for requests in flight.
    pub timeout_graceful_shutdown: Option<Seconds>,
    /// How long an idle connection is kept.
    pub timeout_keep_alive: Seconds,

    /// The least severe message that is logged.
    pub log_level: LogLevel,
    /// Whether requests are logged.
    pub access_log: bool,
    /// Whether log lines are coloured; unset asks the terminal.
    pub use_colors: Option<bool>,

    /// The variables of the environment file, in its order.
    pub env_file_variables: Vec<(String, String)>,
    /// What the command line or the keywords said, in words that `parse` reads back: a worker
    /// is started with these.
    pub arguments: Vec<String>,
    /// This process is a worker of a supervisor.
    pub supervised: bool,
}

impl Settings {
    /// Writes a value into the place that `option` fills; the error finishes "`text` …".
    pub(super) fn store(&mut self, option: &Opt, text: &str) -> Result<(), String> {
        option.slot.store(self, text)
    }
}

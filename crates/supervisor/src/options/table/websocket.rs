//! How WebSockets are served, by uvicorn's names and defaults.

use crate::options::option::{Opt, Preset, Section, Takes, field};

pub(super) static SECTION: Section = Section {
    title: "WebSocket",
    options: &[
        Opt {
            name: "ws",
            short: None,
            takes: Takes::Value("MODE"),
            preset: Preset::Text("auto"),
            also_env: &[],
            help: "Serve WebSockets",
            details: "With `none` a request for one reaches the application as a plain HTTP \
                      request, with a warning in the log.",
            slot: field!(ws),
        },
        Opt {
            name: "ws-max-size",
            short: None,
            takes: Takes::Value("BYTES"),
            preset: Preset::Text("16777216"),
            also_env: &[],
            help: "The largest message that a client may send",
            details: "Counted after decompression, which stops there; a larger message closes \
                      the WebSocket with code 1009.",
            slot: field!(ws_max_size),
        },
        Opt {
            name: "ws-max-queue",
            short: None,
            takes: Takes::Value("N"),
            preset: Preset::Text("32"),
            also_env: &[],
            help: "Messages that may wait for the application",
            details: "While so many wait, or messages of more than 256 KiB together, nothing \
                      more is read from the client.",
            slot: field!(ws_max_queue),
        },
        Opt {
            name: "ws-ping-interval",
            short: None,
            takes: Takes::Value("SECONDS"),
            preset: Preset::Text("20.0"),
            also_env: &[],
            help: "Ping each client this often",
            details: "To within a second; 0 sends no pings. None is sent while the client takes \
                      nothing, or while its messages wait for the application.",
            slot: field!(ws_ping_interval),
        },
        Opt {
            name: "ws-ping-timeout",
            short: None,
            takes: Takes::Value("SECONDS"),
            preset: Preset::Text("20.0"),
            also_env: &[],
            help: "Give a client up that is silent after a ping",
            details: "Anything that it sends is a sign of life, a pong or not. To within a \
                      second; 0 waits for ever.",
            slot: field!(ws_ping_timeout),
        },
        Opt {
            name: "ws-per-message-deflate",
            short: None,
            takes: Takes::Value("BOOLEAN"),
            preset: Preset::Text("true"),
            also_env: &[],
            help: "Compress messages if the client offers it",
            details: "The extension permessage-deflate (RFC 7692). Messages below 1 KiB are \
                      sent as they are.",
            slot: field!(ws_per_message_deflate),
        },
    ],
};

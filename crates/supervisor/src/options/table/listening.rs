//! Where connections come in, and how long they stay.

use crate::options::option::{Opt, Preset, Section, Takes, field};

pub(super) static SECTION: Section = Section {
    title: "Listening",
    options: &[
        Opt {
            name: "host",
            short: None,
            takes: Takes::Value("HOST"),
            preset: Preset::Text("127.0.0.1"),
            also_env: &[],
            help: "Address or name to listen on",
            details: "0.0.0.0 is every IPv4 address of the machine, `::` every address, IPv4 \
                      among them. A name is resolved, and every address that it has is used.",
            slot: field!(host),
        },
        Opt {
            name: "port",
            short: None,
            takes: Takes::Value("PORT"),
            preset: Preset::Text("8000"),
            also_env: &[],
            help: "Port to listen on; 0 is any free one",
            details: "The port that was found is logged.",
            slot: field!(port),
        },
        Opt {
            name: "uds",
            short: None,
            takes: Takes::Value("PATH"),
            preset: Preset::Blank("none"),
            also_env: &[],
            help: "Listen on a Unix socket, not on host and port",
            details: "The file gets mode 0666, whatever the umask is: a proxy mostly runs as \
                      another user, so restrict the folder it stands in. A file left by a dead \
                      server is replaced, one that a server listens on is not.",
            slot: field!(uds),
        },
        Opt {
            name: "backlog",
            short: None,
            takes: Takes::Value("N"),
            preset: Preset::Text("2048"),
            also_env: &[],
            help: "Connections that may wait to be accepted",
            details: "The kernel caps it at net.core.somaxconn.",
            slot: field!(backlog),
        },
        // uvicorn's 5 s is shorter than the time a proxy keeps its own idle connections (nginx
        // and AWS load balancers: 60 s). The proxy then sends a request on a connection that
        // is being closed, and answers 502. The side nearer to the client must close first, so
        // this is the first common value above 60; nginx uses it towards clients.
        Opt {
            name: "timeout-keep-alive",
            short: None,
            takes: Takes::Value("SECONDS"),
            preset: Preset::Text("75"),
            also_env: &[],
            help: "Close a connection that was idle this long",
            details: "Keep it above the idle time of the proxy in front (60 s for nginx and for \
                      AWS load balancers): the proxy must be the one that closes, or it sends \
                      requests into closing connections and answers 502.",
            slot: field!(timeout_keep_alive),
        },
    ],
};

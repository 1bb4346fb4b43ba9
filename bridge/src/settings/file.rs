//! The file of settings, in TOML.
//!
//! ```toml
//! metrics = "127.0.0.1:9100"
//!
//! [server]
//! server = ["nats://10.0.0.1:4222"]
//! creds = "/etc/shmq/bridge.creds"
//!
//! [[out]]
//! queue = "jobs"
//! stream = "JOBS"
//! create = true
//!
//! [[in]]
//! queue = "results"
//! stream = "RESULTS"
//! ```

use super::{InSettings, MirrorSettings, OutSettings, ServerSettings, Settings};
use crate::failure::Failure;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    server: ServerSettings,
    metrics: Option<SocketAddr>,
    #[serde(default)]
    out: Vec<OutSettings>,
    #[serde(default, rename = "in")]
    inward: Vec<InSettings>,
    #[serde(default)]
    mirror: Vec<MirrorSettings>,
}

pub(super) fn read(path: &Path) -> Result<Settings, Failure> {
    let unreadable = |why: String| Failure::Unreadable { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse(&text).map_err(unreadable)
}

fn parse(text: &str) -> Result<Settings, String> {
    let File { server, metrics, out, inward, mirror } = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(Settings { server, metrics, out, inward, mirror })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{OnFull, Retention, Span};

    #[test]
    fn a_table_has_the_defaults_of_the_command_line() {
        let settings = parse("[[out]]\nqueue = \"jobs\"\nstream = \"JOBS\"\n").unwrap();
        let said =
            <crate::settings::Arguments as clap::Parser>::try_parse_from(["shmq-bridge", "out", "jobs", "--stream", "JOBS"])
                .unwrap();
        let by_line = Settings::of(said).unwrap();
        assert_eq!(settings.out, by_line.out);
        assert_eq!((settings.out[0].subject(), settings.out[0].name()), ("JOBS", "jobs"));
    }

    #[test]
    fn all_of_a_table_is_read() {
        let text = "metrics = \"127.0.0.1:9100\"\n[server]\nserver = [\"nats://a\", \"nats://b\"]\nuser = \"u\"\npassword = \"p\"\n\
                    [[out]]\nqueue = \"q\"\nstream = \"S\"\nsubject = \"s.x\"\nname = \"n\"\ncreate = true\nretention = \"limits\"\n\
                    window = 7\nmax-messages = 10\non-full = \"stop\"\nack-timeout = \"250ms\"\ndrain = \"2m\"\n";
        let settings = parse(text).unwrap();
        let out = &settings.out[0];
        assert_eq!((out.subject(), out.name(), out.create, out.window), ("s.x", "n", true, 7));
        assert_eq!((out.retention, out.on_full, out.max_messages), (Some(Retention::Limits), OnFull::Stop, Some(10)));
        assert_eq!((out.ack_timeout, out.drain), (Span::from_millis(250), Span::from_millis(120_000)));
        assert_eq!(settings.server.user.as_deref(), Some("u"));
    }

    #[test]
    fn mistakes_are_said_in_words_with_their_line() {
        let servers = |text: &str| parse(&format!("[server]\nserver = {text}\n")).map(|settings| settings.server.server);
        assert_eq!(servers("\"nats://a, nats://b\"").unwrap(), servers("[\"nats://a\", \"nats://b\"]").unwrap());
        let refused = servers("7").unwrap_err();
        assert!(refused.contains("line 2") && refused.contains("a list of them"), "{refused}");
        let refused = parse("[[out]]\nqueue = \"q\"\nstream = \"S\"\nack-timeout = 5\n").unwrap_err();
        assert!(refused.contains("line 4") && refused.contains("5s"), "{refused}");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let refused = parse("[[out]]\nqueue = \"q\"\nstream = \"S\"\nwindows = 7\n").unwrap_err();
        assert!(refused.contains("windows"), "{refused}");
    }
}

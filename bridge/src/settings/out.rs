//! A queue whose messages go to a stream.

use super::{Span, check_name, check_subject};
use crate::failure::Failure;
use crate::journal::OUT_WINDOW_MAX;
use clap::{Args, ValueEnum};
use serde::Deserialize;

/// A queue whose messages go to a stream.
#[derive(Args, Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OutSettings {
    /// The queue. It exists, and is persisted.
    pub queue: String,
    /// The stream. No other bridge, and nothing else, publishes into it.
    #[arg(long)]
    pub stream: String,
    /// The subject to publish to [default: the stream's name].
    #[arg(long)]
    pub subject: Option<String>,
    /// The bridge's name, which its journal has [default: the queue's].
    #[arg(long)]
    pub name: Option<String>,
    /// Make the stream if there is none: in files, discarding new messages when it is full, without
    /// an age limit.
    #[arg(long)]
    #[serde(default)]
    pub create: bool,
    /// When a message leaves the stream: once it is consumed, or when limits say so. A stream that
    /// exists with another one is refused [default with --create: work-queue].
    #[arg(long, value_enum)]
    pub retention: Option<Retention>,
    /// With --create: the stream takes no more than so many messages.
    #[arg(long, value_name = "N")]
    pub max_messages: Option<u64>,
    /// With --create: the stream takes no more than so many bytes.
    #[arg(long, value_name = "N")]
    pub max_bytes: Option<u64>,
    /// With --create: copies in a cluster.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[serde(default = "default_replicas")]
    pub replicas: usize,
    /// Messages that may be under way at a time. They stay in the queue until the stream has them.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_WINDOW)]
    #[serde(default = "default_window")]
    pub window: usize,
    /// When the stream is full: wait for room, with the messages in the queue, or end with exit
    /// code 14.
    #[arg(long, value_enum, default_value_t = OnFull::Wait)]
    #[serde(default)]
    pub on_full: OnFull,
    /// After this long without the server's ack, the bridge asks what the stream has.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_ACK_TIMEOUT)]
    #[serde(default = "default_ack_timeout")]
    pub ack_timeout: Span,
    /// How long to wait at the end for the acks of what is under way.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_DRAIN)]
    #[serde(default = "default_drain")]
    pub drain: Span,
    /// Begin anew with this queue and this stream, though they do not belong together: the queue
    /// was made anew, the journal is lost, or the stream's sequence went back. What was under way
    /// may double, or be missing in the stream: the error without this option says which.
    #[arg(long)]
    #[serde(skip)]
    pub adopt: bool,
}

const DEFAULT_WINDOW: usize = 1024;
const DEFAULT_ACK_TIMEOUT: Span = Span::from_millis(5_000);
const DEFAULT_DRAIN: Span = Span::from_millis(10_000);

fn default_replicas() -> usize {
    1
}

fn default_window() -> usize {
    DEFAULT_WINDOW
}

fn default_ack_timeout() -> Span {
    DEFAULT_ACK_TIMEOUT
}

fn default_drain() -> Span {
    DEFAULT_DRAIN
}

/// When a message leaves a stream.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Retention {
    /// Once it is consumed.
    WorkQueue,
    /// When limits say so: never, with none.
    Limits,
}

/// What to do when a stream is full.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// Wait for room.
    #[default]
    Wait,
    /// End.
    Stop,
}

impl OutSettings {
    /// The subject to publish to.
    pub fn subject(&self) -> &str {
        self.subject.as_deref().unwrap_or(&self.stream)
    }

    /// The bridge's name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.queue)
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        if !(1..=OUT_WINDOW_MAX).contains(&self.window) {
            return Err(Failure::Settings(format!(
                "window {} cannot be used: it must be from 1 to {OUT_WINDOW_MAX}",
                self.window
            )));
        }
        check_name("stream", &self.stream)?;
        check_subject("subject", self.subject())
    }
}

//! A queue that is filled from a stream.

use super::{Span, check_name, check_subject};
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use serde::Deserialize;

/// A queue that is filled from a stream.
#[derive(Args, Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InSettings {
    /// The queue. It exists, and is persisted.
    pub queue: String,
    /// The stream.
    #[arg(long)]
    pub stream: String,
    /// The bridge's name, which its journal has [default: the queue's].
    #[arg(long)]
    pub name: Option<String>,
    /// The durable consumer. Bridges on several machines that have the same one share the messages
    /// [default: shmq-QUEUE].
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    /// Only messages of this subject, where the stream has several.
    #[arg(long)]
    pub subject: Option<String>,
    /// Other processes put into the queue, too. Without it the bridge owns the put side; with it, a
    /// message that the bridge was putting when it was killed may come twice.
    #[arg(long)]
    #[serde(default)]
    pub shared: bool,
    /// When the server's copy is acknowledged: once the message is in the queue, or once a worker
    /// is done with it, which also survives the loss of this machine.
    #[arg(long, value_enum, default_value_t = AckOn::Put)]
    #[serde(default)]
    pub ack_on: AckOn,
    /// Where messages go that the queue gave up, or does not take: a subject that a stream listens
    /// to [default: STREAM.dead].
    #[arg(long, value_name = "SUBJECT")]
    pub dead_letters: Option<String>,
    /// After this long without an ack or a sign of life, the server gives a message to another
    /// bridge. Of a consumer that is made.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_ACK_WAIT)]
    #[serde(default = "default_ack_wait")]
    pub ack_wait: Span,
    /// How long the ids of messages are kept after their ack was confirmed. Time without a
    /// connection does not count.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_REMEMBER)]
    #[serde(default = "default_remember")]
    pub remember: Span,
    /// Messages that are asked for ahead.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PREFETCH)]
    #[serde(default = "default_prefetch")]
    pub prefetch: usize,
    /// Messages that all bridges together may have without an ack. With --ack-on done: at least as
    /// many as the queues and the workers have. Of a consumer that is made.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ACK_PENDING)]
    #[serde(default = "default_max_ack_pending")]
    pub max_ack_pending: usize,
    /// How long to wait at the end for the confirmation of acks.
    #[arg(long, value_name = "TIME", default_value_t = DEFAULT_DRAIN)]
    #[serde(default = "default_drain")]
    pub drain: Span,
    /// Begin anew with this queue and this stream, though they do not belong to the journal: the
    /// error without this option says what differs, and what may double.
    #[arg(long)]
    #[serde(skip)]
    pub adopt: bool,
}

const DEFAULT_ACK_WAIT: Span = Span::from_millis(30_000);
const DEFAULT_REMEMBER: Span = Span::from_millis(60_000);
const DEFAULT_PREFETCH: usize = 1000;
const DEFAULT_MAX_ACK_PENDING: usize = 20_000;
const DEFAULT_DRAIN: Span = Span::from_millis(10_000);

fn default_ack_wait() -> Span {
    DEFAULT_ACK_WAIT
}

fn default_remember() -> Span {
    DEFAULT_REMEMBER
}

fn default_prefetch() -> usize {
    DEFAULT_PREFETCH
}

fn default_max_ack_pending() -> usize {
    DEFAULT_MAX_ACK_PENDING
}

fn default_drain() -> Span {
    DEFAULT_DRAIN
}

/// When the server's copy of a message is acknowledged.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum AckOn {
    /// Once it is in the queue.
    #[default]
    Put,
    /// Once a worker's lease of it has ended.
    Done,
}

impl InSettings {
    /// The bridge's name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.queue)
    }

    /// The name of the durable consumer. The server's names have neither dots nor spaces.
    pub fn consumer(&self) -> String {
        self.consumer.clone().unwrap_or_else(|| {
            let is_plain = |each: char| each.is_alphanumeric() || each == '-' || each == '_';
            let queue: String = self.queue.chars().map(|each| if is_plain(each) { each } else { '_' }).collect();
            format!("shmq-{queue}")
        })
    }

    /// Where messages go that the queue gave up.
    pub fn dead_letters(&self) -> String {
        self.dead_letters.clone().unwrap_or_else(|| format!("{}.dead", self.stream))
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        let refused = |why: String| Err(Failure::Settings(why));
        check_name("stream", &self.stream)?;
        check_name("consumer", &self.consumer())?;
        check_subject("dead-letters", &self.dead_letters())?;
        if !(1..=100_000).contains(&self.prefetch) {
            return refused(format!("prefetch {} cannot be used: it must be from 1 to 100000", self.prefetch));
        }
        if self.shared && self.ack_on == AckOn::Done {
            return refused(
                "--shared and --ack-on done cannot be had together: the places of messages are known to the put side's owner"
                    .into(),
            );
        }
        if self.max_ack_pending == 0 {
            return refused("max-ack-pending 0 cannot be used: no message would come".into());
        }
        if self.ack_wait.get().as_millis() < 1000 {
            return refused(format!("ack-wait {} cannot be used: it must be 1s or more", self.ack_wait));
        }
        Ok(())
    }
}

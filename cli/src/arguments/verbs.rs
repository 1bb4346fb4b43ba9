//! The arguments of each verb.

use super::owners::AllowedOwners;
use super::values::{octal, schema, seconds, size};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Close {
    /// The queue
    pub name: String,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Ls {
    /// Only these queues; all if none is given
    pub names: Vec<String>,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Schema {
    /// The queue or the topic
    pub name: String,
    /// Write JSON, for programs; with one of the languages below, its source is in it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub language: Language,
}

/// The language to declare the messages in.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct Language {
    /// Write the struct of the messages in C, with the macro that makes its schema
    #[arg(long)]
    pub c: bool,
    /// The same in C++
    #[arg(long)]
    pub cpp: bool,
    /// The same in Rust, with its attribute
    #[arg(long)]
    pub rust: bool,
    /// The same in Python: a dtype of numpy
    #[arg(long)]
    pub python: bool,
}

#[derive(Args, Debug)]
pub struct Stat {
    /// The queue
    pub name: String,
    /// Read twice, this many seconds apart, for rates; 0 reads once
    #[arg(long, short, value_name = "SECONDS", default_value = "0.5", value_parser = seconds, allow_negative_numbers = true)]
    pub interval: Duration,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Top {
    /// Only queues with this in their name or type
    pub filter: Option<String>,
    /// Seconds between two updates
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = seconds, allow_negative_numbers = true)]
    pub interval: Duration,
    /// What to sort by
    #[arg(long, short, value_enum, default_value_t = Order::Name)]
    pub sort: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    Name,
    Messages,
    Puts,
    Gets,
    Bytes,
}

#[derive(Args, Debug)]
pub struct Put {
    /// The queue
    pub name: String,
    /// One message a line, without its line feed
    #[arg(long, conflicts_with_all = ["null", "file"])]
    pub lines: bool,
    /// One message for each string that ends in a NUL byte (as of `find -print0`)
    #[arg(long, conflicts_with = "file")]
    pub null: bool,
    /// One message a file, instead of standard input. May be given several times: each is there, or
    /// none is put
    #[arg(long, short, value_name = "F")]
    pub file: Vec<PathBuf>,
    /// Without a mode: size of the blocks that the input is cut into
    #[arg(long, value_name = "BYTES", default_value = "64K", value_parser = size)]
    pub block: usize,
    /// Size of the queue, if it does not exist yet
    #[arg(long, value_name = "BYTES", default_value = "8M", value_parser = size)]
    pub capacity_bytes: usize,
    /// Give up if there is no room for this long, with exit code 5
    #[arg(long, short, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Get {
    /// The queue
    pub name: String,
    /// How many messages to take, waiting for each; 1 if not given
    #[arg(long = "number", short = 'n', value_name = "N")]
    pub number: Option<u64>,
    /// Take messages until the queue is closed and drained
    #[arg(long, short)]
    pub follow: bool,
    /// Write a line feed after each message
    #[arg(long, conflicts_with = "null")]
    pub lines: bool,
    /// Write a NUL byte after each message
    #[arg(long)]
    pub null: bool,
    /// Give up if no message comes for this long, with exit code 5; 0 takes only what is there
    #[arg(long, short, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Peek {
    /// The queue
    pub name: String,
    /// How many messages to show
    #[arg(long = "number", short = 'n', value_name = "N", default_value_t = 10)]
    pub number: usize,
    /// How many bytes of each to show; if not given, 64, and of decoded ones 1K
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub bytes: Option<usize>,
    /// Write the messages themselves, whole and back to back
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Drain {
    /// The queue
    pub name: String,
    /// Throw away at most this many
    #[arg(long = "number", short = 'n', value_name = "N")]
    pub number: Option<u64>,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Evict {
    /// The topic
    pub name: String,
    /// The subscriber, as `shmq stat` and `shmq doctor` call it: 0.1
    pub subscriber: String,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Create {
    /// The queue
    pub name: String,
    /// Size of the ring; the largest message takes half of it. K, M, G count in 1024s
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub capacity_bytes: usize,
    /// At most this many messages
    #[arg(long, value_name = "N")]
    pub capacity: Option<usize>,
    /// A name for what the messages mean, up to 64 bytes
    #[arg(long, value_parser = schema)]
    pub schema: Option<String>,
    /// Permissions in octal; 660 lets the group use it
    #[arg(long, value_parser = octal, default_value = "600")]
    pub mode: u32,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Rm {
    /// The queues. With --stale: all if none is given
    #[arg(required_unless_present = "stale")]
    pub names: Vec<String>,
    /// Only queues whose users are all dead and that are not persistent
    #[arg(long)]
    pub stale: bool,
    /// With --stale: also persistent queues (the queues that this command creates are)
    #[arg(long, requires = "stale")]
    pub persisted: bool,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Recover {
    /// The queue
    pub name: String,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub allowed: AllowedOwners,
}

#[derive(Args, Debug)]
pub struct Doctor {
    /// Only these queues; all if none is given
    pub names: Vec<String>,
    /// Read twice, this many seconds apart, to see what moves; 0 reads once
    #[arg(long, short, value_name = "SECONDS", default_value = "0.5", value_parser = seconds, allow_negative_numbers = true)]
    pub interval: Duration,
    /// Write JSON, for programs
    #[arg(long)]
    pub json: bool,
}

//! A queue that is filled from a stream.

use clap::Args;
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
}

//! A topic that is published to a subject, or fed from one.

use super::check_subject;
use crate::failure::Failure;
use clap::Args;
use serde::Deserialize;

/// A topic that is published to a subject, or fed from one.
#[derive(Args, Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MirrorSettings {
    /// The topic. It exists.
    pub topic: String,
    /// The subject.
    #[arg(long)]
    pub subject: String,
    /// From the subject to the topic; without it, from the topic to the subject.
    #[arg(long)]
    #[serde(default)]
    pub back: bool,
}

impl MirrorSettings {
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.back {
            // Several subjects may feed a topic.
            true if self.subject.is_empty() || self.subject.contains(char::is_whitespace) => {
                Err(Failure::Settings(format!("subject \"{}\" cannot be subscribed to", self.subject)))
            }
            true => Ok(()),
            false => check_subject("subject", &self.subject),
        }
    }
}
